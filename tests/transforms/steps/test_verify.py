"""Verify: one sample's files, those of no sample, and what is told of a row group."""

from __future__ import annotations

import dataclasses
import json
import shutil

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.transforms import meter
from fgbg.transforms.dataset.file_samples import FileReader
from fgbg.transforms.job import job as jobs
from fgbg.transforms.steps.verify import CheckGroup, check_row, stray_files, verify
from tests.helpers.data_sets import job_of
from tests.helpers.drawn_jobs import Finished, drawn_inputs, finish, make_units

CHECKSUM = "its checksum is not the manifest's: the file has changed"
STRAY = "belongs to no row of the manifest"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """A data set of each form; not to be changed."""
    folder = tmp_path_factory.mktemp("verify")
    inputs = drawn_inputs(tmp_path_factory.mktemp("drawn"))
    found = {}
    for form in ("images", "tfrecord"):
        make_units(inputs, folder / form, "--placements", "2", "--format", form)
        found[form] = finish(folder / form)
    return found


@pytest.fixture
def counted(monkeypatch) -> dict[str, int]:
    """What is counted, without Beam's metrics."""
    found: dict[str, int] = {}

    def count(name: str, amount: int = 1) -> None:
        found[name] = found.get(name, 0) + amount

    monkeypatch.setattr(meter, "count", count)
    return found


@pytest.fixture
def data_set(whole, tmp_path, counted) -> Finished:
    """One of files, to be damaged."""
    shutil.copytree(whole["images"].output, tmp_path / "set")
    return Finished(tmp_path / "set", whole["images"].job, whole["images"].rows)


def problems_of_row(of: Finished, **changes: object) -> list[tuple[str, str]]:
    """Of the second sample, its row changed."""
    reader = FileReader(str(of.output), of.job)
    return list(check_row(jobs.version(of.job), reader.sample({**of.rows[1], **changes})))


def problems_of_group(of: Finished, group: int) -> list[tuple[str, str]]:
    check = CheckGroup(str(of.output), jobs.version(of.job), of.manifest)
    check.setup()
    told = [json.loads(line) for line in check.process(group)]
    assert all(set(one) == {"file", "problem"} for one in told)
    return [(one["file"], one["problem"]) for one in told]


def test_a_sample_that_is_as_its_row_says_has_no_problem(data_set):
    assert problems_of_row(data_set) == []


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_problems_are_told_of_the_file_that_has_them(kind, data_set):
    name = data_set.rows[1][kind]
    assert name.startswith("bg1/fg_1/") and f"/{kind}/2." in name
    assert problems_of_row(data_set, **{f"{kind}_crc32": 0}) == [(name, CHECKSUM)]
    (data_set.output / name).unlink()
    assert problems_of_row(data_set) == [(name, "missing")]
    # The others are looked at all the same.
    others = [other for other in ("overlay", "mask", "depth") if other != kind]
    told = problems_of_row(data_set, **{f"{other}_crc32": 0 for other in others})
    assert told == [(name, "missing")] + [(data_set.rows[1][o], CHECKSUM) for o in others]


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_a_row_without_a_file_that_it_should_have_is_told(kind, data_set):
    key = data_set.rows[1]["key"]
    no_file = (key, f"the manifest has no {kind} file for it")
    assert problems_of_row(data_set, **{kind: None}) == [no_file]
    others = [other for other in ("overlay", "mask", "depth") if other != kind]
    changes = {f"{other}_crc32": 0 for other in others}
    told = problems_of_row(data_set, **{kind: None, **changes})
    assert told == [no_file, *((data_set.rows[1][other], CHECKSUM) for other in others)]


def test_a_row_with_depth_in_a_data_set_without_is_told(whole, tmp_path, counted):
    shutil.copytree(whole["images"].output, tmp_path / "set")
    job = job_of(tmp_path / "set")
    configuration = dataclasses.replace(job.configuration, depth_model=None)
    without = dataclasses.replace(job, configuration=configuration)
    jobs.write(str(tmp_path / "set"), without)
    changed = Finished(tmp_path / "set", without, whole["images"].rows)
    key = changed.rows[1]["key"]
    assert problems_of_row(changed) == [(key, "the manifest has a depth file for it")]


def test_files_of_no_row_are_told(data_set):
    names = {"bg1/fg_1/overlay/1.jpg", "bg1/fg_1/mask/1.jpg"}
    there = {
        path.relative_to(data_set.output).as_posix() for path in data_set.output.glob("bg1/*/*/*")
    }
    assert len(there) == 12
    told = list(stray_files(str(data_set.output), 1, names))
    assert sorted(told) == sorted((name, STRAY) for name in there - names)
    assert list(stray_files(str(data_set.output), 1, there)) == []
    assert list(stray_files(str(data_set.output), 3, set())) == []


def test_an_undamaged_row_group_has_no_problem(whole, counted):
    for of in whole.values():
        assert [problems_of_group(of, group) for group in (0, 1)] == [[], []]
    assert counted["rows_checked"] == 2 * 8


def test_a_row_group_tells_all_problems_of_its_rows_and_folder(data_set, counted):
    row = data_set.rows[5]
    assert row["bg"] == 2
    (data_set.output / row["mask"]).unlink()
    stray = data_set.output / "bg2/fg_1/overlay/99.jpg"
    stray.write_bytes(b"")
    assert problems_of_group(data_set, 0) == []
    assert counted["rows_checked"] == 4
    assert problems_of_group(data_set, 1) == [
        (row["mask"], "missing"), ("bg2/fg_1/overlay/99.jpg", STRAY),
    ]  # fmt: skip
    assert counted["rows_checked"] == 8


def test_records_without_a_plan_are_told_of_each_unit(whole, tmp_path, counted):
    shutil.copytree(whole["tfrecord"].output, tmp_path / "set")
    (tmp_path / "set/_work/shards/plan.json").unlink()
    of = Finished(tmp_path / "set", whole["tfrecord"].job, whole["tfrecord"].rows)
    assert problems_of_group(of, 1) == [
        (f"bg2/fg_1/{kind}_0", "is in the manifest, but in no shard")
        for kind in ("as_given", "mirrored")
    ]
    assert counted["rows_checked"] == 4


def test_the_graph_checks_each_row_group_and_writes_problems(whole, data_set, tmp_path):
    (data_set.output / data_set.rows[5]["mask"]).unlink()
    version = jobs.version(data_set.job)
    with beam.Pipeline(FnApiRunner()) as root:
        verify(root, str(data_set.output), version, data_set.manifest, [0, 1], f"{tmp_path}/told")
    assert [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()] == [
        {"file": data_set.rows[5]["mask"], "problem": "missing"}
    ]


def test_the_group_that_is_checked_is_told_to_the_launcher(whole, counted, monkeypatch):
    told: list[object] = []
    monkeypatch.setattr(meter, "begin", told.append)
    monkeypatch.setattr(meter, "end", lambda: told.append("end"))
    assert problems_of_group(whole["images"], 1) == []
    assert told == [1, "end"]
