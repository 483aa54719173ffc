"""The files of a unit's overlays and masks, with work in proportion to the foreground.

They are, byte for byte, what pixels.coding.encode gives for whole pictures one by one.
"""

from __future__ import annotations

import functools
from weakref import WeakKeyDictionary

import numpy as np

from fgbg.transforms.job.job import Configuration
from fgbg.transforms.pixels import coding, png_mask
from fgbg.transforms.pixels.compositing import Background, Composed, inside
from fgbg.transforms.pixels.jpeg import splice as jpeg_splice
from fgbg.transforms.pixels.jpeg.splice import SplicedBackground
from fgbg.transforms.pixels.placement import Box

# Backgrounds as JPEG, by quality, kept as long as their pixels are.
_coded: WeakKeyDictionary[Background, dict[int, SplicedBackground]] = WeakKeyDictionary()


def encode_pixels(pixels: Composed, c: Configuration) -> dict[str, list[bytes]]:
    """The files of a unit, "overlay" and "mask", in the order of its samples.

    Args:
        pixels: The samples.
        c: The data set's configuration.
    """
    boxes = [part.box for part in pixels.parts]
    extents = [part.extents for part in pixels.parts]
    background = _coded_background(pixels.background, c.image_quality)
    overlays = jpeg_splice.encode(
        background, boxes, [part.overlay for part in pixels.parts], extents
    )
    if c.in_records:
        masks = _masks_as_png(pixels, coding.LABEL)
    elif c.mask_format == "png":
        masks = _masks_as_png(pixels, coding.PNG_MASK_VALUE)
    else:
        height, width = pixels.background.stored.shape[:2]
        blank = _coded_blank(width, height, coding.mask_quality(c))
        masks = jpeg_splice.encode(blank, boxes, [part.mask for part in pixels.parts], extents)
    return {"overlay": overlays, "mask": masks}


def _masks_as_png(pixels: Composed, value: int) -> list[bytes]:
    height, width = pixels.background.stored.shape[:2]
    shapes: dict[int, png_mask.Shape] = {}  # by the mask's array: samples share them
    files = []
    for part, tight in zip(pixels.parts, pixels.boxes, strict=True):
        shape = shapes.get(id(part.mask))
        if shape is None:
            x, y = tight.x - part.box.x, tight.y - part.box.y
            tight_mask = part.mask[:0, :0]
            if tight.width:
                tight_mask = part.mask[inside(Box(x, y, tight.width, tight.height))]
            shape = shapes[id(part.mask)] = png_mask.compress(tight_mask, width, value)
        files.append(png_mask.place(shape, (tight.x, tight.y), (width, height)))
    return files


def _coded_background(background: Background, quality: int) -> SplicedBackground:
    of_background = _coded.setdefault(background, {})
    if quality not in of_background:
        interval = jpeg_splice.best_interval(background.stored.shape[1], 3)
        of_background[quality] = jpeg_splice.prepare(background.stored, quality, interval)
    return of_background[quality]


@functools.lru_cache(maxsize=8)
def _coded_blank(width: int, height: int, quality: int) -> SplicedBackground:
    blank = np.zeros((height, width), np.uint8)
    return jpeg_splice.prepare(blank, quality, jpeg_splice.best_interval(width, 1))
