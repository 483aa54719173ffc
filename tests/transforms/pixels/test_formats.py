"""Formats by content, transparency without a channel, and kinds of pictures that are not read."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import types
import zlib

import numpy as np
import pytest
from PIL import Image, features

from fgbg.transforms.pixels import formats
from fgbg.transforms.pixels.picture_error import PictureError
from fgbg.transforms.pixels.pictures import read_picture
from tests.helpers.colour_profiles import SPACES, by_numpy, matrix_profile
from tests.helpers.pictures import disc, encoded, photo
from tests.helpers.pixel_oracles import turned_by_exif
from tests.helpers.png_files import chunk

RGB = photo(2, 32, 24)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def png(width: int, depth: int, colour: int, row: bytes, *chunks: bytes) -> bytes:
    """A PNG of one row."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + body


# --- transparency ------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_grey_png_keeps_its_transparent_colour(depth):
    most = (1 << depth) - 1
    count = 8 // depth
    values = [v & most for v in range(count)]
    packed = sum(v << (8 - depth * (i + 1)) for i, v in enumerate(values))
    for clear in {0, 1, most}:
        data = png(count, depth, 0, bytes([packed]), chunk(b"tRNS", struct.pack(">H", clear)))
        read = read_picture(data)
        assert read.shape == (1, count, 4)
        assert read[0, :, 3].tolist() == [0 if v == clear else 255 for v in values]
        assert read[0, :, 0].tolist() == [v * 255 // most for v in values]


def test_a_grey_png_of_16_bits_keeps_its_transparent_colour():
    row = struct.pack(">3H", 1000, 1001, 65535)
    read = read_picture(png(3, 16, 0, row, chunk(b"tRNS", struct.pack(">H", 1000))))
    assert read[0, :, 3].tolist() == [0, 255, 255]  # 1000 and 1001 are one in 8 bits
    assert read[0, :, 1].tolist() == [4, 4, 255]


@pytest.mark.parametrize("depth", [8, 16])
def test_a_colour_png_keeps_its_transparent_colour(depth):
    colours = [(100, 7, 250), (100, 8, 250), (0, 0, 0), (100, 7, 250)]
    form = f">3{'B' if depth == 8 else 'H'}"
    row = b"".join(struct.pack(form, *c) for c in colours)
    read = read_picture(png(4, depth, 2, row, chunk(b"tRNS", struct.pack(">3H", *colours[0]))))
    assert read[0, :, 3].tolist() == [0, 255, 255, 0]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_keeps_its_alphas(depth):
    palette = chunk(b"PLTE", bytes((255, 0, 0, 0, 0, 255)))
    packed = 1 << (8 - 2 * depth) if depth < 8 else 1
    row = bytes((packed,)) if depth < 8 else bytes((0, 1))
    for alphas in (b"\0", b"\x40\x80", b"\xff\0"):
        read = read_picture(png(2, depth, 3, row, palette, chunk(b"tRNS", alphas)))
        assert read[0, :, 3].tolist() == [*alphas, 255][:2]
        assert read[0, 1, :3].tolist() == [0, 0, 255]


# --- content, not names ------------------------------------------------------------------------

READ = ["JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "TGA", "QOI", "PCX", "SGI"]


@pytest.mark.parametrize("kind", READ)
def test_formats_are_read_by_content(kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    data = encoded(Image.fromarray(RGB), kind)
    assert read_picture(data).shape == RGB.shape
    if kind not in ("TGA", "PCX", "SGI"):  # they begin with no more than a number
        assert formats.looks_like_picture(data[: formats.START])


def test_texts_do_not_look_like_pictures():
    for text in (b"BMW, Audi, Opel\n", b"P1", b"P5000 in words", b"Picture", b"RIFF and more", b""):
        assert not formats.looks_like_picture(text)


def test_the_first_frame_of_an_animation_is_read():
    frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (10, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_picture(data)[0, 0].tolist() == [10, 10, 10]


def jpeg_of_12_bits() -> bytes:
    data = encoded(Image.fromarray(RGB), "JPEG")
    at = data.index(b"\xff\xc0")
    return data[: at + 1] + b"\xc1" + data[at + 2 : at + 4] + b"\x0c" + data[at + 5 :]


def tiff_of_floats() -> bytes:
    """Red, green and blue of 32-bit floating-point samples."""
    tags = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2),
            (273, 4, 1, 134), (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 24),
            (339, 3, 3, 128)]  # fmt: skip
    tags_end = 8 + 2 + 12 * len(tags) + 4
    shift = tags_end - 122
    body = struct.pack("<H", len(tags))
    for tag, kind, count, value in tags:
        value += shift if value in (122, 128, 134) else 0
        body += struct.pack("<HHII", tag, kind, count, value)
    values = np.linspace(0, 1, 6, dtype="<f4").tobytes()
    return b"II*\0\x08\0\0\0" + body + bytes(4) + struct.pack("<6H", 32, 32, 32, 3, 3, 3) + values


NOT_READ = {
    "12-bit JPEG": (jpeg_of_12_bits(), ["a JPEG of 12 bits a colour", "save it with 8 bits"]),
    "EPS": (encoded(Image.fromarray(RGB), "EPS"), ["EPS or PostScript", "export it as PNG"]),
    "EPS in DOS": (b"\xc5\xd0\xd3\xc6" + bytes(60), ["EPS or PostScript"]),
    "HEIC": (HEIC, ["HEIC", "pip install 'fgbg[heic]'", "convert it to JPEG or PNG"]),
    "float TIFF": (
        tiff_of_floats(),
        ["3 floating-point samples of 32 bits", "save it with 8 bits"],
    ),
    "32-bit TIFF": (
        encoded(Image.fromarray(np.array([[0, 1 << 20]], np.int32)), "TIFF"),
        ["32-bit grey values outside 0..65535", "save it as an 8-bit picture"],
    ),
    "float grey TIFF": (
        encoded(Image.fromarray(np.array([[-1, 2]], np.float32)), "TIFF"),
        ["32-bit floating-point grey values", "save it as an 8-bit picture"],
    ),
    "no numbers": (
        encoded(Image.fromarray(np.array([[np.nan, 0.5]], np.float32)), "TIFF"),
        ["that are no numbers"],
    ),
    "damaged TIFF": (b"II*\0\xff\xff\xff\x7f", ["TIFF"]),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_kinds_that_are_not_read_say_what_they_are_and_what_to_do(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    formats._can_read_heic.cache_clear()
    data, words = NOT_READ[name]
    with pytest.raises(PictureError) as caught:
        read_picture(data)
    formats._can_read_heic.cache_clear()
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_samples_below_0_are_no_light():
    image = Image.fromarray(np.array([[0, 127]], np.uint8))
    signed = encoded(image, "TIFF", tiffinfo={339: 2})
    assert read_picture(signed)[0, :, 0].tolist() == [0, 127]
    signed = encoded(Image.fromarray(np.array([[0, 255]], np.uint8)), "TIFF", tiffinfo={339: 2})
    with pytest.raises(PictureError, match="8-bit grey values below 0; save it"):
        read_picture(signed)


def test_a_bmp_that_pillow_unpacks_wrongly_is_refused():
    # Five single pixels, of 4 bits each, and the end.
    packed = bytes((0, 5, 0x12, 0x34, 0x50, 0)) + bytes((0, 1))
    head = struct.pack("<IiiHHIIiiII", 40, 5, 1, 1, 4, 2, len(packed), 0, 0, 16, 0)
    start = 14 + 40 + 64
    data = b"BM" + struct.pack("<IHHI", start + len(packed), 0, 0, start) + head
    with pytest.raises(PictureError, match="packed by RLE of 4 bits, which is not read; save it"):
        read_picture(data + bytes(range(64)) + packed)


# --- a PNG whose pixels are whole ---------------------------------------------------------------

STUMBLED_OVER = {
    "a text of megabytes": chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(9 << 20))),
    "a size of half its length": chunk(b"pHYs", bytes(4)),
    "frames out of order": chunk(b"acTL", struct.pack(">II", 3, 0))
    + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 5, 9, 9, 0, 0, 1, 1, 0, 0)),
    "a gamma of half its length": chunk(b"gAMA", b"\0\1"),
}


@pytest.mark.parametrize("name", STUMBLED_OVER)
def test_a_png_is_read_whatever_stands_beside_its_pixels(name):
    row = bytes(range(9))
    turned = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")
    data = png(3, 8, 2, row, STUMBLED_OVER[name], turned)
    assert read_picture(data)[:, 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_a_png_that_is_damaged_stays_so():
    data = png(3, 8, 2, bytes(range(9)), chunk(b"tEXt", b"a\0b"))
    with pytest.raises(PictureError, match="truncated"):
        read_picture(data[: data.index(b"IDAT") + 8])


def test_no_reader_of_pillow_runs_a_program(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    for data in (encoded(Image.fromarray(RGB), "EPS"), b"\xd7\xcd\xc6\x9a" + bytes(80)):
        with pytest.raises(PictureError):
            read_picture(data)
    assert not {"EPS", "WMF", "GRIB", "BUFR", "HDF5", "FITS", "MPEG"} & set(formats.FORMATS)


def test_heic_is_read_where_the_extra_is(monkeypatch):
    asked = []

    class Opened:
        """What pillow-heif registers."""

    def register_heif_opener() -> None:
        monkeypatch.setitem(Image.OPEN, "HEIF", (Opened, None))

    module = types.ModuleType("pillow_heif")
    vars(module)["register_heif_opener"] = register_heif_opener
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    formats._can_read_heic.cache_clear()
    real = Image.open

    def opened(file, formats=None):
        asked.append(formats)
        return real(io.BytesIO(encoded(Image.fromarray(RGB), "PNG")))

    monkeypatch.setattr(Image, "open", opened)
    assert np.array_equal(read_picture(HEIC), RGB)
    formats._can_read_heic.cache_clear()
    assert asked == [("HEIF",)]


def heif() -> None:
    """pillow-heif itself, where it is installed."""
    package = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (fgbg[heic])")
    package.register_heif_opener()


@pytest.mark.parametrize("turn", range(1, 9))
def test_heic_of_the_extra_itself_is_read_upright(turn):
    heif()
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(Image.fromarray(RGB), "HEIF", quality=-1, chroma=444, exif=exif.tobytes())
    notes = []
    read = read_picture(data, notes)
    expected = turned_by_exif(RGB, turn)
    assert read.shape == expected.shape and not notes
    assert np.abs(read.astype(int) - expected).max() <= 2  # lossless but for YCbCr


def test_heic_of_the_extra_itself_has_its_profile_and_alpha():
    heif()
    matrix, gamma = SPACES["Display P3"]
    icc = matrix_profile(matrix, gamma)
    data = encoded(Image.fromarray(RGB), "HEIF", quality=-1, chroma=444, icc_profile=icc)
    expected = by_numpy(RGB, matrix, gamma)
    assert np.abs(read_picture(data) - expected).mean() < 1 and np.abs(RGB - expected).max() > 20
    cut = disc(3, 32, 24)
    read = read_picture(encoded(Image.fromarray(cut), "HEIF", quality=-1, chroma=444))
    assert np.array_equal(read[..., 3], cut[..., 3])
    assert np.abs(read.astype(int) - cut)[cut[..., 3] > 0].max() <= 2
    lossy = read_picture(encoded(Image.fromarray(RGB), "HEIF", quality=90, chroma=444))
    assert np.abs(lossy.astype(int) - RGB).mean() < 8
