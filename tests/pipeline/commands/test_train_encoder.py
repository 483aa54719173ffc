"""`fgbg train --encoder`: a network that begins with the encoder of a .tflite file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbg.files import storage
from fgbg.files.download import file_sha256
from fgbg.models.trained import tflite_encoder, transfer_network
from fgbg.models.training.samples import Settings
from fgbg.pipeline.__main__ import main
from tests.helpers import encoder_file, training_sets
from tests.helpers.training_sets import SIZE, train_arguments

WIDTHS = (4, 4, 6, 6, 8)
TRAINED = ("--inputs", "pair", "--freeze_encoder")


@pytest.fixture(scope="module")
def data_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_sets.make(small_inputs, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "trained.tflite"
    return encoder_file.write(path, encoder_file.network()[0])


def arguments(data_set: Path, folder: Path, file: Path | str, *more: str) -> list[str]:
    """One epoch of three steps."""
    command = train_arguments(data_set, folder, "--encoder", file, "--epochs", "1", *more)
    at = command.index("--blocks")
    del command[at : at + 2]
    command[command.index("--widths") + 1] = ",".join(map(str, WIDTHS))
    return command


@pytest.fixture(scope="module")
def trained(data_set: Path, file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shown pairs, its encoder frozen."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    assert main(arguments(data_set, folder, file, *TRAINED)) == 0
    return folder


def test_a_frozen_encoder_stays_the_files(trained, file):
    given = [array for x in tflite_encoder.read(str(file)).layers for array in x.arrays]
    import keras

    network: Any = keras.saving.load_model(trained / "model.keras", compile=False, safe_mode=True)
    kept = network.get_layer(transfer_network.ENCODER).get_weights()
    for ours, theirs in zip(kept, given, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    card = json.loads((trained / "card.json").read_text())
    assert card["training"]["freeze_encoder"] is True
    assert card["training"]["blocks"] == []
    assert card["training"]["encoder"] == file_sha256(str(file))


@pytest.mark.parametrize("freeze", [True, False])
def test_only_a_frozen_encoder_is_not_trained(file, freeze):
    from fgbg.models.training import network

    settings = Settings("overlay", (SIZE, SIZE), widths=WIDTHS, freeze_encoder=freeze)
    encoder = tflite_encoder.read(str(file))
    made = network.build(settings, ("depth",), 10.0, "float32", 10, encoder)
    inside = {id(v) for v in made.get_layer(transfer_network.ENCODER).variables}
    trained = [v for v in made.trainable_variables if id(v) in inside]
    assert len(trained) == (0 if freeze else len(inside)) and inside


def test_it_predicts(trained, data_set, tmp_path):
    overlay, background = data_set / "bg1/fg_1/overlay/1.jpg", data_set / "backgrounds/bg1.jpg"
    command = ["predict", str(overlay), "--background", str(background), "--model", str(trained)]
    assert main([*command, "--output", str(tmp_path / "said")]) == 0
    assert (tmp_path / "said" / "1.depth.png").exists()


def test_depth_is_of_the_overlay_alone_and_masks_of_the_difference(file):
    network = transfer_network.build(
        (SIZE, SIZE), tflite_encoder.read(str(file)), pair=True, widths=WIDTHS
    )
    overlay, one, other = np.random.default_rng(0).random((3, 1, SIZE, SIZE, 3), np.float32)
    first = network({"overlay": overlay, "background": one})
    second = network({"overlay": overlay, "background": other})
    np.testing.assert_array_equal(first["depth"], second["depth"])
    assert np.abs(first["mask"] - second["mask"]).max() > 1e-3


def test_wrong_use_is_told(data_set, file, tmp_path, capsys):
    for given, more, words in (
        (tmp_path / "none.tflite", (), "--encoder " + str(tmp_path / "none.tflite")),
        (data_set / "manifest.parquet", (), "not a TensorFlow Lite file"),
        (file, ("--widths", "4,8"), "--widths has 2 numbers"),
        (file, ("--blocks", "0,1,1,1,1"), "--blocks is of the compact encoder"),
        ("compact", ("--freeze_encoder",), "give the --encoder that is to stay"),
        ("compact", ("--encoder_range", "0,1"), "give the --encoder that is to be fed so"),
    ):
        command = arguments(data_set, tmp_path / "m", given, *more)
        assert main(command) == 2
        assert words in capsys.readouterr().err, words
    assert not (tmp_path / "m" / "card.json").exists()


def test_what_cannot_begin_deletes_nothing(trained, data_set, file, tmp_path, capsys):
    """--overwrite, and first weights that cannot be used."""
    before = {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()}
    spoilt = tmp_path / "spoilt.tflite"
    spoilt.write_bytes(file.read_bytes()[:2000])
    for command, words in (
        (arguments(data_set, trained, spoilt, "--overwrite"), "not a TensorFlow Lite file"),
        (arguments(data_set, trained, file, "--overwrite", "--init", "builtin"), "another shape"),
    ):
        assert main(command) == 2
        assert words in capsys.readouterr().err
    assert {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()} == before


def test_another_range_is_another_training(trained, data_set, file, capsys):
    assert main(arguments(data_set, trained, file, *TRAINED, "--encoder_range=-1,1")) == 2
    assert "--encoder_range: None there, -1.0,1.0 asked for" in capsys.readouterr().err


def test_another_encoder_is_another_training(trained, data_set, file, tmp_path, capsys):
    other = encoder_file.write(tmp_path / "other.tflite", encoder_file.network(separable=False)[0])
    assert main(arguments(data_set, trained, other, *TRAINED)) == 2
    assert f"--encoder: {file_sha256(str(file))} there" in capsys.readouterr().err


def test_a_file_on_gs_is_the_same_encoder(
    bucket, trained, data_set, file, cache, capsys
):  # fmt: skip
    address = f"{bucket}/network.tflite"
    storage.storage_for(address).write_atomically(address, file.read_bytes())
    assert main(arguments(data_set, trained, address, *TRAINED)) == 0
    assert "this training is finished" in capsys.readouterr().err
    assert main(arguments(data_set, trained, f"{bucket}/none.tflite", *TRAINED)) == 2
    assert "--encoder: " in capsys.readouterr().err
