"""Commit records: the small files, written last, that say a work unit is done.

One JSON file a unit under _work/commits/, with one entry per sample in each column and the unit's
share of the statistics, as integers: sums that come out the same in any order. It holds nothing
that differs from run to run. A unit that failed has a record under _work/failed/ instead, until
it succeeds.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from typing import Any

from fgbg.files import storage
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.work_unit import WorkUnit

_SUFFIX = ".json"


@dataclasses.dataclass
class Moments:
    """Number of values, their sum and the sum of their squares: integers, so exact.

    Attributes:
        count: Number of values.
        total: Their sum.
        squares: The sum of their squares.
    """

    count: int = 0
    total: int = 0
    squares: int = 0

    def add(self, other: Moments) -> None:
        """Takes in the values of another."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares

    def mean(self) -> float:
        """The mean; 0 where there are no values."""
        return self.total / self.count if self.count else 0.0

    def std(self) -> float:
        """The standard deviation over all values (not of a sample); exact before the root."""
        if not self.count:
            return 0.0
        return math.sqrt(self.count * self.squares - self.total**2) / self.count


@dataclasses.dataclass(frozen=True)
class Commit:
    """What a commit record says.

    Attributes:
        unit: The unit that is done.
        columns: One list per column, with one value per sample: see fgbg.transforms.steps.write.
        moments: Of "overlay_r", "overlay_g", "overlay_b" and "mask" (0..255 values), and of
            "depth" (millimetres) where there is depth.
        sizes: Bytes written of "overlay", "mask" and "depth".
    """

    unit: WorkUnit
    columns: dict[str, list[Any]]
    moments: dict[str, Moments]
    sizes: dict[str, int]

    def to_bytes(self) -> bytes:
        """As stored; equal commits are equal bytes."""
        content = {
            "unit": self.unit.name,
            "columns": self.columns,
            "moments": {k: [m.count, m.total, m.squares] for k, m in self.moments.items()},
            "bytes": self.sizes,
        }
        return json.dumps(content, separators=(",", ":"), sort_keys=True).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Commit:
        """Of what is stored."""
        content = json.loads(data)
        moments = {k: Moments(*values) for k, values in content["moments"].items()}
        return cls(WorkUnit.parse(content["unit"]), content["columns"], moments, content["bytes"])


def _path(output: str, folder: str, unit: WorkUnit) -> str:
    return storage.join(output, folder, unit.name + _SUFFIX)


def write(output: str, commit: Commit) -> int:
    """Commits a unit, in one step. Returns the record's size in bytes."""
    path = _path(output, jobs.COMMITS, commit.unit)
    data = commit.to_bytes()
    storage.storage_for(path).write_atomically(path, data)
    return len(data)


def withdraw(output: str, units: Iterable[WorkUnit]) -> None:
    """Takes commit records away: their units are made again."""
    paths = [_path(output, jobs.COMMITS, unit) for unit in units]
    storage.storage_for(output).delete_files(paths)


def read(output: str, unit: WorkUnit) -> Commit:
    """The commit record of a unit that is done."""
    path = _path(output, jobs.COMMITS, unit)
    return Commit.from_bytes(storage.storage_for(path).read(path))


def _list(output: str, folder: str) -> set[WorkUnit]:
    names = storage.storage_for(output).walk(storage.join(output, folder))
    return {WorkUnit.parse(n.removesuffix(_SUFFIX)) for n in names if n.endswith(_SUFFIX)}


def committed(output: str) -> set[WorkUnit]:
    """The units that are done, by one listing of their records."""
    return _list(output, jobs.COMMITS)


def failed(output: str) -> set[WorkUnit]:
    """The units that failed in the last run."""
    return _list(output, jobs.FAILED)


def write_failure(output: str, unit: WorkUnit, step: str, reason: str) -> None:
    """Records that a unit failed.

    Args:
        output: The data set.
        unit: The unit.
        step: The step of the graph that failed.
        reason: Why, in words.
    """
    content = {"unit": unit.name, "step": step, "reason": reason}
    path = _path(output, jobs.FAILED, unit)
    data = json.dumps(content, sort_keys=True).encode() + b"\n"
    storage.storage_for(path).write_atomically(path, data)


def read_failure(output: str, unit: WorkUnit) -> dict[str, str]:
    """What `write_failure` recorded."""
    path = _path(output, jobs.FAILED, unit)
    return json.loads(storage.storage_for(path).read(path))


def clear_failures(output: str) -> None:
    """Forgets the failures of earlier runs: their units are tried again."""
    folder = storage.join(output, jobs.FAILED)
    storage.storage_for(folder).delete(folder)
