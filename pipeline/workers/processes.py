"""The machine's cores: one worker process for each slice of the work, watched from here.

Beam's FnApiRunner works in one process and on one core; its own multi-processing mode waits for
ever when a worker dies. So every slice is a pipeline of its own in a process of its own. A process
that dies is noticed, and its slice goes on in a new one; what was committed stays.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import logging
import multiprocessing
import multiprocessing.sharedctypes
import os
import pickle
import resource
import signal
import sys
import threading
from collections.abc import Callable, MutableSequence
from multiprocessing import connection, forkserver
from typing import Any, NamedTuple

from fgbg.pipeline import faults, interrupts
from fgbg.pipeline.exit_codes import UserError, WorkerError
from fgbg.transforms import meter

# How often the launcher looks up to show progress, in seconds.
_TICK_S = 0.25
# Imported once, in the process that the workers are forked from.
_PRELOAD = ["fgbg.pipeline.workers.preload"]
# Deaths of one slice's processes before the job is given up: beyond that it is not chance.
_MOST_DEATHS = 10


class Ran(NamedTuple):
    """What processes have done.

    Attributes:
        results: Of each task.
        counters: Of all processes as one (meter.combine).
        peak_memory: The greatest of a process, in bytes.
    """

    results: list[Any]
    counters: list[int]
    peak_memory: int

    def count(self, name: str) -> int:
        """A counter of meter.COUNTERS."""
        return self.counters[meter.COUNTERS.index(name)]


OnDeath = Callable[[MutableSequence[int], tuple[Any, ...], str], tuple[Any, ...]]


@dataclasses.dataclass
class _Worker:
    arguments: tuple[Any, ...]
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
        with interrupts.held_back():
            forkserver.ensure_running()


def run_alone(task: str, *arguments: Any) -> Any:
    """Runs a task in one process, as `run` does. Returns its result."""
    return run(task, [arguments]).results[0]


def run(
    task: str,
    arguments: list[tuple[Any, ...]],
    on_tick: Callable[[list[int]], None] = lambda totals: None,
    on_death: OnDeath = lambda counters, arguments, how: arguments,
) -> Ran:
    """Runs a task several times at once, a process for each.

    Args:
        task: "module:function", which this process need not import.
        arguments: Those of each process.
        on_tick: Called a few times a second with the counters of all processes as one.
        on_death: Called when a process died, with its counters, its arguments and how it died;
            returns the arguments to go on with.

    Raises:
        UserError: A task raised it.
        WorkerError: A task raised anything else, or its process died again and again.
        MemoryError: The limit of memory is too low for any process.
    """
    faults.check_limit_of_memory()
    totals = [0] * meter.ARRAY_LENGTH
    workers = {i: _start(task, given) for i, given in enumerate(arguments)}
    results: list[Any] = [None] * len(arguments)
    peak = 0

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
                    kind, value, memory = worker.receiver.recv()
                except (EOFError, OSError):
                    kind, value, memory = "died", None, 0
                worker.process.join()
                totals = meter.combine(totals, worker.counters)
                peak = max(peak, memory)
                del workers[index]
                if kind == "result":
                    results[index] = value
                elif kind == "died":
                    workers[index] = _after_death(task, worker, on_death)
                else:
                    raise UserError(value) if kind == "user_error" else WorkerError(value)
    finally:
        for worker in workers.values():
            worker.process.kill()
        for worker in workers.values():
            worker.process.join()
    on_tick(totals)
    return Ran(results, totals, peak)


def _start(task: str, arguments: tuple[Any, ...], deaths: int = 0) -> _Worker:
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    counters = multiprocessing.sharedctypes.RawArray("q", meter.ARRAY_LENGTH)
    # Unpacked by _work, whose errors reach us: what they are made of has to be imported first.
    packed = pickle.dumps(arguments)
    process = context.Process(target=_work, args=(task, packed, counters, sender), daemon=True)
    try:
        with interrupts.held_back():
            process.start()
    except (EOFError, ConnectionError) as error:
        raise WorkerError(faults.death("the process that starts the workers has ended")) from error
    sender.close()  # so that the process' death closes the pipe
    return _Worker(arguments, counters, process, receiver, deaths)


def _after_death(task: str, worker: _Worker, on_death: OnDeath) -> _Worker:
    code = worker.process.exitcode
    how = faults.signal_or_code(code)
    if how == "SIGKILL":
        how += " (by the system when memory is short, or by hand)"
    how = faults.death(how)
    deaths = worker.deaths + 1
    if deaths >= _MOST_DEATHS:
        raise WorkerError(f"a worker process died {deaths} times: {how}")
    return _start(task, on_death(worker.counters, worker.arguments, how), deaths)


def _work(
    task: str,
    packed: bytes,
    counters: MutableSequence[int],
    sender: connection.Connection,
) -> None:
    """What a worker process does: the task, and nothing after its launcher has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launcher's to handle
    faults.threads_start_or_fail()
    try:
        threading.Thread(target=_die_with_parent, daemon=True).start()
        # An import that fails once fails again: it is an error, not a death to recover from.
        sender.send(("result", call(task, pickle.loads(packed), counters), peak_memory()))
    except UserError as error:
        sender.send(("user_error", str(error), 0))
    except Exception as error:
        sender.send(("error", faults.with_traceback(faults.explain(error), error), 0))


def call(task: str, arguments: tuple[Any, ...], counters: MutableSequence[int]) -> Any:
    """Prepares this process for the work of a worker, and does it.

    Args:
        task: "module:function".
        arguments: Of the function.
        counters: Array to count in, of meter.ARRAY_LENGTH.
    """
    import cv2

    logging.getLogger().setLevel(logging.ERROR)  # Beam warns of things that nobody can change
    if not faults.traceback_wanted():
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # an error is raised, too
    logging.getLogger("fgbg").setLevel(logging.WARNING)
    cv2.setNumThreads(1)  # the processes are its threads
    meter.share(counters)
    module, _, function = task.partition(":")
    return getattr(importlib.import_module(module), function)(*arguments)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
