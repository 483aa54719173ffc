"""Counters of the graph: Beam's metrics, and the same live for a launcher in another process.

Beam's local runner tells its metrics when a pipeline has ended. A person who waits wants them
sooner, so a launcher may give this process an array in shared memory to count in as well.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections.abc import Iterator, MutableSequence, Sequence
from typing import Any

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
# Pictures in a call of the depth network: a distribution.
BATCH_SIZE = "depth_batch_size"
# A counter of this and the GPU's name counts the units whose depth was made there.
DEVICE = "units_with_depth_on_"
# After the counters: number of batches, their pictures, the most and (a complement, so that the
# greatest is wanted of it too) the fewest pictures in one.
_BATCHES = len(COUNTERS)
_COMPLEMENT = 1 << 40
_GREATEST = frozenset((_BATCHES + 2, _BATCHES + 3))
# After these: the item that is being done, counted from 1; 0 for none.
_BUSY = _BATCHES + 4
ARRAY_LENGTH = _BUSY + 1
_INDEX = {name: i for i, name in enumerate(COUNTERS)}

_shared: MutableSequence[int] | None = None


def share(array: MutableSequence[int] | None) -> None:
    """Counts in the launcher's array (of ARRAY_LENGTH) too, from now on, in this process."""
    global _shared
    _shared = array


@functools.cache
def _metric(name: str) -> Any:
    from apache_beam.metrics import Metrics  # here: the launcher reads counters without Beam

    return Metrics.counter(NAMESPACE, name)


@functools.cache
def _distribution(name: str) -> Any:
    from apache_beam.metrics import Metrics

    return Metrics.distribution(NAMESPACE, name)


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter of COUNTERS."""
    _metric(name).inc(amount)
    if _shared is not None:
        _shared[_INDEX[name]] += amount


def batch(pictures: int) -> None:
    """Adds a call of the depth network to the distribution of batch sizes."""
    _distribution(BATCH_SIZE).update(pictures)
    if _shared is not None:
        _shared[_BATCHES] += 1
        _shared[_BATCHES + 1] += pictures
        _shared[_BATCHES + 2] = max(_shared[_BATCHES + 2], pictures)
        _shared[_BATCHES + 3] = max(_shared[_BATCHES + 3], _COMPLEMENT - pictures)


def depth_made_on(gpu: str | None) -> None:
    """Counts a unit by the device that made its depth: a metric has no room for a text.

    Args:
        gpu: The GPU's name, None for the processor.
    """
    name = re.sub(r"\W+", "_", gpu) if gpu else "cpu"
    _metric(DEVICE + name).inc()


def combine(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Two processes' arrays, or what was combined of several, as one."""
    pairs = enumerate(zip(one, other, strict=True))
    return [max(a, b) if i in _GREATEST else a + b for i, (a, b) in pairs]


def batch_sizes(array: Sequence[int]) -> dict[str, float] | None:
    """The distribution of batch sizes in an array, for JSON; None where there were no batches."""
    count, total, most, complement = array[_BATCHES:_BUSY]
    if not count:
        return None
    least = _COMPLEMENT - complement
    return {"count": count, "min": least, "max": most, "mean": total / count}


@contextlib.contextmanager
def timed(name: str) -> Iterator[None]:
    """Adds the time of a block to a counter of microseconds."""
    start = time.perf_counter_ns()
    try:
        yield
    finally:
        count(name, (time.perf_counter_ns() - start) // 1000)


def counted(name: str) -> int:
    """A counter of COUNTERS in the launcher's array; 0 where there is no launcher."""
    return 0 if _shared is None else _shared[_INDEX[name]]


def begin(item: int) -> None:
    """Tells the launcher which item this process would be doing if it died now.

    Args:
        item: The item's number in the job, from 0: of a work unit, a photo, a shard.
    """
    if _shared is not None:
        _shared[_BUSY] = item + 1


def end() -> None:
    """Tells the launcher that the item is done or has failed."""
    if _shared is not None:
        _shared[_BUSY] = 0


def item_at_death(array: Sequence[int]) -> int | None:
    """The item that a process was doing, by its array; None between two items."""
    return array[_BUSY] - 1 if array[_BUSY] else None
