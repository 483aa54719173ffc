"""Verify: units composed again from the inputs as used, and compared with what is stored."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models import network_files
from fgbg.models.depth import depth_network
from fgbg.models.depth.depth_card import DepthModel
from fgbg.transforms.dataset.sample import SampleReader
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.job import Configuration, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.pixels import encode_unit
from fgbg.transforms.pixels.coding import decode, encode, stored_depth
from fgbg.transforms.steps.compose import ComposedUnit, canvases_of, compose
from fgbg.transforms.steps.problem import UNIT, Problem

_BOX = ("x", "y", "width", "height")
# Greatest differences where other versions of libraries made the files: of JPEG coding, and of a
# network's sums. Of depth in grey levels, and in millimetres, even on the same versions: processors
# differ.
_TOLERANCE = {"overlay": 6, "mask": 110}
_LEVELS, _MILLIMETRES = 3, 5
_BACKGROUNDS_KEPT = 4


@dataclasses.dataclass(frozen=True)
class Recompute:
    """Which units to compose again.

    Attributes:
        units: Their numbers in the job; None: all.
        exact: Whether the same versions of libraries made the files: then these are equal bytes.
        depth_path: Where the depth network is; None: depth is not compared.
    """

    units: frozenset[int] | None = frozenset()
    exact: bool = True
    depth_path: str | None = None

    def has(self, job: Job, unit: WorkUnit) -> bool:
        """Whether a unit is one of them."""
        return self.units is None or job.index_of(unit) in self.units


def spread(job: Job, count: int) -> frozenset[int]:
    """Numbers of units spread evenly over a data set, with all inputs and directions mixed."""
    parts = np.arange(min(count, job.units))
    wanted = (parts + parts * 0.6180339887498949 % 1) * job.units / max(1, len(parts))
    numbers = [int(number) for number in wanted]
    if job.configuration.mirror and 2 * len(numbers) <= job.units:
        # A foreground as given and mirrored stand side by side: one as given, one mirrored.
        numbers = [number - number % 2 + i % 2 for i, number in enumerate(numbers)]
    return frozenset(numbers)


def check_composed(
    output: str, version: str, recompute: Recompute, reader: SampleReader, record: Commit
) -> Iterator[Problem]:
    """Composes a unit again and compares it with its pictures.

    Args:
        output: The data set.
        version: The version of its job.
        recompute: How to compare.
        reader: Of the data set.
        record: The unit's commit record; its pictures are those that it says.
    """
    job = jobs.read_cached(output, version)
    c = job.configuration
    unit = record.unit
    try:
        composed = compose(output, version, unit, _BACKGROUNDS_KEPT)
    except (OSError, ValueError) as error:
        yield Problem(unit.name, f"cannot be composed again: {error}")
        return
    coded = encode_unit.encode_pixels(composed.pixels, c)
    if recompute.depth_path is not None and c.depth_model is not None:
        coded["depth"] = _depth(composed, job, recompute.depth_path)
    samples = reader.unit(record)
    for i, sample in enumerate(samples):
        for kind, expected in coded.items():
            stored = sample.coded(kind)
            if stored == expected[i]:
                continue
            worst = _difference(kind, stored, expected[i], c)
            if worst > _allowed(kind, c, recompute.exact):
                problem = f"{kind} is not what its inputs and the job give: off by up to {worst}"
                yield Problem(sample.row[kind], problem, UNIT, unit.name)
    if recompute.exact and (name := _wrong_column(composed, record)):
        yield Problem(unit.name, f"its commit record has other values of {name}", UNIT, unit.name)


def is_as_composed(output: str, version: str, record: Commit) -> bool:
    """Whether overlays and masks composed of the inputs as used are, byte by byte, a unit's.

    Args:
        output: The data set.
        version: The version of its job.
        record: The unit's commit record.
    """
    c = jobs.read_cached(output, version).configuration
    try:
        composed = compose(output, version, record.unit, _BACKGROUNDS_KEPT)
    except (OSError, ValueError):
        return False
    coded = encode_unit.encode_pixels(composed.pixels, c)
    return all(
        [zlib.crc32(data) for data in files] == record.columns.get(f"{kind}_crc32")
        for kind, files in coded.items()
    )


def _wrong_column(composed: ComposedUnit, record: Commit) -> str:
    pixels = composed.pixels
    for i, name in enumerate(_BOX):
        if record.columns[name] != [box[i] for box in pixels.boxes]:
            return name
    if record.columns["mask_area"] != pixels.areas:
        return "mask_area"
    for i, channel in enumerate("bgr"):
        found = record.moments[f"overlay_{channel}"]
        if [found.total, found.squares] != [int(s) for s in pixels.sums[:, i]]:
            return f"the sums of overlay_{channel}"
    return ""


def _depth(composed: ComposedUnit, job: Job, path: str) -> list[bytes]:
    c = job.configuration
    assert c.depth_model is not None
    model = DepthModel.from_dict(c.depth_model)
    local = network_files.on_this_machine(path, model)
    network = depth_network.load(local, model, c.canvas, 1, c.placements[0])
    metres = network.predict(canvases_of(composed))
    return [encode("depth", image, c) for image in stored_depth(metres, c.size)]


def _allowed(kind: str, c: Configuration, exact: bool) -> int:
    if kind == "depth":
        return _MILLIMETRES if c.depth_format == "png16" else _LEVELS
    return -1 if exact else _TOLERANCE[kind]


def _difference(kind: str, stored: bytes, expected: bytes, c: Configuration) -> int:
    """The greatest difference of a pixel."""
    images: list[NDArray[Any]] = [decode(kind, data, c) for data in (stored, expected)]
    return int(cv2.absdiff(images[0], images[1]).max())
