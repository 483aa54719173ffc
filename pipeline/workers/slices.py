"""A job's items dealt out to worker processes, and what becomes of those that kill theirs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from fgbg.pipeline.arguments import Slice
from fgbg.pipeline.progress import Progress
from fgbg.pipeline.workers import processes
from fgbg.pipeline.workers.processes import Ran
from fgbg.transforms import meter

# Deaths of worker processes at one item after which it is given up.
_DEATHS_OF_AN_ITEM = 2


def run_slices(
    task: str,
    slices: int,
    *arguments: Any,
    progress: Progress,
    shown: Iterable[str],
    name_of: Callable[[int], str],
    give_up: Callable[[int, str], None],
) -> Ran:
    """Runs a task in a process for each slice of a job's items.

    The task calls meter.begin with an item's number before it does the item. A process that dies
    is replaced by another for the same slice, which is to leave out what is done. An item at which
    processes died twice is given up, and the others go on.

    Args:
        task: "module:function" of tasks.py, called with a Slice and then the arguments.
        slices: Number of slices.
        arguments: Those of every slice.
        progress: Where to show the counters; it is closed at the end.
        shown: Counters of meter.COUNTERS that together say how far the job is.
        name_of: What an item is called, by its number.
        give_up: Called with the number of an item that is given up, and why.

    Returns:
        The results, in the order of the slices; items given up are among units_failed.

    Raises:
        UserError: A task raised it.
        WorkerError: A task raised anything else, or processes died outside any item.
    """
    failed = meter.COUNTERS.index("units_failed")
    indices = [meter.COUNTERS.index(name) for name in shown]
    deaths: Counter[int] = Counter()

    def with_given_up(counters: list[int]) -> list[int]:
        counters = counters.copy()
        counters[failed] += sum(times >= _DEATHS_OF_AN_ITEM for times in deaths.values())
        return counters

    def on_tick(counters: list[int]) -> None:
        counters = with_given_up(counters)
        progress.update(sum(counters[i] for i in indices), counters[failed])

    def on_death(counters: Any, given: tuple[Any, ...], how: str) -> tuple[Any, ...]:
        item = meter.item_at_death(counters)
        where = "" if item is None else f" at {name_of(item)}"
        progress.say(f"A worker process died ({how}){where}; its work goes on in a new one.")
        if item is None:
            return given
        deaths[item] += 1
        if deaths[item] < _DEATHS_OF_AN_ITEM:
            return given
        give_up(item, f"the worker process died {deaths[item]} times at it: {how}")
        part, *rest = given
        return dataclasses.replace(part, without=part.without | {item}), *rest

    given = [(Slice(i, slices), *arguments) for i in range(slices)]
    with contextlib.closing(progress):
        ran = processes.run(task, given, on_tick, on_death)
    return ran._replace(counters=with_given_up(ran.counters))
