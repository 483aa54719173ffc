"""State files that are empty, damaged, copied or another job's: named, their work made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fgbg.files.sealed import seal, unseal
from fgbg.pipeline.__main__ import main
from fgbg.transforms.report import page
from tests.helpers.damage import commit_file, flip_a_bit
from tests.helpers.data_sets import arguments, make_in_process, tree
from tests.helpers.tfrecord_sets import RECORDS

# Several shards of one split.
_RECORDS = (*RECORDS, "--splits", "train=1")
UNIT = "bg2/fg_1/mirrored_0"
DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "an empty object": lambda path: path.write_bytes(b"{}\n"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "one bit": flip_a_bit,
    "another unit's": lambda path: path.write_bytes(
        commit_file(path.parents[4], "bg1/fg_1/mirrored_0").read_bytes()
    ),
}

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def record_set(small_inputs, tmp_path_factory) -> Path:
    return make_in_process(small_inputs, tmp_path_factory.mktemp("records") / "set", *_RECORDS)


@pytest.fixture(params=["images", "tfrecord"])
def case(request, small_inputs, small_data_set, tmp_path) -> tuple[Path, Path, list[str]]:
    """A copy of a finished data set, the set itself, and the command that made it."""
    whole = small_data_set if request.param == "images" else request.getfixturevalue("record_set")
    output = tmp_path / "set"
    shutil.copytree(whole, output)
    more = _RECORDS if request.param == "tfrecord" else ()
    return output, whole, arguments(small_inputs, output, *more)


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_commit_record_is_found_and_its_unit_made_again(how, case, capsys):
    output, whole, command = case
    path = commit_file(output, UNIT)
    DAMAGE[how](path)
    assert main(["verify", str(output)]) == 1
    assert path.name in capsys.readouterr().out
    assert main(command) == 0
    assert f"{path.name}: " in capsys.readouterr().err
    assert tree(output) == tree(whole)
    assert main(["verify", str(output)]) == 0


def test_copies_and_files_of_others_among_the_records_are_named_and_left(case, capsys):
    output, _, command = case
    record = commit_file(output, UNIT)
    others = [record.with_name(f"{record.stem} (1).json"), record.with_name("notes.txt")]
    for path in others:
        path.write_bytes(record.read_bytes())
    assert main(["verify", str(output)]) == 1
    told = capsys.readouterr().out
    assert all(path.name in told for path in others)
    assert main(command) == 0
    assert "left alone" in capsys.readouterr().err
    assert all(path.exists() for path in others)


def test_records_of_another_job_count_for_nothing(case, capsys):
    output, whole, command = case
    for path in (output / "_work" / "commits").rglob("*.json"):
        unit, identity, _ = path.name.split(".")
        path.rename(path.with_name(f"{unit}.{identity[::-1]}.json"))
    assert main(command) == 0
    shutil.rmtree(output / "_work" / "commits")
    shutil.copytree(whole / "_work" / "commits", output / "_work" / "commits")
    assert tree(output) == tree(whole)


@pytest.mark.parametrize("name", ["job.json", "job.spare.json"])
@pytest.mark.parametrize("how", ["empty", "cut off", "zeros"])
def test_one_of_the_two_copies_of_the_job_is_enough(name, how, case, capsys):
    output, whole, command = case
    DAMAGE[how](output / "_work" / name)
    assert main(command) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert tree(output) == tree(whole)


def test_a_sealed_record_of_other_types_is_named_and_its_unit_made_again(case, capsys):
    output, whole, command = case
    path = commit_file(output, UNIT)
    path.write_bytes(seal(unseal(path.read_bytes(), "") | {"bytes": True}))
    assert main(["verify", str(output)]) == 1
    assert path.name in capsys.readouterr().out
    assert main(command) == 0
    assert tree(output) == tree(whole)


@pytest.mark.parametrize("name", ["_work/shards/plan.json", "_work/inputs.json"])
def test_another_sealed_file_in_its_place_is_named_and_mended(name, case, capsys):
    output, whole, _ = case
    if not (output / name).exists():
        pytest.skip("image files have no shards")
    shutil.copyfile(commit_file(output, UNIT), output / name)
    assert main(["verify", str(output)]) == 1
    assert name in capsys.readouterr().out
    assert main(["verify", str(output), "--repair"]) == 0
    assert tree(output) == tree(whole)


@pytest.mark.parametrize("repair", [(), ("--repair",)])
def test_a_lost_input_is_named_beside_damaged_checksums_of_inputs(repair, case, capsys):
    output, whole, command = case
    (output / "foregrounds/fg_2.png").unlink()
    (output / "_work/inputs.json").write_bytes(b"")
    assert main(["verify", str(output), *repair]) == 1
    told = capsys.readouterr().out
    assert "foregrounds/fg_2.png: missing" in told and "_work/inputs.json: is empty" in told
    assert main(command) == 0
    assert tree(output) == tree(whole)


def test_a_foreground_that_is_no_picture_ends_no_command(case, capsys):
    output, _, _ = case
    (output / "foregrounds/fg_1.png").write_bytes(b"{}\n")
    (output / "_work/inputs.json").write_bytes(b"")
    assert main(["verify", str(output)]) == 1
    assert "_work/inputs.json: is empty" in capsys.readouterr().out


def edit_input(path: Path, height: int | None) -> None:
    content = unseal(path.read_bytes(), "")
    content["backgrounds"][0]["height"] = height
    path.write_bytes(seal(content, indent=1))


def test_a_copy_of_the_job_with_a_value_that_cannot_be_is_written_again(case):
    output, whole, command = case
    edit_input(output / "_work/job.json", None)
    assert main(["verify", str(output)]) == 1
    assert main(command) == 0
    assert tree(output) == tree(whole)


def test_two_copies_of_the_job_that_differ_are_refused(case, capsys):
    output, _, command = case
    edit_input(output / "_work/job.json", 7)
    before = tree(output)
    assert main(command) == 2
    assert "_work/job.spare.json are different jobs (backgrounds)" in capsys.readouterr().err
    assert tree(output) == before


def test_a_job_without_a_whole_copy_is_named_and_nothing_is_done(case, capsys):
    output, _, command = case
    for name in ("job.json", "job.spare.json"):
        (output / "_work" / name).write_bytes(b"")
    before = tree(output)
    assert main(command) == 2
    told = capsys.readouterr().err
    assert "job.json: is empty" in told and "job.spare.json: is empty" in told
    assert tree(output) == before


@pytest.mark.parametrize(
    "name", ["backgrounds/bg2.jpg", "foregrounds/fg_1.png", "_work/inputs.json"]
)
@pytest.mark.parametrize("how", ["empty", "one bit", "missing"])
def test_damaged_inputs_as_used_are_stored_again(name, how, case):
    output, whole, command = case
    path = output / name
    path.unlink() if how == "missing" else DAMAGE[how](path)
    assert main(command) == 0
    assert tree(output) == tree(whole)


@pytest.mark.parametrize("name", ["plan.json", "fgbg-train.tfrecord-00001-of-00004.json"])
@pytest.mark.parametrize("how", ["empty", "zeros", "cut off"])
def test_damaged_plans_and_shard_records_are_made_again(
    name, how, record_set, small_inputs, tmp_path
):
    output = tmp_path / "set"
    shutil.copytree(record_set, output)
    DAMAGE[how](output / "_work" / "shards" / name)
    assert main(arguments(small_inputs, output, *_RECORDS)) == 0
    assert tree(output) == tree(record_set)


def test_an_error_of_the_report_undoes_nothing_and_is_made_good(
    small_inputs, small_data_set, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "set"
    command = arguments(small_inputs, output)

    def broken(*_: object) -> None:
        raise IndexError("list index out of range")

    with monkeypatch.context() as patch:
        patch.setattr(page, "page", broken)
        assert main(command) == 0
    told = capsys.readouterr().err
    assert "the report cannot be drawn: IndexError" in told and f"fgbg report {output}" in told
    assert json.loads((output / "generation.json").read_text())["counts"]["samples"] == 36
    assert not (output / "index.html").exists()
    assert main(command) == 0
    assert "drawing sheets and report again" in capsys.readouterr().err
    assert tree(output) == tree(small_data_set)
