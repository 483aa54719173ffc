"""`fgbg predict`: its files for pictures of any size, pairs, and its messages."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.data_set import given_pictures
from fgbg.pipeline.exit_codes import UserError
from tests.helpers.pictures import photo
from tests.helpers.trained_folder import FED, save


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


def test_pictures_of_one_name_are_told_by_their_folders(model, tmp_path):
    for number, name in enumerate(("cats/1.jpg", "dogs/1.jpg", "dogs/1.png", "top.jpg")):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(photo(number, 64, 32)).save(tmp_path / "in" / name)
    out = tmp_path / "out"
    assert predict(model, out, f"{tmp_path}/in/**/*.*") == 0
    stems = ("cats/1", "dogs/1_jpg", "dogs/1_png", "top")
    ends = ("depth.png", "mask.png", "preview.jpg")
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {f"{stem}.{end}" for stem in stems for end in ends} | {"predictions.jpg"}


def test_bad_pictures_and_models_are_named(model, tmp_path, capsys):
    Image.fromarray(photo(0)).save(tmp_path / "good.jpg")
    data = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("hello")
    once = tmp_path / "good.jpg"
    again = f"{tmp_path}/./good.jpg"
    assert predict(model, tmp_path / "out", tmp_path, again) == 2
    error = capsys.readouterr().err
    for words in ("3 bad inputs", "half.jpg: damaged", "text.jpg: not a", f"{once} would have the"):
        assert words in error
    assert not (tmp_path / "out").exists()
    assert predict(tmp_path, tmp_path / "out", tmp_path / "good.jpg") == 2
    assert "a folder made by fgbg train is expected" in capsys.readouterr().err
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "card.json").write_bytes((model / "card.json").read_bytes())
    (broken / "model.keras").write_text("nothing")
    assert predict(broken, tmp_path / "out", tmp_path / "good.jpg") == 2
    assert "model.keras: not a Keras 3 file" in capsys.readouterr().err


def folder_of(folder: Path, *names: str) -> dict[str, bytes]:
    """A folder of pictures with these names; what its files hold."""
    folder.mkdir()
    for seed, name in enumerate(names):
        Image.fromarray(photo(seed)).save(folder / name)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("through_a_link", [False, True])
def test_outputs_never_replace_inputs(through_a_link, model, tmp_path, capsys):
    before = folder_of(tmp_path / "in", "x.png", "x.mask.png", "predictions.jpg")
    output = tmp_path / "in"
    if through_a_link:
        output = tmp_path / "link"
        output.symlink_to(tmp_path / "in")
    assert predict(model, output, tmp_path / "in") == 2
    error = capsys.readouterr().err
    for words in ("2 outputs would replace", "give another --output", "an earlier run"):
        assert words in error
    for name in ("x.mask.png", "predictions.jpg"):
        assert f"{output / name}: is the input {tmp_path / 'in' / name}" in error
    assert contents(tmp_path / "in") == before


def test_the_background_is_not_replaced_either(pair_model, tmp_path, capsys):
    before = folder_of(tmp_path / "in", "x.png", "x.mask.png")
    given = (tmp_path / "in" / "x.png", "--background", tmp_path / "in" / "x.mask.png")
    assert predict(pair_model, tmp_path / "in", *given) == 2
    assert "x.mask.png: is the input" in capsys.readouterr().err
    assert contents(tmp_path / "in") == before


def test_outputs_that_are_one_file_are_refused(model, tmp_path, capsys):
    folder_of(tmp_path / "in", "a.png", "b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.mask.png").symlink_to(tmp_path / "out" / "a.mask.png")
    assert predict(model, tmp_path / "out", tmp_path / "in") == 2
    assert "b.mask.png: is the same file as" in capsys.readouterr().err


def test_outputs_beside_inputs_cannot_be_made_again_from_the_folder(model, tmp_path, capsys):
    folder_of(tmp_path / "in", "x.png")
    assert predict(model, tmp_path / "in", tmp_path / "in") == 0
    made = contents(tmp_path / "in")
    assert predict(model, tmp_path / "in", tmp_path / "in") == 2
    assert "4 outputs would replace" in capsys.readouterr().err
    assert contents(tmp_path / "in") == made


def test_another_output_folder_is_written_again(model, tmp_path):
    folder_of(tmp_path / "in", "x.png")
    assert [predict(model, tmp_path / "out", tmp_path / "in") for _ in range(2)] == [0, 0]


def test_a_network_without_depth_refuses_no_picture_named_as_its_depth(pair_model, tmp_path):
    before = folder_of(tmp_path / "in", "x.png", "x.depth.png")
    given = (tmp_path / "in", "--background", tmp_path / "in" / "x.png")
    assert predict(pair_model, tmp_path / "in", *given) == 0
    assert contents(tmp_path / "in")["x.depth.png"] == before["x.depth.png"]


def test_a_preview_is_shrunk_to_what_a_jpeg_holds(model, tmp_path):
    Image.fromarray(photo(0, 25000, 20)).save(tmp_path / "wide.png")
    assert predict(model, tmp_path / "out", tmp_path / "wide.png") == 0
    preview = cv2.imread(str(tmp_path / "out" / "wide.preview.jpg"))
    # Three panels of 65500 // 3, and the caption of 28 below.
    assert preview.shape == (17 + 28, 3 * 21833, 3)
    mask = cv2.imread(str(tmp_path / "out" / "wide.mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (20, 25000)


def test_a_tall_preview_keeps_its_caption(tmp_path):
    tall = np.zeros((70000, 50, 3), np.uint8)
    sheet = given_pictures.side_by_side([tall, tall], "words")
    assert sheet.shape == (65500, 2 * 47, 3)
    assert (sheet[-28:] > 0).any() and not sheet[:-28].any()


@pytest.mark.parametrize("size", [(4, 2000), (1, 10000), (10000, 1)])
def test_the_sheet_is_bounded_whatever_the_aspect(size, model, tmp_path):
    Image.fromarray(photo(0, *size)).save(tmp_path / "strip.png")
    Image.fromarray(photo(1, 96, 80)).save(tmp_path / "usual.png")
    assert predict(model, tmp_path / "out", tmp_path) == 0
    sheet = cv2.imread(str(tmp_path / "out" / "predictions.jpg"))
    assert sheet.shape[1] == 960
    usual = round((80 + 28) * 960 / (3 * 96))
    assert usual < sheet.shape[0] <= 640 + usual


def test_a_picture_that_cannot_be_encoded_leaves_no_file(tmp_path):
    files: dict[str, given_pictures.File] = {
        "good.png": np.zeros((2, 2), np.uint8),
        "wide.jpg": np.zeros((1, 65501), np.uint8),
    }
    with pytest.raises(UserError, match=r"wide\.jpg: OpenCV could not encode .* 65501x1"):
        given_pictures.write(str(tmp_path), files)
    assert not list(tmp_path.iterdir())
