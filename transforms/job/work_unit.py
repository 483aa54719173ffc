"""The work unit: the key that the graph carries, and the product that it is drawn from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_NAME = re.compile(r"bg(\d+)/fg_(\d+)/(as_given|mirrored)_(\d+)")


class WorkUnit(NamedTuple):
    """The placements of one foreground, mirrored or not, on one background: made at once.

    Attributes:
        background: Number N of the background bgN, from 1.
        foreground: Number M of the foreground fg_M, from 1.
        mirrored: Whether the foreground is mirrored left-right.
        round: Which addition of placements it belongs to: 0 for the data set's first run, one more
            for every later run that asked for more placements.
    """

    background: int
    foreground: int
    mirrored: bool
    round: int

    @property
    def folder(self) -> str:
        """The folder of the unit's samples, relative to the data set."""
        return f"bg{self.background}/fg_{self.foreground}"

    @property
    def name(self) -> str:
        """The unit's name, unique within the data set: the name of its commit record."""
        kind = "mirrored" if self.mirrored else "as_given"
        return f"{self.folder}/{kind}_{self.round}"

    @classmethod
    def parse(cls, name: str) -> WorkUnit:
        """The unit of a name.

        Raises:
            ValueError: The name is not a unit's.
        """
        match = _NAME.fullmatch(name)
        if not match:
            raise ValueError(f"{name!r} is not the name of a work unit")
        background, foreground, kind, round_ = match.groups()
        return cls(int(background), int(foreground), kind == "mirrored", int(round_))


def sample_numbers(placements: list[int], mirror: bool, unit: WorkUnit) -> range:
    """The numbers of the unit's samples inside their (background, foreground) folder.

    The first round takes 1..K as given and K+1..2K mirrored; a later round goes on after it, so
    that nothing already made is renumbered.

    Args:
        placements: Placements per unit of every round.
        mirror: Whether the data set has mirrored units.
        unit: The unit asked for.
    """
    directions = 2 if mirror else 1
    count = placements[unit.round]
    first = 1 + directions * sum(placements[: unit.round]) + (count if unit.mirrored else 0)
    return range(first, first + count)


def unit_of_sample(
    placements: list[int], mirror: bool, background: int, foreground: int, number: int
) -> tuple[WorkUnit, int]:
    """The unit that a sample belongs to, and the sample's place in it, from 0.

    Args:
        placements: Placements per unit of every round.
        mirror: Whether the data set has mirrored units.
        background: Number of the sample's background.
        foreground: Number of its foreground.
        number: Its number in their folder.

    Raises:
        ValueError: There is no such sample.
    """
    for round_ in range(len(placements)):
        for mirrored in (False, True) if mirror else (False,):
            unit = WorkUnit(background, foreground, mirrored, round_)
            numbers = sample_numbers(placements, mirror, unit)
            if number in numbers:
                return unit, number - numbers.start
    raise ValueError(f"bg{background}/fg_{foreground} has no sample {number}")


def units_of_background(
    background: int, foregrounds: int, mirror: bool, rounds: int
) -> Iterator[WorkUnit]:
    """All work units on one background, in the order of their samples."""
    for foreground in range(1, foregrounds + 1):
        for round_ in range(rounds):
            yield WorkUnit(background, foreground, False, round_)
            if mirror:
                yield WorkUnit(background, foreground, True, round_)
