"""`fgbg generate --format tfrecord`: the same samples as image files, in the same shards always."""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path

import apache_beam as beam
import cv2
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.arguments import GraphArguments
from fgbg.pipeline.data_set import request as requests
from fgbg.pipeline.graph import generate_and_summarise
from fgbg.pipeline.options import parser as options
from fgbg.transforms.job import commit
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.pixels import coding
from fgbg.transforms.records import shards
from fgbg.transforms.steps import write as writing
from tests.helpers.damage import flip_a_bit
from tests.helpers.data_sets import arguments, job_of, make_in_process, tree
from tests.helpers.small_networks import keras_file
from tests.helpers.tfrecord_sets import (
    inputs_with_a_ghost,
    read_shard,
    records_by_name,
    rows,
    shard_files,
)

RECORDS = ("--format", "tfrecord", "--splits", "train=0.5,test=0.5")
IMAGES = ("--splits", "train=0.5,test=0.5", "--mask_format", "png", "--depth_format", "png16")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    return inputs_with_a_ghost(tmp_path_factory.mktemp("inputs") / "in")


@pytest.fixture(scope="module", params=["depth", "no depth"])
def both(request, inputs, tmp_path_factory) -> tuple[Path, Path]:
    """The same configuration as records and as image files."""
    folder = tmp_path_factory.mktemp("both")
    more: tuple[str, ...] = ()
    if request.param == "depth":
        more = ("--depth_model", str(keras_file(folder / "network.keras")))
    return (
        make_in_process(inputs, folder / "records", *RECORDS, "--shards", "5", *more),
        make_in_process(inputs, folder / "images", *IMAGES, *more),
    )


@pytest.fixture(scope="module")
def data_set(inputs, tmp_path_factory) -> Path:
    """A data set of records without depth; not to be changed."""
    return make_in_process(
        inputs, tmp_path_factory.mktemp("set") / "set", *RECORDS, "--shards", "5"
    )


def test_a_record_holds_what_the_files_hold(both):
    in_records, in_files = both
    found = records_by_name(in_records)
    files = {row["key"]: row for row in rows(in_files)}
    assert len(found) == len(files) == 4 * 2 * 2 * 3
    empty = 0
    for row in rows(in_records):
        record, expected = found[row["overlay"]], files[row["key"]]
        assert record.key == row["key"] == f"bg{record.bg}/fg_{record.fg}/{record.number}"
        assert row["mask"] == row["overlay"]
        assert record.overlay == (in_files / expected["overlay"]).read_bytes()
        assert record.file == expected["overlay"]
        mask = cv2.imread(str(in_files / expected["mask"]), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(coding.decode_mask(record.mask_png), mask)
        empty += not mask.any()
        if expected["depth"] is None:
            assert record.depth_png is row["depth"] is None
        else:
            assert row["depth"] == row["overlay"]
            assert record.depth_png == (in_files / expected["depth"]).read_bytes()
        for name in ("x", "y", "width", "height", "mask_area", "mirrored", "depth_min_m",
                     "depth_max_m", "canvas_x", "canvas_y", "canvas_width"):  # fmt: skip
            assert getattr(record, name) == row[name] == expected[name], name
        # The rows are the same but for where the pictures are and how masks are coded.
        for name in row.keys() - {"overlay", "mask", "depth", "mask_crc32"}:
            assert row[name] == expected[name], name
        assert row["mask_crc32"] == zlib.crc32(record.mask_png)
    assert 0 < empty < len(found)
    ids = [found[row["overlay"]].id for row in rows(in_records)]
    assert ids == list(range(1, len(ids) + 1))


def test_everything_beside_the_samples_is_the_same(both, in_process):
    in_records, in_files = both
    ours, theirs = (json.loads((o / "generation.json").read_text()) for o in both)
    for name in ("counts", "statistics", "inputs", "versions"):
        assert ours[name] == theirs[name]
    assert {n: s["records"] for n, s in ours["shards"].items()} == {
        path.name: len(read_shard(path)) for path in shard_files(in_records)
    }
    for sheet in (in_files / "PlotImages").iterdir():
        assert (in_records / "PlotImages" / sheet.name).read_bytes() == sheet.read_bytes()
    card = (in_records / "README.md").read_text()
    assert "tfds.builder_from_directory" in card and "bgN/fg_M/overlay" not in card
    assert not list(in_records.glob("bg[0-9]*"))
    assert not (in_records / "_work" / "blocks").exists()
    assert main(["verify", str(in_records)]) == 0


def test_shards_hold_whole_splits_and_mix_backgrounds(data_set):
    found = records_by_name(data_set)
    split_of = {row["key"]: row["split"] for row in rows(data_set)}
    assert len(shard_files(data_set)) == 5
    for path in shard_files(data_set):
        inside = [r for name, r in found.items() if path.name in name]
        assert {split_of[r.key] for r in inside} == {path.name.split("-")[1].split(".")[0]}
        assert len({r.bg for r in inside}) == 2


@pytest.mark.parametrize("workers", ["1", "2", "3"])
def test_the_number_of_workers_changes_no_byte(workers, inputs, data_set, tmp_path):
    output = tmp_path / "set"
    command = arguments(inputs, output, *RECORDS, "--shards", "5", "--workers", workers)
    assert main(command) == 0
    assert tree(output) == tree(data_set)


def test_the_whole_graph_makes_the_same(inputs, data_set, tmp_path):
    command = arguments(inputs, tmp_path / "set", *RECORDS, "--shards", "5")[1:]
    asked, _ = options.parse(options.generate_parser(), command)
    request = requests.read(asked)
    requests.store(request)
    with beam.Pipeline(FnApiRunner()) as root:
        arguments_of_graph = GraphArguments.of(request.output, request.job, None, threads=1)
        generate_and_summarise(root, arguments_of_graph)
    assert tree(tmp_path / "set") == tree(data_set)
    # Three shuffles: of keys of units, names of shards, and numbers of chunks.
    shuffles = [
        transform
        for transform in root.to_runner_api().components.transforms.values()
        if transform.spec.urn == "beam:transform:reshuffle:v1"
    ]
    assert len(shuffles) == 3


def test_a_run_again_does_nothing_and_an_extension_is_refused(inputs, data_set, tmp_path, capsys):
    output = tmp_path / "set"
    shutil.copytree(data_set, output)
    before = tree(output)
    assert main(arguments(inputs, output, *RECORDS, "--shards", "5")) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert main(arguments(inputs, output, *RECORDS, "--shards", "5", "--placements", "4")) == 2
    assert "they are not extended" in capsys.readouterr().err
    assert main(arguments(inputs, output, *RECORDS, "--shards", "4")) == 2
    assert "shards: 5 there, 4 asked for" in capsys.readouterr().err
    assert main(arguments(inputs, output, *RECORDS)) == 2
    assert tree(output) == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--shards", "1"), "there can be 2 to 16"),
        (("--shards", "17"), "there can be 2 to 16"),
        (("--mask_format", "jpg"), "records hold mask as png"),
        (("--depth_format", "jpg"), "records hold depth as png16"),
        (("--format", "images", "--shards", "3"), "only --format tfrecord has shards"),
    ],
)
def test_wrong_use(more, words, inputs, tmp_path, capsys):
    assert main(arguments(inputs, tmp_path / "set", *RECORDS, *more)) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "set" / "_work" / "job.json").exists()


def test_plan_says_shards_and_bytes(inputs, data_set, tmp_path, capsys):
    command = arguments(inputs, tmp_path / "set", *RECORDS, "--shards", "5", "--plan")
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "Shards, 5 in all: train 3 of about" in text and "test 2 of about" in text
    assert not (tmp_path / "set").exists()


def test_overwrite_takes_shards_and_their_records_away(inputs, data_set, tmp_path, in_process):
    output = tmp_path / "set"
    shutil.copytree(data_set, output)
    (output / "mine.txt").write_text("not fgbg's")
    assert main(arguments(inputs, output, "--overwrite")) == 0
    assert not (output / "tfrecord").exists() and not (output / "_work" / "shards").exists()
    (output / "mine.txt").unlink()  # it was left, and verify names it
    assert main(["verify", str(output)]) == 0
    assert main(arguments(inputs, output, *RECORDS, "--shards", "5", "--overwrite")) == 0
    assert tree(output) == tree(data_set)


UNIT = WorkUnit(2, 1, True, 0)


def fail_one(monkeypatch) -> None:
    write = writing.write_unit

    def failing(output, job, composed, metres):
        if composed.unit == UNIT:
            raise OSError("a reason")
        return write(output, job, composed, metres)

    monkeypatch.setattr(writing, "write_unit", failing)


def test_a_failed_unit_is_left_out_and_later_joined_as_if_it_never_had(
    inputs, data_set, tmp_path, monkeypatch, in_process
):
    output = tmp_path / "set"
    fail_one(monkeypatch)
    make_in_process(inputs, output, *RECORDS, "--shards", "5")
    monkeypatch.undo()
    assert "a reason" in (output / "errors.jsonl").read_text()
    found = records_by_name(output)
    assert len(found) == 45 and {row["overlay"] for row in rows(output)} == set(found)
    # Provisional: what can be joined anew is kept.
    assert len(list((output / "_work" / "blocks").rglob("*.tfrecord"))) == 15
    assert main(["verify", str(output)]) == 1
    assert main(arguments(inputs, output, *RECORDS, "--shards", "5")) == 0
    assert tree(output) == tree(data_set)


def test_fewer_shards_after_a_failure_leave_none_of_the_others(inputs, tmp_path, monkeypatch):
    # Shards by size: with the unit that had failed there is one more of them.
    from fgbg.transforms.records import plan as shard_plan

    monkeypatch.setattr(shard_plan, "TARGET_BYTES", 9_000)
    calm = make_in_process(inputs, tmp_path / "calm", *RECORDS)
    monkeypatch.setattr(shard_plan, "TARGET_BYTES", 7_000)
    output = make_in_process(inputs, tmp_path / "set", *RECORDS)
    assert len(shard_files(output)) > len(shard_files(calm))
    # As if it had been provisional.
    plan = shards.read_plan(str(output))
    for shard in plan.shards:
        data = (output / shard.path).read_bytes()
        for block in shard.blocks:
            path = Path(shards.block_path(str(output), job_of(output), block.unit))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[: block.bytes])
            data = data[block.bytes :]
    path = output / "_work" / "shards" / "plan.json"
    path.write_bytes(path.read_bytes().replace(b'"complete":true', b'"complete":false'))
    monkeypatch.setattr(shard_plan, "TARGET_BYTES", 9_000)
    make_in_process(inputs, output, *RECORDS)
    assert tree(output) == tree(calm)


def test_a_lost_shard_record_costs_no_unit(inputs, data_set, tmp_path, capsys, in_process):
    """The shard proves itself; one that is not what the commit records say is made again."""
    output = tmp_path / "set"
    shutil.copytree(data_set, output)
    first, second = shard_files(output)[:2]
    for path in (first, second):
        (output / "_work" / "shards" / f"{path.name}.json").unlink()
    before = first.stat().st_ino
    assert main(["verify", str(output)]) == 1
    assert "its shard record is missing" in capsys.readouterr().out
    assert main(arguments(inputs, output, *RECORDS, "--shards", "5")) == 0
    assert "lost their records" not in capsys.readouterr().err
    assert first.stat().st_ino == before and tree(output) == tree(data_set)
    (output / "_work" / "shards" / f"{second.name}.json").unlink()
    flip_a_bit(second)
    assert main(arguments(inputs, output, *RECORDS, "--shards", "5")) == 0
    assert "units have lost their records" in capsys.readouterr().err
    assert tree(output) == tree(data_set)
    (output / "_work" / "shards" / f"{second.name}.json").unlink()
    assert main(["verify", str(output), "--repair"]) == 0
    assert "Made again" not in capsys.readouterr().err
    assert tree(output) == tree(data_set)


@pytest.mark.parametrize("loss", ["shard", "cut"])
def test_a_lost_shard_is_made_again(loss, inputs, data_set, tmp_path, capsys, in_process):
    output = tmp_path / "set"
    shutil.copytree(data_set, output)
    path = shard_files(output)[1]
    if loss == "shard":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])
    assert main(arguments(inputs, output, *RECORDS, "--shards", "5")) == 0
    assert "units have lost their records" in capsys.readouterr().err
    assert tree(output) == tree(data_set)


def test_a_block_of_another_size_is_not_joined(inputs, tmp_path, monkeypatch):
    output = tmp_path / "set"
    monkeypatch.setattr(shards, "finish", lambda output: None)
    fail_one(monkeypatch)
    make_in_process_up_to_blocks(inputs, output)
    block = next((output / "_work" / "blocks").rglob("*.tfrecord"))
    block.write_bytes(block.read_bytes() + b"more")
    names = shards.prepare(str(output))
    plan = shards.read_plan(str(output))
    with pytest.raises(ValueError, match="not of the size that the commit record says"):
        for name in names:
            shards.join(str(output), plan, name)
    assert commit.committed(str(output), job_of(output))


def make_in_process_up_to_blocks(inputs: Path, output: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "prepare", lambda output: [])
        patch.setattr("fgbg.transforms.steps.summarise.summarise", lambda output: None)
        make_in_process(inputs, output, *RECORDS, "--shards", "5")
