"""The graph itself: what crosses its shuffle, and that every runner makes the same data set."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import pipeline_context
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.pipeline import graph
from fgbg.pipeline.arguments import GraphArguments, Slice
from fgbg.pipeline.graph import generate_and_summarise, work_units
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps import compose
from fgbg.transforms.steps.run_made import Made, added_up, made_now, timings
from fgbg.transforms.steps.unit_coder import WorkUnitCoder
from fgbg.transforms.steps.write import Write
from tests.helpers.data_sets import job_of, make_in_process, store_job, tree


def test_the_whole_graph_makes_what_slices_make(small_inputs, small_data_set, tmp_path):
    output = tmp_path / "set"
    with beam.Pipeline(FnApiRunner()) as root:
        generate_and_summarise(root, store_job(small_inputs, output))
    assert tree(output) == tree(small_data_set)


@pytest.mark.parametrize("form", ["images", "tfrecord"])
def test_the_whole_graph_records_its_time(form, small_inputs, tmp_path):
    output = tmp_path / "set"
    whole = store_job(small_inputs, output, "--format", form)
    started = time.time()
    with beam.Pipeline(FnApiRunner()) as root:
        generate_and_summarise(root, whole)
    taken = time.time() - started
    (run,) = json.loads((output / "generation.json").read_text())["timings"]["runs"]
    assert 0 < run["wall_s"] <= taken + 0.001
    assert (run["samples"], run["units_done"], run["workers"]) == (36, 12, 1)


def test_a_run_that_made_nothing_has_no_time():
    assert timings(added_up([]), time.time() - 5) is None


def test_the_time_of_a_template_is_not_from_when_it_was_written():
    first = made_now(3)
    later = Made(4, 1, first.first + 5, frozenset(("another",)))
    both = added_up([later, first])
    assert (both.samples, both.units, both.first, len(both.processes)) == (7, 2, first.first, 2)
    since_first, since_launch = timings(both, None), timings(both, first.first - 60)
    assert since_first and since_first["wall_s"] < 1
    assert since_launch and since_launch["wall_s"] >= 60
    template = PipelineOptions(["--template_location=gs://bucket/template"])
    assert graph._launched(beam.Pipeline(options=template)) is None


def test_only_keys_and_numbers_of_chunks_cross_the_shuffles(small_inputs, tmp_path):
    root = beam.Pipeline(FnApiRunner())
    generate_and_summarise(root, store_job(small_inputs, tmp_path / "set"))
    proto = root.to_runner_api()
    shuffles = [
        transform
        for transform in proto.components.transforms.values()
        if transform.spec.urn == "beam:transform:reshuffle:v1"
    ]
    context = pipeline_context.PipelineContext(proto.components)
    crossing = []
    for shuffle in shuffles:
        (collection,) = shuffle.inputs.values()
        coder = proto.components.pcollections[collection].coder_id
        crossing.append(context.coders.get_by_id(coder))
    (of_chunks,) = (coder for coder in crossing if not isinstance(coder, WorkUnitCoder))
    assert len(crossing) == 2 and not isinstance(of_chunks, coders.FastPrimitivesCoder)
    # The other groupings are the combiners of one small thing: what was made, and its sums.
    groupings = [
        transform.unique_name
        for transform in proto.components.transforms.values()
        if transform.spec.urn == "beam:transform:group_by_key:v1"
    ]
    inside = [
        name
        for name in groupings
        if any(part in name for part in ("Reshuffle", "AllDone", "AllSummed"))
    ]
    assert groupings and groupings == inside


def test_a_key_is_a_few_bytes():
    coder = coders.registry.get_coder(WorkUnit)
    unit = WorkUnit(100, 200, True, 3)
    encoded = coder.encode(unit)
    assert len(encoded) < 32
    assert coder.is_deterministic()
    assert coder.decode(encoded) == unit


def slice_of(index: int, slices: int, mirror: bool, rounds: int = 1) -> list[WorkUnit]:
    """Of 6 backgrounds and 4 foregrounds."""
    whole = GraphArguments("o", "v", 6, 4, mirror, rounds, (64, 64))
    return list(all_units(dataclasses.replace(whole, part=Slice(index, slices))))


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("slices", [1, 2, 3, 4, 5, 7, 50])
def test_slices_are_a_partition(slices, rounds, mirror):
    parts = [slice_of(i, slices, mirror, rounds) for i in range(slices)]
    assert sorted(unit for part in parts for unit in part) == sorted(
        WorkUnit(background, foreground, mirrored, round_)
        for background in range(1, 7)
        for foreground in range(1, 5)
        for mirrored in ([False, True] if mirror else [False])
        for round_ in range(rounds)
    )


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("slices", [1, 2, 3, 4, 6])
def test_slices_are_balanced_over_backgrounds_foregrounds_and_directions(slices, mirror):
    # Foregrounds take longer the larger they are: of none may one slice have more than its share.
    parts = [slice_of(i, slices, mirror) for i in range(slices)]
    for kind in (
        lambda unit: (),
        lambda unit: unit.background,
        lambda unit: (unit.foreground, unit.mirrored),
    ):
        counted = [Counter(map(kind, part)) for part in parts]
        for one in set().union(*counted):
            shares = [counts[one] for counts in counted]
            assert max(shares) - min(shares) <= 1, (one, shares)


def test_units_are_left_out_by_their_numbers_in_the_job(small_data_set):
    job = jobs.read(str(small_data_set))
    for mirror, placements in ((True, [3]), (False, [3, 1]), (True, [3, 1, 2])):
        c = dataclasses.replace(job.configuration, mirror=mirror, placements=placements)
        changed = dataclasses.replace(job, configuration=c)
        whole = GraphArguments.of("o", changed, None, 1)
        units = list(all_units(whole))
        assert [changed.index_of(unit) for unit in units] == list(range(changed.units))
        assert [changed.unit_at(i) for i in range(changed.units)] == units
        part = Slice(0, 1, frozenset({0, 4}))
        left = list(all_units(dataclasses.replace(whole, part=part)))
        assert left == [unit for i, unit in enumerate(units) if i not in (0, 4)]


def all_units(graph: GraphArguments):
    for background in range(1, graph.backgrounds + 1):
        yield from work_units(background, graph)


def test_a_write_that_fails_costs_its_unit_and_no_other(small_inputs, tmp_path, monkeypatch):
    from fgbg.files.storage import LocalStorage

    write = LocalStorage._write

    def full(path: str, data: bytes) -> None:
        if "/bg2/fg_1/overlay/5" in path:
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(LocalStorage, "_write", staticmethod(full))
    output = make_in_process(small_inputs, tmp_path / "set")
    lines = (output / "errors.jsonl").read_text().splitlines()
    assert len(lines) == 1
    assert "No space left on device" in lines[0] and "bg2/fg_1/mirrored_0" in lines[0]


def test_nothing_is_written_into_a_data_set_that_has_become_another_jobs(small_inputs, tmp_path):
    output = str(make_in_process(small_inputs, tmp_path / "set"))
    whole = job_of(output)
    step = Write(output, jobs.version(whole))
    step.start_bundle()
    composed = compose.compose(output, jobs.version(whole), WorkUnit(1, 1, False, 0))
    list(step.process((composed, None)))
    changed = dataclasses.replace(whole.configuration, seed=1)
    jobs.write(output, dataclasses.replace(whole, configuration=changed))
    step._looked -= 3600  # as an hour later
    before = tree(Path(output))
    with pytest.raises(jobs.OtherJobError, match="another run has replaced it"):
        list(step.process((composed, None)))
    list(step.finish_bundle())
    assert tree(Path(output)) == before
