"""`fgbg convert`: the same data set in its other form, as if it had been made in it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers.damage import commit_file, flip_a_bit
from tests.helpers.data_sets import ROOT, arguments, make_in_process, tree, without_workers
from tests.helpers.killing import commits, descendants, gone, wait_for
from tests.helpers.licensed_inputs import ASKED, FORMS, write_inputs
from tests.helpers.small_networks import keras_file

# How each form is asked of fgbg convert.


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs") / "pictures")


@pytest.fixture(scope="module")
def depth(tmp_path_factory) -> tuple[str, ...]:
    network = keras_file(tmp_path_factory.mktemp("network") / "network.keras")
    return ("--depth_model", str(network))


@pytest.fixture(scope="module")
def sets(inputs, depth, tmp_path_factory) -> dict[str, Path]:
    """One data set, made directly in every form."""
    folder = tmp_path_factory.mktemp("sets")
    return {
        form: make_in_process(inputs, folder / form, *depth, *options)
        for form, options in FORMS.items()
    }


@pytest.mark.parametrize(
    ("source", "form"), [("tfrecord", "jpg"), ("tfrecord", "png"), ("png", "tfrecord")]
)
def test_converted_is_to_the_byte_what_is_made_directly(
    source, form, sets, inputs, depth, tmp_path, capsys, in_process
):
    new = tmp_path / "new"
    command = ["convert", str(sets[source]), "--output", str(new), *ASKED[form]]
    assert main(command) == 0
    assert tree(new) == tree(sets[form])
    told = capsys.readouterr()
    assert ("Depth loses precision" in told.err) == (form == "jpg")
    assert ("8-bit depth is in steps of" in told.out) == (form == "jpg")
    (run,) = json.loads((new / "generation.json").read_text())["timings"]["runs"]
    assert run["converted_from"].startswith("images" if source == "png" else "tfrecord")
    assert ("depth_lost" in run) == (form == "jpg")
    assert main(["verify", str(new)]) == 0
    assert main(command) == 0
    assert "there already; nothing to do" in capsys.readouterr().err
    # To fgbg generate it is its own data set.
    made = arguments(inputs, new, *depth, *FORMS[form])
    assert main(made) == 0
    assert "there already; nothing to do" in capsys.readouterr().err


def test_eight_bits_of_depth_are_said_to_be_no_more(sets, tmp_path, capsys, in_process):
    new, back = tmp_path / "new", tmp_path / "back"
    assert main(["convert", str(sets["jpg"]), "--output", str(new), *ASKED["tfrecord"]]) == 0
    told = capsys.readouterr().err
    assert "Depth loses precision: the images have 39.22 mm a step (8 bits over 10 m)" in told
    (run,) = json.loads((new / "generation.json").read_text())["timings"]["runs"]
    assert run["depth_lost"].startswith("the images have 39.22 mm a step")
    assert run["converted_from"] == "images, depth jpg"
    assert main(["verify", str(new)]) == 0
    # Everything but depth is what it would be; depth is what the images have, in millimetres.
    columns = ("key", "mask_area", "x", "width", "canvas_x", "overlay_crc32", "mask_crc32")
    rows = pq.read_table(new / "manifest.parquet").select(columns)
    assert rows == pq.read_table(sets["tfrecord"] / "manifest.parquet").select(columns)
    assert main(["convert", str(new), "--output", str(back), *ASKED["png"]]) == 0
    for row in pq.read_table(back / "manifest.parquet").to_pylist():
        stored = cv2.imread(str(sets["jpg"] / row["depth"]).replace(".png", ".jpg"), -1)
        found = cv2.imread(str(back / row["depth"]), -1)
        assert np.array_equal(found, np.rint(stored * (10_000 / 255)).astype(np.uint16))
        assert row["depth_max_m"] == np.float32(found.max() / 1000)


def test_without_depth_and_with_an_extended_source(small_inputs, tmp_path, capsys):
    images = make_in_process(small_inputs, tmp_path / "images", "--placements", "2")
    make_in_process(small_inputs, images, "--placements", "3")
    new, back = tmp_path / "new", tmp_path / "back"
    for source, target, form in ((images, new, "tfrecord"), (new, back, "jpg")):
        command = ["convert", str(source), "--output", str(target), *ASKED[form]]
        assert main([*command, "--workers", "3"]) == 0
    assert "loses" not in capsys.readouterr().err
    assert tree(back) == tree(images)
    assert main(["verify", str(new)]) == 0


def start(*command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "fgbg", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def large(small_inputs, tmp_path_factory) -> dict[str, Path]:
    """A data set in both forms, large enough for a conversion to be caught in the middle."""
    folder = tmp_path_factory.mktemp("large")
    return {
        form: make_in_process(small_inputs, folder / form, "--placements", "150", *FORMS[form])
        for form in ("jpg", "tfrecord")
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jpg", "tfrecord"])
@pytest.mark.parametrize("moment", range(3))
def test_killed_and_run_again_it_is_the_same(moment, form, large, tmp_path):
    source = large["tfrecord" if form == "jpg" else "jpg"]
    new = tmp_path / "new"
    command = ["convert", str(source), "--output", str(new), *ASKED[form], "--workers", "2"]
    process = start(*command)
    wait_for(lambda: commits(new) >= 5 * moment or process.poll() is not None)
    time.sleep(random.Random(moment).uniform(0, 0.1))
    workers = descendants(process.pid)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    wait_for(lambda: gone(workers), 20)
    with without_workers():
        assert main(command) == 0
    assert tree(new) == tree(large[form])


def test_ctrl_c_says_how_to_go_on(large, tmp_path):
    new = tmp_path / "new"
    command = ["convert", str(large["jpg"]), "--output", str(new), *ASKED["tfrecord"]]
    process = start(*command)
    wait_for(lambda: commits(new) >= 1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "the same command goes on from here" in errors and "Traceback" not in errors
    assert main(command) == 0
    assert main(["verify", str(new)]) == 0


def test_a_damaged_picture_costs_its_unit_only(sets, tmp_path, capsys, in_process):
    source, new = tmp_path / "source", tmp_path / "new"
    shutil.copytree(sets["png"], source)
    flip_a_bit(source / "bg1/fg_1/mask/2.png")
    (source / "bg2/fg_1/overlay/5.jpg").unlink()
    command = ["convert", str(source), "--output", str(new), *ASKED["tfrecord"]]
    assert main(command) == 1
    assert "2 units failed" in capsys.readouterr().out
    told = (new / "errors.jsonl").read_text()
    assert "bg1/fg_1/mask/2.png: its checksum is not" in told
    assert "bg2/fg_1/overlay/5.jpg: missing" in told
    for name in ("bg1/fg_1/mask/2.png", "bg2/fg_1/overlay/5.jpg"):
        shutil.copy(sets["png"] / name, source / name)
    assert main(command) == 0
    assert tree(new) == tree(sets["tfrecord"])


def test_a_damaged_record_costs_its_unit_only(sets, tmp_path, in_process):
    source, new = tmp_path / "source", tmp_path / "new"
    shutil.copytree(sets["tfrecord"], source)
    shard = sorted((source / "tfrecord").glob("fgbg-train*"))[0]
    flip_a_bit(shard)
    assert main(["convert", str(source), "--output", str(new), *ASKED["jpg"]]) == 1
    (line,) = (new / "errors.jsonl").read_text().splitlines()
    assert f"tfrecord/{shard.name}#" in json.loads(line)["reason"]


def test_what_was_not_made_is_missing_in_both(sets, tmp_path, capsys, in_process):
    from fgbg.transforms.job.commit import write_failure
    from fgbg.transforms.job.work_unit import WorkUnit
    from fgbg.transforms.steps.summarise import summarise

    source, new = tmp_path / "source", tmp_path / "new"
    shutil.copytree(sets["png"], source)
    unit = WorkUnit(2, 1, False, 0)
    commit_file(source, unit.name).unlink()
    write_failure(str(source), unit, "EstimateDepth", "a reason")
    summarise(str(source))
    command = ["convert", str(source), "--output", str(new), *ASKED["tfrecord"]]
    for _ in range(2):
        assert main(command) == 0
        (line,) = (new / "errors.jsonl").read_text().splitlines()
        assert json.loads(line)["reason"] == "a reason"
        capsys.readouterr()
        assert main(["verify", str(new)]) == 1
        assert "15 of 16 units are done, 1 failed" in capsys.readouterr().out


def test_wrong_use_is_told(sets, tmp_path, capsys, in_process):
    images, records = str(sets["jpg"]), str(sets["tfrecord"])
    new = str(tmp_path / "new")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    shutil.copytree(sets["jpg"], tmp_path / "unfinished")
    (tmp_path / "unfinished" / "generation.json").unlink()
    shutil.copytree(sets["png"], tmp_path / "other")
    for command, words in (
        ((images, "--output", new, *ASKED["jpg"]), "is a data set of --format images already"),
        ((images, "--output", images, *ASKED["tfrecord"]), "needs a folder of its own"),
        ((images, "--output", images + "/new", *ASKED["tfrecord"]), "needs a folder of its own"),
        ((str(tmp_path / "no"), "--output", new, *ASKED["jpg"]), "no data set of fgbg"),
        ((str(tmp_path / "unfinished"), "--output", new, *ASKED["tfrecord"]), "is not finished"),
        ((records, "--output", str(tmp_path / "mine"), *ASKED["jpg"]), "holds no data set"),
        ((records, "--output", str(tmp_path / "other"), *ASKED["jpg"]), "holds another data set"),
        ((records, "--output", new, *ASKED["jpg"], "--shards", "3"), "only --format tfrecord has"),
        ((images, "--output", new, "--format", "tfrecord", "--shards", "1"), "--shards 1: with"),
    ):
        assert main(["convert", *command]) == 2, command
        assert words in capsys.readouterr().err
    assert not Path(new).exists()
    other = ["convert", records, "--output", str(tmp_path / "other"), *ASKED["jpg"]]
    assert main([*other, "--overwrite"]) == 0
    assert tree(tmp_path / "other") == tree(sets["jpg"])
    assert (tmp_path / "mine" / "thesis.txt").exists()
