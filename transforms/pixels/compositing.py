"""Exact compositing of one work unit: plain arrays in, plain arrays out.

out = (foreground * alpha + background * (255 - alpha)) / 255, rounded to nearest, in integers
(the "over" operator of Porter and Duff, SIGGRAPH 1984, on an opaque background). It is done at
canvas size and then reduced to the stored size by the mean over each pixel's area. Where canvas
and size have an integer ratio, only the foreground's box is blended and reduced, which gives the
same pixels as doing it with the whole picture, and only that box is handed on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models.resizing import resize
from fgbg.transforms.pixels.pictures import Array, resize_cutout
from fgbg.transforms.pixels.placement import Box

MASK_THRESHOLD = 128


@dataclasses.dataclass(frozen=True, eq=False)  # compared as objects, for caches to go by them
class Background:
    """A background, ready to be composed on.

    Attributes:
        canvas: uint8 BGR [canvas height, canvas width, 3].
        stored: The same at stored size.
        sums: float64 [2, 3]: sums and sums of squares of `stored` per channel (B, G, R).
    """

    canvas: Array
    stored: Array
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, canvas: Array, size: tuple[int, int]) -> Background:
        """Prepares a canvas for a stored size (width, height)."""
        stored = resize(canvas, size)
        return cls(canvas, stored, channel_sums(stored))


class Part(NamedTuple):
    """What a sample shows where it is not its background, and its mask there.

    Attributes:
        box: The foreground's box in whole stored pixels, inside of the picture.
        overlay: uint8 BGR [box.height, box.width, 3].
        mask: uint8 [box.height, box.width], 0 or 255; 0 outside of the box. Samples whose cut-out
            meets the stored pixels in the same way have the same array.
        extents: intp [2, box.height]: in each row, the first column of the box that is not quite
            its background and the one after the last, so that all others need no encoding; empty
            (first at or after last) where the whole row is. None: unknown.
    """

    box: Box
    overlay: Array
    mask: Array
    extents: NDArray[np.intp] | None


@dataclasses.dataclass(frozen=True)
class Composed:
    """The K samples of a unit.

    Attributes:
        background: What they show around their parts.
        parts: The parts.
        canvases: uint8 BGR [K, canvas height, canvas width, 3], for the depth network, or None.
        boxes: Tight box of each mask in stored pixels; all zero where the mask is empty.
        areas: Number of mask pixels of each sample.
        sums: float64 [2, 3]: sums and sums of squares over all overlays per channel (B, G, R).
            Exact: integers below 2**53.
    """

    background: Background
    parts: list[Part]
    canvases: Array | None
    boxes: list[Box]
    areas: list[int]
    sums: NDArray[np.float64]

    @property
    def overlays(self) -> Array:
        """Whole pictures, made when asked for: uint8 BGR [K, height, width, 3], stored size."""
        overlays = np.empty((len(self.parts), *self.background.stored.shape), np.uint8)
        overlays[:] = self.background.stored
        for overlay, part in zip(overlays, self.parts, strict=True):
            overlay[inside(part.box)] = part.overlay
        return overlays

    @property
    def masks(self) -> Array:
        """Likewise: uint8 [K, height, width], 0 or 255."""
        masks = np.zeros((len(self.parts), *self.background.stored.shape[:2]), np.uint8)
        for mask, part in zip(masks, self.parts, strict=True):
            mask[inside(part.box)] = part.mask
        return masks


def inside(box: Box) -> tuple[slice, slice]:
    """The index of a box in a picture."""
    return np.s_[box.y : box.y + box.height, box.x : box.x + box.width]


def scale_foreground(bgra: Array, size: tuple[int, int], mirrored: bool) -> Array:
    """The foreground as it is placed: scaled, then mirrored left-right if asked.

    Args:
        bgra: uint8 [height, width, 4].
        size: Width and height on the canvas.
        mirrored: Whether to mirror it; the mirror image is exactly that of the scaled cut-out.
    """
    scaled = resize_cutout(bgra, size)
    return np.ascontiguousarray(scaled[:, ::-1]) if mirrored else scaled


def blend(background: Array, foreground: Array) -> Array:
    """Puts a cut-out over a background of the same size.

    Args:
        background: uint8 [height, width, 3].
        foreground: uint8 [height, width, 4]; alpha last.

    Returns:
        uint8 [height, width, 3]: round((f * a + b * (255 - a)) / 255).
    """
    return _blend(background, *_weigh(foreground))


def _weigh(foreground: Array) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """What of the blend does not depend on the background: f * a, and 255 - a."""
    # Alpha is repeated for every channel: equal shapes are multiplied 20 times faster.
    opacity = cv2.extractChannel(foreground, 3)
    alpha = cv2.merge((opacity, opacity, opacity))
    colours = cv2.cvtColor(foreground, cv2.COLOR_BGRA2BGR)
    weighted = cv2.multiply(colours, alpha, dtype=cv2.CV_16U)
    return weighted, cv2.bitwise_not(alpha).astype(np.uint16)


def _blend(background: Array, weighted: NDArray[np.uint16], rest: NDArray[np.uint16]) -> Array:
    total = background * rest
    total += weighted
    # OpenCV multiplies in float32 and rounds to nearest. That is exact: 255 is odd, so that sum /
    # 255 is never nearer than 1 / 510 to the middle of two integers, and float32 is 100 times finer
    # below 255 (a test goes through all sums).
    return cv2.convertScaleAbs(total, alpha=1 / 255)


def channel_sums(bgr: Array) -> NDArray[np.float64]:
    """Sums and sums of squares per channel: float64 [2, 3], exact for pictures below 2**37 px."""
    squares = bgr.astype(np.uint16)
    squares *= squares
    return np.array((cv2.sumElems(bgr)[:3], cv2.sumElems(squares)[:3]))


class _Cover(NamedTuple):
    """What a cut-out covers, relative to the stored pixels that it touches.

    Attributes:
        mask: uint8 [height, width], 0 or 255.
        tight: The mask's tight box; zeros if it is empty.
        area: Pixels of the mask.
        extents: As in `Part`.
    """

    mask: Array
    tight: Box
    area: int
    extents: NDArray[np.intp] | None


def compose_unit(
    background: Background,
    foregrounds: Array | Sequence[Array],
    placements: list[Box],
    size: tuple[int, int],
    keep_canvases: bool,
) -> Composed:
    """Composes all samples of a unit.

    Args:
        background: What is under the foreground.
        foregrounds: uint8 BGRA [h, w, 4] from `scale_foreground`, for each placement and as large
            as it; or one for all. What several placements share is weighed once.
        placements: The foreground's boxes in canvas pixels; they may be truncated.
        size: Width and height stored.
        keep_canvases: Whether the composed canvases are wanted (for the depth network).
    """
    count = len(placements)
    canvas_height, canvas_width = background.canvas.shape[:2]
    step_x, step_y = _ratio((canvas_width, canvas_height), size)
    canvases = None
    if keep_canvases:
        canvases = np.empty((count, *background.canvas.shape), np.uint8)
        canvases[:] = background.canvas
    parts, boxes, areas = [], [], []
    sums = count * background.sums
    if isinstance(foregrounds, np.ndarray):
        foregrounds = [foregrounds] * count
    # Compared by identity: samples of one size have the same array.
    distinct = {id(foreground): foreground for foreground in foregrounds}
    weighed = {k: (*_weigh(f), np.ascontiguousarray(f[..., 3])) for k, f in distinct.items()}
    # What is covered depends on the place only by what is cut off and by where the cut-out's edge
    # falls inside of a stored pixel: most samples of one size share it.
    covers: dict[tuple[int, ...], _Cover] = {}
    for k, (place, foreground) in enumerate(zip(placements, foregrounds, strict=True)):
        weighted, rest, alpha = weighed[id(foreground)]
        # The part of the foreground inside the picture, in canvas and in foreground pixels.
        left, top = max(place.x, 0), max(place.y, 0)
        right = min(place.x + place.width, canvas_width)
        bottom = min(place.y + place.height, canvas_height)
        part = np.s_[top - place.y : bottom - place.y, left - place.x : right - place.x]
        blended = _blend(background.canvas[top:bottom, left:right], weighted[part], rest[part])
        if canvases is not None:
            canvases[k, top:bottom, left:right] = blended
        # The same in whole stored pixels.
        x0, y0 = left // step_x, top // step_y
        x1, y1 = -(-right // step_x), -(-bottom // step_y)
        outer = np.s_[y0 * step_y : y1 * step_y, x0 * step_x : x1 * step_x]
        above, before = top - y0 * step_y, left - x0 * step_x
        inner = np.s_[above : above + bottom - top, before : before + right - left]
        touched = blended
        if touched.shape != background.canvas[outer].shape:
            touched = background.canvas[outer].copy()
            touched[inner] = blended
        if step_x == canvas_width:  # no integer ratio: the whole picture is one block
            x1, y1 = size
        box = Box(x0, y0, x1 - x0, y1 - y0)
        overlay = resize(touched, (box.width, box.height))
        shown = (top - place.y, left - place.x, bottom - top, right - left)
        key = (id(foreground), *shown, above, before)
        # Without a ratio `above` and `before` are the place itself.
        cover = covers.get(key)
        if cover is None:
            opacity = np.zeros(touched.shape[:2], np.uint8)
            opacity[inner] = alpha[part]
            cover = covers[key] = _cover(opacity, (box.width, box.height))
        sums = sums + channel_sums(overlay) - channel_sums(background.stored[inside(box)])
        parts.append(Part(box, overlay, cover.mask, cover.extents))
        areas.append(cover.area)
        x, y, width, height = cover.tight
        boxes.append(Box(x0 + x, y0 + y, width, height) if width else Box(0, 0, 0, 0))
    return Composed(background, parts, canvases, boxes, areas, sums)


def _cover(opacity: Array, size: tuple[int, int]) -> _Cover:
    """What is covered of a box of whole stored pixels.

    Args:
        opacity: uint8 [h, w], alpha in canvas pixels.
        size: Width and height of the box in stored pixels.
    """
    reduced = resize(opacity, size)
    mask = cv2.threshold(reduced, MASK_THRESHOLD - 1, 255, cv2.THRESH_BINARY)[1]
    tight = Box(*cv2.boundingRect(mask))
    return _Cover(mask, tight, cv2.countNonZero(mask), _extents(opacity, size))


def _extents(opacity: Array, size: tuple[int, int]) -> NDArray[np.intp] | None:
    """As in `Part`; None where a stored pixel is no whole number of canvas pixels."""
    height, width = opacity.shape
    if width % size[0] or height % size[1]:
        return None
    # Not from the reduced alpha: a faint pixel may be rounded away there and still change colours.
    step_x, step_y = width // size[0], height // size[1]
    rows = opacity[::step_y]
    for row in range(1, step_y):
        rows = cv2.max(rows, opacity[row::step_y])
    shown = cv2.threshold(rows, 0, 1, cv2.THRESH_BINARY)[1]
    visible = shown.view(np.bool_)
    first, behind = visible.argmax(axis=1), width - cv2.flip(shown, 1).view(np.bool_).argmax(axis=1)
    hidden = ~visible[np.arange(len(visible)), first]
    first[hidden], behind[hidden] = width, 0
    return np.stack((first // step_x, -(-behind // step_x)))


def _ratio(canvas: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Canvas pixels in one stored pixel each way, or the whole canvas if not an integer."""
    if canvas[0] % size[0] or canvas[1] % size[1]:
        return canvas
    return canvas[0] // size[0], canvas[1] // size[1]
