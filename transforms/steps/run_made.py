"""What a run of the whole graph has made, added up as its units are done: for its timings."""

from __future__ import annotations

import functools
import os
import time
import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple


class Made(NamedTuple):
    """What some units' making has come to.

    Attributes:
        samples: Number of samples.
        units: Number of units.
        first: Seconds since 1970 when the first unit was done; infinity if there is none.
        processes: A name of each process that made some.
    """

    samples: int = 0
    units: int = 0
    first: float = float("inf")
    processes: frozenset[str] = frozenset()


def made_now(samples: int) -> Made:
    """Of one unit that was done in this process at this moment."""
    return Made(samples, 1, time.time(), frozenset((_process(os.getpid()),)))


@functools.cache
def _process(number: int) -> str:
    # Numbers of processes are the same in many containers.
    return f"{number}-{uuid.uuid4().hex[:12]}"


def added_up(parts: Iterable[Made]) -> Made:
    """All of them together."""
    total = Made()
    for part in parts:
        total = Made(
            total.samples + part.samples,
            total.units + part.units,
            min(total.first, part.first),
            total.processes | part.processes,
        )
    return total


def timings(made: Made, launched: float | None) -> dict[str, Any] | None:
    """What generation.json says of a run that ends now; None of one that had nothing to make.

    Args:
        made: What it made.
        launched: Seconds since 1970 when it was launched; None for a graph that is kept to be
            launched later, whose time is that from its first unit on.
    """
    if not made.units:
        return None
    now = time.time()
    begun = made.first if launched is None else launched
    return {
        "wall_s": round(max(0.0, now - begun), 3),
        "workers": len(made.processes),
        "samples": made.samples,
        "units_done": made.units,
    }
