"""Convert: a work unit of one data set into the other form, without making it again.

Overlays are taken over byte by byte, masks and depth are decoded and encoded as the new form wants
them. Placements, boxes and sums come from the unit's commit record: what was measured before JPEG
coding cannot be measured again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.dataset.file_samples import FileSample
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.dataset.store import store_unit
from fgbg.transforms.job import commit
from fgbg.transforms.job.commit import Commit, Moments
from fgbg.transforms.job.job import Configuration, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.pixels import coding
from fgbg.transforms.pixels.coding import KINDS, encode, suffixes
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.records import record as records


class Pictures(NamedTuple):
    """What is stored of a sample.

    Attributes:
        overlay: Its JPEG.
        mask: uint8 [height, width], 0 or 255.
        depth: uint16 [height, width], millimetres; None without depth.
    """

    overlay: bytes
    mask: Array
    depth: NDArray[np.uint16] | None


def depth_step_m(c: Configuration) -> float | None:
    """Metres between two values of stored depth; None without depth."""
    if c.depth_model is None:
        return None
    exact = c.in_records or c.depth_format == "png16"
    return 0.001 if exact else c.depth_range_m / 255


class Source:
    """The data set that is converted.

    Args:
        output: Its folder.
        job: Its job.

    Raises:
        SampleError: It has no shards where there should be.
    """

    def __init__(self, output: str, job: Job) -> None:
        self._output = output
        self._configuration = job.configuration
        self._reader = RecordReader(output, job) if job.configuration.in_records else None

    def read(self, unit: WorkUnit) -> tuple[Commit, list[Pictures]]:
        """A unit's commit record and samples.

        Raises:
            SampleError: A picture is missing or damaged.
        """
        record = commit.read(self._output, unit)
        read = self._of_files if self._reader is None else self._of_records
        pictures = list(read(record))
        if self._is_coarse():
            depth = [p.depth for p in pictures if p.depth is not None]
            record = _with_depth(record, np.stack(depth))
        return record, pictures

    def _is_coarse(self) -> bool:
        """Whether depth is stored less exactly than the commit records have it."""
        step = depth_step_m(self._configuration)
        return step is not None and step > 0.001

    def _of_files(self, record: Commit) -> Iterator[Pictures]:
        c = self._configuration
        folder = record.unit.folder
        for i, number in enumerate(record.columns["number"]):
            row: dict[str, Any] = dict.fromkeys(KINDS)
            row["key"] = f"{folder}/{number}"
            for kind, ending in suffixes(c).items():
                row[kind] = f"{folder}/{kind}/{number}{ending}"
                row[f"{kind}_crc32"] = record.columns[f"{kind}_crc32"][i]
            sample = FileSample(row, c, self._output)
            depth = sample.millimetres() if sample.has_depth else None
            yield Pictures(sample.overlay(), sample.mask(), depth)

    def _of_records(self, record: Commit) -> Iterator[Pictures]:
        assert self._reader is not None
        found = self._reader.unit(record.unit)
        if [sample.number for sample in found] != record.columns["number"]:
            raise SampleError(f"{record.unit.name}: its records are not where the plan says")
        for sample in found:
            try:
                depth = None
                if sample.depth_png is not None:
                    depth = records.decode_depth(sample.depth_png)
                yield Pictures(sample.overlay, coding.decode_mask(sample.mask_png), depth)
            except ValueError as error:
                raise SampleError(f"{sample.key}: {error}") from error


def _with_depth(record: Commit, millimetres: NDArray[np.uint16]) -> Commit:
    """A commit record with the depth that is there, not the one that was there before coding."""
    flat = millimetres.reshape(len(millimetres), -1).astype(np.int64)
    columns = record.columns | {
        "depth_min_mm": flat.min(axis=1).tolist(),
        "depth_max_mm": flat.max(axis=1).tolist(),
        "depth_sum_mm": flat.sum(axis=1).tolist(),
    }
    moments = Moments(flat.size, int(flat.sum()), int((flat * flat).sum()))
    return dataclasses.replace(record, columns=columns, moments=record.moments | {"depth": moments})


def convert_unit(source: Source, target: str, job: Job, unit: WorkUnit) -> Commit:
    """Writes a unit in its new form, and not yet its commit record.

    Args:
        source: Where it is read.
        target: The new data set.
        job: The new data set's job.
        unit: The unit.

    Returns:
        The commit record to write next.

    Raises:
        SampleError: A picture is missing or damaged.
    """
    record, pictures = source.read(unit)
    c = job.configuration
    coded = {
        "overlay": [p.overlay for p in pictures],
        "mask": [encode("mask", p.mask, c) for p in pictures],
    }
    if c.depth_model is not None:
        coded["depth"] = [encode("depth", p.depth, c) for p in pictures if p.depth is not None]
    columns = {
        name: values
        for name, values in record.columns.items()
        if not name.endswith("_crc32") and name != "record_bytes"
    }
    sizes = store_unit(target, job, unit, columns, coded)
    return Commit(unit, columns, record.moments, sizes)
