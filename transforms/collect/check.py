"""Is this body a picture, and one to be kept? Decoded, measured and encoded anew.

Encoding anew drops all metadata (places, names, embedded programs) and whatever follows the
picture in its file. Only formats of photos are decoded: Pillow reads some by calling other
programs, and those are no matter for a stranger's file.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fgbg.transforms.collect.candidate import Checks
from fgbg.transforms.pixels import codec, decoders, png_chunks
from fgbg.transforms.pixels.pictures import Array, PictureError, read_picture

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
# Grey levels. A wall of one colour with JPEG noise stays below, a foggy landscape is above.
_LEAST_DEVIATION = 4.0
# Share of the usual colour, give or take so many levels, from which on a picture is blank but for
# a caption.
_MOST_OF_ONE_COLOUR, _NEAR_COLOUR = 0.985, 8
_SMALL = 32
# Bits of 64 that may differ. Re-encoding and scaling change 0 to 6 bits of either hash; different
# photos differ in about 32 (tests/transforms/collect/test_check.py measures both).
_NEAR_DCT, _NEAR_GRADIENT = 10, 12
# Of 255; re-encoding changes 3 at most.
_NEAR_CHROMA = 14


@dataclasses.dataclass(frozen=True)
class Checked:
    """A picture that passed.

    Attributes:
        encoded: Its file: JPEG, or PNG if parts of it are transparent.
        ending: "jpg" or "png".
        width: Upright.
        height: Upright.
        hashes: Its perceptual hashes: see perceptual_hashes.
        notes: What is to be said of it though it passed.
    """

    encoded: bytes
    ending: str
    width: int
    height: int
    hashes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def check(data: bytes, checks: Checks, content_type: str = "") -> Checked:
    """Decodes, measures and encodes a body.

    Args:
        data: The body.
        checks: What a picture must be like.
        content_type: What the server called it, for the message only.

    Raises:
        PictureError: It is to be rejected; the message says why.
    """
    _check_header(data, checks, content_type)
    notes: list[str] = []
    image = read_picture(data, notes)
    height, width = image.shape[:2]
    problem = size_problem(width, height, checks)
    if problem:
        raise PictureError(problem)
    if image.shape[2] == 4 and int(image[..., 3].min()) == 255:
        image = np.ascontiguousarray(image[..., :3])
    problem = _blank_problem(image)
    if problem:
        raise PictureError(problem)
    hashes = perceptual_hashes(image)
    if image.shape[2] == 4:
        encoded = codec.encode(".png", cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA))
        return Checked(encoded, "png", width, height, hashes, tuple(notes))
    flags = [cv2.IMWRITE_JPEG_QUALITY, checks.jpeg_quality]
    encoded = codec.encode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
    return Checked(encoded, "jpg", width, height, hashes, tuple(notes))


def _check_header(data: bytes, checks: Checks, content_type: str) -> None:
    """The format and the number of pixels, before anything is decoded."""
    called = f" (the server called it {content_type[:60]!r})" if content_type else ""
    if not data:
        raise PictureError("an empty body")
    decoders.silence()
    try:
        width, height = _size(data)
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(f"more than {checks.max_pixels:,} pixels") from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged headers
        start = data[:512].lstrip().lower()
        if start.startswith((b"<!doctype", b"<html", b"<head", b"<body")):
            raise PictureError(f"an HTML page, not a picture{called}") from error
        if start.startswith((b"<svg", b"<?xml")):
            raise PictureError(f"a drawing or XML, not a photo{called}") from error
        raise PictureError(f"not a picture, or one of an unusual format{called}") from error
    if width * height > checks.max_pixels:
        raise PictureError(f"{width}x{height}: more than {checks.max_pixels:,} pixels")


def _size(data: bytes) -> tuple[int, int]:
    """Width and height, as the file has them; whatever a reader raises comes through."""
    try:
        with Image.open(decoders.Timed(data), formats=_FORMATS) as image:
            return image.size
    except Exception:
        rest = png_chunks.bare(data)
        if rest is None:
            raise
        with Image.open(decoders.Timed(rest), formats=_FORMATS) as image:
            return image.size


def size_problem(width: int, height: int, checks: Checks) -> str:
    """What is wrong with a size; "" if nothing is."""
    if min(width, height) < checks.min_side:
        return f"too small: {width}x{height}, the shorter side must be {checks.min_side} pixels"
    if checks.aspect is not None:
        least, greatest = checks.aspect
        if not least <= width / height <= greatest:
            return (
                f"wrong aspect: {width}x{height} is {width / height:.2f}, "
                f"{least:g} to {greatest:g} is asked for"
            )
    return ""


def _on_white(image: Array, size: tuple[int, int]) -> NDArray[np.float32]:
    """Mean colours [height, width, 3] at a size; transparency is put on white."""
    small = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    if image.shape[2] == 4:
        alpha = small[..., 3:] / 255
        small = small[..., :3] * alpha + 255 * (1 - alpha)
    return np.asarray(small, np.float32)


def _grey(image: Array, size: tuple[int, int]) -> NDArray[np.float32]:
    """Mean grey values [height, width] at a size; transparency is put on white."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(_on_white(image, size) @ weights, np.float32)


def _blank_problem(image: Array) -> str:
    if image.shape[2] == 4:
        if not image[..., 3].any():
            return "blank: it is transparent everywhere"
        # What is visible may well be of one colour: its outline is the picture.
        return ""
    colours = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    if float(max(colours[..., c].std() for c in range(3))) < _LEAST_DEVIATION:
        return "blank: all of it is of one colour"
    usual = np.median(colours, axis=(0, 1))
    near = np.abs(colours - usual).max(axis=2) <= _NEAR_COLOUR
    if near.mean() > _MOST_OF_ONE_COLOUR:
        return "blank: nearly all of it is of one colour"
    return ""


def perceptual_hashes(image: Array) -> tuple[str, ...]:
    """Three hashes of 64 bits that stay nearly the same when a picture is scaled or re-encoded.

    The first has the signs of the lowest frequencies of the cosine transform against their
    median, the second the signs of the differences of neighbours. Each alone takes some different
    pictures for equal (smooth ones the first, striped ones the second). The third has the mean
    colour (Cr and Cb, 8 bits each) of the picture's quarters: a red cup is not a blue one.

    Args:
        image: uint8 [height, width, 3 or 4].

    Returns:
        Each as 16 hex digits.
    """
    grey = _grey(image, (_SMALL, _SMALL))
    low = cv2.dct(grey)[:8, :8].ravel()
    # The first is the mean brightness, which says nothing of what is seen.
    by_frequency = low > np.median(low[1:])
    by_frequency[0] = False
    small = _grey(image, (9, 8))
    by_gradient = (small[:, 1:] > small[:, :-1]).ravel()
    quarters = np.rint(_on_white(image, (2, 2))).astype(np.uint8)
    colours = cv2.cvtColor(quarters, cv2.COLOR_RGB2YCrCb)[..., 1:]
    return _hex(by_frequency), _hex(by_gradient), colours.tobytes().hex()


def _hex(bits: NDArray[np.bool_]) -> str:
    return np.packbits(bits).tobytes().hex()


class Gallery:
    """The hashes of the pictures that are there, to find near-duplicates among."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._hashes: list[tuple[int, int, bytes]] = []

    def add(self, name: str, hashes: tuple[str, ...]) -> None:
        """Adds a picture."""
        self._names.append(name)
        self._hashes.append(_parsed(hashes))

    def like(self, hashes: tuple[str, ...]) -> str | None:
        """The name of the first picture that looks nearly the same, or None."""
        dct, gradient, colours = _parsed(hashes)
        for name, (other_dct, other_gradient, others) in zip(self._names, self._hashes):
            if (
                (dct ^ other_dct).bit_count() <= _NEAR_DCT
                and (gradient ^ other_gradient).bit_count() <= _NEAR_GRADIENT
                and max(abs(a - b) for a, b in zip(colours, others)) <= _NEAR_CHROMA
            ):
                return name
        return None


def _parsed(hashes: tuple[str, ...]) -> tuple[int, int, bytes]:
    return int(hashes[0], 16), int(hashes[1], 16), bytes.fromhex(hashes[2])
