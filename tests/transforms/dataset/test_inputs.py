"""Reading inputs: every usual kind of picture, and thirty kinds of bad input."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fgbg.pipeline.__main__ import main
from fgbg.transforms.dataset.catalogue import BACKGROUND, FOREGROUND, check, find
from fgbg.transforms.pixels import pictures
from fgbg.transforms.pixels.pictures import (
    PictureError,
    crop_foreground,
    fit_background,
    read_picture,
)
from tests.helpers.data_sets import arguments
from tests.helpers.pictures import disc, photo


def encoded(image: Image.Image, kind: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


RGB = photo(1, 40, 30)
PICTURE = Image.fromarray(RGB)
RGBA = disc(1, 40, 30)


# --- what is read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encoded(PICTURE, "PNG"), RGB),
        (encoded(PICTURE, "BMP"), RGB),
        (encoded(PICTURE, "TIFF"), RGB),
        (encoded(PICTURE, "WEBP", lossless=True), RGB),
        (encoded(PICTURE.convert("L"), "PNG"), np.array(PICTURE.convert("L").convert("RGB"))),
        (encoded(Image.fromarray(RGBA), "PNG"), RGBA),
    ],
    ids=["png", "bmp", "tiff", "webp", "grey", "rgba"],
)
def test_usual_pictures_are_read_exactly(data, expected):
    assert np.array_equal(read_picture(data), expected)


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise by a quarter
    turned = read_picture(encoded(PICTURE, "PNG", exif=exif))
    assert np.array_equal(turned, np.rot90(RGB, -1))


def test_sixteen_bit_grey_is_scaled_not_cut():
    values = np.linspace(0, 65535, 1200).reshape(30, 40).astype(np.uint16)
    read = read_picture(encoded(Image.fromarray(values), "PNG"))
    assert np.array_equal(read[..., 0], np.round(values / 257).astype(np.uint8))


def test_palette_transparency_is_alpha():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    read = read_picture(encoded(image, "PNG", transparency=0))
    assert read[0, 0, 3] == 0 and read[3, 3].tolist() == [0, 0, 255, 255]


def test_grey_with_alpha_keeps_its_alpha():
    image = Image.merge("LA", [PICTURE.convert("L"), Image.fromarray(RGBA[..., 3])])
    assert np.array_equal(read_picture(encoded(image, "PNG"))[..., 3], RGBA[..., 3])


def test_cmyk_is_converted():
    read = read_picture(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert read.shape == (8, 8, 3)
    assert read[0, 0, 0] > 200 and read[0, 0, 1] < 60


def test_a_background_is_cropped_to_the_middle():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = (10, 200, 30)
    fitted = fit_background(wide, (40, 40))
    assert fitted.shape == (40, 40, 3)
    assert (fitted == (30, 200, 10)).all()  # BGR


def test_a_foreground_is_cropped_to_what_is_visible():
    sheet = np.zeros((50, 60, 4), np.uint8)
    sheet[10:20, 5:35] = (1, 2, 3, 200)
    assert crop_foreground(sheet, (100, 100)).shape == (10, 30, 4)


def test_a_huge_foreground_is_stored_at_twice_the_canvas():
    cropped = crop_foreground(disc(0, 600, 900), (100, 100))
    assert cropped.shape[0] == 200 and cropped.shape[1] < 200


# --- what is refused --------------------------------------------------------------------------

JPEG = encoded(Image.fromarray(photo(2, 200, 150)), "JPEG")
PNG = encoded(Image.fromarray(photo(2, 200, 150)), "PNG")


def png_of_size(width: int, height: int) -> bytes:
    """A valid PNG of any size without the memory for it: zeros compress well."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def flipped(data: bytes, position: float) -> bytes:
    at = int(len(data) * position)
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


OPAQUE = encoded(PICTURE.convert("RGBA"), "PNG")
INVISIBLE = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), "PNG")
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(40)

# A line of one pixel: its mean over the area of a pixel of the canvas is next to nothing.
LINE = np.array([9, 9, 9, 255], np.uint8)

BAD: dict[str, tuple[str, bytes, str]] = {
    "zero bytes": (BACKGROUND, b"", "zero bytes"),
    "text": (BACKGROUND, b"these are not the pixels\n" * 9, "looks like text"),
    "html": (BACKGROUND, b"<!DOCTYPE html><html><body>404", "HTML page"),
    "html without doctype": (BACKGROUND, b"\n<html><body>403", "HTML page"),
    "svg": (BACKGROUND, b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "xml": (BACKGROUND, b"<?xml version='1.0'?><svg/>", "XML or SVG"),
    "pdf": (BACKGROUND, b"%PDF-1.7\n%\xe2\xe3", "PDF"),
    "zip": (BACKGROUND, b"PK\x03\x04" + bytes(60), "ZIP"),
    "gzip": (BACKGROUND, b"\x1f\x8b\x08" + bytes(60), "gzip"),
    "photoshop": (BACKGROUND, b"8BPS\x00\x01" + bytes(60), "Photoshop"),
    "heic": (BACKGROUND, HEIC, "HEIC"),
    "git lfs pointer": (BACKGROUND, b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    "random bytes": (BACKGROUND, bytes(range(128, 256)) * 4, "format is unknown"),
    "jpeg signature only": (BACKGROUND, b"\xff\xd8\xff\xe0", "header is damaged"),
    "png signature only": (BACKGROUND, b"\x89PNG\r\n\x1a\n", "header is damaged"),
    "truncated jpeg": (BACKGROUND, JPEG[: len(JPEG) // 2], "truncated"),
    "truncated png": (BACKGROUND, PNG[: len(PNG) // 2], "truncated"),
    "png without end": (BACKGROUND, PNG[: len(PNG) - 30], "truncated"),
    "png with a flipped byte": (BACKGROUND, flipped(PNG, 0.5), "damaged"),
    "truncated tiff": (BACKGROUND, encoded(PICTURE, "TIFF")[:-300], "damaged"),
    "truncated bmp": (BACKGROUND, encoded(PICTURE, "BMP")[:-500], "truncated"),
    "truncated webp": (BACKGROUND, encoded(PICTURE, "WEBP")[:60], "damaged"),
    "65 megapixels": (BACKGROUND, png_of_size(10_000, 6_500), "larger than 64 megapixels"),
    "a decompression bomb": (BACKGROUND, png_of_size(30_000, 30_000), "64 megapixels"),
    "foreground without alpha": (FOREGROUND, PNG, "fgbg cutout"),
    "jpeg as a foreground": (FOREGROUND, JPEG, "no alpha channel"),
    "opaque foreground": (FOREGROUND, OPAQUE, "opaque everywhere"),
    "invisible foreground": (FOREGROUND, INVISIBLE, "transparent everywhere"),
    "grey foreground": (FOREGROUND, encoded(PICTURE.convert("L"), "PNG"), "no alpha channel"),
    "too thin a foreground": (
        FOREGROUND,
        encoded(Image.fromarray(np.eye(2000, dtype=np.uint8)[..., None] * LINE), "PNG"),
        "too thin",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bytes_are_refused_with_their_reason(name):
    kind, data, words = BAD[name]
    with pytest.raises(PictureError) as caught:
        picture = read_picture(data)
        if kind == FOREGROUND:
            crop_foreground(picture, (64, 64))
    assert words in str(caught.value)


def test_there_are_thirty_kinds_of_bad_bytes():
    assert len(BAD) >= 30


def test_unreadable_files_are_reported_and_equal_names_told_apart(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = []
    for folder in "ab":
        path = tmp_path / folder / "same.png"
        path.write_bytes(PNG)
        paths.append(str(path))
    gone = tmp_path / "gone.jpg"
    os.symlink(tmp_path / "nowhere", gone)
    found = [*paths, str(gone)]
    result = check(found, BACKGROUND, (64, 64), {}, lambda: None, f"{tmp_path}/*/*.png")
    assert [entry.file for entry in result] == ["a/same.png", "b/same.png", "gone.jpg"]
    assert [entry.problem for entry in result[:2]] == ["", ""]
    assert "cannot be read: No such file" in result[2].problem


def test_all_bad_files_are_listed_together(tmp_path, small_inputs, capsys):
    for kind, ending in (("bg", "jpg"), ("fg", "png")):
        (tmp_path / kind).mkdir()
        for source in (small_inputs / kind).iterdir():
            (tmp_path / kind / source.name).write_bytes(source.read_bytes())
        (tmp_path / kind / f"empty.{ending}").write_bytes(b"")
    (tmp_path / "fg" / "flat.png").write_bytes(PNG)
    assert main(arguments(tmp_path, tmp_path / "out")) == 2
    told = capsys.readouterr().err
    assert "3 of 8 inputs cannot be used" in told
    for words in ("empty.jpg: the file is empty", "empty.png: the file is", "flat.png: a foregr"):
        assert words in told
    assert not (tmp_path / "out").exists()


# --- wrong use --------------------------------------------------------------------------------


def text_file(folder: Path) -> str:
    path = folder / "file.txt"
    path.write_text("x")
    return str(path)


WRONG: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no such folder": (lambda t: ["--backgrounds", str(t / "none")], "no such folder"),
    "a file for a folder": (lambda t: ["--backgrounds", text_file(t)], "a file, not a folder"),
    "an empty folder": (lambda t: ["--backgrounds", str(t)], "no pictures in this folder"),
    "a pattern without match": (lambda t: ["--foregrounds", f"{t}/*.png"], "no file matches"),
    "the output is a file": (lambda t: ["--output", text_file(t)], "a file, not a folder"),
    "an output of something else": (
        lambda t: ["--output", os.path.dirname(text_file(t))],
        "holds no data set of fgbg",
    ),
    "a misspelt option": (lambda t: ["--placemnts", "3"], "did you mean --placements?"),
    "dashes": (lambda t: ["--image-qualty", "3"], "did you mean --image_quality?"),
    "a misspelt option of Beam": (lambda t: ["--num_worker", "3"], "did you mean --num_workers?"),
    "a word too many": (lambda t: ["extra"], "'extra' belongs to no option"),
    "a bad size": (lambda t: ["--size", "10by10"], "neither N nor WxH"),
    "a tiny size": (lambda t: ["--size", "2"], "8..8192"),
    "different aspects": (lambda t: ["--size", "64x32", "--canvas", "64"], "different aspects"),
    "no placements": (lambda t: ["--placements", "0"], "not a whole number from 1"),
    "a fraction of placements": (lambda t: ["--placements", "1.5"], "not a whole number"),
    "a scale above one": (lambda t: ["--fg_scale", "0.5,2"], "above 1 goes with --scale_per"),
    "a scale of words": (lambda t: ["--fg_scale", "big"], "MIN,MAX"),
    "full truncation": (lambda t: ["--truncation", "1"], "0 to 0.95"),
    "a bad boolean": (lambda t: ["--mirror=perhaps"], "neither true nor false"),
    "splits that do not sum": (lambda t: ["--splits", "a=0.5,b=0.4"], "do not sum to 1"),
    "a split twice": (lambda t: ["--splits", "a=0.5,a=0.5"], "twice"),
    "a quality of 0": (lambda t: ["--image_quality", "0"], "1 to 100"),
    "masks of records": (
        lambda t: ["--format", "tfrecord", "--mask_format", "jpg"],
        "--mask_format",
    ),
    "shards of images": (lambda t: ["--shards", "3"], "--shards"),
    "an unknown format": (lambda t: ["--format", "zip"], "invalid choice"),
    "a depth model that is not there": (
        lambda t: ["--depth_model", str(t / "m.tflite")],
        "no such file",
    ),
    "a depth model of another kind": (
        lambda t: ["--depth_model", text_file(t)],
        "of unknown kind",
    ),
    "a folder without a model": (lambda t: ["--depth_model", str(t)], "without saved_model.pb"),
    "no workers": (lambda t: ["--workers", "0"], "not a whole number from 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_exit_code_2_and_says_what(name, tmp_path, small_inputs, capsys):
    more, words = WRONG[name]
    (tmp_path / "t").mkdir()
    try:
        code: object = main(arguments(small_inputs, tmp_path / "out", *more(tmp_path / "t")))
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_is_read_in_natural_order_and_other_files_are_left_out(tmp_path):
    for name in ("10.png", "2.png", "notes.txt", ".hidden.png", "1.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub.png").mkdir()
    found, ignored = find(str(tmp_path), "--backgrounds")
    assert [Path(p).name for p in found] == ["1.jpg", "2.png", "10.png"]
    assert [Path(p).name for p in ignored] == ["notes.txt"]


def test_a_pattern_reaches_into_folders(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.png").write_bytes(b"x")
    found, _ = find(f"{tmp_path}/**/*.png", "--backgrounds")
    assert found == [str(tmp_path / "a" / "b" / "x.png")]


def test_the_limit_on_pixels_is_read_from_the_header():
    assert pictures.MAX_PIXELS == 64_000_000
    with pytest.raises(PictureError, match="10000x6500"):
        read_picture(png_of_size(10_000, 6_500)[:200])
