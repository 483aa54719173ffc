"""Verify: which rows of the manifest are a background's, and what is not looked at, and why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import Chunk, chunk_of
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps import verify_background
from fgbg.transforms.steps.problem import FOREIGN, MISSING, UNIT, Problem
from fgbg.transforms.steps.verify import CheckBackground, read_found
from fgbg.transforms.steps.verify_background import Found, Given, places_of
from fgbg.transforms.steps.verify_recompute import Recompute
from tests.helpers.drawn_jobs import Finished, drawn_inputs, finish, make_units


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two backgrounds, each with two units of two samples; not to be changed."""
    folder = tmp_path_factory.mktemp("verify")
    make_units(drawn_inputs(tmp_path_factory.mktemp("drawn")), folder / "set", "--placements", "2")
    return finish(folder / "set")


@pytest.fixture
def data_set(whole, tmp_path) -> Finished:
    shutil.copytree(whole.output, tmp_path / "set")
    return Finished(tmp_path / "set", whole.job, whole.rows)


def given(of: Finished, wrong: set[str] = frozenset(), **more: object) -> Given:  # type: ignore[assignment]
    recompute = Recompute(**more)  # type: ignore[arg-type]
    version = jobs.version(of.job)
    return Given(str(of.output), version, of.manifest, frozenset(wrong), recompute)


def found_on(told: Given, background: int) -> Found:
    check = CheckBackground(told)
    check.setup()
    return read_found(next(check.process(background)))[1]


def unit(background: int, mirrored: bool = False) -> WorkUnit:
    return WorkUnit(background, 1, mirrored, 0)


EVERY = {unit(background, mirrored) for background in (1, 2) for mirrored in (False, True)}


def groups_of(job, done, sizes):
    """The row group of each background, where each is a chunk: of as many rows as are done."""
    rows: dict[Chunk, int] = {}
    for one in done:
        rows[chunk_of(job, one)] = rows.get(chunk_of(job, one), 0) + 2
    found = places_of(job, rows, sizes)
    return None if found is None else {chunk.background: at.group for chunk, at in found.items()}


def test_each_background_has_its_row_group(whole):
    job: Job = whole.job
    assert groups_of(job, EVERY, [4, 4]) == {1: 0, 2: 1}
    # Of units whose records are lost, the manifest may still have the rows.
    assert groups_of(job, EVERY - {unit(1)}, [4, 4]) == {1: 0, 2: 1}
    assert groups_of(job, EVERY - {unit(1)}, [2, 4]) == {1: 0, 2: 1}
    assert groups_of(job, {unit(2), unit(2, True)}, [4]) == {2: 0}
    for sizes in ([4], [4, 3], [4, 5], [3, 4], [5, 4], [4, 4, 4], [8], [2, 2, 4], []):
        assert groups_of(job, EVERY, sizes) is None


def test_inputs_that_are_wrong_are_not_composed_of(whole):
    for name, composed, sized in (
        ("backgrounds/bg1.jpg", False, True),
        ("backgrounds/bg2.jpg", True, True),
        ("foregrounds/fg_1.png", False, False),
        ("foregrounds/fg_2.png", True, True),
    ):
        told = given(whole, {name, "another"})
        assert told.can_compose(unit(1)) == composed and told.knows_size(unit(1)) == sized


def test_a_placement_is_judged_where_the_foreground_is_what_it_was(data_set):
    told = given(data_set)
    path = commit.record_path(told.output, data_set.job, unit(1))
    record = commit.read(told.output, data_set.job, unit(1))
    record.columns["canvas_x"][0] += 1
    commit.write(told.output, data_set.job, record)
    (problem,) = [p for p in found_on(told, 1).problems if "places sample" in p.problem]
    assert path.endswith(problem.file) and (problem.cure, problem.of) == (UNIT, unit(1).name)
    problems = found_on(given(data_set, {"foregrounds/fg_1.png"}), 1).problems
    assert not [p for p in problems if "places sample" in p.problem]


def test_units_that_are_chosen_are_composed_again(data_set, monkeypatch):
    seen: list[WorkUnit] = []

    def check(output, version, recompute, reader, record):  # type: ignore[no-untyped-def]
        seen.append(record.unit)
        yield Problem("a", "b", UNIT, record.unit.name)

    monkeypatch.setattr(verify_background, "check_composed", check)
    chosen = frozenset({data_set.job.index_of(unit(1, True))})
    assert [p.of for p in found_on(given(data_set, units=chosen), 1).problems] == [
        unit(1, True).name
    ]
    assert found_on(given(data_set, units=frozenset()), 1).problems == []
    assert found_on(given(data_set, {"backgrounds/bg1.jpg"}, units=None), 1).problems == []
    # Not those that are known to be wrong.
    (data_set.output / "bg1/fg_1/mask/1.jpg").unlink()
    seen.clear()
    found_on(given(data_set, units=None), 1)
    assert seen == [unit(1, True)]


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_sizes_are_those_of_the_record(kind, data_set):
    told = given(data_set)
    record = commit.read(told.output, data_set.job, unit(2))
    record.sizes[kind] += 1
    commit.write(told.output, data_set.job, record)
    (problem,) = found_on(told, 2).problems
    assert problem.problem.startswith("says {") and (problem.cure, problem.of) == (
        UNIT,
        unit(2).name,
    )


def test_files_of_a_unit_that_is_not_done_are_one_problem(data_set):
    told = given(data_set)
    commit.withdraw(told.output, data_set.job, [unit(2, True)])
    files = sorted(Path(told.output, "bg2/fg_1").glob("*/[34].*"))
    assert len(files) == 6
    for left in (6, 2, 1):
        for path in files[left:]:
            path.unlink(missing_ok=True)
        (problem,) = found_on(told, 2).problems
        more = f", as are {left - 1} more files in bg2" if left > 1 else ""
        assert problem.problem == f"is of a unit that is not done{more}"
        assert problem.cure == MISSING and problem.file.startswith("bg2/fg_1/")
    files[0].rename(files[0].with_name(files[0].name + ".part"))  # a write that was cut off
    assert found_on(told, 2).problems == []
    (Path(told.output) / "bg2/mine.txt").write_bytes(b"")
    (problem,) = found_on(told, 2).problems
    assert (problem.file, problem.cure) == ("bg2/mine.txt", FOREIGN)


def test_what_cannot_be_read_is_told(data_set):
    path = data_set.output / "bg1/fg_1/mask/1.jpg"
    path.unlink()
    path.mkdir()
    (problem,) = found_on(given(data_set), 1).problems
    assert problem.problem.startswith("cannot be read: ") and problem.of == unit(1).name


def test_a_damaged_record_is_told_and_its_unit_is_made_again(data_set):
    told = given(data_set)
    path = commit.record_path(told.output, data_set.job, unit(1))
    Path(path).write_bytes(b"{}")
    problems = found_on(told, 1).problems
    name = path.removeprefix(told.output).lstrip("/")
    (problem,) = [p for p in problems if p.file == name]
    assert "its unit is to be made again" in problem.problem
    assert (problem.cure, problem.of) == (UNIT, unit(1).name)
