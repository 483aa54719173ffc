"""Counters of the graph: Beam's metrics, and the same live for a launcher in another process.

Beam's local runner tells its metrics when a pipeline has ended. A person who waits wants them
sooner, so a launcher may give this process an array in shared memory to count in as well.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator, MutableSequence
from typing import Any

from transforms.work_unit import WorkUnit

NAMESPACE = "fgbg"
COUNTERS = (
    "units_done",
    "units_skipped",
    "units_failed",
    "samples",
    "bytes",
    "compose_microseconds",
    "depth_microseconds",
    "write_microseconds",
    "rows_checked",
    "shards_joined",
)
# After the counters: whether a unit is being made, and which.
ARRAY_LENGTH = len(COUNTERS) + 1 + len(WorkUnit._fields)
_INDEX = {name: i for i, name in enumerate(COUNTERS)}
_BUSY = len(COUNTERS)

_shared: MutableSequence[int] | None = None


def share(array: MutableSequence[int] | None) -> None:
    """Counts in the launcher's array (of ARRAY_LENGTH) too, from now on, in this process."""
    global _shared
    _shared = array


@functools.cache
def _metric(name: str) -> Any:
    from apache_beam.metrics import Metrics  # here: the launcher reads counters without Beam

    return Metrics.counter(NAMESPACE, name)


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter of COUNTERS."""
    _metric(name).inc(amount)
    if _shared is not None:
        _shared[_INDEX[name]] += amount


@contextlib.contextmanager
def timed(name: str) -> Iterator[None]:
    """Adds the time of a block to a counter of microseconds."""
    start = time.perf_counter_ns()
    try:
        yield
    finally:
        count(name, (time.perf_counter_ns() - start) // 1000)


def begin(unit: WorkUnit) -> None:
    """Tells the launcher which unit this process would be making if it died now."""
    if _shared is not None:
        _shared[_BUSY + 1 : _BUSY + 1 + len(unit)] = [int(field) for field in unit]
        _shared[_BUSY] = 1


def end() -> None:
    """Tells the launcher that the unit is done or has failed."""
    if _shared is not None:
        _shared[_BUSY] = 0


def unit_at_death(array: MutableSequence[int]) -> WorkUnit | None:
    """The unit that a process was making, of its array."""
    if not array[_BUSY]:
        return None
    background, foreground, mirrored, round_ = array[_BUSY + 1 : ARRAY_LENGTH]
    return WorkUnit(background, foreground, bool(mirrored), round_)
