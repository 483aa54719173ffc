"""`fgbg train`: what it writes, how it goes on, and what it says of data that it cannot use."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgbg.pipeline.__main__ import main
from fgbg.transforms.job import job as jobs
from tests.helpers import training_sets
from tests.helpers.data_sets import ROOT, job_of, make_in_process, tree
from tests.helpers.training_sets import SAMPLES, SIZE, state, train_arguments


@pytest.fixture(scope="module")
def data_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_sets.make(small_inputs, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def record_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    return training_sets.make(small_inputs, folder, "--format", "tfrecord", "--shards", "3")


@pytest.fixture(scope="module")
def trained(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    assert main(train_arguments(data_set, folder)) == 0
    return folder


def test_what_a_training_leaves(trained, data_set):
    names = {path.name for path in trained.iterdir()}
    assert names == {
        *("model.keras", "saved_model", "card.json", "metrics.json", "history.json"),
        *("history.csv", "curve.png", "predictions.png", "logs", "_work"),
    }
    card = json.loads((trained / "card.json").read_text())
    assert card["inputs"]["names"] == ["overlay"] and card["inputs"]["size"] == [SIZE, SIZE]
    assert set(card["outputs"]) == {"mask", "depth"}
    assert card["depth"] == {
        "input_size": [SIZE, SIZE],
        "output_name": "depth",
        "max_depth_m": 10.0,
    }
    assert card["data_set"]["samples"] == {"train": 12, "validation": 12, "test": 12}
    assert len(card["data_set"]["sha256"]) == 64
    assert card["training"]["epochs_done"] == 2 and card["training"]["precision"] == "float32"
    assert set(card["versions"]) == {"python", "fgbg", "tensorflow", "keras", "numpy"}
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics == card["metrics"]
    for split in ("test", "train"):
        assert metrics[split]["samples"] == SAMPLES
        assert set(metrics[split]["mask"]) == {"iou", "dice", "mean_iou", "mean_dice"}
        assert 0 <= metrics[split]["depth"]["delta1"] <= metrics[split]["depth"]["delta3"] <= 1
    assert metrics["test"]["constant_depth"]["abs_rel"] > 0
    history = json.loads((trained / "history.json").read_text())
    assert [row["epoch"] for row in history] == [0, 1]
    assert {"loss", "depth_loss", "val_loss", "val_iou", "val_delta1"} <= set(history[0])
    assert len((trained / "history.csv").read_text().splitlines()) == 3
    sheet = cv2.imread(str(trained / "predictions.png"))
    assert min(sheet.shape[:2]) > 500 and sheet.std() > 20
    assert cv2.imread(str(trained / "curve.png")) is not None


def test_measures_are_of_the_saved_network_and_the_files(trained, data_set):
    import keras

    network = keras.saving.load_model(trained / "model.keras", compile=False)
    both = either = 0
    ratios = []
    rows = pq.read_table(data_set / "manifest.parquet").to_pylist()
    for row in (row for row in rows if row["split"] == "test"):
        rgb = cv2.imread(str(data_set / row["overlay"]))[..., ::-1]
        said = {k: v.numpy()[0, ..., 0] for k, v in network(rgb[None] / np.float32(255)).items()}
        true = cv2.imread(str(data_set / row["mask"]), -1) >= 128
        both += (true & (said["mask"] > 0.5)).sum()
        either += (true | (said["mask"] > 0.5)).sum()
        metres = cv2.imread(str(data_set / row["depth"]), -1) * np.float32(10 / 255)
        known = metres > 0
        ratio = np.maximum(
            said["depth"][known] / metres[known], metres[known] / said["depth"][known]
        )
        ratios.append((ratio < 1.25).mean())
    measures = json.loads((trained / "metrics.json").read_text())["test"]
    np.testing.assert_allclose(measures["mask"]["iou"], both / max(either, 1), atol=2e-3)
    np.testing.assert_allclose(measures["depth"]["delta1"], np.mean(ratios), atol=2e-3)


def test_depth_network_and_saved_model_give_the_same(trained, data_set):
    import keras
    import tensorflow as tf

    from fgbg.models.depth import depth_card, depth_network

    network = keras.saving.load_model(trained / "model.keras", compile=False)
    bgr = np.stack([cv2.imread(str(data_set / f"bg3/fg_1/overlay/{i}.jpg")) for i in (1, 2, 3)])
    wanted = {k: v.numpy() for k, v in network(bgr[..., ::-1] / np.float32(255)).items()}
    model = depth_card.inspect(str(trained))
    assert model.card.input_size == (SIZE, SIZE) and model.card.max_depth_m == 10
    given = depth_network.load(str(trained), model, (SIZE, SIZE), 1).predict(bgr)
    np.testing.assert_allclose(given, wanted["depth"][..., 0], rtol=1e-5)
    loaded = tf.saved_model.load(str(trained / "saved_model"))
    exported = loaded.serve(tf.constant(bgr[..., ::-1] / np.float32(255)))
    for name, values in wanted.items():
        np.testing.assert_allclose(exported[name].numpy(), values, rtol=1e-4, atol=1e-6)


def test_generate_takes_the_folder(trained, small_inputs, tmp_path):
    made = make_in_process(small_inputs, tmp_path / "made", "--depth_model", str(trained))
    generation = json.loads((made / "generation.json").read_text())
    assert generation["depth"]["model"]["kind"] == "keras"
    assert cv2.imread(str(made / "bg1/fg_1/depth/1.jpg"), -1).std() > 0


def test_the_same_command_again_changes_nothing(trained, data_set, capsys):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.name != "lock"}
    assert main(train_arguments(data_set, trained)) == 0
    assert "finished" in capsys.readouterr().err
    assert before == {p: p.stat().st_mtime_ns for p in trained.rglob("*") if p.name != "lock"}


def test_other_options_are_refused_by_name(trained, data_set, record_set, capsys):
    assert main(train_arguments(data_set, trained, "--epochs", "3", "--seed", "4")) == 2
    error = capsys.readouterr().err
    assert "--epochs: 2 there, 3 asked for" in error and "--seed: 0 there, 4" in error
    assert "--batch_size" not in error and "--overwrite" in error
    assert main(train_arguments(record_set, trained)) == 2
    assert "the data set: " in capsys.readouterr().err


# Both trainings that must agree, in one process of one set-up of TensorFlow.
_GO_ON = """
import sys
from fgbg.pipeline.__main__ import main
command, first, second = sys.argv[1:-2], sys.argv[-2], sys.argv[-1]
for folder in (first, second):
    assert main([*command, "--model_dir", folder]) == 0
"""


def test_a_killed_training_ends_with_the_same_bits(data_set, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = train_arguments(data_set, killed, "--epochs", "8", "--threads", "2")
    at = command.index("--model_dir")
    del command[at : at + 2]
    process = subprocess.Popen(
        [sys.executable, "-m", "fgbg", *command, "--model_dir", str(killed)],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    while not (killed / "_work" / "checkpoint.npz").exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(state(killed).history)
    assert 1 <= done < 8 and not (killed / "card.json").exists()
    subprocess.run(
        [sys.executable, "-c", _GO_ON, *command, str(killed), str(whole)], cwd=ROOT, check=True
    )
    one, other = state(killed), state(whole)
    assert len(one.history) == 8 and one.best_epoch == other.best_epoch
    for name in ("weights", "optimizer", "best"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(one.history, other.history, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}


def test_masks_alone_of_records_and_pairs(small_inputs, trained, tmp_path, capsys):
    records = ("--format", "tfrecord", "--shards", "3")
    data_set = training_sets.make(small_inputs, tmp_path, *records, depth=False)
    folder = tmp_path / "masks"
    more = ("--inputs", "pair", "--init", str(trained), "--epochs", "1")
    assert main(train_arguments(data_set, folder, *more)) == 0
    card = json.loads((folder / "card.json").read_text())
    assert set(card["outputs"]) == {"mask"} and card["depth"] is None
    assert card["inputs"]["names"] == ["overlay", "background"]
    assert "depth" not in card["metrics"]["test"]
    assert "depth_loss" not in json.loads((folder / "history.json").read_text())[0]
    capsys.readouterr()
    picture = str(data_set / "backgrounds" / "bg1.jpg")
    assert main(["depth", picture, "--output", str(tmp_path), "--depth_model", str(folder)]) == 2
    assert "pairs of background and overlay" in capsys.readouterr().err
    card["inputs"]["names"] = ["overlay"]
    (folder / "card.json").write_text(json.dumps(card))
    assert main(["depth", picture, "--output", str(tmp_path), "--depth_model", str(folder)]) == 2
    assert "says masks only" in capsys.readouterr().err


def test_a_test_set_of_other_foregrounds(data_set, record_set, tmp_path, capsys):
    """TFRecords and files together; of other splits it would have backgrounds trained with."""
    folder = tmp_path / "model"
    more = ("--test_set", record_set, "--limit", "5", "--epochs", "1")
    assert main(train_arguments(data_set, folder, *more)) == 0
    card = json.loads((folder / "card.json").read_text())
    assert card["data_set"]["test_set"]["format"] == "tfrecord"
    assert card["data_set"]["test_set"]["foregrounds_trained_with"] == 2
    assert card["metrics"]["test"]["samples"] == 5
    capsys.readouterr()
    assert main(train_arguments(data_set, folder, *more[2:])) == 2
    assert "--test_set: " in capsys.readouterr().err
    moved = tmp_path / "moved"
    shutil.copytree(data_set, moved)
    job = job_of(moved)
    backgrounds = [
        dataclasses.replace(background, split=split)
        for background, split in zip(job.backgrounds, ("test", "train", "validation"), strict=True)
    ]
    jobs.write(str(moved), dataclasses.replace(job, backgrounds=backgrounds))
    assert main(train_arguments(data_set, tmp_path / "m", "--test_set", moved)) == 2
    assert "1 backgrounds of its test split are among those" in capsys.readouterr().err


def test_a_test_set_needs_a_test_split_alone(small_inputs, tmp_path):
    from fgbg.pipeline.exit_codes import UserError
    from fgbg.pipeline.training import set as training_set

    made = str(training_sets.make(small_inputs, tmp_path, "--splits", "test=1"))
    found = training_set.read(made, False, None, (training_set.TEST,))
    counts = found.facts["samples"]
    assert counts["test"] > 0 and counts["train"] == counts["validation"] == 0
    with pytest.raises(UserError, match="split train is empty"):
        training_set.read(made, False, None)


def nan_depth(folder: Path) -> None:
    path = folder / "manifest.parquet"
    table = pq.read_table(path)
    means = table["depth_mean_m"].to_pylist()
    means[5] = float("nan")
    at = table.schema.get_field_index("depth_mean_m")
    column = pa.array(means, pa.float32())
    pq.write_table(table.set_column(at, table.schema.field(at), column), path)


def truncate(folder: Path) -> None:
    shard = next((folder / "tfrecord").glob("*-train.tfrecord-*"))
    shard.write_bytes(shard.read_bytes()[:-10])


def flip_a_bit(folder: Path) -> None:
    shard = next((folder / "tfrecord").glob("*-train.tfrecord-*"))
    data = bytearray(shard.read_bytes())
    data[len(data) - 100] ^= 4
    shard.write_bytes(data)


def spoil_picture(folder: Path) -> None:
    path = folder / "bg1" / "fg_2" / "overlay" / "4.jpg"
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    "form, spoil, words",
    [
        ("data_set", nan_depth, "the mean depth is not finite (NaN or infinite): bg1/fg_1/6"),
        ("data_set", spoil_picture, "bg1/fg_2/overlay/4.jpg"),
        ("data_set", lambda f: (f / "bg2/fg_1/depth/2.jpg").unlink(), "bg2/fg_1/depth/2.jpg"),
        ("data_set", lambda f: (f / "generation.json").unlink(), "not finished"),
        ("data_set", lambda f: shutil.rmtree(f / "_work"), "no data set of fgbg"),
        ("record_set", truncate, "record 11 (at byte "),
        ("record_set", flip_a_bit, "record 11 (at byte "),
    ],
)
def test_spoilt_data_are_named(
    form: str, spoil: Callable[[Path], object], words: str, request, tmp_path, capsys
):
    spoilt = tmp_path / "set"
    shutil.copytree(request.getfixturevalue(form), spoilt)
    spoil(spoilt)
    folder = tmp_path / "model"
    assert main(train_arguments(spoilt, folder)) == 2
    error = capsys.readouterr().err
    assert words in error and str(spoilt) in error
    if form == "record_set":
        assert "fgbg-train.tfrecord-0000" in error
    assert not (folder / "card.json").exists()


def test_a_validation_split_alone_is_enough(small_inputs, tmp_path, capsys):
    more = ["--splits", "train=0.6,validation=0.4", "--depth_format", "jpg"]
    data = training_sets.make(small_inputs, tmp_path, *more)
    folder = tmp_path / "model"

    assert main(train_arguments(data, folder)) == 0

    told = capsys.readouterr()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == {"validation", "train"}
    assert "validation split, which also chose its best epoch" in told.err
    assert told.err.count("8-bit depth is in steps of 39.2 mm over 10 m") == 1
    assert "validation (" in told.out


def test_empty_splits_and_wrong_use_are_told(small_inputs, data_set, trained, tmp_path, capsys):
    alone = training_sets.make(small_inputs, tmp_path, "--splits", "train=1")
    other = tmp_path / "other"
    other.mkdir()
    (other / "card.json").write_text("{}")
    for arguments, words in (
        ((alone, tmp_path / "m"), "split validation is empty. Whole backgrounds"),
        ((tmp_path, tmp_path / "m"), "no data set of fgbg"),
        ((data_set, other), "not empty and holds no training"),
        ((data_set, other, "--overwrite"), "holds no training of fgbg"),
        ((data_set, tmp_path / "m", "--init", other), "not the card of a network"),
        ((data_set, tmp_path / "m", "--init", tmp_path), "no card.json in it"),
        ((data_set, tmp_path / "m", "--widths", "4,8,8"), "--widths has 3 numbers"),
    ):
        assert main(train_arguments(*arguments)) == 2
        assert words in capsys.readouterr().err, words
    shape = ("--init", trained, "--widths", "4,12")
    assert main(train_arguments(data_set, tmp_path / "m", *shape)) == 2
    assert "of another shape" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(train_arguments(data_set, tmp_path / "m", "--size", "50"))
    assert "multiples of 32" in capsys.readouterr().err


def test_overwrite_deletes_no_training_for_what_cannot_be_trained_on(
    trained, record_set, tmp_path, capsys
):
    model, damaged = tmp_path / "model", tmp_path / "set"
    shutil.copytree(trained, model)
    shutil.copytree(record_set, damaged)
    flip_a_bit(damaged)
    before = tree(model)
    assert main(train_arguments(damaged, model, "--overwrite")) == 2
    assert "checksum" in capsys.readouterr().err
    assert main(train_arguments(record_set, model, "--overwrite", "--init", model)) == 2
    assert "lies in --model_dir" in capsys.readouterr().err
    assert {k: v for k, v in tree(model).items() if k != "_work/lock"} == before
