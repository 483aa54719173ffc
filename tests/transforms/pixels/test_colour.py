"""Embedded profiles: what is read is sRGB, by a computation of its own here."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from fgbg.transforms.pixels.pictures import read_picture
from tests.helpers.colour_profiles import (
    D65,
    SPACES,
    SRGB,
    SRGB_BYTES,
    by_numpy,
    cmyk_profile,
    colorants,
    gamma_curve,
    matrix_profile,
    profile,
    srgb_curve,
)
from tests.helpers.pictures import encoded, off, photo

RGB = photo(7, 64, 48)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_colours_become_srgb_by_the_embedded_profile(space, kind):
    matrix, gamma = SPACES[space]
    settings = {"lossless": True} if kind == "WEBP" else {}
    notes = []
    data = encoded(RGB, kind, icc_profile=matrix_profile(matrix, gamma), **settings)
    read = read_picture(data, notes)
    expected = by_numpy(RGB, matrix, gamma)
    # 8 bits of linear light are coarse in the dark: there a level is one of LittleCMS' rounding.
    assert off(read, expected) <= (3 if gamma == 1 else 2)
    assert off(RGB, expected) > 20 and not notes


def test_alpha_turning_and_palettes_go_with_the_profile():
    matrix, gamma = SPACES["swapped primaries"]
    icc = matrix_profile(matrix, gamma)
    alpha = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgba = np.dstack((RGB, alpha))
    read = read_picture(encoded(rgba, icc_profile=icc, exif=exif))
    expected = np.dstack((by_numpy(RGB, matrix, gamma), alpha))
    assert off(read, np.rot90(expected, -1)) <= 2
    palette = Image.fromarray(RGB).quantize(64)
    read = read_picture(encoded(palette, icc_profile=icc))
    assert off(read, by_numpy(np.array(palette.convert("RGB")), matrix, gamma)) <= 2


def test_an_srgb_profile_or_none_changes_no_byte():
    # Curves and primaries rounded otherwise, as vendors do: by what it does, and by its name.
    rounded = matrix_profile(colorants(SRGB, D65), 2.2, b"sRGB in short")
    for mode in ("RGB", "L", "RGBA", "P"):
        image = Image.fromarray(RGB).convert(mode)
        plain = read_picture(encoded(image))
        assert np.array_equal(read_picture(encoded(image, icc_profile=SRGB_BYTES)), plain)
        jpeg = image.convert("L" if mode == "L" else "RGB")
        plain = read_picture(encoded(jpeg, "JPEG"))
        assert np.array_equal(read_picture(encoded(jpeg, "JPEG", icc_profile=SRGB_BYTES)), plain)
    assert off(read_picture(encoded(RGB, icc_profile=rounded)), RGB) > 0


def test_a_profile_that_calls_itself_srgb_is_not_believed():
    matrix, gamma = SPACES["swapped primaries"]
    icc = matrix_profile(matrix, gamma, b"sRGB IEC61966-2.1")
    assert off(read_picture(encoded(RGB, icc_profile=icc)), by_numpy(RGB, matrix, gamma)) <= 2


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_profiles_are_applied(bits):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    icc = profile(b"GRAY", {b"kTRC": gamma_curve(1.0)})
    data = encoded(grey if bits == 8 else grey.astype(np.uint16) * 257, icc_profile=icc)
    expected = np.rint(srgb_curve(grey / 255) * 255)
    assert off(read_picture(data)[..., 1], expected) <= 2


def test_cmyk_is_converted_by_its_profile_or_as_before(tmp_path):
    cmyk = Image.fromarray(RGB).convert("CMYK")
    notes = []
    plain = read_picture(encoded(cmyk, "TIFF"))
    assert np.array_equal(plain, np.array(cmyk.convert("RGB")))
    # A profile of other colours is no reason to refuse the picture.
    read = read_picture(encoded(cmyk, "TIFF", icc_profile=SRGB_BYTES), notes)
    assert np.array_equal(read, plain) and "profile is for RGB, the picture is CMYK" in notes[0]
    notes.clear()
    # The table of a press: paper is white, all ink is black, red is swapped with blue on purpose.
    icc = cmyk_profile()
    read = read_picture(encoded(Image.new("CMYK", (4, 4)), "TIFF", icc_profile=icc), notes)
    assert not notes and read.min() >= 253
    read = read_picture(encoded(Image.new("CMYK", (4, 4), (0, 0, 0, 255)), "TIFF", icc_profile=icc))
    assert read.max() <= 2


BROKEN = {
    "rubbish": b"rubbish" * 50,
    "the head alone": SRGB_BYTES[:150],
    "a third": SRGB_BYTES[: len(SRGB_BYTES) // 3],
    "of no size": bytes(200),
    "all colours are one": matrix_profile(np.zeros((3, 3)), 2.2),
    "for grey": profile(b"GRAY", {b"kTRC": gamma_curve(1.8)}),
    "of a kind unknown": SRGB_BYTES[:16] + b"HSV " + SRGB_BYTES[20:],
    "longer than a PNG may have": bytes(2 << 20),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_picture_with_a_broken_profile_is_read_without_it_and_this_is_said(name):
    for kind in ("PNG", "TIFF"):
        notes = []
        assert np.array_equal(
            read_picture(encoded(RGB, kind, icc_profile=BROKEN[name]), notes), RGB
        )
        assert len(notes) == 1 and "profile" in notes[0]


def test_a_profile_longer_than_a_megabyte_is_used():
    matrix, gamma = SPACES["ProPhoto RGB"]
    long = matrix_profile(matrix, gamma) + np.random.default_rng(0).bytes(2 << 20)
    long = struct.pack(">I", len(long)) + long[4:]
    notes = []
    read = read_picture(encoded(RGB, icc_profile=long), notes)
    assert off(read, by_numpy(RGB, matrix, gamma)) <= 2 and not notes


def test_a_profile_tag_of_another_type_is_a_broken_profile():
    image = Image.fromarray(RGB)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[TiffImagePlugin.ICCPROFILE] = 7
    tags.tagtype[TiffImagePlugin.ICCPROFILE] = 3
    notes = []
    read = read_picture(encoded(image, "TIFF", tiffinfo=tags), notes)
    assert np.array_equal(read, RGB) and "profile is broken" in notes[0]


def test_a_profile_that_is_hostile_takes_no_time():
    rng = np.random.default_rng(0)
    begun = time.monotonic()
    for number in range(60):
        data = bytearray(SRGB_BYTES if number % 2 else cmyk_profile())
        for at in rng.integers(0, len(data), 12):
            data[at] = rng.integers(0, 256)
        image = Image.fromarray(RGB).convert("RGB" if number % 2 else "CMYK")
        assert read_picture(encoded(image, "TIFF", icc_profile=bytes(data))).shape == RGB.shape
    notes = []
    huge = encoded(RGB, "TIFF", icc_profile=SRGB_BYTES + bytes(5 << 20))
    assert np.array_equal(read_picture(huge, notes), RGB) and "bytes and is not used" in notes[0]
    assert time.monotonic() - begun < 20
