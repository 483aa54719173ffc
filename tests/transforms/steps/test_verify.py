"""Verify: what is told of one background, its files, and files of no sample in its folder."""

from __future__ import annotations

import shutil

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.transforms import meter
from fgbg.transforms.dataset import manifest
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps.verify import CheckBackground, read_found, verify
from fgbg.transforms.steps.verify_background import Found, Given
from fgbg.transforms.steps.verify_recompute import Recompute
from tests.helpers.drawn_jobs import Finished, drawn_inputs, finish, make_units

CHECKSUM = "its checksum is not that of its commit record: the file has changed"


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


def given(of: Finished) -> Given:
    return Given(str(of.output), jobs.version(of.job), of.manifest, frozenset(), Recompute())


def found_on(of: Finished, background: int) -> Found:
    check = CheckBackground(given(of))
    check.setup()
    (line,) = check.process(background)
    number, found = read_found(line)
    assert number == background
    return found


def told(of: Finished, background: int) -> list[tuple[str, str]]:
    return [(problem.file, problem.problem) for problem in found_on(of, background).problems]


def test_an_undamaged_background_has_no_problem(whole, counted):
    for of in whole.values():
        for background in (1, 2):
            found = found_on(of, background)
            assert found.problems == [] and found.manifest is None
            assert found.totals.samples == 4 and found.totals.units == 2
            assert sum(found.totals.levels.maps.values()) == 4
            assert len(found.blocks) == (2 if of.job.in_records else 0)
    assert counted["rows_checked"] == 2 * 8


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_problems_are_told_of_the_file_that_has_them(kind, data_set):
    name = data_set.rows[1][kind]
    assert name.startswith("bg1/fg_1/") and f"/{kind}/2." in name
    others = [data_set.rows[1][other] for other in ("overlay", "mask", "depth") if other != kind]
    (data_set.output / name).unlink()
    assert told(data_set, 1) == [(name, "missing")]
    # The others are looked at all the same.
    for other in others:
        path = data_set.output / other
        path.write_bytes(path.read_bytes()[:-40])
    first, *more = told(data_set, 1)
    assert first == (name, "missing")
    assert [file for file, words in more if words.startswith(CHECKSUM)] == others
    assert told(data_set, 2) == []


def test_a_wrong_cell_of_the_manifest_is_a_difference_and_no_problem(data_set):
    rows = [dict(row) for row in data_set.rows]
    rows[5]["mask_area"] += 1
    with manifest.ManifestWriter(data_set.manifest) as writer:
        for part in (rows[:4], rows[4:]):
            writer.write(pa.Table.from_pylist(part, schema=manifest.SCHEMA))
    assert found_on(data_set, 1).manifest is None
    found = found_on(data_set, 2)
    assert found.problems == [] and found.manifest is not None
    area = rows[5]["mask_area"]
    assert (found.manifest.rows, found.manifest.columns) == (1, ["mask_area"])
    assert found.manifest.first == ["mask_area", area, area - 1]


def test_files_of_no_sample_are_told(data_set, counted):
    (data_set.output / "bg2/fg_1/overlay/mine.txt").write_bytes(b"")
    left = ("bg2/fg_1/overlay/mine.txt", "is no file of this data set; it is left alone")
    assert told(data_set, 1) == []
    assert told(data_set, 2) == [left]
    assert counted["rows_checked"] == 8
    commit.withdraw(str(data_set.output), data_set.job, [WorkUnit(2, 1, True, 0)])
    problems = told(data_set, 2)
    assert left in problems and len(problems) == 2
    words = "is of a unit that is not done, as are 5 more files in bg2"
    assert [one for _, one in problems if one != left[1]] == [words]


def test_a_damaged_commit_record_is_told_and_hides_no_other(data_set, counted):
    path = commit.record_path(str(data_set.output), data_set.job, WorkUnit(2, 1, True, 0))
    with open(path, "wb"):
        pass
    problems = told(data_set, 2)
    assert "its unit is to be made again" in problems[0][1]
    assert counted["rows_checked"] == 2


def test_records_without_a_plan_are_left_to_the_check_of_the_shards(whole, tmp_path, counted):
    shutil.copytree(whole["tfrecord"].output, tmp_path / "set")
    (tmp_path / "set/_work/shards/plan.json").unlink()
    of = Finished(tmp_path / "set", whole["tfrecord"].job, whole["tfrecord"].rows)
    found = found_on(of, 1)
    assert found.problems == [] and found.totals.samples == 4


def test_the_graph_checks_each_background_and_writes_what_is_found(data_set, tmp_path):
    (data_set.output / data_set.rows[5]["mask"]).unlink()
    with beam.Pipeline(FnApiRunner()) as root:
        verify(root, given(data_set), [1, 2], f"{tmp_path}/told")
    found = dict(read_found(line) for line in (tmp_path / "told").read_text().splitlines())
    assert sorted(found) == [1, 2] and found[1].problems == []
    assert [p[:2] for p in found[2].problems] == [(data_set.rows[5]["mask"], "missing")]


def test_the_background_that_is_checked_is_told_to_the_launcher(whole, counted, monkeypatch):
    seen: list[object] = []
    monkeypatch.setattr(meter, "begin", seen.append)
    monkeypatch.setattr(meter, "end", lambda: seen.append("end"))
    assert told(whole["images"], 1) == []
    assert seen == [1, "end"]
