"""The graph itself: what crosses its shuffle, and that every runner makes the same data set."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import pipeline_context
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.pipeline import graph
from fgbg.pipeline.arguments import GraphArguments, Slice
from fgbg.pipeline.data_set import request as requests
from fgbg.pipeline.graph import generate_and_summarise, work_units
from fgbg.pipeline.options import parser as options
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.commit import Commit, Moments
from fgbg.transforms.job.job import assign_splits
from fgbg.transforms.job.work_unit import WorkUnit, sample_numbers, units_of_background
from fgbg.transforms.steps import compose
from fgbg.transforms.steps.run_made import Made, added_up, made_now, timings
from fgbg.transforms.steps.unit_coder import WorkUnitCoder
from fgbg.transforms.steps.write import Write
from tests.helpers.data_sets import arguments, job_of, make_in_process, tree


def graph_of(inputs, output, *more: str) -> GraphArguments:
    asked, _ = options.parse(options.generate_parser(), arguments(inputs, output, *more)[1:])
    request = requests.read(asked)
    requests.store(request)
    return GraphArguments.of(request.output, request.job, None, threads=1)


def test_the_whole_graph_makes_what_slices_make(small_inputs, small_data_set, tmp_path):
    output = tmp_path / "set"
    with beam.Pipeline(FnApiRunner()) as root:
        generate_and_summarise(root, graph_of(small_inputs, output))
    assert tree(output) == tree(small_data_set)


@pytest.mark.parametrize("form", ["images", "tfrecord"])
def test_the_whole_graph_records_its_time(form, small_inputs, tmp_path):
    output = tmp_path / "set"
    whole = graph_of(small_inputs, output, "--format", form)
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


def test_only_keys_cross_the_one_shuffle(small_inputs, tmp_path):
    root = beam.Pipeline(FnApiRunner())
    generate_and_summarise(root, graph_of(small_inputs, tmp_path / "set"))
    proto = root.to_runner_api()
    shuffles = [
        transform
        for transform in proto.components.transforms.values()
        if transform.spec.urn == "beam:transform:reshuffle:v1"
    ]
    assert len(shuffles) == 1
    (collection,) = shuffles[0].inputs.values()
    coder = proto.components.pcollections[collection].coder_id
    context = pipeline_context.PipelineContext(proto.components)
    assert isinstance(context.coders.get_by_id(coder), WorkUnitCoder)
    # The other grouping is the combiner of one number at the end.
    groupings = [
        transform.unique_name
        for transform in proto.components.transforms.values()
        if transform.spec.urn == "beam:transform:group_by_key:v1"
    ]
    inside = [name for name in groupings if "Reshuffle" in name or "AllDone" in name]
    assert groupings and groupings == inside


def test_a_key_is_a_few_bytes():
    coder = coders.registry.get_coder(WorkUnit)
    unit = WorkUnit(100, 200, True, 3)
    encoded = coder.encode(unit)
    assert len(encoded) < 32
    assert coder.is_deterministic()
    assert coder.decode(encoded) == unit


@pytest.mark.parametrize("slices", [1, 2, 3, 7])
def test_slices_are_a_partition(slices):
    whole = list(all_units(GraphArguments("o", "v", 5, 4, True, 2, (64, 64))))
    parts = [
        list(all_units(GraphArguments("o", "v", 5, 4, True, 2, (64, 64), part=Slice(i, slices))))
        for i in range(slices)
    ]
    assert sorted(unit for part in parts for unit in part) == sorted(whole)
    assert max(map(len, parts)) - min(map(len, parts)) <= 5
    assert len(set(whole)) == 5 * 4 * 2 * 2


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


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("placements", [[20], [3, 2], [1, 4, 2]])
def test_sample_numbers_are_each_given_once(mirror, placements):
    units = list(units_of_background(1, 1, mirror, len(placements)))
    numbers = sorted(n for unit in units for n in sample_numbers(placements, mirror, unit))
    assert numbers == list(range(1, sum(placements) * (2 if mirror else 1) + 1))


def test_the_reference_numbering():
    assert list(sample_numbers([20], True, WorkUnit(1, 1, False, 0))) == list(range(1, 21))
    assert list(sample_numbers([20], True, WorkUnit(1, 1, True, 0))) == list(range(21, 41))


def test_the_name_of_a_unit_is_read_back():
    for unit in units_of_background(7, 3, True, 2):
        assert WorkUnit.parse(unit.name) == unit
    with pytest.raises(ValueError, match="is not the name of a work unit"):
        WorkUnit.parse("bg1/fg_1/upside_down_0")


SPLITS = [("train", 0.8), ("validation", 0.1), ("test", 0.1)]


def test_splits_meet_their_shares_and_are_never_moved():
    whole = assign_splits([], 100, SPLITS)
    assert [whole.count(name) for name, _ in SPLITS] == [80, 10, 10]
    for count in range(1, 100):
        first = assign_splits([], count, SPLITS)
        assert first == whole[:count]
        assert first + assign_splits(first, 100 - count, SPLITS) == whole
        for name, share in SPLITS:
            assert abs(first.count(name) - share * count) < 1


def test_a_commit_record_is_read_back():
    record = Commit(
        WorkUnit(3, 4, True, 0),
        {"number": [1, 2], "x": [5, 6]},
        {"mask": Moments(2, 3, 5)},
        {"m": 9},
    )
    assert Commit.from_bytes(record.to_bytes(), "record", record.unit) == record


def test_moments_are_exact():
    values = [0, 255, 17, 17, 200]
    moments = Moments()
    for value in values:
        moments.add(Moments(1, value, value * value))
    mean = sum(values) / 5
    assert moments.mean() == mean
    assert moments.std() == pytest.approx((sum((v - mean) ** 2 for v in values) / 5) ** 0.5)
    assert Moments().mean() == Moments().std() == 0


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
