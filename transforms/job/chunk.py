"""Chunks: what of a data set one process holds at a time, whatever the size of the whole.

A chunk is a background with some of the foregrounds: all of them, unless these are more samples
than a process should hold. It is a function of the job alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit

# About 100 MB as Python's objects.
MOST_SAMPLES = 50_000


class Chunk(NamedTuple):
    """Some units of one background.

    Attributes:
        background: Its number.
        first: Number of the first foreground, from 1.
        last: Number of the last one.
    """

    background: int
    first: int
    last: int

    def has(self, unit: WorkUnit) -> bool:
        """Whether a unit belongs to it."""
        return unit.background == self.background and self.first <= unit.foreground <= self.last


def _foregrounds_at_once(job: Job) -> int:
    c = job.configuration
    of_a_pair = sum(c.placements) * (2 if c.mirror else 1)
    return max(1, MOST_SAMPLES // of_a_pair)


def chunks_of(job: Job, background: int) -> Iterator[Chunk]:
    """The chunks of a background, in the order of their samples."""
    step, count = _foregrounds_at_once(job), len(job.foregrounds)
    for first in range(1, count + 1, step):
        yield Chunk(background, first, min(count, first + step - 1))


def chunks(job: Job) -> Iterator[Chunk]:
    """The chunks of a job, in the order of their samples."""
    for background in range(1, len(job.backgrounds) + 1):
        yield from chunks_of(job, background)


def chunk_of(job: Job, unit: WorkUnit) -> Chunk:
    """The chunk that a unit belongs to."""
    step = _foregrounds_at_once(job)
    first = (unit.foreground - 1) // step * step + 1
    return Chunk(unit.background, first, min(len(job.foregrounds), first + step - 1))


def units_of(job: Job, chunk: Chunk) -> Iterator[WorkUnit]:
    """All units of a chunk, in the order of the manifest."""
    c = job.configuration
    for foreground in range(chunk.first, chunk.last + 1):
        for round_ in range(len(c.placements)):
            for mirrored in (False, True) if c.mirror else (False,):
                yield WorkUnit(chunk.background, foreground, mirrored, round_)
