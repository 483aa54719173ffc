"""What a commit record holds: a work unit's samples in columns, and its share of the statistics."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

from fgbg.files.sealed import DamagedError, fitting, seal, unseal
from fgbg.transforms.job.work_unit import WorkUnit


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
        with fitting(path, "commit record"):
            moments = {k: Moments(*values) for k, values in content["moments"].items()}
            named = WorkUnit.parse(content["unit"])
            found = cls(named, content["columns"], moments, content["bytes"])
            found._check_types()
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
