"""A map in threads that keeps the order and a bounded number of items in memory."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fgbg.files.paths import is_gcs

# Requests to gs:// at a time: each waits for its answer.
GCS_THREADS = 16
# Pictures copied, checked or decoded at a time on this machine: each is in memory meanwhile.
LOCAL_THREADS = 4

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def threads_for(path: str) -> int:
    """Small files read or written at a time where the path is: several if each is a request."""
    return GCS_THREADS if is_gcs(path) else 1


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int
) -> Iterator[_Result]:
    """Maps in threads, a few items ahead; results come in the order of the items.

    Args:
        function: Called in a thread. What takes its time (reading, OpenCV, zlib) lets go of
            Python's lock.
        items: Taken one by one, in this thread.
        threads: How many.

    Raises:
        Exception: Whatever the function raised, at the item's turn.
    """
    waiting: collections.deque[Future[_Result]] = collections.deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 4 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
