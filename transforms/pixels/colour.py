"""Colours of a picture by its embedded profile: what is read is sRGB, whatever the file holds.

Phones write Display P3, cameras Adobe RGB, editors ProPhoto RGB: the same numbers mean other
colours there. The profile is applied by LittleCMS (Pillow's ImageCms), relative colorimetric with
the black point compensated, as browsers and editors do. A picture that is sRGB already, by no
profile or by one that does what sRGB does, is not touched: its bytes stay as they are in the file.
"""

from __future__ import annotations

import dataclasses
import functools
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from fgbg.transforms.pixels import icc

Array = NDArray[np.uint8]

# Profiles of presses have up to 3 MB; LittleCMS takes long only with more than that.
MOST_BYTES = 4 << 20
# Colours are described by these; links between devices and lists of named colours are not.
_CLASSES = ("scnr", "mntr", "prtr", "spac")
# Grey levels by which a profile may differ from sRGB and still be sRGB: rounding; and what
# the approximations of sRGB's curve differ by that call themselves sRGB.
_SAME, _SAME_BY_NAME = 2, 6
# A profile that maps the whole cube of colours to fewer levels than this is broken.
_LEAST_RANGE = 32
_STEPS = 17
# Of a picture of 16 bits that are converted at once.
_ROWS = 256
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC


@dataclasses.dataclass(frozen=True)
class Profile:
    """What an embedded profile does.

    Attributes:
        mode: Pillow's mode of the pictures that it is for: RGB, L or CMYK.
        transform: To sRGB; None where nothing is to be done.
        problem: Why it is not used; "" if nothing is wrong.
        data: The profile itself.
    """

    mode: str = "RGB"
    transform: Any = None
    problem: str = ""
    data: bytes = b""


def conversion(profile: bytes | None, mode: str) -> tuple[Profile | None, str]:
    """How a picture's colours become sRGB.

    Args:
        profile: The embedded profile; None where there is none.
        mode: Of the picture, in Pillow's words: RGB, L or CMYK.

    Returns:
        What `convert` and `convert_deep` take; None where colours stay as they are. And why the
        profile is not used, or "".
    """
    if profile is None:
        return None, ""
    if len(profile) > MOST_BYTES:
        return None, f"its colour profile has {len(profile):,} bytes and is not used"
    known = _profile(profile)
    # A grey picture may be in a space of colours: its red, green and blue are equal.
    if known.problem or known.mode == mode or (known.mode, mode) == ("RGB", "L"):
        return (None if known.transform is None else known), known.problem
    return None, f"its colour profile is for {known.mode}, the picture is {mode}: not used"


def convert(image: Image.Image, known: Profile) -> Image.Image:
    """A picture of mode RGB, L or CMYK in sRGB, by what `conversion` gave."""
    return _apply(image, known.transform)


def convert_deep(values: NDArray[np.uint16], known: Profile) -> Array | None:
    """Colours of 16 bits in sRGB, by what `conversion` gave.

    Args:
        values: uint16 [height, width], grey, or [height, width, 3], RGB.
        known: The profile.

    Returns:
        uint8 [height, width, 3]; None where the profile is one that only LittleCMS reads, and
        that in 8 bits.
    """
    if values.ndim == 2 or known.mode == "L":
        table = _grey_table(known)
        return None if table is None else table[values if values.ndim == 2 else values[..., 0]]
    shaper = _shaper(known.data)
    if shaper is None:
        return None
    converted = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), _ROWS):  # in parts: all at once takes a lot of memory
        converted[row : row + _ROWS] = shaper.to_srgb(values[row : row + _ROWS])
    return converted


@functools.lru_cache(maxsize=4)
def _grey_table(known: Profile) -> Array | None:
    """The sRGB of every grey value of 16 bits: uint8 [65536, 3]."""
    every = np.arange(65536, dtype=np.uint16)
    if known.mode == "RGB":
        shaper = _shaper(known.data)
        return None if shaper is None else shaper.to_srgb(every[:, None].repeat(3, 1))
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(known.data))
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(opened, srgb, "I;16", "RGB", _INTENT, flags)
        found = transform.apply(Image.fromarray(every.reshape(256, 256)))
    except Exception:  # as in _profile
        return None
    return np.asarray(found).reshape(-1, 3)


@functools.lru_cache(maxsize=4)
def _shaper(profile: bytes) -> icc.Shaper | None:
    return icc.read_shaper(profile)


def _apply(image: Image.Image, transform: Any) -> Image.Image:
    if transform.input_mode != image.mode:
        image = image.convert(transform.input_mode)
    return transform.apply(image)


def of_lab(image: Image.Image) -> Image.Image:
    """A picture of mode LAB in sRGB."""
    return _apply(image, _of_lab())


@functools.cache
def _of_lab() -> Any:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB", _INTENT)


@functools.lru_cache(maxsize=32)
def _profile(data: bytes) -> Profile:
    """Opens a profile and tries it; the pictures of a phone have the same one, time and again."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(data))
        described = opened.profile
        modes = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
        mode = modes.get(described.xcolor_space)
        if mode is None or described.device_class not in _CLASSES:
            return Profile(problem="its colour profile is of a kind that is not used for pictures")
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        if mode == "L":
            flags |= ImageCms.Flags.NOOPTIMIZE  # or a curve is 33 straight lines: 10 levels off
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            _INTENT,
            flags,
        )
        cube = _cube(mode)
        found = np.asarray(transform.apply(Image.fromarray(cube, mode))).astype(np.int16)
        name = described.profile_description or ""
    except Exception as error:  # LittleCMS says little, and Pillow passes it on in many kinds
        words = str(error) or type(error).__name__
        return Profile(problem=f"its colour profile is broken ({words}) and is not used")
    if int(np.ptp(found)) < _LEAST_RANGE:
        return Profile(problem="its colour profile is broken (all colours are one) and is not used")
    if mode == "CMYK":
        return Profile(mode, transform, data=data)
    as_read = cube if mode == "RGB" else cube[..., None].repeat(3, 2)
    difference = int(np.abs(found - as_read).max())
    named = name.strip().lower().startswith("srgb")
    if difference <= (_SAME_BY_NAME if named else _SAME):
        return Profile(mode)
    return Profile(mode, transform, data=data)


def _cube(mode: str) -> Array:
    """Colours of all kinds, as a picture."""
    if mode == "L":
        return np.arange(256, dtype=np.uint8)[None]
    levels = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    channels = len(mode)
    if mode == "CMYK":
        levels = levels[::4]
    grid = np.stack(np.meshgrid(*[levels] * channels, indexing="ij"), axis=-1)
    return np.ascontiguousarray(grid.reshape(len(levels), -1, channels))
