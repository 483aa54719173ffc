"""Pictures of every kind, against what was put into them and against another decoder."""

from __future__ import annotations

import functools
import os

import numpy as np
import pytest

from fgbg.transforms.pixels.picture_error import PictureError
from fgbg.transforms.pixels.pictures import read_picture
from tests.helpers import odd_pictures, other_decoder, picture_kinds, png_files
from tests.helpers.colour_profiles import D65, P3, SPACES, SRGB, SRGB_BYTES, matrix_profile
from tests.helpers.other_decoder import ALONE, DIFFERENT, NEAR, REFUSED, SAME
from tests.helpers.pixel_oracles import turned_by_exif

# Of the folders that docs/testing.md names: what both read differently, and why.
EXPLAINED = {
    # The other decoder is wrong, or does not know it.
    "pngtest.png": "turned by EXIF after the pixels",
    "exif_imagemagick_orientation.png": "turned by EXIF in a text",
    "xmp_tags_orientation.png": "turned by XMP",
    "xmp_tags_orientation_exiftool.png": "turned by XMP",
    "exiv2-nikon-d70.jpg": "Adobe RGB by EXIF",
    "huge_IDAT.png": "black where the last piece is cut short",
    "hopper_lzma.tif": "LZMA, which it reads as black",
    "ojpeg_zackthecat_subsamp22_single_strip.tiff": "alpha that there is not",
    "tiff_16bit_RGBa.tiff": "colours multiplied by alpha",
    "tiff_strip_planar_16bit_RGBa.tiff": "colours multiplied by alpha",
    "pal8os2.bmp": "palette of OS/2",
    "pal8os2sp.bmp": "palette of OS/2",
    "input.bmp": "palette of OS/2",
    "input.im1": "1 bit, which it reads as black",
    "mmap_error.bmp": "pixels that begin elsewhere",
    "pal8_offset.bmp": "pixels that begin elsewhere",
    # Both may be.
    "rgb16.bmp": "5 bits in 8 by rounding, not by zeros",
    "rgb16-565.bmp": "5 bits in 8 by rounding, not by zeros",
    "rgb16-565pal.bmp": "5 bits in 8 by rounding, not by zeros",
    "input_1555.bmp": "5 bits in 8 by rounding, not by zeros",
}
ALL = "FGBG_TEST_ALL_DAMAGE"
PNGS = [(colour, depth) for colour, depths in png_files.DEPTHS.items() for depth in depths]
COLOURS = {
    "none": [],
    "gAMA": [png_files.gamma(0.45455)],
    "gAMA 1.0": [png_files.gamma(1.0)],
    "gAMA and cHRM": [png_files.gamma(1 / 1.8), png_files.chromaticities(D65, P3)],
    "gAMA and cHRM of sRGB": [png_files.gamma(0.45455), png_files.chromaticities(D65, SRGB)],
    "sRGB": [png_files.named_srgb(), png_files.gamma(0.45455)],
    "iCCP": [png_files.profile(matrix_profile(*SPACES["Display P3"]))],
    "iCCP of sRGB": [png_files.profile(SRGB_BYTES)],
}


@functools.cache
def kinds() -> dict[str, picture_kinds.Kind]:
    return picture_kinds.every()


def vips() -> None:
    pytest.importorskip("pyvips", reason="pyvips, the other decoder, is not installed")


@pytest.mark.parametrize(("colour", "depth"), PNGS)
def test_pngs_are_read_as_they_are_written(colour, depth):
    for interlaced in (False, True):
        for transparent in (False, True) if colour in (0, 2, 3) else (False,):
            for size in ((13, 11), (1, 1), (3, 2), (8, 5), (33, 1), (1, 9)):
                drawn = png_files.draw(
                    colour, depth, size, interlaced=interlaced, transparent=transparent, pieces=3
                )
                assert np.array_equal(read_picture(drawn.data), drawn.pixels), (interlaced, size)


@pytest.mark.parametrize("name", COLOURS)
def test_pngs_of_all_colours_are_what_the_other_decoder_makes_of_them(name):
    vips()
    for number, (colour, depth) in enumerate(PNGS):
        if name.startswith("iCCP") and colour in (png_files.GREY, png_files.GREY_ALPHA):
            continue  # PNG forbids a profile of colours there
        for interlaced in (False, True):
            drawn = png_files.draw(
                colour,
                depth,
                (29, 23),
                interlaced=interlaced,
                filters=[number % 5] if interlaced else range(5),
                chunks=COLOURS[name],
                transparent=interlaced and colour in (0, 2, 3),
                seed=number,
            )
            verdict = other_decoder.compare(drawn.data)
            if depth == 16 and verdict.kind == DIFFERENT and interlaced:
                # libspng drops the transparent colour of 16 bits.
                assert "4), not" in verdict.words
                continue
            assert verdict.kind in (SAME, NEAR), (colour, depth, interlaced, verdict)


@pytest.mark.parametrize("name", kinds())
def test_kinds_of_files_hold_what_was_put_into_them(name):
    kind = kinds()[name]
    notes: list[str] = []
    read = read_picture(kind.data, notes)
    assert not notes
    expected = kind.pixels
    if "turned" in name:
        expected = turned_by_exif(expected, int(name.split()[-1]))
    if name == "WebP animated":  # Pillow gives alpha that is 255
        assert read[..., 3].min() == 255
        read = read[..., :3]
    assert read.shape == expected.shape
    off = np.abs(read.astype(int) - expected)
    if read.shape[2] == 4:
        off[..., :3][read[..., 3] == 0] = 0
    if kind.off is not None:
        assert off.max(initial=0) <= kind.off
    else:
        assert off.mean() < 8


@pytest.mark.parametrize("name", kinds())
def test_kinds_of_files_are_what_the_other_decoder_makes_of_them(name):
    vips()
    verdict = other_decoder.compare(kinds()[name].data)
    assert verdict.kind in (SAME, NEAR, ALONE), verdict
    read_alone = ("JPEG 2000 alpha", "TGA", "SGI", "QOI", "PCX", "DDS", "ICO", "floats")
    assert (verdict.kind == ALONE) <= any(word in name for word in read_alone), verdict


def damaged(data: bytes, seed: int) -> bytes:
    """A file cut short, or with some bytes others; its head is hit as often as the rest."""
    rng = np.random.default_rng(seed)
    if seed % 5 == 0:
        return data[: rng.integers(1, len(data))]
    changed = bytearray(data)
    upto = len(data) if seed % 2 else min(len(data), 200)
    for at in rng.integers(0, upto, 1 + seed % 7):
        changed[at] = rng.integers(0, 256)
    return bytes(changed)


def test_damaged_files_are_read_or_refused_in_one_line():
    rounds = 60 if os.environ.get(ALL) else 1
    for number, (name, kind) in enumerate(kinds().items()):
        for seed in range(number, number + rounds):
            try:
                read = read_picture(damaged(kind.data, seed))
                assert read.dtype == np.uint8 and read.shape[2] in (3, 4), name
            except PictureError as error:
                assert str(error) and "\n" not in str(error), (name, str(error))


def test_a_folder_is_compared_and_what_differs_or_kills_is_named(tmp_path, capsys, monkeypatch):
    vips()
    folder = tmp_path / "odd"
    folder.mkdir()
    drawn = png_files.draw(png_files.RGB, 8)
    (folder / "a.png").write_bytes(drawn.data)
    (folder / "b.gif").write_bytes(kinds()["GIF"].data)
    (folder / "c.jpg").write_bytes(kinds()["JPEG 4:4:4"].data[:900])
    (folder / "d.txt").write_text("no picture")
    assert odd_pictures.main([str(folder), "--refused"]) == 0
    told = capsys.readouterr().out
    assert "2 same" in told and "1 refused" in told and "c.jpg: damaged or truncated" in told
    monkeypatch.setattr(other_decoder, "read_picture", lambda data, notes: drawn.pixels[:, ::-1])
    assert other_decoder.compare(drawn.data).kind == DIFFERENT
    monkeypatch.setattr(other_decoder, "read_picture", lambda data, notes: drawn.pixels[1:])
    assert other_decoder.compare(drawn.data).kind == DIFFERENT


@pytest.mark.skipif(
    not os.environ.get("FGBG_TEST_CORPORA"),
    reason="folders of test pictures are not at hand: FGBG_TEST_CORPORA=FOLDER names one",
)
def test_corpora_of_others(capsys):
    vips()
    odd_pictures.main([os.environ["FGBG_TEST_CORPORA"], "--refused"])
    lines = capsys.readouterr().out.splitlines()
    wrong = [line for line in lines if line.partition(":")[0] not in (REFUSED, DIFFERENT)]
    assert wrong == lines[-1:]
    named = [line for line in lines if line.startswith(DIFFERENT)]
    assert [line for line in named if not any(f"/{name}:" in line for name in EXPLAINED)] == []
