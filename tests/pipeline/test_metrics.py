"""Counters: the metrics of a run on Beam's runners, and generation.json of a local one."""

from __future__ import annotations

import json

import apache_beam as beam
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.arguments import GraphArguments
from fgbg.pipeline.data_set import request as requests
from fgbg.pipeline.graph import generate_and_summarise
from fgbg.pipeline.options import parser as options
from fgbg.transforms import meter
from fgbg.transforms.job import commit
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps import compose
from tests.helpers.data_sets import arguments, job_of, without_workers
from tests.helpers.small_networks import keras_file

LOST = WorkUnit(2, 1, False, 0)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return keras_file(tmp_path_factory.mktemp("net") / "net.keras")


def run(runner, inputs, output, network, *more):
    """Runs the whole graph. Gives its counters, and its distributions as (count, sum, min, max)."""
    command = arguments(inputs, output, "--depth_model", str(network), *more)[1:]
    asked, _ = options.parse(options.generate_parser(), command)
    request = requests.read(asked)
    requests.store(request)
    graph = GraphArguments.of(request.output, request.job, request.depth_path, threads=1)
    root = beam.Pipeline(runner, PipelineOptions([]))
    generate_and_summarise(root, graph)
    result = root.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace(meter.NAMESPACE))
    counters: dict[str, int] = {}
    for entry in found["counters"]:  # one for every step that counts
        name = entry.key.metric.name
        counters[name] = counters.get(name, 0) + entry.committed
    spread = {
        e.key.metric.name: (
            e.committed.count, e.committed.sum, e.committed.min, e.committed.max
        )
        for e in found["distributions"]
    }  # fmt: skip
    return counters, spread


@pytest.mark.parametrize("runner", [FnApiRunner, BundleBasedDirectRunner])
def test_a_run_counts_as_metrics_of_the_job(runner, small_inputs, tmp_path, network):
    output = tmp_path / "set"
    more = ("--depth_batch_size", "2")  # a unit of 3 samples is a batch of 2 and one of 1
    counters, spread = run(runner(), small_inputs, output, network, *more)
    written = json.loads((output / "generation.json").read_text())["bytes"]
    exact = {"units_done": 12, "samples": 36, "bytes": sum(written.values())}
    exact["units_with_depth_on_cpu"] = 12
    assert {name: counters.get(name) for name in exact} == exact
    assert min(counters[f"{step}_microseconds"] for step in ("compose", "depth", "write")) > 0
    assert spread[meter.BATCH_SIZE] == (24, 36, 1, 2)
    assert "units_failed" not in counters and "units_skipped" not in counters
    # One unit is lost and one is broken: the others are skipped.
    commit.withdraw(str(output), job_of(output), [LOST])
    counters, _ = run(runner(), small_inputs, output, network, *more)
    assert (counters["units_skipped"], counters["units_done"]) == (11, 1)


def test_a_unit_that_fails_is_counted_and_told(small_inputs, tmp_path, network, monkeypatch):
    real = compose.compose

    def broken(output, version, unit, kept):
        if unit == LOST:
            raise ValueError("the test breaks it")
        return real(output, version, unit, kept)

    monkeypatch.setattr(compose, "compose", broken)
    output = tmp_path / "set"
    counters, _ = run(FnApiRunner(), small_inputs, output, network)
    assert (counters["units_failed"], counters["units_done"]) == (1, 11)
    (told,) = (json.loads(line) for line in (output / "errors.jsonl").read_text().splitlines())
    assert (told["unit"], told["step"]) == (LOST.name, "Compose")
    assert told["reason"] == "ValueError: the test breaks it"


def test_a_local_run_tells_its_counters_in_generation_json(small_inputs, tmp_path, network):
    output = tmp_path / "set"
    command = arguments(
        small_inputs, output, "--depth_model", str(network), "--depth_batch_size", "2"
    )
    assert main([*command, "--workers", "2"]) == 0
    commit.withdraw(str(output), job_of(output), [LOST])
    with without_workers():
        assert main([*command, "--workers", "1"]) == 0
    generation = json.loads((output / "generation.json").read_text())
    first, second = generation["timings"]["runs"]
    assert first["depth_batches"] == {"count": 24, "min": 1, "max": 2, "mean": 1.5}
    assert first["gpus"] == []
    assert (first["units_done"], first["units_skipped"], first["units_failed"]) == (12, 0, 0)
    assert (first["samples"], first["bytes"]) == (36, sum(generation["bytes"].values()))
    assert min(first[f"{step}_s"] for step in ("compose", "depth", "write")) > 0
    assert (second["units_done"], second["units_skipped"]) == (1, 11)


def test_arrays_of_processes_are_combined():
    arrays = []
    for sizes in ((4, 4, 3), (), (8,)):
        arrays.append([0] * meter.ARRAY_LENGTH)
        meter.share(arrays[-1])
        for size in sizes:
            meter.batch(size)
        meter.count("samples", 7)
    meter.share(None)
    whole = meter.combine(meter.combine(arrays[0], arrays[1]), arrays[2])
    assert meter.batch_sizes(whole) == {"count": 4, "min": 3, "max": 8, "mean": 4.75}
    assert whole[meter.COUNTERS.index("samples")] == 21
    assert meter.batch_sizes(arrays[1]) is None


def test_the_item_that_a_process_dies_of_is_known():
    array = [0] * meter.ARRAY_LENGTH
    meter.share(array)
    assert meter.item_at_death(array) is None
    for item in (0, 7):
        meter.begin(item)
        assert meter.item_at_death(array) == item
    meter.end()
    assert meter.item_at_death(array) is None
    meter.count("rows_checked", 5)
    assert meter.counted("rows_checked") == 5
    meter.share(None)
    meter.begin(3)
    assert meter.item_at_death(array) is None and meter.counted("rows_checked") == 0


@pytest.mark.parametrize("gpu, name", [(None, "cpu"), ("NVIDIA L4", "NVIDIA_L4")])
def test_the_device_is_the_name_of_a_counter(gpu, name, monkeypatch):
    counted = []
    monkeypatch.setattr(meter, "_metric", lambda metric: counted.append(metric) or Inc())
    meter.depth_made_on(gpu)
    assert counted == [f"units_with_depth_on_{name}"]


class Inc:
    def inc(self, amount: int = 1) -> None:
        pass
