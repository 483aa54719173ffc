"""The machine's cores: one worker process for each slice of the work, watched from here.

Beam's FnApiRunner works in one process and on one core; its own multi-processing mode waits for
ever when a worker dies. So every slice is a pipeline of its own in a process of its own. A process
that dies is noticed, and its slice goes on in a new one; what was committed stays.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import multiprocessing
import multiprocessing.sharedctypes
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, MutableSequence
from multiprocessing import connection, forkserver
from typing import Any

from fgbg.pipeline.exit_codes import UserError
from fgbg.transforms import meter

# How often the launcher looks up to show progress, in seconds.
_TICK_S = 0.25
# Imported once, in the process that the workers are forked from.
_PRELOAD = ["fgbg.pipeline.workers.tasks"]
# Deaths of one slice's processes before the job is given up: beyond that it is not chance.
_MOST_DEATHS = 10


class WorkerError(RuntimeError):
    """A worker process failed outside any unit of work, or died again and again."""


@dataclasses.dataclass
class _Worker:
    index: int
    argument: Any
    counters: MutableSequence[int]
    process: Any
    receiver: connection.Connection
    deaths: int = 0


def available_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(_PRELOAD)
    return context


def peak_memory() -> int:
    """The greatest memory that this process has used so far, in bytes."""
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def warm_up() -> None:
    """Starts the process that workers are forked from, which imports Beam, and does not wait."""
    if _context().get_start_method() == "forkserver":
        forkserver.ensure_running()


class ProcessGroup:
    """Runs a task over arguments, a process for each.

    Args:
        array_length: Number of counters that every process shares with this one.
        threads: CPU threads for each.
        most_deaths: Deaths of one slice's processes after which the job is given up.
    """

    def __init__(self, array_length: int, threads: int, most_deaths: int = _MOST_DEATHS) -> None:
        self._array_length = array_length
        self._threads = threads
        self._most_deaths = most_deaths
        self._context = _context()

    def run(
        self,
        task: str,
        arguments: list[Any],
        on_tick: Callable[[list[int]], None] = lambda totals: None,
        on_death: Callable[[MutableSequence[int], Any, str], Any] | None = None,
    ) -> tuple[list[Any], list[int]]:
        """Runs a task for every argument, all at once.

        Args:
            task: "module:function", which this process need not import.
            arguments: Its arguments.
            on_tick: Called a few times a second with the counters of all processes as one.
            on_death: Called when a process died, with its counters, its argument and how it died;
                gives the argument to go on with.

        Returns:
            The results in order, and the counters of all processes as one (meter.combine).

        Raises:
            UserError: A task raised it.
            WorkerError: A task raised anything else, or its process died again and again.
        """
        totals = [0] * self._array_length
        workers = {i: self._start(i, task, argument) for i, argument in enumerate(arguments)}
        results: list[Any] = [None] * len(arguments)

        def tick() -> None:
            live = (worker.counters for worker in workers.values())
            on_tick(functools.reduce(meter.combine, live, totals))

        try:
            while workers:
                waited = [w.receiver for w in workers.values()]
                connection.wait(waited, timeout=_TICK_S)
                tick()
                for index, worker in list(workers.items()):
                    if not worker.receiver.poll():
                        continue
                    try:
                        kind, value = worker.receiver.recv()
                    except (EOFError, OSError):
                        kind, value = "died", None
                    worker.process.join()
                    totals = meter.combine(totals, worker.counters)
                    del workers[index]
                    if kind == "result":
                        results[index] = value
                    elif kind == "died":
                        workers[index] = self._after_death(task, worker, on_death)
                    else:
                        raise UserError(value) if kind == "user_error" else WorkerError(value)
        finally:
            for worker in workers.values():
                worker.process.kill()
            for worker in workers.values():
                worker.process.join()
        on_tick(totals)
        return results, totals

    def _start(self, index: int, task: str, argument: Any, deaths: int = 0) -> _Worker:
        receiver, sender = self._context.Pipe(duplex=False)
        counters = multiprocessing.sharedctypes.RawArray("q", self._array_length)
        process = self._context.Process(
            target=_work, args=(task, argument, counters, sender, self._threads), daemon=True
        )
        process.start()
        sender.close()  # so that the process' death closes the pipe
        return _Worker(index, argument, counters, process, receiver, deaths)

    def _after_death(
        self,
        task: str,
        worker: _Worker,
        on_death: Callable[[MutableSequence[int], Any, str], Any] | None,
    ) -> _Worker:
        code = worker.process.exitcode
        how = f"exit code {code}"
        if code is not None and code < 0:
            how = signal.Signals(-code).name
            if how == "SIGKILL":
                how += " (by the system when memory is short, or by hand)"
        if worker.deaths + 1 >= self._most_deaths:
            raise WorkerError(f"a worker process died {worker.deaths + 1} times: {how}")
        argument = on_death(worker.counters, worker.argument, how) if on_death else worker.argument
        return self._start(worker.index, task, argument, worker.deaths + 1)


def _work(
    task: str,
    argument: Any,
    counters: MutableSequence[int],
    sender: connection.Connection,
    threads: int,
) -> None:
    """What a worker process does: the task, and nothing after its launcher has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launcher's to handle
    threading.Thread(target=_die_with_parent, daemon=True).start()
    module, _, function = task.partition(":")
    try:
        # An import that fails once fails again: it is an error, not a death to recover from.
        from fgbg.pipeline.workers import tasks as worker

        worker.set_up(counters, threads)
        sender.send(("result", getattr(importlib.import_module(module), function)(argument)))
    except UserError as error:
        sender.send(("user_error", str(error)))
    except Exception:
        sender.send(("error", traceback.format_exc()))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
