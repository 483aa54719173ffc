"""What pictures say of their colours without a profile: converted, left, or told of."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, features

from fgbg.transforms.pixels import icc
from fgbg.transforms.pixels.pictures import read_picture
from tests.helpers import png_files
from tests.helpers.colour_profiles import (
    ADOBE,
    D65,
    P3,
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

PHOTO = photo(7, 64, 48)
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))


def png(pixels, *chunks, depth=8, colour=png_files.RGB):
    samples = pixels.astype(int).reshape(*pixels.shape[:2], -1)
    return png_files.write(samples, depth, colour, chunks=chunks)


def read(data):
    notes = []
    return read_picture(data, notes), notes


def light_of_srgb(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def meant(values, primaries, light):
    """8-bit sRGB of values 0..1 in a space of these primaries, D65, and this curve."""
    to_srgb = np.linalg.inv(colorants(SRGB, D65)) @ colorants(primaries, D65)
    return np.rint(srgb_curve(light(values) @ to_srgb.T) * 255)


# --- PNG: gAMA and cHRM ------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [1.0, 0.7, 0.55, 0.35, 1 / 1.8])
def test_a_png_of_another_gamma_becomes_srgb(stored):
    found, notes = read(png(PHOTO, png_files.gamma(stored)))
    expected = meant(PHOTO / 255, SRGB, lambda v: v ** (1 / stored))
    assert off(found, expected) <= 2 and off(PHOTO, expected) > 10 and not notes


@pytest.mark.parametrize("space", ["Display P3", "Adobe RGB"])
def test_a_png_of_other_primaries_becomes_srgb(space):
    primaries = {"Display P3": P3, "Adobe RGB": ADOBE}[space]
    where = png_files.chromaticities(D65, primaries)
    found, notes = read(png(PHOTO, png_files.gamma(1 / 2.2), where))
    expected = meant(PHOTO / 255, primaries, lambda v: v**2.2)
    assert off(found, expected) <= 2 and off(PHOTO, expected) > 10 and not notes
    # Without a gamma, the curve is that of sRGB.
    found, notes = read(png(PHOTO, where))
    assert off(found, meant(PHOTO / 255, primaries, light_of_srgb)) <= 2 and not notes


SAME = {
    "gamma": [png_files.gamma(0.45455)],
    "gamma, rounded": [png_files.gamma(0.45)],
    "gamma and primaries": [png_files.gamma(0.45455), png_files.chromaticities(D65, SRGB)],
    "primaries": [png_files.chromaticities(D65, SRGB)],
    "sRGB": [png_files.named_srgb(), png_files.gamma(1.0), png_files.chromaticities(D65, P3)],
    "iCCP": [png_files.profile(SRGB_BYTES), png_files.gamma(1.0)],
    "cICP": [png_files.code_points(1, 13), png_files.gamma(1.0)],
    "cICP of video": [png_files.code_points(1, 1), png_files.gamma(0.51)],
    "cICP that says nothing": [png_files.code_points(2, 2)],
    "cICP before iCCP": [
        png_files.code_points(1, 13),
        png_files.profile(matrix_profile(*SPACES["ProPhoto RGB"])),
    ],
}


@pytest.mark.parametrize("name", SAME)
def test_what_is_srgb_in_other_words_changes_no_byte(name):
    found, notes = read(png(PHOTO, *SAME[name]))
    assert np.array_equal(found, PHOTO) and not notes


BROKEN = {
    "gAMA of 0": [png_files.chunk(b"gAMA", bytes(4))],
    "gAMA of one part": [png_files.chunk(b"gAMA", struct.pack(">I", 1))],
    "gAMA too short": [png_files.chunk(b"gAMA", b"\0\1")],
    "cHRM too short": [png_files.chunk(b"cHRM", bytes(31))],
    "cHRM of zeros": [png_files.chunk(b"cHRM", bytes(32))],
    "cHRM beyond 1": [png_files.chunk(b"cHRM", b"\xff" * 32)],
    "cHRM on a line": [png_files.chromaticities(D65, ((0.1, 0.1), (0.2, 0.2), (0.3, 0.3)))],
    "cICP too short": [png_files.chunk(b"cICP", b"\1")],
    "cICP unknown": [png_files.code_points(77, 13)],
    "cICP of a narrow range": [png_files.code_points(1, 13, 0, 0)],
    "cICP of PQ": [png_files.code_points(9, 16)],
    "cICP of HLG": [png_files.code_points(9, 18)],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_converted_is_said(name):
    found, notes = read(png(PHOTO, *BROKEN[name]))
    assert np.array_equal(found, PHOTO)
    assert len(notes) == 1 and name.partition(" ")[0] in notes[0].replace("HDR", "cICP")


# --- PNG: cICP ---------------------------------------------------------------------------------

CODE_POINTS = {
    (12, 13): (P3, light_of_srgb),
    (9, 13): (BT2020, light_of_srgb),
    (1, 8): (SRGB, lambda v: v),
    (1, 4): (SRGB, lambda v: v**2.2),
}


@pytest.mark.parametrize("points", CODE_POINTS)
def test_code_points_of_video_become_srgb(points):
    primaries, light = CODE_POINTS[points]
    # The first that is there counts.
    found, notes = read(png(PHOTO, png_files.code_points(*points), png_files.gamma(0.3)))
    # 8 bits of linear light are coarse in the dark.
    assert off(found, meant(PHOTO / 255, primaries, light)) <= 3 and not notes


def test_a_profile_counts_where_code_points_are_of_hdr():
    chunks = [png_files.code_points(9, 16), png_files.profile(matrix_profile(*SPACES["Adobe RGB"]))]
    found, notes = read(png(PHOTO, *chunks))
    assert off(found, by_numpy(PHOTO, *SPACES["Adobe RGB"])) <= 2
    assert len(notes) == 1 and "PQ" in notes[0]


def test_code_points_of_avif_become_srgb():
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    data = encoded(PHOTO, "AVIF", quality=100, subsampling="4:4:4", speed=10)
    plain, _ = read(data)
    at = data.index(b"colrnclx") + 8
    assert data[at : at + 4] == bytes((0, 1, 0, 13))
    found, notes = read(data[:at] + bytes((0, 12, 0, 13)) + data[at + 4 :])
    assert off(found, meant(plain / 255, P3, light_of_srgb)) <= 2 and not notes
    for points in ((1, 1), (2, 2)):
        found, notes = read(data[:at] + bytes((0, points[0], 0, points[1])) + data[at + 4 :])
        assert np.array_equal(found, plain) and not notes
    found, notes = read(data[:at] + bytes((0, 9, 0, 16)) + data[at + 4 :])
    assert np.array_equal(found, plain) and len(notes) == 1 and "HDR (PQ)" in notes[0]
    found, notes = read(data[:at] + bytes((0, 99, 0, 13)) + data[at + 4 :])
    assert np.array_equal(found, plain) and len(notes) == 1 and "(99, 13)" in notes[0]


# --- EXIF --------------------------------------------------------------------------------------


def exif(space, index=None):
    made = Image.Exif()
    made[0x8769] = {0xA001: space, **({0xA005: {1: index}} if index else {})}
    whole = Image.Exif()
    whole.load(made.tobytes())
    return whole


LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}}


@pytest.mark.parametrize(
    ("kind", "space", "index"),
    # Pillow writes no index into a TIFF.
    [*((kind, 2, None) for kind in LOSSLESS), ("PNG", 0xFFFF, "R03"), ("WEBP", 0xFFFF, "R03")],
)
def test_adobe_rgb_by_exif_becomes_srgb(kind, space, index):
    found, notes = read(encoded(PHOTO, kind, exif=exif(space, index), **LOSSLESS[kind]))
    expected = by_numpy(PHOTO, *SPACES["Adobe RGB"])
    assert off(found, expected) <= 2 and off(PHOTO, expected) > 20 and not notes


def test_what_exif_says_of_others():
    for space, index in ((1, None), (1, "R98"), (0xFFFF, None), (0xFFFF, "R98"), (77, None)):
        found, notes = read(encoded(PHOTO, "PNG", exif=exif(space, index)))
        assert np.array_equal(found, PHOTO)
        assert [("taken for sRGB" in note) for note in notes] == [True] * (space == 0xFFFF)
    # A profile is more than EXIF says, and so is sRGB by name.
    icc_profile = matrix_profile(*SPACES["Display P3"])
    found, notes = read(encoded(PHOTO, "PNG", exif=exif(2), icc_profile=icc_profile))
    assert off(found, by_numpy(PHOTO, *SPACES["Display P3"])) <= 2 and not notes
    data = png(PHOTO, png_files.named_srgb(), png_files.chunk(b"eXIf", exif(2).tobytes()[6:]))
    assert np.array_equal(read(data)[0], PHOTO)
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).convert("CMYK").save(buffer, "JPEG", exif=exif(2))
    assert not read(buffer.getvalue())[1]


# --- 16 bits -----------------------------------------------------------------------------------

DARK = np.linspace(0, 3000, 64 * 48).reshape(48, 64)


def dark_rgb():
    """Shades of linear light that 8 bits hardly have."""
    return np.stack((DARK, DARK[::-1], DARK[:, ::-1]), axis=-1).astype(np.uint16)


def test_dark_tones_of_16_bits_are_converted_before_they_are_cut_off():
    linear = matrix_profile(*SPACES["linear sRGB"])
    expected = np.rint(srgb_curve(dark_rgb() / 65535) * 255)
    for name, chunks in (
        ("iCCP", [png_files.profile(linear)]),
        ("gAMA", [png_files.gamma(1.0)]),
        ("cICP", [png_files.code_points(1, 8)]),
    ):
        found, notes = read(png(dark_rgb(), *chunks, depth=16))
        assert off(found, expected) <= 1 and not notes, name
        assert len(np.unique(found)) > 50  # of 8 bits there are twelve
    grey = dark_rgb()[..., 0]
    of_grey = profile(b"GRAY", {b"kTRC": gamma_curve(1.0)})
    for chunks in ([png_files.profile(of_grey)], [png_files.gamma(1.0)]):
        found, notes = read(png(grey, *chunks, depth=16, colour=png_files.GREY))
        assert off(found[..., 1], expected[..., 0]) <= 1 and not notes


def test_alpha_of_16_bits_stays_and_turning_goes_along():
    rgb, alpha = dark_rgb(), (DARK * 21).astype(np.uint16)
    turned = Image.Exif()
    turned[0x0112] = 6
    rgba = np.dstack((rgb, alpha))
    chunks = [png_files.gamma(1.0), png_files.chunk(b"eXIf", turned.tobytes()[6:])]
    found, _ = read(png(rgba, *chunks, depth=16, colour=png_files.RGBA))
    expected = np.dstack((np.rint(srgb_curve(rgb / 65535) * 255), alpha >> 8))
    assert off(found, np.rot90(expected, -1)) <= 1
    both = np.dstack((rgb[..., 0], alpha))
    found, _ = read(png(both, png_files.gamma(1.0), depth=16, colour=png_files.GREY_ALPHA))
    assert off(found, np.dstack((expected[..., [0, 0, 0]], alpha >> 8))) <= 1


@pytest.mark.parametrize("space", SPACES)
def test_shapers_do_what_littlecms_does(space):
    matrix, gamma = SPACES[space]
    shaper = icc.read_shaper(matrix_profile(matrix, gamma))
    deep = PHOTO.astype(np.uint16) * 257
    assert off(shaper.to_srgb(deep), by_numpy(PHOTO, matrix, gamma)) <= 1
    every = np.random.default_rng(0).integers(0, 65536, (99, 3))
    expected = by_numpy(every / 257, matrix, gamma)
    assert off(shaper.to_srgb(every.astype(np.uint16)), expected) <= 1
    made = icc.make(P3, D65, icc.SRGB_CURVE)
    assert off(icc.read_shaper(made).to_srgb(deep), meant(PHOTO / 255, P3, light_of_srgb)) <= 1


def test_profiles_that_are_no_shapers_are_told():
    table = matrix_profile(*SPACES["Adobe RGB"]).replace(b"cprt", b"A2B0")
    for data in (b"", SRGB_BYTES[:200], cmyk_profile(), table, bytes(500)):
        assert icc.read_shaper(data) is None
    assert icc.read_shaper(SRGB_BYTES) is not None
    # Read in 8 bits then, by LittleCMS or not at all, but read.
    notes = []
    data = png(dark_rgb(), png_files.profile(table), depth=16)
    assert read_picture(data, notes).shape == (48, 64, 3)
