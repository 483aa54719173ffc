"""The samples of a data set of TFRecords, each read where it stands in its shard."""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.transforms.dataset.sample import Sample, SampleError
from fgbg.transforms.job import commit
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit, unit_of_sample
from fgbg.transforms.pixels import coding
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.records import file as tfrecord_file
from fgbg.transforms.records import record as records
from fgbg.transforms.records import shards
from fgbg.transforms.records.file import RecordError
from fgbg.transforms.records.plan import record_name
from fgbg.transforms.records.record import Record

# Units whose places of records are remembered: more than stand mixed in a window of sample_rows.
_UNITS_KEPT = 16_384


class RecordReader:
    """Finds and reads records.

    Args:
        output: The data set, finished.
        job: Its job.

    Raises:
        SampleError: It has no shards.
    """

    def __init__(self, output: str, job: Job) -> None:
        plan = shards.read_plan(output)
        if plan is None:
            raise SampleError(f"{output}: it has no shards; run fgbg generate again")
        self._output = output
        self._configuration = job.configuration
        self._places = plan.places()
        self._ends = functools.lru_cache(_UNITS_KEPT)(self._read_ends)

    def unit(self, unit: WorkUnit) -> list[Record]:
        """All records of a unit, by one read.

        Raises:
            SampleError: They are missing or damaged.
        """
        shard, index, offset = self._places[unit]
        data = self._read(shard.path, offset, self._ends(unit)[-1])
        found = []
        try:
            for _, record in tfrecord_file.read_frames(io.BytesIO(data)):
                found.append(records.of_record(record))
        except (RecordError, ValueError) as error:
            raise SampleError(f"{record_name(shard, index + len(found))}: {error}") from error
        return found

    def sample(self, row: dict[str, Any]) -> Record:
        """One record.

        Args:
            row: The sample's row of the manifest.

        Raises:
            SampleError: It is missing or damaged, or another sample's.
        """
        c = self._configuration
        unit, i = unit_of_sample(c.placements, c.mirror, row["bg"], row["fg"], row["number"])
        shard, index, offset = self._places[unit]
        ends = self._ends(unit)
        begin = ends[i - 1] if i else 0
        name = record_name(shard, index + i)
        data = self._read(shard.path, offset + begin, ends[i] - begin)
        try:
            found = records.of_record(tfrecord_file.unframe(data, index + i, offset + begin))
        except ValueError as error:
            raise SampleError(f"{name}: {error}") from error
        if found.key != row["key"]:
            raise SampleError(f"{name}: holds {found.key}, not {row['key']}")
        return found

    def _read_ends(self, unit: WorkUnit) -> list[int]:
        """Where each record of a unit ends, in bytes from the first one's beginning."""
        return list(itertools.accumulate(commit.read(self._output, unit).columns["record_bytes"]))

    def _read(self, name: str, offset: int, length: int) -> bytes:
        path = storage.join(self._output, name)
        try:
            return storage.storage_for(path).read_range(path, offset, length)
        except FileNotFoundError as error:
            raise SampleError(f"{name}: missing") from error


@dataclasses.dataclass(frozen=True)
class RecordSample(Sample):
    """A sample in a shard; it is read when something of it is asked for, and then kept.

    Attributes:
        reader: Of its data set.
    """

    reader: RecordReader

    @functools.cached_property
    def record(self) -> Record:
        """The whole record."""
        return self.reader.sample(self.row)

    def overlay(self) -> bytes:
        return self.record.overlay

    def mask(self) -> Array:
        try:
            return coding.decode_mask(self.record.mask_png)
        except ValueError as error:
            raise SampleError(f"{self.row['key']}: its mask: {error}") from error

    def millimetres(self) -> NDArray[np.uint16]:
        if self.record.depth_png is None:
            raise SampleError(f"{self.row['key']}: its record has no depth")
        try:
            return records.decode_depth(self.record.depth_png)
        except ValueError as error:
            raise SampleError(f"{self.row['key']}: its depth: {error}") from error
