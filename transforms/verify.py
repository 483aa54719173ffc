"""Verify: reads a data set back and proves that it is what its manifest says.

Each row group of the manifest is one element, checked where it is read: files, sizes, checksums,
masks, boxes, the background around the foreground. Problems come out as one line each.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import zlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import cv2
import numpy as np
from numpy.typing import NDArray

from transforms import job as jobs
from transforms import manifest, meter, pictures, storage
from transforms.compositing import MASK_THRESHOLD, reduce_to
from transforms.job import Job
from transforms.pictures import Array
from transforms.sample_sheets import depth_in_metres
from transforms.write import KINDS, encode, suffixes

# A JPEG mask is this close to 0 or 255 everywhere: see transforms.write.MASK_QUALITY.
_MASK_TOLERANCE = 110
# Greatest difference of a pixel outside the box from the background coded in the same way; other
# versions of libjpeg may round otherwise.
_OUTSIDE_TOLERANCE = 6
# JPEG blocks of 4:2:0 pictures are 16 pixels; smooth chroma up-sampling reaches two pixels further.
_BLOCK, _REACH = 16, 2


@dataclasses.dataclass(frozen=True)
class VerifyArguments:
    """What a slice of the check is built from.

    Attributes:
        output: The data set.
        version: The version of its job.
        manifest: A local copy of its manifest.
        problems: Local path prefix of the file that problems are written to.
        groups: Row groups of the manifest to check.
    """

    output: str
    version: str
    manifest: str
    problems: str
    groups: list[int]


class CheckGroup(beam.DoFn):
    """Number of a row group of the manifest -> problems, as JSON lines {"file", "problem"}.

    Args:
        output: The data set.
        version: The version of its job.
        manifest_path: A local copy of its manifest.
    """

    def __init__(self, output: str, version: str, manifest_path: str) -> None:
        self._output = output
        self._version = version
        self._manifest = manifest_path

    def process(self, group: int) -> Iterator[str]:
        for file, problem in self._problems(group):
            yield json.dumps({"file": file, "problem": problem})

    def _problems(self, group: int) -> Iterator[tuple[str, str]]:
        names: dict[int, set[str]] = {}
        for row in manifest.read_group(self._manifest, group):
            yield from check_row(self._output, self._version, row)
            files = names.setdefault(row["bg"], set())
            files.update(row[kind] for kind in KINDS if row[kind])
            meter.count("rows_checked")
        # All rows of a background are in one row group: see transforms.summarise.
        for background, files in names.items():
            yield from stray_files(self._output, background, files)


def verify(root: beam.Pipeline, arguments: VerifyArguments) -> beam.PCollection:
    """Row groups -> Reshuffle -> CheckGroup -> a file of problems."""
    return (
        root
        | "RowGroups" >> beam.Create(arguments.groups)  # int
        | "Reshuffle" >> beam.Reshuffle()  # int
        | "CheckGroup"
        >> beam.ParDo(CheckGroup(arguments.output, arguments.version, arguments.manifest))  # str
        | "Problems" >> beam.io.WriteToText(arguments.problems, shard_name_template="")
    )


def check_row(output: str, version: str, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Checks all files of one sample.

    Args:
        output: The data set.
        version: The version of its job.
        row: The sample's row of the manifest.

    Yields:
        Pairs of a file and what is wrong with it.
    """
    job = jobs.read_cached(output, version)
    c = job.configuration
    images: dict[str, NDArray[Any]] = {}
    for kind in KINDS:
        name = row[kind]
        if (kind in suffixes(c)) != (name is not None):
            yield row["key"], f"the manifest has {'a' if name else 'no'} {kind} file for it"
        if name is None:
            continue
        path = storage.join(output, name)
        try:
            data = storage.storage_for(path).read(path)
        except FileNotFoundError:
            yield name, "missing"
            continue
        meter.count("bytes", len(data))
        if zlib.crc32(data) != row[f"{kind}_crc32"]:
            yield name, "its checksum is not the manifest's: the file has changed"
        try:
            image = pictures.decode(data, name)
        except ValueError:
            yield name, f"cannot be decoded ({len(data)} bytes)"
            continue
        expected = (c.size[1], c.size[0], 3) if kind == "overlay" else (c.size[1], c.size[0])
        if image.shape != expected:
            yield name, f"has shape {image.shape}, not {expected}"
            continue
        images[kind] = image
    if "mask" in images:
        yield from ((row["mask"], problem) for problem in _check_mask(images["mask"], row))
    if "overlay" in images:
        background = _background(output, version, row["bg"])
        problem = _check_outside(images["overlay"], background, job, row)
        if problem:
            yield row["overlay"], problem
    if "depth" in images:
        metres = depth_in_metres(images["depth"], c)
        yield from ((row["depth"], problem) for problem in _check_depth(metres, job, row))


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
    canvas = pictures.decode(storage.storage_for(path).read(path), path)
    stored = reduce_to(canvas, job.configuration.size)
    return pictures.decode(encode("overlay", stored, job.configuration), path)


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


def stray_files(output: str, background: int, names: set[str]) -> Iterator[tuple[str, str]]:
    """Files in a background's folder that belong to no row.

    Args:
        output: The data set.
        background: Number of the background.
        names: The files that its rows have, relative to the data set.
    """
    folder = f"bg{background}"
    for file in storage.storage_for(output).walk(storage.join(output, folder)):
        if f"{folder}/{file}" not in names:
            yield f"{folder}/{file}", "belongs to no row of the manifest"
