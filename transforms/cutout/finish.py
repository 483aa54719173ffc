"""From what was found to a cut-out: soft edge, own colours, tight crop, and its measures."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.cutout import colours, matting, parts
from fgbg.transforms.cutout.found import Found, Rejected
from fgbg.transforms.pixels import visible
from fgbg.transforms.pixels.picture_error import PictureError

Floats = NDArray[np.float32]

# Beyond this longer side the matte is made smaller and follows the photo by a guided filter.
_MATTING_SIDE = 1280
_GUIDE_RADIUS, _GUIDE_EPSILON = 4, 1e-4
_LEAST_SHARE, _MOST_SHARE = 0.002, 0.95
_LEAST_PIXELS = 64
_VISIBLE, _OPAQUE = 128, 255


@dataclasses.dataclass(frozen=True)
class Measures:
    """What the report says of a cut-out.

    Attributes:
        coverage: Share of the photo that it covers, alpha counted as a share.
        softness: Share of its visible pixels that are neither opaque nor clear.
        touches: Borders of the photo that it touches: "", "bottom", "left right"...
        confidence: 0..1: intersection over union to be expected.
    """

    coverage: float
    softness: float
    touches: str
    confidence: float


@dataclasses.dataclass(frozen=True)
class CutOut:
    """A finished cut-out.

    Attributes:
        bgra: uint8 [height, width, 4], tight around what is visible.
        x: Where it lay in the photo.
        y: Likewise.
        measures: Of it.
        what: What it shows, where that is known.
        notes: What is to be said of it.
    """

    bgra: NDArray[np.uint8]
    x: int
    y: int
    measures: Measures
    what: str = ""
    notes: tuple[str, ...] = ()


def finish(bgr: NDArray[np.uint8], found: Found, refine: bool = True) -> CutOut:
    """Makes the cut-out.

    Args:
        bgr: uint8 [height, width, 3], the photo.
        found: What was found in it.
        refine: Whether the edge is made anew by matting; else `found.share` is alpha.

    Raises:
        Rejected: It is too small, or the whole picture.
    """
    mask = found.share >= 0.5
    _check_area(mask)
    if refine:
        mask = parts.fill_holes(mask)
        rows, columns = _around(mask)
        share = np.zeros(mask.shape, np.float32)
        share[rows, columns] = _matte(bgr[rows, columns], mask[rows, columns])
    else:
        share = np.clip(found.share, 0, 1)
    alpha = np.rint(share * 255).astype(np.uint8)
    if not (alpha >= _VISIBLE).any():
        raise Rejected("nothing found: no pixel of it is more than half opaque")
    x, y, width, height = cv2.boundingRect(alpha)
    rows, columns = _around(alpha > 0)
    estimated = bgr.copy()
    estimated[rows, columns] = _own_colours(bgr[rows, columns], alpha[rows, columns])
    bgra = np.dstack((estimated, alpha))[y : y + height, x : x + width]
    bgra = np.where(bgra[..., 3:] > 0, bgra, 0).astype(np.uint8)
    return CutOut(bgra, x, y, measure(alpha, found.confidence), found.what)


def keep(bgra: NDArray[np.uint8]) -> CutOut:
    """A picture that has alpha already: cropped, else as it is.

    Raises:
        Rejected: Its alpha can never give a true mask.
    """
    alpha = np.ascontiguousarray(bgra[..., 3])
    try:
        notes = visible.judge(bgra)
    except PictureError as error:
        raise Rejected(str(error)) from error
    (x, y, width, height), note = visible.visible_box(alpha)
    cropped = np.ascontiguousarray(bgra[y : y + height, x : x + width])
    said = (*notes, note) if note else tuple(notes)
    return CutOut(cropped, x, y, measure(alpha, 1.0), notes=said)


def measure(alpha: NDArray[np.uint8], confidence: float) -> Measures:
    """Measures a cut-out by its alpha, uint8 [height, width] of the photo's size."""
    visible = int((alpha > 0).sum())
    soft = int(((alpha > 5) & (alpha < 250)).sum())
    sides = {"top": alpha[0], "bottom": alpha[-1], "left": alpha[:, 0], "right": alpha[:, -1]}
    touches = " ".join(name for name, side in sides.items() if (side >= _VISIBLE).any())
    return Measures(
        round(float(alpha.mean()) / 255, 4),
        round(soft / max(visible, 1), 4),
        touches,
        round(confidence, 3),
    )


def _check_area(mask: NDArray[np.bool_]) -> None:
    area = int(mask.sum())
    if area < max(_LEAST_PIXELS, _LEAST_SHARE * mask.size):
        raise Rejected(f"nothing found: {area} of {mask.size} pixels stand out")
    if area > _MOST_SHARE * mask.size:
        raise Rejected(f"the whole picture: {area / mask.size:.0%} of it would be the cut-out")


def _around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The mask's box and as much around it as matting and colours look at."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    margin = 3 * matting.band_width(mask) + 8
    return (
        slice(max(0, y - margin), y + height + margin),
        slice(max(0, x - margin), x + width + margin),
    )


def _own_colours(bgr: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours without the background's; of a large photo the smooth ones at the edge reduced."""
    height, width = alpha.shape
    share = (alpha / 255).astype(np.float32)
    scale = _MATTING_SIDE / max(height, width)
    if scale >= 1:
        return colours.foreground_colours(np.ascontiguousarray(bgr), share)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    reduced = cv2.resize(share, size, interpolation=cv2.INTER_AREA)
    estimated = cv2.resize(
        colours.foreground_colours(small, reduced), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return np.where((alpha == _OPAQUE)[..., None], bgr, estimated)


def _matte(bgr: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Floats:
    height, width = mask.shape
    scale = _MATTING_SIDE / max(height, width)
    if scale >= 1:
        return matting.soft_alpha(np.ascontiguousarray(bgr), mask)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    reduced = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
    return follow(matting.soft_alpha(small, reduced), small, bgr)


def follow(alpha: Floats, small: NDArray[np.uint8], bgr: NDArray[np.uint8]) -> Floats:
    """Alpha of a reduced photo at full size, along the full photo's edges.

    The fast guided filter (He, Sun, "Fast Guided Filter", 2015) on lightness: alpha is locally a
    line in it, whose two numbers are enlarged instead of alpha.

    Args:
        alpha: float32 0..1 [h, w].
        small: uint8 [h, w, 3], the reduced photo.
        bgr: uint8 [height, width, 3], the photo.
    """

    def light(picture: NDArray[np.uint8]) -> Floats:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) / np.float32(255)

    guide = light(small)
    side = 2 * _GUIDE_RADIUS + 1

    def mean(values: Floats) -> Floats:
        return cv2.blur(values, (side, side))

    mean_guide, mean_alpha = mean(guide), mean(alpha)
    variance = mean(guide * guide) - mean_guide**2
    slope = (mean(guide * alpha) - mean_guide * mean_alpha) / (variance + _GUIDE_EPSILON)
    offset = mean_alpha - slope * mean_guide
    size = bgr.shape[1::-1]
    large_slope = cv2.resize(mean(slope), size, interpolation=cv2.INTER_LINEAR)
    large_offset = cv2.resize(mean(offset), size, interpolation=cv2.INTER_LINEAR)
    plain = cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR)
    followed = np.clip(large_slope * light(bgr) + large_offset, 0, 1)
    # Where alpha is plainly 0 or 1 the filter only adds noise.
    decided = (plain < 0.02) | (plain > 0.98)
    return np.where(decided, np.rint(plain), followed).astype(np.float32)
