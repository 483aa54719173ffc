"""Commit records against the job: columns, numbers, sums and placements."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from collections.abc import Callable

import pytest

from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps.verify_commits import _stored_size, wrong_places, wrong_record
from tests.helpers.data_sets import job_of
from tests.helpers.drawn_jobs import drawn_inputs, make_units

UNIT = WorkUnit(2, 1, True, 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Job]]:
    """Job and folder by form; of three placements."""
    folder = tmp_path_factory.mktemp("commits")
    inputs = drawn_inputs(tmp_path_factory.mktemp("drawn"))
    for form in ("images", "tfrecord"):
        make_units(inputs, folder / form, "--placements", "3", "--format", form)
    return {form: (str(folder / form), job_of(folder / form)) for form in ("images", "tfrecord")}


@pytest.fixture(params=["images", "tfrecord"])
def form(request, made) -> tuple[str, Job]:
    return made[request.param]


def record_of(form: tuple[str, Job]) -> Commit:
    return copy.deepcopy(commit.read(form[0], form[1], UNIT))


def without_depth(job: Job, record: Commit) -> tuple[Job, Commit]:
    columns = {n: v for n, v in record.columns.items() if not n.startswith("depth")}
    moments = {n: v for n, v in record.moments.items() if n != "depth"}
    sizes = {n: v for n, v in record.sizes.items() if n != "depth"}
    c = dataclasses.replace(job.configuration, depth_model=None)
    return dataclasses.replace(job, configuration=c), dataclasses.replace(
        record, columns=columns, moments=moments, sizes=sizes
    )


def test_what_was_written_is_right(form):
    output, job = form
    record = record_of(form)
    assert wrong_record(job, record) == ""
    assert wrong_places(output, jobs.version(job), record) == ""
    assert wrong_record(*without_depth(job, record)) == ""


@pytest.mark.parametrize(
    "column", ["number", "mask_area", "x", "height", "canvas_y", "mask_crc32", "depth_min_mm"]
)
def test_a_column_less_or_more_makes_a_record_useless(column, form):
    record = record_of(form)
    del record.columns[column]
    assert wrong_record(form[1], record).startswith("has not just these columns: canvas_height,")
    record.columns["anything"] = [1, 1, 1]
    assert "just these columns" in wrong_record(form[1], record)


def test_columns_are_of_the_form_and_of_depth(made):
    images, records = (record_of(made[name]) for name in ("images", "tfrecord"))
    assert "record_bytes" in records.columns and "record_bytes" not in images.columns
    assert "record_bytes" in wrong_record(made["tfrecord"][1], images)
    assert "just these columns" in wrong_record(made["images"][1], records)
    job, bare = without_depth(made["images"][1], images)
    assert "just these columns" in wrong_record(job, images)
    assert "depth_sum_mm" in wrong_record(made["images"][1], bare)


@pytest.mark.parametrize("values", [[1, 2], [1, 2, 3, 4], [1, 2.0, 3], [1, True, 3], (1, 2, 3), 7])
def test_a_column_holds_a_whole_number_a_sample(values, form):
    record = record_of(form)
    record.columns["mask_area"] = values
    assert wrong_record(form[1], record) == "its column mask_area is not 3 whole numbers"


def test_numbers_are_those_of_the_unit(form):
    record = record_of(form)
    assert record.columns["number"] == [4, 5, 6]
    record.columns["number"] = [4, 6, 5]
    words = "numbers its samples [4, 6, 5], the job gives [4, 5, 6]"
    assert wrong_record(form[1], record) == words


SUMS = "its sums are not of overlay, mask and, if there is any, depth"
CHANGES: dict[str, tuple[Callable[[Commit], object], str]] = {
    "no sum of the masks": (lambda r: r.moments.pop("mask"), SUMS),
    "another sum": (lambda r: r.moments.update(other=r.moments["mask"]), SUMS),
    "no size": (lambda r: r.sizes.pop("overlay"), SUMS),
    "another size": (lambda r: r.sizes.update(other=1), SUMS),
    "a count": (lambda r: more(r, "overlay_g", count=1), "its sums are not over 3072 pixels"),
    "fewer": (lambda r: more(r, "depth", count=-1), "its sums are not over 3072 pixels"),
    "masks": (lambda r: more(r, "mask", total=1), "its sums of the masks are not those of"),
    "less of masks": (lambda r: more(r, "mask", total=-1), "its sums of the masks are not those"),
    "squares": (lambda r: more(r, "mask", squares=1), "its sums of the masks are not those of"),
    "depth": (lambda r: more(r, "depth", total=1), "its sum of depth is not that of its samples"),
    "less depth": (lambda r: more(r, "depth", total=-1), "its sum of depth is not that of its"),
}


def more(record: Commit, name: str, **amounts: int) -> None:
    found = record.moments[name]
    fields = {field: getattr(found, field) + amount for field, amount in amounts.items()}
    record.moments[name] = dataclasses.replace(found, **fields)


@pytest.mark.parametrize("name", CHANGES)
def test_sums_that_say_something_else_are_told(name, form):
    change, words = CHANGES[name]
    record = record_of(form)
    change(record)
    assert wrong_record(form[1], record).startswith(words)


def test_all_wrong_sums_are_told(form):
    record = record_of(form)
    for name in ("mask", "depth"):
        more(record, name, count=1, total=1)
    assert wrong_record(form[1], record).count("; ") == 2


@pytest.mark.parametrize("column", ["canvas_x", "canvas_y", "canvas_width", "canvas_height"])
def test_a_placement_that_the_job_does_not_give_is_told(column, form):
    output, job = form
    record = record_of(form)
    before = [record.columns[f"canvas_{n}"][1] for n in ("x", "y", "width", "height")]
    record.columns[column][1] += 1
    told = wrong_places(output, jobs.version(job), record)
    assert told.startswith("places sample 5 at (")
    assert told.endswith(f"(x, y, width, height on the canvas), the job at {tuple(before)}")


def test_the_size_of_a_foreground_is_read_from_its_file(made, tmp_path):
    output = made["images"][0]
    shutil.copytree(output, tmp_path / "set")
    assert _stored_size(output, 1) == (24, 32)
    path = tmp_path / "set" / "foregrounds" / "fg_1.png"
    data = path.read_bytes()
    path.write_bytes(data[:16] + (70_000).to_bytes(4, "big") + (300).to_bytes(4, "big") + data[24:])
    assert _stored_size(str(tmp_path / "set"), 1) == (70_000, 300)
