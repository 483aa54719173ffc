"""Pictures as another decoder reads them: libvips (pyvips), and OpenCV where libvips does not.

libvips reads PNG by libspng, JPEG by a libjpeg-turbo of its own, AVIF by libheif, GIF by libnsgif:
nothing of Pillow. What a PNG says of its colours without a profile is computed by NumPy, from the
definitions.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import cv2
import numpy as np

from fgbg.transforms.pixels.picture_error import PictureError
from fgbg.transforms.pixels.pictures import read_picture
from tests.helpers.colour_profiles import D65, SRGB, colorants, srgb_curve

# BMP, PPM, JPEG 2000 and Sun's raster, of which libvips' wheel has no readers.
_READ_BY_OPENCV = (b"BM", b"P", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51", b"\x59\xa6\x6a\x95")
SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Decoded(NamedTuple):
    """What it reads.

    Attributes:
        pixels: uint8 [height, width, 3 or 4], RGB or RGBA in sRGB.
        tolerance: Levels by which another reader may differ, at most and in the mean.
        how: The decoder, and what the picture is for it.
    """

    pixels: np.ndarray
    tolerance: tuple[int, float]
    how: str


def decode(data: bytes) -> Decoded | None:
    """A picture; None where neither reads it, or neither says what it means in sRGB."""
    pyvips: Any = __import__("pyvips")
    try:
        image = pyvips.Image.new_from_buffer(data, "", access="random")
        return _by_vips(image.autorot(), data, pyvips)
    except pyvips.Error:
        return _by_opencv(data)


def _by_vips(image: Any, data: bytes, pyvips: Any) -> Decoded | None:
    loader = image.get("vips-loader").removesuffix("_buffer")
    deep = image.format in ("ushort", "short")
    how = f"{loader}, {image.interpretation}, {image.bands} x {image.format}"
    if image.format not in ("uchar", "ushort"):
        return None
    embedded = image.get_typeof("icc-profile-data") != 0
    if image.interpretation == "cmyk" and not embedded:
        return None  # libvips takes a profile of its own
    meant = None if embedded else _light_of(data)
    if embedded:
        try:
            image = image.icc_transform(
                "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=8
            )
            how += ", by its profile"
        except pyvips.Error:
            embedded = False
    values = image.numpy() if meant else image.colourspace("srgb").cast("uchar").numpy()
    values = values[..., None] if values.ndim == 2 else values
    if values.shape[2] < 3:
        values = values[..., [0, 0, 0, 1][: 2 + values.shape[2]]]
    if meant:
        most = np.iinfo(values.dtype).max
        seen = np.rint(srgb_curve(meant(values[..., :3] / most)) * 255)
        alpha = values[..., 3:] // (257 if most > 255 else 1)
        values, how = np.concatenate((seen, alpha), axis=2).astype(np.uint8), f"{how}, by its gamma"
    return Decoded(values, _tolerance(loader, deep, embedded or meant is not None, data), how)


def _tolerance(loader: str, deep: bool, converted: bool, data: bytes) -> tuple[int, float]:
    if loader == "heifload":  # chroma is enlarged by another filter
        return 64, 8.0
    if loader == "jpegload" or (loader == "webpload" and b"VP8L" not in data[:64]):
        return 6, 0.8
    if loader == "tiffload" and b"\xff\xd8\xff" in data:  # JPEG inside
        return 6, 0.8
    if converted:  # LittleCMS has fixed-point numbers in the dark, where fgbg has none
        return (12, 1.0) if deep else (3, 1.0)
    return (1, 1.0) if deep else (0, 0.0)


def _light_of(data: bytes) -> Any:
    """From values 0..1 to linear sRGB, by what a PNG says; None where that is sRGB itself."""
    chunks = _chunks(data)
    if b"sRGB" in chunks or b"cICP" in chunks or not {b"gAMA", b"cHRM"} & set(chunks):
        return None
    stored = struct.unpack(">I", chunks[b"gAMA"])[0] if b"gAMA" in chunks else 45455
    points = [v / 1e5 for v in struct.unpack(">8I", chunks[b"cHRM"])] if b"cHRM" in chunks else []
    white, *primaries = list(zip(points[::2], points[1::2], strict=True)) or (D65, *SRGB)
    usual = np.abs(np.array((white, *primaries)) - np.array((D65, *SRGB))).max() < 0.002
    if abs(stored / 45455 - 1) <= 0.05 and usual:
        return None
    matrix = np.linalg.inv(colorants(SRGB, D65)) @ colorants(primaries, white)
    return lambda values: values ** (1e5 / stored) @ matrix.T


def _chunks(data: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    while data.startswith(SIGNATURE) and at + 12 <= len(data) and b"IDAT" not in found:
        length, kind = struct.unpack_from(">I4s", data, at)
        found[kind] = data[at + 8 : at + 8 + length]
        at += 12 + length
    return found


def _by_opencv(data: bytes) -> Decoded | None:
    if not data.startswith(
        (b"BM", b"P", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51", b"\x59\xa6\x6a\x95")
    ):
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        return None
    deep = image.dtype == np.uint16
    if deep:
        image = np.rint(image / 257).astype(np.uint8)
    image = image[..., None].repeat(3, 2) if image.ndim == 2 else image
    order = [2, 1, 0, 3][: image.shape[2]]
    lossy = data[4:6] == b"jP" or data.startswith(b"\xff\x4f")
    return Decoded(image[..., order], (2, 1.0) if lossy or deep else (0, 0.0), "OpenCV")


SAME, NEAR, DIFFERENT, ALONE, REFUSED = "same", "near", "different", "alone", "refused"


class Verdict(NamedTuple):
    """What comes of a picture that both read.

    Attributes:
        kind: SAME, NEAR (within the tolerance), DIFFERENT, ALONE (the other does not read it) or
            REFUSED.
        words: In how much they differ, or why it is refused.
        notes: What is said of it though it is read.
        other: Whether the other reads it.
    """

    kind: str
    words: str
    notes: list[str]
    other: bool


def compare(data: bytes) -> Verdict:
    """Reads a picture by fgbg's one reader and by the other decoder."""
    notes: list[str] = []
    other = decode(data)
    try:
        ours = read_picture(data, notes)
    except PictureError as error:
        return Verdict(REFUSED, str(error), notes, other is not None)
    if other is None:
        return Verdict(ALONE, f"{ours.shape}", notes, False)
    theirs = other.pixels
    if ours.shape[:2] != theirs.shape[:2]:
        return Verdict(DIFFERENT, f"{ours.shape}, not {theirs.shape} ({other.how})", notes, True)
    if ours.shape[2] != theirs.shape[2]:
        # Alpha that is opaque everywhere is none.
        if min(a[..., 3].min() for a in (ours, theirs) if a.shape[2] == 4) < 255:
            words = f"{ours.shape}, not {theirs.shape} ({other.how})"
            return Verdict(DIFFERENT, words, notes, True)
        ours, theirs = ours[..., :3], theirs[..., :3]
    off = np.abs(ours.astype(int) - theirs)
    if ours.shape[2] == 4:  # the colour of what is clear is nobody's matter
        off[..., :3][(ours[..., 3] == 0) & (theirs[..., 3] == 0)] = 0
    most, mean = int(off.max(initial=0)), float(off.mean())
    words = f"off by {most} at most, {mean:.3f} in the mean ({other.how})"
    if most > other.tolerance[0] or mean > other.tolerance[1]:
        return Verdict(DIFFERENT, words, notes, True)
    return Verdict(NEAR if most else SAME, words, notes, True)
