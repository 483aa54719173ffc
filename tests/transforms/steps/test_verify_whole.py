"""Verify, a data set as a whole: counts, keys, splits, sums, commit records, stray backgrounds."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from fgbg.transforms.dataset import manifest
from fgbg.transforms.job import commit
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps.verify_whole import check_whole
from tests.helpers.drawn_jobs import Finished, drawn_inputs, finish, make_units

UNIT = WorkUnit(2, 1, True, 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """Eight samples of each form; not to be changed."""
    folder = tmp_path_factory.mktemp("verify")
    inputs = drawn_inputs(tmp_path_factory.mktemp("drawn"))
    found = {}
    for form in ("images", "tfrecord"):
        make_units(inputs, folder / form, "--placements", "2", "--format", form)
        found[form] = finish(folder / form)
    return found


@pytest.fixture(params=["images", "tfrecord"])
def data_set(request, whole, tmp_path) -> Finished:
    """One of them, to be damaged."""
    of = whole[request.param]
    shutil.copytree(of.output, tmp_path / "set")
    return Finished(tmp_path / "set", of.job, of.rows)


def generation(of: Finished) -> dict:
    """What generation.json says of it, counted here; 700 bytes of pictures."""
    mean = sum(row["mask_area"] for row in of.rows) * 255 / (8 * 32 * 32)
    return {
        "counts": {"samples": 8, "splits": {"train": 4, "test": 4}},
        "bytes": {"overlay": 400, "mask": 100, "depth": 200},
        "statistics": {"mask": {"mean": mean}},
    }


def told(
    of: Finished,
    rows: list[dict] | None = None,
    change: Callable[[dict], object] = lambda content: None,
    size: int = 700,
) -> list[tuple[str, str]]:
    if rows is not None:
        with manifest.ManifestWriter(of.manifest) as writer:
            writer.write(pa.Table.from_pylist(rows, schema=manifest.SCHEMA))
    content = copy.deepcopy(generation(of))
    change(content)
    return check_whole(str(of.output), of.job, of.manifest, content, size)


def test_an_undamaged_data_set_has_no_problem(data_set):
    assert told(data_set) == []


@pytest.mark.parametrize("samples", [7, 9])
def test_the_number_of_samples_is_compared(samples, data_set):
    words = f"says {samples} samples, the manifest has 8"
    assert told(data_set, change=lambda content: content["counts"].update(samples=samples)) == [
        ("generation.json", words)
    ]


@pytest.mark.parametrize("size", [699, 701])
def test_the_bytes_of_pictures_are_compared(size, data_set):
    words = f"says 700 bytes of pictures, {size} were read"
    assert told(data_set, size=size) == [("generation.json", words)]


@pytest.mark.parametrize("count", [3, 5])
def test_the_samples_of_a_split_are_compared(count, data_set):
    words = f"says {count} samples in test, the manifest has 4"
    change = {"train": 4, "test": count}
    assert told(data_set, change=lambda content: content["counts"].update(splits=change)) == [
        ("generation.json", words)
    ]


@pytest.mark.parametrize("beside", [-2e-6, 2e-6])
def test_the_mean_of_the_masks_is_compared(beside, data_set):
    right = generation(data_set)["statistics"]["mask"]["mean"]

    def change(by: float) -> Callable[[dict], None]:
        return lambda content: content["statistics"]["mask"].update(mean=right + by)

    words = f"says the masks' mean is {right + beside}, the manifest's areas give {right}"
    assert told(data_set, change=change(beside)) == [("generation.json", words)]
    assert told(data_set, change=change(beside / 4)) == []


def test_missing_and_repeated_rows_are_told(whole, tmp_path):
    shutil.copytree(whole["images"].output, tmp_path / "set")
    of = Finished(tmp_path / "set", whole["images"].job, whole["images"].rows)
    problems = told(of, of.rows[:-1])
    assert ("errors.jsonl", "1 of 8 samples were not made; run again") in problems
    assert ("generation.json", "says 8 samples, the manifest has 7") in problems
    problems = told(of, [*of.rows, of.rows[0], of.rows[0], of.rows[3]])
    assert ("bg1/fg_1/1", "is in the manifest 3 times") in problems
    assert ("bg1/fg_1/4", "is in the manifest 2 times") in problems
    assert not [key for key, words in problems if "1 times" in words]


def test_a_data_set_without_rows_has_a_mean_of_zero(whole, tmp_path):
    shutil.copytree(whole["images"].output, tmp_path / "set")
    of = Finished(tmp_path / "set", whole["images"].job, whole["images"].rows)
    problems = told(of, [], lambda content: content["statistics"]["mask"].update(mean=0.0))
    assert not [words for _, words in problems if "mean" in words]
    assert ("errors.jsonl", "8 of 8 samples were not made; run again") in problems


def test_a_background_in_another_split_is_told(data_set):
    rows = [dict(row) for row in data_set.rows]
    rows[7]["split"] = "train"
    words = "has samples in split train, it belongs to test"
    assert [p for p in told(data_set, rows) if "belongs to" in p[1]] == [("bg2", words)]
    rows[0]["split"] = "test"
    assert [key for key, words in told(data_set, rows) if "belongs to" in words] == ["bg1", "bg2"]


def test_lost_and_failed_units_are_told(data_set):
    output, job = str(data_set.output), data_set.job
    record = commit.read(output, job, UNIT)
    commit.withdraw(output, job, [UNIT])
    lost = ("_work/commits", "3 of 4 units are done, 0 failed; run again")
    assert lost in told(data_set)
    # One that failed is accounted for, and is a problem all the same.
    commit.write_failure(output, UNIT, "Compose", "a reason")
    assert ("_work/commits", "3 of 4 units are done, 1 failed; run again") in told(data_set)
    commit.write(output, job, record)
    assert ("_work/commits", "4 of 4 units are done, 1 failed; run again") in told(data_set)
    commit.clear_failures(output)
    assert told(data_set) == []


def test_damaged_commit_records_and_other_files_are_told(data_set):
    path = Path(commit.record_path(str(data_set.output), data_set.job, UNIT))
    name = path.relative_to(data_set.output).as_posix()
    copy_of = path.with_name("mirrored_0 (1).json")
    shutil.copyfile(path, copy_of)
    path.write_bytes(b"")
    other = "is no commit record of this job: of another one, a copy, or somebody's file"
    assert [p for p in told(data_set) if p[0].startswith("_work/commits")] == [
        (copy_of.relative_to(data_set.output).as_posix(), other),
        (name, "is empty; fgbg generate makes its unit again"),
        ("_work/commits", "3 of 4 units are done, 0 failed; run again"),
    ]


def test_records_have_their_shards_checked_as_well(whole, tmp_path):
    of = whole["tfrecord"]
    shutil.copytree(of.output, tmp_path / "set")
    changed = Finished(tmp_path / "set", of.job, of.rows)
    (changed.output / "_work/shards/plan.json").unlink()
    words = "there is no plan of the shards: run fgbg generate again"
    assert told(changed) == [("_work/shards", words)]


def test_files_of_backgrounds_without_a_row_are_told(data_set):
    def put(name: str) -> None:
        path = Path(data_set.output / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    for name in ("bg17/fg_1/mask/1.jpg", "bgx/1.jpg", "big3/1.jpg", "bg/1.jpg", "bg1/fg_1/x.jpg"):
        put(name)
    # What stands in the folder of a background with rows is told with those rows; records have no
    # such folders at all.
    expected = ["bg17/fg_1/mask/1.jpg"]
    if data_set.job.in_records:
        expected.append("bg1/fg_1/x.jpg")
    problems = told(data_set)
    assert sorted(name for name, _ in problems) == sorted(expected)
    assert {words for _, words in problems} == {"belongs to no row of the manifest"}
