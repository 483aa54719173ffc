"""A few dozen samples from all over the data set, read back and reduced to what a page can show."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.files.ordered_map import in_order, threads_for
from fgbg.transforms.dataset import manifest
from fgbg.transforms.dataset.sample import Sample, SampleError
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels import codec
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.pixels.sheet import coloured_depth, grey_depth

SHOWN = 24
# Looked at for the depth over foregrounds and the histogram of depth, the shown ones among them.
LOOKED_AT = 96
# Sides of pictures on the page, at most.
SIDE = 224
_QUALITY = 88
# Metres of a bin in the histogram of depth, about, and up to where it goes.
_BIN_M = 0.05
_END_M = 65.6
# Share of the pixels that the scale of the pictures holds: a few far ones would darken the others.
_SCALED = 0.99
# Depth over a foreground that spreads less, from the 5th to the 95th percentile, is flat.
_FLAT_M = 0.02
# Of a foreground with fewer pixels no spread of depth is asked for.
_PIXELS_AT_LEAST = 64


@dataclasses.dataclass(frozen=True)
class Pictures:
    """The pictures of a sample.

    Attributes:
        file: The overlay's JPEG, as stored.
        overlay: uint8 BGR.
        mask: uint8, 0 or 255.
        depth_m: float32 metres, or None.
    """

    file: bytes
    overlay: Array
    mask: Array
    depth_m: NDArray[np.float32] | None


@dataclasses.dataclass(frozen=True)
class Look:
    """What the page needs of a sample.

    Attributes:
        row: Its row of the manifest.
        problem: Why it could not be read; "" if it could.
        addresses: Data URIs of "overlay", "mask", "depth" and "colours"; empty if not shown.
        depth_counts: Histogram of its depth, in bins of `depth_bins`; None without depth.
        flat: Whether its depth does not vary over the foreground.
    """

    row: dict[str, Any]
    problem: str = ""
    addresses: dict[str, str] = dataclasses.field(default_factory=dict)
    depth_counts: NDArray[np.int64] | None = None
    flat: bool = False


@dataclasses.dataclass(frozen=True)
class Looks:
    """Samples that were looked at.

    Attributes:
        all: All of them, in the manifest's order.
        shown: Those with pictures.
        depth_end_m: Metres of white in the grey pictures of depth; black is 0.
        depth_beyond: Whether any depth is beyond that.
    """

    all: list[Look]
    shown: list[Look]
    depth_end_m: float
    depth_beyond: bool


def read(sample: Sample) -> Pictures:
    """All pictures of a sample.

    Raises:
        SampleError: One is missing or damaged.
    """
    file = sample.overlay()
    depth = None
    if sample.has_depth:
        depth = sample.millimetres().astype(np.float32) / np.float32(1000)
    return Pictures(file, sample.decode("overlay", file), sample.mask(), depth)


def look(output: str, job: Job, manifest_path: str) -> Looks:
    """Looks at samples spread over a data set; memory does not depend on their number.

    Args:
        output: The data set.
        job: Its job.
        manifest_path: A local copy of its manifest.
    """
    rows = manifest.spread_rows(manifest_path, LOOKED_AT)
    # Evenly over the rows, which are in the order of the backgrounds.
    shown = {rows[i]["key"] for i in np.arange(min(SHOWN, len(rows))) * len(rows) // SHOWN}
    if len(rows) <= SHOWN:
        shown = {row["key"] for row in rows}
    reader = open_reader(output, job)

    def one(row: dict[str, Any]) -> tuple[Look, Pictures | None]:
        try:
            return _reduce(read(reader.sample(row)), row, job, row["key"] in shown)
        except (SampleError, OSError) as error:
            return Look(row, problem=str(error)), None

    found = list(in_order(one, rows, threads_for(output)))
    end = depth_end([look for look, _ in found], job)
    # The same scale for all pictures on the page, so that they can be compared.
    looks = [
        dataclasses.replace(look, addresses=dict(_addresses(fitted, end))) if fitted else look
        for look, fitted in found
    ]
    beyond = any(row["depth_max_m"] is not None and row["depth_max_m"] > end for row in rows)
    return Looks(looks, [look for look in looks if look.row["key"] in shown], end, beyond)


def _reduce(
    found: Pictures, row: dict[str, Any], job: Job, shown: bool
) -> tuple[Look, Pictures | None]:
    """What is kept of a sample, and its pictures at the page's size if it is shown."""
    counts, flat = None, False
    if found.depth_m is not None:
        start, width = depth_bins(job)
        length = int(_END_M / width) + 1
        bins = np.minimum(((found.depth_m - start) / width).astype(np.int64), length - 1)
        counts = np.bincount(bins.ravel(), minlength=length)
        # Networks blur edges: only what is well inside tells.
        inside = cv2.erode(found.mask, np.ones((5, 5), np.uint8), borderValue=0)
        flat = _is_flat(found.depth_m[inside > 0], job)
    return Look(row, "", {}, counts, flat), _fitted(found) if shown else None


def depth_end(looks: list[Look], job: Job) -> float:
    """Metres that all but the farthest pixels are within, in half metres."""
    read = [look.depth_counts for look in looks if look.depth_counts is not None]
    end = 0.5
    if read:
        counts = np.sum(read, axis=0).cumsum()
        start, width = depth_bins(job)
        last = int(np.searchsorted(counts, _SCALED * counts[-1]))
        # Its middle: 8-bit levels stand there.
        end = max(end, float(np.ceil(2 * (start + (last + 0.5) * width)) / 2))
    c = job.configuration
    return min(end, c.depth_range_m) if c.depth_format == "jpg" else end


def depth_bins(job: Job) -> tuple[float, float]:
    """Metres where the first bin of the histogram of depth begins, and the width of each.

    Bins hold the same number of levels of 8-bit depth each, or there would be spikes.
    """
    c = job.configuration
    if c.depth_format != "jpg":
        return 0.0, _BIN_M
    step = c.depth_range_m / 255
    return -step / 2, step * max(1, round(_BIN_M / step))


def _is_flat(depth_m: NDArray[np.float32], job: Job) -> bool:
    if depth_m.size < _PIXELS_AT_LEAST:
        return False
    c = job.configuration
    step = c.depth_range_m / 255 if c.depth_format == "jpg" else 0.001
    low, high = np.percentile(depth_m, (5, 95))
    # One step of 8 bits is rounding, not shape.
    return bool(high - low <= max(_FLAT_M, 1.01 * step))


def _fitted(found: Pictures) -> Pictures:
    """At the page's size; without the file where it is not shown as it is."""
    fits = max(found.mask.shape) <= SIDE
    mask = cv2.threshold(_fit(found.mask), 127, 255, cv2.THRESH_BINARY)[1]
    depth_m = None if found.depth_m is None else _fit(found.depth_m)
    return Pictures(found.file if fits else b"", _fit(found.overlay), mask, depth_m)


def _addresses(fitted: Pictures, end_m: float) -> Iterator[tuple[str, str]]:
    yield "overlay", _data("jpeg", fitted.file) if fitted.file else _jpeg(fitted.overlay)
    bilevel = codec.encode(".png", fitted.mask, [cv2.IMWRITE_PNG_BILEVEL, 1])
    yield "mask", _data("png", bilevel)
    if fitted.depth_m is not None:
        grey, colours = depth_pictures(fitted.depth_m, end_m)
        yield "depth", _jpeg(grey)
        yield "colours", _jpeg(colours)


def depth_pictures(depth_m: NDArray[np.float32], end_m: float) -> tuple[Array, Array]:
    """Depth from 0 to end_m in grey (far is white) and in colours (near is yellow), as BGR."""
    return grey_depth(depth_m, 0, end_m), coloured_depth(depth_m, 0, end_m)


def _fit(image: NDArray[Any]) -> NDArray[Any]:
    height, width = image.shape[:2]
    scale = SIDE / max(width, height)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _jpeg(image: Array) -> str:
    return _data("jpeg", codec.encode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]))


def png_address(image: Array) -> str:
    """A data URI of a picture without loss."""
    return _data("png", codec.encode(".png", image))


def _data(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
