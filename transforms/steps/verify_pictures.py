"""Verify: the pictures of one sample against its row of the manifest and its background."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.models.resizing import resize
from fgbg.transforms import meter
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels import codec
from fgbg.transforms.pixels.coding import KINDS, decode, depth_in_metres, encode
from fgbg.transforms.pixels.compositing import MASK_THRESHOLD
from fgbg.transforms.pixels.pictures import Array

# A JPEG mask is this close to 0 or 255 everywhere: see fgbg.transforms.pixels.coding.MASK_QUALITY.
_MASK_TOLERANCE = 110
# Greatest difference of a pixel outside the box from the background coded in the same way; other
# versions of libjpeg may round otherwise.
_OUTSIDE_TOLERANCE = 6
# JPEG blocks of 4:2:0 pictures are 16 pixels; smooth chroma up-sampling reaches two pixels further.
_BLOCK, _REACH = 16, 2


def check_pictures(
    output: str,
    version: str,
    row: dict[str, Any],
    coded: dict[str, bytes],
    with_background: bool = True,
) -> Iterator[tuple[str, str]]:
    """Checks the pictures of one sample.

    Args:
        output: The data set.
        version: The version of its job.
        row: The sample's row of the manifest, as its commit record gives it.
        coded: Its pictures, as stored, by kind ("overlay", "mask", "depth").
        with_background: Whether its background as used is whole, to compare the overlay with.

    Yields:
        Pairs of a kind and what is wrong with that picture.
    """
    job = jobs.read_cached(output, version)
    for kind in KINDS:
        if kind not in coded:
            continue
        data = coded[kind]
        meter.count("bytes", len(data))
        problems = list(_check_picture(output, job, version, row, kind, data, with_background))
        if zlib.crc32(data) == row[f"{kind}_crc32"]:
            yield from ((kind, problem) for problem in problems)
        else:  # one cause, however many are its consequences
            seen = f" ({'; '.join(problems)})" if problems else ""
            problem = f"its checksum is not that of its commit record: the file has changed{seen}"
            yield kind, problem


def _check_picture(
    output: str,
    job: Job,
    version: str,
    row: dict[str, Any],
    kind: str,
    data: bytes,
    with_background: bool,
) -> Iterator[str]:
    """What is wrong with the pixels of a picture."""
    c = job.configuration
    try:
        image = decode(kind, data, c)
    except ValueError as error:
        yield str(error)
        return
    if kind == "mask":
        yield from _check_mask(image, row)
    elif kind == "depth":
        yield from _check_depth(depth_in_metres(image, c.depth_range_m), job, row)
    elif with_background:
        problem = _check_outside(image, _background(output, version, row["bg"]), job, row)
        if problem:
            yield problem


def _check_mask(mask: Array, row: dict[str, Any]) -> Iterator[str]:
    grey = int(np.count_nonzero(np.minimum(mask, 255 - mask) > _MASK_TOLERANCE))
    if grey:
        yield f"not binary: {grey} pixels are neither dark nor bright"
    binary = (mask >= MASK_THRESHOLD).astype(np.uint8)
    area = cv2.countNonZero(binary)
    if area != row["mask_area"]:
        yield f"has {area} pixels, the manifest says {row['mask_area']}"
    box = cv2.boundingRect(binary) if area else (0, 0, 0, 0)
    expected = (row["x"], row["y"], row["width"], row["height"])
    if tuple(box) != expected:
        yield f"its box (x, y, width, height) is {tuple(box)}, the manifest says {expected}"


@functools.lru_cache(maxsize=64)
def _background(output: str, version: str, number: int) -> Array:
    """The background as an overlay without foreground would be: reduced, coded and decoded."""
    job = jobs.read_cached(output, version)
    path = storage.join(output, jobs.BACKGROUNDS, f"bg{number}.jpg")
    canvas = codec.decode(storage.storage_for(path).read(path), path)
    stored = resize(canvas, job.configuration.size)
    return codec.decode(encode("overlay", stored, job.configuration), path)


def _check_outside(overlay: Array, background: Array, job: Job, row: dict[str, Any]) -> str | None:
    """Compares with the background wherever no JPEG block of the foreground reaches."""
    c = job.configuration
    height, width = overlay.shape[:2]
    ratio_x, ratio_y = c.canvas[0] / width, c.canvas[1] / height

    def outward(first: float, last: float, limit: int) -> slice:
        low = int(first - 1) // _BLOCK * _BLOCK - _REACH
        high = -(-int(last + 2) // _BLOCK) * _BLOCK + _REACH
        return slice(max(0, low), min(limit, max(0, high)))

    inside_x = outward(
        row["canvas_x"] / ratio_x, (row["canvas_x"] + row["canvas_width"]) / ratio_x, width
    )
    inside_y = outward(
        row["canvas_y"] / ratio_y, (row["canvas_y"] + row["canvas_height"]) / ratio_y, height
    )
    difference = cv2.absdiff(overlay, background)
    difference[inside_y, inside_x] = 0
    worst = int(difference.max())
    if worst > _OUTSIDE_TOLERANCE:
        y, x = np.unravel_index(int(difference.max(axis=2).argmax()), (height, width))
        return f"differs from its background by {worst} at x={x}, y={y}, outside the foreground"
    return None


def _check_depth(metres: NDArray[np.float32], job: Job, row: dict[str, Any]) -> Iterator[str]:
    c = job.configuration
    if c.depth_format == "png16":
        limit, tolerance = 65.535, 0.001
    else:
        # One step of 8 bits, and what JPEG may do to single pixels and to the mean.
        limit, tolerance = c.depth_range_m, c.depth_range_m * 0.2
    for what, value in (
        ("min", float(metres.min())),
        ("max", float(metres.max())),
        ("mean", float(metres.mean(dtype=np.float64))),
    ):
        expected = min(row[f"depth_{what}_m"], limit)
        # Values above the range are cut, so the mean can only be below the manifest's.
        allowed = tolerance if what != "mean" or c.depth_format == "png16" else tolerance / 8
        cut = what == "mean" and row["depth_max_m"] > limit and value <= expected
        if abs(value - expected) > allowed and not cut:
            yield f"its {what} is {value:.3f} m, the manifest says {expected:.3f} m"
