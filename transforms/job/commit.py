"""Commit records: the small files, written last, that say a work unit is done.

One sealed JSON file a unit under _work/commits/, with one entry per sample in each column and the
unit's share of the statistics, as integers: sums that come out the same in any order. It holds
nothing that differs from run to run. Its name ends with the unit's identity (jobs.unit_identity),
so that a record of another job, left or still being written by a run of that one, counts for
nothing. A unit that failed has a record under _work/failed/ instead, until it succeeds.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Any

from fgbg.files import storage
from fgbg.files.sealed import DamagedError, seal, unseal
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit

_SUFFIX = ".json"
_NAME = r"(bg\d+/fg_\d+/(?:as_given|mirrored)_\d+)"
_RECORD = re.compile(_NAME + r"\.([0-9a-f]+)\.json")
_FAILURE = re.compile(_NAME + r"\.json")


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
        return seal(
            {
                "unit": self.unit.name,
                "columns": self.columns,
                "moments": {k: [m.count, m.total, m.squares] for k, m in self.moments.items()},
                "bytes": self.sizes,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, path: str, unit: WorkUnit) -> Commit:
        """Of what is stored.

        Raises:
            DamagedError: It is not what was written, or another unit's.
        """
        content = unseal(data, path)
        try:
            moments = {k: Moments(*values) for k, values in content["moments"].items()}
            named = WorkUnit.parse(content["unit"])
            found = cls(named, content["columns"], moments, content["bytes"])
            found._check_types()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedError(path, f"is no commit record: {error!r}") from error
        if named != unit:
            raise DamagedError(path, f"is the record of {named.name}")
        return found

    def _check_types(self) -> None:
        """Raises a TypeError for values that no record has: a checksum can be right of an edit."""
        whole: list[Iterable[Any]] = [
            self.sizes.values(),
            *(vars(m).values() for m in self.moments.values()),
        ]
        whole += [column for column in self.columns.values() if isinstance(column, list)]
        if len(whole) != 1 + len(self.moments) + len(self.columns):
            raise TypeError("a column is no list")
        if any(type(value) is not int for values in whole for value in values):
            raise TypeError("a value is no whole number")


def record_path(output: str, job: Job, unit: WorkUnit) -> str:
    """Where a unit's commit record is."""
    name = f"{unit.name}.{jobs.unit_identity(job, unit)}{_SUFFIX}"
    return storage.join(output, jobs.COMMITS, name)


def _failure_path(output: str, unit: WorkUnit) -> str:
    return storage.join(output, jobs.FAILED, unit.name + _SUFFIX)


def write(output: str, job: Job, commit: Commit) -> int:
    """Commits a unit, in one step. Returns the record's size in bytes."""
    path = record_path(output, job, commit.unit)
    data = commit.to_bytes()
    storage.storage_for(path).write_atomically(path, data, durable=False)  # sealed
    return len(data)


def withdraw(output: str, job: Job, units: Iterable[WorkUnit]) -> None:
    """Takes commit records away: their units are made again."""
    paths = [record_path(output, job, unit) for unit in units]
    storage.storage_for(output).delete_files(paths)


def read(output: str, job: Job, unit: WorkUnit) -> Commit:
    """The commit record of a unit that is done.

    Raises:
        FileNotFoundError: The unit is not done.
        DamagedError: The record is not what was written.
    """
    path = record_path(output, job, unit)
    return Commit.from_bytes(storage.storage_for(path).read(path), path, unit)


def committed(output: str, job: Job) -> set[WorkUnit]:
    """The units of this very job that are done, by one listing of their records."""
    done, _ = listed(output, job)
    return done


def listed(output: str, job: Job) -> tuple[set[WorkUnit], list[str]]:
    """What the folder of commit records holds.

    Returns:
        The units that are done; and what else lies there, as paths relative to the data set:
        records of another job, copies, files of other programs.
    """
    done: set[WorkUnit] = set()
    others = []
    for name in storage.storage_for(output).walk(storage.join(output, jobs.COMMITS)):
        match = _RECORD.fullmatch(name)
        unit = WorkUnit.parse(match[1]) if match else None
        if match and unit and jobs.holds(job, unit) and jobs.unit_identity(job, unit) == match[2]:
            done.add(unit)
        elif not name.endswith(".part"):  # a write that was cut off, and is repeated
            others.append(f"{jobs.COMMITS}/{name}")
    return done, others


def unit_named(name: str) -> WorkUnit | None:
    """The unit that a file among the commit records is of, by its path; None if it is no record."""
    match = _RECORD.fullmatch(name.removeprefix(f"{jobs.COMMITS}/"))
    return WorkUnit.parse(match[1]) if match else None


def damaged(output: str, job: Job, units: Iterable[WorkUnit]) -> dict[WorkUnit, DamagedError]:
    """What is wrong with the commit records of units that count as done, where something is."""
    found = {}
    for unit in sorted(units):
        try:
            read(output, job, unit)
        except DamagedError as error:
            found[unit] = error
    return found


def failed(output: str) -> set[WorkUnit]:
    """The units that failed in the last run."""
    names = storage.storage_for(output).walk(storage.join(output, jobs.FAILED))
    found = (_FAILURE.fullmatch(name) for name in names)
    return {WorkUnit.parse(match[1]) for match in found if match}


def write_failure(output: str, unit: WorkUnit, step: str, reason: str) -> None:
    """Records that a unit failed.

    Args:
        output: The data set.
        unit: The unit.
        step: The step of the graph that failed.
        reason: Why, in words.
    """
    path = _failure_path(output, unit)
    data = seal({"unit": unit.name, "step": step, "reason": reason})
    storage.storage_for(path).write_atomically(path, data, durable=False)  # sealed


def read_failure(output: str, unit: WorkUnit) -> dict[str, str]:
    """What `write_failure` recorded; of a damaged record the damage itself."""
    path = _failure_path(output, unit)
    try:
        return unseal(storage.storage_for(path).read(path), path)
    except DamagedError as error:
        return {"unit": unit.name, "step": "unknown", "reason": str(error)}


def clear_failures(output: str) -> None:
    """Forgets the failures of earlier runs: their units are tried again."""
    folder = storage.join(output, jobs.FAILED)
    storage.storage_for(folder).delete(folder)
