"""Write: the files of a work unit, or its block of records, then its commit record.

The files are written under their final names, one after the other; nobody counts them before the
commit record says that all of them are whole. It appears in one step when they are on the disk. A
process that dies between leaves files that the next run writes again with equal bytes. A block
(--format tfrecord) is one file with the records of all samples, which transforms.records.shards
joins with others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.transforms.window import GlobalWindows
from numpy.typing import NDArray

from fgbg.transforms import meter
from fgbg.transforms.dataset.store import store_unit
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.commit import Commit, Moments
from fgbg.transforms.job.commit_queue import CommitQueue, Settled
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.pixels import compositing, encode_unit
from fgbg.transforms.pixels.coding import encode, stored_depth
from fgbg.transforms.steps.compose import FAILED, ComposedUnit, FailedUnit

# How often a process looks whether the data set is still its job's, in seconds.
_LOOK_S = 60.0


class Committed(NamedTuple):
    """What leaves Generate for a unit that is done.

    Attributes:
        unit: Its key.
        samples: Number of its samples.
        bytes: Bytes of its files.
    """

    unit: WorkUnit
    samples: int
    bytes: int


def write_unit(
    output: str, job: Job, composed: ComposedUnit, metres: NDArray[np.float32] | None
) -> Commit:
    """Writes all files of a unit, or its block, and not yet its commit record.

    Args:
        output: The data set.
        job: Its job.
        composed: The unit.
        metres: float32 [K, h, w], or None without depth.

    Returns:
        The commit record to write next.
    """
    pixels = composed.pixels
    c = job.configuration
    depth = None if metres is None else stored_depth(metres, c.size)
    coded = encode_unit.encode_pixels(pixels, c)
    if depth is not None:
        coded["depth"] = [encode("depth", image, c) for image in depth]
    columns = _columns(composed, depth)
    sizes = store_unit(output, job, composed.unit, columns, coded)
    return Commit(composed.unit, columns, _moments(pixels, depth), sizes)


def _columns(
    composed: ComposedUnit, millimetres: NDArray[np.uint16] | None
) -> dict[str, list[Any]]:
    """The columns of a commit record: placement, box and area per sample, depth in millimetres."""
    columns: dict[str, list[Any]] = {"number": composed.numbers}
    for i, name in enumerate(("x", "y", "width", "height")):
        columns[f"canvas_{name}"] = [place[i] for place in composed.placements]
        columns[name] = [box[i] for box in composed.pixels.boxes]
    columns["mask_area"] = composed.pixels.areas
    if millimetres is not None:
        flat = millimetres.reshape(len(millimetres), -1)
        columns["depth_min_mm"] = flat.min(axis=1).tolist()
        columns["depth_max_mm"] = flat.max(axis=1).tolist()
        columns["depth_sum_mm"] = flat.sum(axis=1, dtype=np.int64).tolist()
    return columns


def _moments(
    pixels: compositing.Composed, millimetres: NDArray[np.uint16] | None
) -> dict[str, Moments]:
    height, width = pixels.background.stored.shape[:2]
    values = len(pixels.parts) * height * width
    moments = {}
    for i, channel in enumerate("bgr"):
        total, squares = (int(s) for s in pixels.sums[:, i])
        moments[f"overlay_{channel}"] = Moments(values, total, squares)
    area = sum(pixels.areas)
    moments["mask"] = Moments(values, 255 * area, 255 * 255 * area)
    if millimetres is not None:
        wide = millimetres.astype(np.int64).ravel()
        moments["depth"] = Moments(values, int(wide.sum()), int(wide @ wide))
    return moments


class Write(beam.DoFn):
    """(ComposedUnit, depth) -> Committed; FailedUnit to the output FAILED.

    Units leave it some elements later, or at the bundle's end: when their records are written.

    Args:
        output: The data set.
        version: The version of its job.
        fsync: Whether a unit counts as done only when its files are on the local disk.
    """

    def __init__(self, output: str, version: str, fsync: bool = True) -> None:
        self._output = output
        self._version = version
        self._fsync = fsync
        self._queue: CommitQueue | None = None
        self._looked = -math.inf

    def start_bundle(self) -> None:
        job = jobs.read_cached(self._output, self._version)
        self._queue = CommitQueue(self._output, job, self._fsync)

    def process(
        self, element: tuple[ComposedUnit, Any]
    ) -> Iterator[Committed | beam.pvalue.TaggedOutput]:
        composed, metres = element
        if isinstance(metres, FailedUnit):
            yield beam.pvalue.TaggedOutput(FAILED, metres)
            return
        assert self._queue is not None
        self._refuse_other_job()
        job = jobs.read_cached(self._output, self._version)
        try:
            with meter.timed("write_microseconds"):
                record = write_unit(self._output, job, composed, metres)
        except Exception as error:
            failure = FailedUnit.of(composed.unit, "Write", error)
            yield beam.pvalue.TaggedOutput(FAILED, failure)
            return
        yield from map(_outcome, self._queue.put(record))
        meter.end()

    def _refuse_other_job(self) -> None:
        """Raises where the data set has become another job's, which must not get these files.

        No lock reaches the workers of a job in the cloud whose launcher has gone.
        """
        if time.monotonic() - self._looked > _LOOK_S:
            jobs.read_version(self._output, self._version)
            self._looked = time.monotonic()

    def finish_bundle(self) -> Iterator[Any]:
        assert self._queue is not None
        for settled in self._queue.drain():
            outcome = _outcome(settled)
            if isinstance(outcome, beam.pvalue.TaggedOutput):
                value = GlobalWindows.windowed_value(outcome.value)
                yield beam.pvalue.TaggedOutput(outcome.tag, value)
            else:
                yield GlobalWindows.windowed_value(outcome)


def _outcome(settled: Settled) -> Committed | beam.pvalue.TaggedOutput:
    record = settled.commit
    if settled.error is not None:
        failure = FailedUnit.of(record.unit, "Write", settled.error)
        return beam.pvalue.TaggedOutput(FAILED, failure)
    samples, size = len(record.columns["number"]), sum(record.sizes.values())
    meter.count("units_done")
    meter.count("samples", samples)
    meter.count("bytes", size)
    return Committed(record.unit, samples, size)


class RecordFailure(beam.DoFn):
    """FailedUnit -> nothing; its reason is kept in the data set, and the job goes on.

    Args:
        output: The data set.
    """

    def __init__(self, output: str) -> None:
        self._output = output

    def process(self, failure: FailedUnit) -> None:
        commit.write_failure(self._output, failure.unit, failure.step, failure.reason)
        meter.count("units_failed")
        meter.end()
