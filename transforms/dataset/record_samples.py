"""The samples of a data set of TFRecords, each read where it stands in its shard."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

from fgbg.files import storage
from fgbg.transforms.dataset import manifest
from fgbg.transforms.dataset.sample import Sample, SampleError, SampleReader
from fgbg.transforms.job import commit
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit, unit_of_sample
from fgbg.transforms.records import file as tfrecord_file
from fgbg.transforms.records import record as records
from fgbg.transforms.records import shards
from fgbg.transforms.records.plan import ShardFile, record_name
from fgbg.transforms.records.record import Record

# Units whose places of records are remembered: more than stand mixed in a window of sample_rows.
_UNITS_KEPT = 16_384


@dataclasses.dataclass(frozen=True)
class Frame:
    """The bytes that should be one record, by the plan of the shards and its commit record.

    Attributes:
        shard: The file that they were read from.
        index: Which record of the file they are.
        offset: Where they begin in the file.
        framed: The bytes, nothing of them checked.
    """

    shard: ShardFile
    index: int
    offset: int
    framed: bytes

    @property
    def name(self) -> str:
        """The record as the manifest names it."""
        return record_name(self.shard, self.index)

    def data(self) -> bytes:
        """The record's tf.Example.

        Raises:
            RecordError: It is damaged.
        """
        return tfrecord_file.unframe(self.framed, self.index, self.offset)


class RecordReader(SampleReader):
    """Finds and reads records.

    Args:
        output: The data set, finished.
        job: Its job.

    Attributes:
        places: Where each unit's records are.

    Raises:
        SampleError: It has no shards.
    """

    def __init__(self, output: str, job: Job) -> None:
        super().__init__(output, job)
        try:
            self.places = shards.open_plan(output).places()
        except FileNotFoundError as error:
            why = f"{output}: it has no shards; run fgbg generate again"
            raise SampleError(why) from error
        self._ends = functools.lru_cache(_UNITS_KEPT)(self._read_ends)

    def sample(self, row: dict[str, Any]) -> RecordSample:
        c = self.job.configuration

        def load() -> Frame:
            unit, i = unit_of_sample(c.placements, c.mirror, row["bg"], row["fg"], row["number"])
            return self.frames(unit, slice(i, i + 1))[0]

        return RecordSample(row, c, load)

    def unit(self, record: Commit) -> list[Sample]:
        rows = manifest.table(self.job, [record], self.places).to_pylist()
        return [
            RecordSample(row, self.job.configuration, lambda frame=frame: frame)  # type: ignore[misc]
            for row, frame in zip(rows, self.frames(record.unit), strict=True)
        ]

    def frames(self, unit: WorkUnit, chosen: slice = slice(None)) -> list[Frame]:
        """Records of a unit, by one read.

        Args:
            unit: The unit, one of `places`.
            chosen: Which of its records, one or more that follow each other; all by default.

        Raises:
            SampleError: Their shard is missing.
            FileNotFoundError: The unit has no commit record.
        """
        shard, index, offset = self.places[unit]
        bounds = list(itertools.pairwise((0, *self._ends(unit))))
        first, end = bounds[chosen][0][0], bounds[chosen][-1][1]
        path = storage.join(self.output, shard.path)
        try:
            data = storage.storage_for(path).read_range(path, offset + first, end - first)
        except FileNotFoundError as error:
            raise SampleError(f"{shard.path}: missing") from error
        return [
            Frame(shard, index + i, offset + begin, data[begin - first : stop - first])
            for i, (begin, stop) in list(enumerate(bounds))[chosen]
        ]

    def _read_ends(self, unit: WorkUnit) -> list[int]:
        """Where each record of a unit ends, in bytes from the first one's beginning."""
        record = commit.read(self.output, self.job, unit)
        return list(itertools.accumulate(record.columns["record_bytes"]))


@dataclasses.dataclass(frozen=True)
class RecordSample(Sample):
    """A sample in a shard; it is read when something of it is asked for, and then kept.

    Attributes:
        load: Reads it.
    """

    load: Callable[[], Frame]

    @functools.cached_property
    def record(self) -> Record:
        """The whole record."""
        frame = self.load()
        try:
            found = records.of_record(frame.data())
        except ValueError as error:
            raise SampleError(f"{frame.name}: {error}") from error
        if found.key != self.row["key"]:
            raise SampleError(f"{frame.name}: holds {found.key}, not {self.row['key']}")
        return found

    def coded(self, kind: str) -> bytes:
        if kind not in self.record.pictures:
            raise SampleError(f"{self.row['key']}: its record has no {kind}")
        return self.record.pictures[kind]
