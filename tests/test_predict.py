"""`fgbg predict`: its files for pictures of any size, pairs, and its messages."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import photo
from PIL import Image

from models.training import network, samples
from pipeline.__main__ import main

FED = (64, 32)


def save(folder: Path, inputs: str, heads: tuple[str, ...]) -> Path:
    """A folder as fgbg train leaves it, with a network that was not trained."""
    settings = samples.Settings(inputs, FED, widths=(4, 8), blocks=(0, 0))
    model = network.build(settings, heads, 10.0, "float32", 1)
    folder.mkdir()
    model.save(folder / "model.keras")
    card = {
        "made_by": "fgbg train",
        "format_version": 1,
        "inputs": {"names": list(settings.input_names), "size": list(FED)},
        "outputs": {head: {} for head in heads},
        "depth": {"output_name": "depth", "input_size": list(FED)} if "depth" in heads else None,
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model") / "both", "overlay", ("depth", "mask"))


@pytest.fixture(scope="module")
def pair_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model") / "pair", "pair", ("mask",))


def predict(model: Path, output: Path, *more: str | Path) -> int:
    arguments = [*more, "--model", model, "--output", output]
    return main(["predict", *(str(argument) for argument in arguments)])


def said(model: Path, *rgb: np.ndarray) -> dict[str, np.ndarray]:
    """What the network says of a picture, or of a pair, at the size that it is fed."""
    import keras

    fed = [cv2.resize(p, FED, interpolation=cv2.INTER_AREA)[None] / np.float32(255) for p in rgb]
    called = keras.saving.load_model(model / "model.keras", compile=False)
    given = fed[0] if len(fed) == 1 else dict(zip(("overlay", "background"), fed, strict=True))
    return {name: value.numpy()[0, ..., 0] for name, value in called(given).items()}


@pytest.mark.parametrize("size", [(64, 32), (128, 64), (101, 77), (65, 200)])
def test_files_are_of_the_pictures_size(size, model, tmp_path):
    picture = photo(1, *size)
    Image.fromarray(picture).save(tmp_path / "some.room.png")
    assert predict(model, tmp_path / "out", tmp_path / "some.room.png") == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "predictions.jpg",
        *(f"some.room.{kind}" for kind in ("depth.png", "mask.png", "preview.jpg")),
    ]
    wanted = said(model, picture)
    mask = cv2.imread(str(tmp_path / "out" / "some.room.mask.png"), cv2.IMREAD_UNCHANGED)
    depth = cv2.imread(str(tmp_path / "out" / "some.room.depth.png"), cv2.IMREAD_UNCHANGED)
    assert mask.dtype == np.uint8 and depth.dtype == np.uint16
    assert mask.shape == depth.shape == (size[1], size[0])
    shares = cv2.resize(wanted["mask"], size)
    assert ((mask == 255) == (shares >= 0.5))[np.abs(shares - 0.5) > 1e-3].all()
    np.testing.assert_allclose(depth, 1000 * cv2.resize(wanted["depth"], size), atol=1.5)


def test_folders_patterns_and_a_threshold(model, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for i in range(3):
        Image.fromarray(photo(i)).save(tmp_path / "in" / f"p{i}.png")
    assert predict(model, tmp_path / "a", tmp_path / "in", "--threshold", "0") == 0
    assert len(list((tmp_path / "a").iterdir())) == 10
    assert cv2.imread(str(tmp_path / "a" / "p0.mask.png")).min() == 255
    assert "p2.png: 96x80, foreground 100.0%" in capsys.readouterr().err
    assert predict(model, tmp_path / "b", tmp_path / "in" / "p[01].png") == 0
    assert len(list((tmp_path / "b").iterdir())) == 7


def test_pairs(pair_model, model, tmp_path, capsys):
    picture, background = photo(4), photo(5)
    Image.fromarray(picture).save(tmp_path / "p.png")
    Image.fromarray(background).save(tmp_path / "b.png")
    Image.fromarray(photo(5, 96, 40)).save(tmp_path / "wide.png")
    given = (tmp_path / "p.png", "--background", tmp_path / "b.png")
    assert predict(pair_model, tmp_path / "out", *given) == 0
    mask = cv2.imread(str(tmp_path / "out" / "p.mask.png"), cv2.IMREAD_UNCHANGED)
    shares = cv2.resize(said(pair_model, picture, background)["mask"], (96, 80))
    assert ((mask == 255) == (shares >= 0.5))[np.abs(shares - 0.5) > 1e-3].all()
    assert not (tmp_path / "out" / "p.depth.png").exists()
    capsys.readouterr()
    for network_folder, arguments, words in (
        (pair_model, given[:1], "give the pictures' --background"),
        (model, given, "is shown the picture only"),
        (pair_model, (*given[:2], tmp_path / "wide.png"), "has another aspect"),
        (pair_model, (*given[:2], tmp_path / "none.png"), "none.png: cannot be read"),
    ):
        assert predict(network_folder, tmp_path / "no", *arguments) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_bad_pictures_and_models_are_named(model, tmp_path, capsys):
    Image.fromarray(photo(0)).save(tmp_path / "good.jpg")
    data = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "good.png").write_bytes(data)
    assert predict(model, tmp_path / "out", tmp_path) == 2
    error = capsys.readouterr().err
    for words in ("3 bad inputs", "half.jpg: damaged", "text.jpg: not a", "has the same name"):
        assert words in error
    assert not (tmp_path / "out").exists()
    assert predict(tmp_path, tmp_path / "out", tmp_path / "good.jpg") == 2
    assert "a folder made by fgbg train is expected" in capsys.readouterr().err
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "card.json").write_bytes((model / "card.json").read_bytes())
    (broken / "model.keras").write_text("nothing")
    assert predict(broken, tmp_path / "out", tmp_path / "good.jpg") == 2
    assert "model.keras cannot be loaded" in capsys.readouterr().err
