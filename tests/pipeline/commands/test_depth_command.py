"""`fgbg depth`: its files, its evaluation and its messages; the measures against plain formulas."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fgbg.models.depth import depth_metrics
from fgbg.models.depth.depth_metrics import Metrics, measure
from fgbg.pipeline.__main__ import main
from tests.helpers.pictures import photo
from tests.helpers.small_networks import blind_in_the_dark, keras_file, oracle, tflite_file

METRES = 0.5
"""The network's unit in these tests: depth of about 0.25 to 3 m."""


@pytest.fixture(scope="session")
def keras_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keras_file(tmp_path_factory.mktemp("network") / "any.keras")


def depth(model: Path, output: Path, *more: str | Path) -> int:
    return main(
        [
            "depth",
            *("--depth_model", str(model), "--output", str(output)),
            *("--depth_output_unit", str(METRES)),
            *(str(argument) for argument in more),
        ]
    )


def wanted(rgb: np.ndarray) -> np.ndarray:
    """The network's depth in metres of one picture [height, width, 3], both sides even."""
    return METRES * oracle(rgb[None] / 255.0)[0]


def enlarged(small: np.ndarray) -> np.ndarray:
    """Twice the size, bilinear, half-pixel centres: the network's depth at the picture's size."""
    out = small
    for axis in (0, 1):
        length = out.shape[axis]
        at = np.clip((np.arange(2 * length) + 0.5) / 2 - 0.5, 0, length - 1)
        weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(length)))
        out = np.moveaxis(np.tensordot(weights, out, (1, axis)), 0, axis)
    return out


def test_measures_are_the_formulas():
    rng = np.random.default_rng(0)
    true = rng.uniform(0.5, 8, (6, 7))
    true[0, :3] = 0
    predicted = true * rng.uniform(0.5, 2.2, true.shape) + 0.01
    for scaled in (False, True):
        pairs = [(p, t) for p, t in zip(predicted.flat, true.flat) if t > 0]
        if scaled:
            factor = np.median([t for _, t in pairs]) / np.median([p for p, _ in pairs])
            pairs = [(p * factor, t) for p, t in pairs]
        n = len(pairs)
        ratios = [max(p / t, t / p) for p, t in pairs]
        by_hand = (
            sum(abs(p - t) / t for p, t in pairs) / n,
            (sum((p - t) ** 2 for p, t in pairs) / n) ** 0.5,
            sum(abs(np.log10(p) - np.log10(t)) for p, t in pairs) / n,
            *(sum(ratio < 1.25**k for ratio in ratios) / n for k in (1, 2, 3)),
        )
        np.testing.assert_allclose(measure(predicted, true, scaled), by_hand)


def test_a_right_prediction_and_one_that_is_right_up_to_scale():
    true = np.random.default_rng(1).uniform(1, 5, (8, 8))
    right = Metrics(0, 0, 0, 1, 1, 1)
    assert measure(true, true) == right
    assert measure(2 * true, true).abs_rel == 1
    np.testing.assert_allclose(measure(2 * true, true, median_scaling=True), right, atol=1e-12)
    assert np.isfinite(measure(0 * true, true)).all()
    assert depth_metrics.mean([right, Metrics(2, 4, 6, 0, 0, 0)]) == (1, 2, 3, 0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="no pixel has a true depth"):
        measure(true, 0 * true)
    with pytest.raises(ValueError, match="shape"):
        measure(true[1:], true)


def test_files_of_a_picture(keras_path, tmp_path):
    picture = photo(1, 96, 64)
    Image.fromarray(picture).save(tmp_path / "room.png")
    assert depth(keras_path, tmp_path / "out", tmp_path / "room.png") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "room.depth.npy",
        "room.depth.png",
        "room.preview.jpg",
    ]
    own = np.load(tmp_path / "out" / "room.depth.npy")
    assert own.dtype == np.float32
    np.testing.assert_allclose(own, wanted(picture), rtol=1e-5)
    stored = cv2.imread(str(tmp_path / "out" / "room.depth.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16 and stored.shape == (64, 96)
    np.testing.assert_allclose(stored, 1000 * enlarged(wanted(picture)), atol=0.6)
    preview = cv2.imread(str(tmp_path / "out" / "room.preview.jpg"))
    assert preview.shape[1] == 2 * 96 and preview.shape[0] > 64
    np.testing.assert_allclose(preview[:64, :90].mean(), picture[:, :90].mean(), atol=3)


@pytest.mark.parametrize(
    "size, more, fed",
    [
        ((96, 64), (), (96, 64)),
        ((100, 70), (), (96, 64)),
        ((112, 81), (), (128, 96)),
        ((20, 9), (), (32, 32)),
        ((100, 70), ("--input_size", "64x32"), (64, 32)),
    ],
)
def test_pictures_are_fed_at_multiples_of_32(size, more, fed, keras_path, tmp_path, capsys):
    Image.fromarray(photo(2, *size)).save(tmp_path / "p.png")
    assert depth(keras_path, tmp_path / "out", tmp_path / "p.png", *more) == 0
    own = np.load(tmp_path / "out" / "p.depth.npy")
    assert own.shape == (fed[1] // 2, fed[0] // 2)
    stored = cv2.imread(str(tmp_path / "out" / "p.depth.png"), cv2.IMREAD_UNCHANGED)
    assert stored.shape == (size[1], size[0])
    assert f"fed as {fed[0]}x{fed[1]}" in capsys.readouterr().err


def test_a_picture_lies_as_its_exif_says_and_white_shows_through(keras_path, tmp_path):
    picture = photo(3, 64, 96)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(np.rot90(picture)).save(tmp_path / "turned.png", exif=turned)
    clear = np.dstack((picture, np.zeros((96, 64), np.uint8)))
    Image.fromarray(clear).save(tmp_path / "clear.png")
    folder = tmp_path / "out"
    assert depth(keras_path, folder, tmp_path / "turned.png", tmp_path / "clear.png") == 0
    np.testing.assert_allclose(np.load(folder / "turned.depth.npy"), wanted(picture), rtol=1e-5)
    white = wanted(np.full_like(picture, 255))
    np.testing.assert_allclose(np.load(folder / "clear.depth.npy"), white, rtol=1e-5)


def test_folders_and_patterns_and_a_tflite_file(tmp_path):
    model = tflite_file(tmp_path / "small.tflite", (32, 32))
    (tmp_path / "in").mkdir()
    for i in range(3):
        Image.fromarray(photo(i, 50, 40)).save(tmp_path / "in" / f"p{i}.png")
    assert depth(model, tmp_path / "a", tmp_path / "in") == 0
    assert depth(model, tmp_path / "b", tmp_path / "in" / "p[01].png") == 0
    assert len(list((tmp_path / "a").iterdir())) == 9
    assert len(list((tmp_path / "b").iterdir())) == 6
    assert np.load(tmp_path / "a" / "p0.depth.npy").shape == (16, 16)


def test_outputs_never_replace_inputs(keras_path, tmp_path, capsys):
    for seed, name in enumerate(("x.png", "x.depth.png", "x.preview.jpg")):
        Image.fromarray(photo(seed)).save(tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert depth(keras_path, tmp_path, tmp_path) == 2
    error = capsys.readouterr().err
    for words in ("2 outputs would replace", "give another --output", "an earlier run"):
        assert words in error
    for name in ("x.depth.png", "x.preview.jpg"):
        assert f"{tmp_path / name}: is the input {tmp_path / name}" in error
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_measured_depth_is_not_replaced(pairs, keras_path, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_1.depth.png").symlink_to(pairs / "a_1_depth.png")
    before = (pairs / "a_1_depth.png").read_bytes()
    assert depth(keras_path, tmp_path / "out", "--evaluate", pairs) == 2
    assert f"is the input {pairs / 'a_1_depth.png'}" in capsys.readouterr().err
    assert (pairs / "a_1_depth.png").read_bytes() == before


def test_a_run_is_repeated_beside_its_pairs(pairs, keras_path):
    assert [depth(keras_path, pairs, "--evaluate", pairs) for _ in range(2)] == [0, 0]


def test_a_preview_is_shrunk_to_what_a_jpeg_holds(tmp_path):
    model = tflite_file(tmp_path / "small.tflite", (32, 32))
    Image.fromarray(photo(0, 33000, 20)).save(tmp_path / "wide.png")
    assert depth(model, tmp_path / "out", tmp_path / "wide.png") == 0
    preview = cv2.imread(str(tmp_path / "out" / "wide.preview.jpg"))
    assert preview.shape == (20 + 28, 65500, 3)


def write_pair(folder: Path, name: str, seed: int, factor: float) -> None:
    """A picture with the depth that the network gives it times a factor, in part unknown."""
    picture = photo(seed, 64, 32)
    Image.fromarray(picture).save(folder / f"{name}_rgb.png")
    millimetres = np.rint(1000 * factor * enlarged(wanted(picture))).astype(np.uint16)
    millimetres[:5, :7] = 0
    cv2.imwrite(str(folder / f"{name}_depth.png"), millimetres)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "rgbd"
    folder.mkdir()
    for seed, (name, factor) in enumerate((("a_1", 1.0), ("a_2", 2.0), ("b_1", 0.5))):
        write_pair(folder, name, seed, factor)
    return folder


def rows(text: str) -> list[tuple[str, list[float]]]:
    lines = [line.split() for line in text.splitlines() if line and "abs_rel" not in line]
    return [(" ".join(line[:-6]), [float(value) for value in line[-6:]]) for line in lines]


@pytest.mark.parametrize("with_meta", [False, True])
def test_evaluation(with_meta, pairs, keras_path, tmp_path, capsys):
    if with_meta:
        (pairs / "meta.csv").write_text("id,dataset\na_1,Rooms\na_2,Rooms\nb_1,Rooms\n")
    assert depth(keras_path, tmp_path / "out", "--evaluate", pairs) == 0
    found = rows(capsys.readouterr().out)
    plain, scaled = found[: len(found) // 2], found[len(found) // 2 :]
    means = ["Rooms (mean of 3)"] if with_meta else ["a (mean of 2)", "b (mean of 1)"]
    names = ["a_1", "a_2", "b_1", *means, "all (mean of 3)"]
    assert [name for name, _ in plain] == [name for name, _ in scaled] == names
    values = dict(plain)
    assert values["a_1"] == [0, 0, 0, 1, 1, 1] or values["a_1"][1] <= 0.001
    np.testing.assert_allclose([values[n][0] for n in names[:3]], [0, 0.5, 1], atol=0.002)
    np.testing.assert_allclose([values[n][2] for n in names[:3]], [0, 0.301, 0.301], atol=0.001)
    if not with_meta:
        np.testing.assert_allclose(values["a (mean of 2)"][0], 0.25, atol=0.002)
    np.testing.assert_allclose(values["all (mean of 3)"][0], 0.5, atol=0.002)
    for _, measures in scaled:
        np.testing.assert_allclose(measures, [0, 0, 0, 1, 1, 1], atol=0.002)
    preview = cv2.imread(str(tmp_path / "out" / "a_1.preview.jpg"))
    assert preview.shape[1] == 3 * 64


def bad_inputs(folder: Path) -> dict[str, str]:
    """Files that cannot be used, with a word of what is wrong."""
    Image.fromarray(photo(0)).save(folder / "good.jpg")
    whole = (folder / "good.jpg").read_bytes()
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("hello")
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "good.png").write_bytes(b"")
    return {
        "empty.png": "zero bytes",
        "text.jpg": "text",
        "half.jpg": "truncated",
        "good.png": "zero bytes",
    }


def test_pictures_of_one_name_are_told_by_their_folders(keras_path, tmp_path):
    for number, name in enumerate(("cats/1.jpg", "dogs/1.jpg")):
        (tmp_path / name).parent.mkdir()
        Image.fromarray(photo(number, 64, 32)).save(tmp_path / name)
    for given, out in ((["cats", "dogs"], "two folders"), (["*/1.jpg"], "a pattern")):
        assert depth(keras_path, tmp_path / out, *(tmp_path / name for name in given)) == 0
        found = {p.relative_to(tmp_path / out).as_posix() for p in (tmp_path / out).rglob("*.npy")}
        assert found == {"cats/1.depth.npy", "dogs/1.depth.npy"}
    assert depth(keras_path, tmp_path / "flat", tmp_path / "cats") == 0
    assert (tmp_path / "flat" / "1.depth.npy").exists()


def test_bad_pictures_are_all_named(keras_path, tmp_path, capsys):
    bad = bad_inputs(tmp_path)
    given = [tmp_path / "good.jpg", *(tmp_path / name for name in bad)]
    assert depth(keras_path, tmp_path / "out", *given) == 2
    lines = capsys.readouterr().err.splitlines()
    for name, words in bad.items():
        assert any(str(tmp_path / name) in line and words in line for line in lines), name
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda f: (f / "a_1_depth.png").unlink(), "a_1_depth.png is missing"),
        (lambda f: (f / "a_1_depth.png").write_bytes(b""), "a_1_depth.png: "),
        (lambda f: Image.fromarray(photo(1)).save(f / "a_1_depth.png"), "not a 16-bit grey PNG"),
        (lambda f: cv2.imwrite(str(f / "a_1_depth.png"), np.ones((9, 8), np.uint16)), "8x9, its"),
        (
            lambda f: cv2.imwrite(str(f / "a_1_depth.png"), np.zeros((32, 64), np.uint16)),
            "no pixel has a depth",
        ),
        (lambda f: Image.fromarray(photo(1)).save(f / "a_1_rgb.jpg"), "has the same name"),
        (lambda f: [path.unlink() for path in f.iterdir()], "no pairs NAME_rgb"),
    ],
)
def test_bad_pairs_are_named(spoil, words, pairs, keras_path, tmp_path, capsys):
    spoil(pairs)
    assert depth(keras_path, tmp_path / "out", "--evaluate", pairs) == 2
    error = capsys.readouterr().err
    assert words in error and str(pairs) in error


def test_wrong_use_is_told(keras_path, tmp_path, capsys):
    Image.fromarray(photo(0)).save(tmp_path / "p.png")
    for arguments, words in (
        ([], "give pictures, or --evaluate"),
        ([tmp_path / "none.png"], "none.png: no such file or folder"),
        ([tmp_path / "p.png", "--input_size", "50x64"], "must be multiples of 32"),
        (["--evaluate", tmp_path / "p.png"], "no such folder"),
    ):
        assert depth(keras_path, tmp_path / "out", *arguments) == 2
        assert words in capsys.readouterr().err
    command = ["depth", str(tmp_path / "p.png"), "--output", str(tmp_path / "out")]
    assert main([*command, "--depth_model", "none"]) == 2
    assert "makes no depth" in capsys.readouterr().err


def test_values_that_are_not_finite_name_the_picture(tmp_path, capsys):
    model = blind_in_the_dark(tmp_path / "blind.keras")
    Image.fromarray(np.full((32, 32, 3), 250, np.uint8)).save(tmp_path / "bright.png")
    Image.fromarray(np.full((32, 32, 3), 5, np.uint8)).save(tmp_path / "dark.png")
    given = tmp_path / "bright.png", tmp_path / "dark.png"
    assert depth(model, tmp_path / "out", *given) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'dark.png'}: the depth network gave values that are not finite" in error


def test_the_real_fastdepth_on_real_pictures(shared_data, tmp_path, capsys):
    model = shared_data / "weights" / "fastdepth_nyu_224_uint8.tflite"
    command = ["--depth_model", str(model), "--evaluate", str(shared_data / "rgbd")]
    assert main(["depth", *command, "--output", str(tmp_path / "out")]) == 0
    found = dict(rows(capsys.readouterr().out.split("with median scaling")[0]))
    abs_rel, _, _, delta1, *_ = found["NYU Depth v2 (mean of 4)"]
    assert 0.08 < abs_rel < 0.2 and delta1 > 0.8  # its paper says 0.771
    assert found["KITTI depth (mean of 2)"][0] > 0.5  # a network of rooms: nothing near a street
