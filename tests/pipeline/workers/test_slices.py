"""Items that kill their worker process: given up after the second time, whatever the command."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
from PIL import Image

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.arguments import Slice
from fgbg.pipeline.progress import Progress
from fgbg.pipeline.workers.slices import run_slices
from tests.helpers.data_sets import arguments, make_in_process, tree, without_workers

TASK = "tests.helpers.deadly_items:write_numbers"


def test_an_item_that_kills_its_process_twice_is_given_up_and_the_others_go_on(tmp_path):
    told, given_up = io.StringIO(), []
    ran = run_slices(
        TASK,
        2,
        str(tmp_path),
        7,
        4,
        progress=Progress("numbers", 7, stream=told),
        shown=["samples"],
        name_of=lambda number: f"number {number}",
        give_up=lambda number, reason: given_up.append((number, reason)),
    )
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2", "3", "5", "6"}
    ((number, reason),) = given_up
    assert number == 4 and "died 2 times" in reason and "SIGKILL" in reason
    assert told.getvalue().count("at number 4; its work goes on in a new one") == 2
    # The first slice's third process did what was left; the other slice was not disturbed.
    assert ran.results == [[6], [1, 3, 5]]
    assert ran.count("units_failed") == 1
    assert ran.peak_memory > 1e6


def test_slices_have_every_item_once_but_those_left_out():
    slices = [Slice(i, 3, frozenset({5})) for i in range(3)]
    for number in range(20):
        assert sum(part.has(number) for part in slices) == (number != 5)
    assert Slice(1, 2).has(4, place=3) and not Slice(0, 2).has(4, place=3)


def test_a_unit_that_kills_a_converting_process_fails_and_is_converted_later(
    small_inputs, small_data_set, tmp_path
):
    target = tmp_path / "new"
    command = ["convert", str(small_data_set), "--output", str(target), "--format", "tfrecord"]
    with without_workers(deadly=("convert_slice", 5)):
        assert main(command) == 1
    (failure,) = [json.loads(line) for line in (target / "errors.jsonl").read_text().splitlines()]
    assert failure["unit"] == "bg2/fg_1/mirrored_0" and failure["step"] == "Convert"
    assert "died 2 times" in failure["reason"]
    with without_workers():
        assert main(command) == 0
    whole = make_in_process(small_inputs, tmp_path / "whole", "--format", "tfrecord")
    assert (target / "manifest.parquet").read_bytes() == (whole / "manifest.parquet").read_bytes()


def test_rows_that_kill_a_verifying_process_are_a_problem(small_data_set, capsys):
    with without_workers(deadly=("verify_slice", 1)):
        assert main(["verify", str(small_data_set)]) == 1
    told = capsys.readouterr().out
    assert "bg1: is not checked: the worker process died 2 times" in told


def test_a_photo_that_kills_a_process_is_rejected_and_cut_out_later(tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "cut"
    photos.mkdir()
    rgba = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(rgba).save(photos / name)
    command = ["cutout", str(photos), "--output", str(output), "--workers", "1"]
    with without_workers(deadly=("cut_out_slice", 1)):
        assert main(command) == 1
    (rejected,) = csv.DictReader((output / "rejected.csv").open())
    assert rejected["photo"].endswith("b.png") and "died 2 times" in rejected["reason"]
    assert {path.name for path in output.glob("*.png")} == {"a.png", "c.png"}
    with without_workers():
        assert main(command) == 0
    assert {path.name for path in output.glob("*.png")} == {"a.png", "b.png", "c.png"}


def test_a_shard_that_kills_a_process_ends_the_run_and_is_joined_by_the_next(
    small_inputs, tmp_path, capsys
):
    form = ("--format", "tfrecord", "--shards", "4")
    whole = make_in_process(small_inputs, tmp_path / "whole", *form)
    output = tmp_path / "set"
    command = arguments(small_inputs, output, *form, "--workers", "1")
    with without_workers():
        assert main(command) == 0
    name = sorted(path.name for path in (output / "tfrecord").glob("fgbg-*"))[0]
    # As if it had never been joined: its record is gone, and the blocks are made again.
    (output / "tfrecord" / name).unlink()
    with without_workers(deadly=("join_slice", 0)):
        assert main(command) == 1
    error = capsys.readouterr().err
    assert f"fgbg generate: {name}: the worker process died 2 times" in error
    assert "Traceback" not in error
    with without_workers():
        assert main(command) == 0
    assert tree(output) == tree(whole)
