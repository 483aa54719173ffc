"""Worker processes of `fgbg cutout`: a pipeline over a slice of the photos in each.

Every slice has a pool of one process, so that a process that dies breaks its own slice only; the
slice goes on in a new one.
"""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import multiprocessing.sharedctypes
import os
import signal
import threading
import time
from collections.abc import Callable, MutableSequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from models.segmentation import SegmentationModelError
from pipeline.exit_codes import UserError
from transforms import meter
from transforms.cutout.method import Method
from transforms.cutout.record import Task

_TICK_S = 0.25
# What the processes are forked from imports this, and Beam by it, once for all of them.
_PRELOAD = ["transforms.cutout.steps"]
_MOST_DEATHS = 20
# After the counters: whether the launcher wants the process to end.
_STOP = meter.ARRAY_LENGTH


class CutOutWorkerError(RuntimeError):
    """A worker process failed outside any photo, or died again and again."""


@dataclasses.dataclass(frozen=True)
class Slice:
    """What one worker process does.

    Attributes:
        output: The folder of the cut-outs.
        tasks: Its photos.
        method: How they are cut out.
        fingerprint: Of the method.
        threads: CPU threads of a network.
    """

    output: str
    tasks: tuple[Task, ...]
    method: Method
    fingerprint: str
    threads: int


@dataclasses.dataclass
class _Worker:
    work: Slice
    pool: ProcessPoolExecutor
    array: MutableSequence[int]
    future: Future[None]


def run(
    slices: list[Slice],
    on_tick: Callable[[int, int], None],
    on_death: Callable[[Slice, int | None], Slice],
) -> None:
    """Cuts out all slices at once, a process for each.

    Args:
        slices: The work.
        on_tick: Called a few times a second with the numbers of cut-outs and of failures so far.
        on_death: Called when a process died, with its slice and the number of the photo it was
            at, if it was at one; gives the slice to go on with.

    Raises:
        UserError: The network cannot be used.
        CutOutWorkerError: A process failed outside any photo, or they die again and again.
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(_PRELOAD)
    workers = [_start(context, work) for work in slices]
    finished: list[MutableSequence[int]] = []
    deaths = 0
    try:
        while workers:
            wait(
                [worker.future for worker in workers],
                timeout=_TICK_S,
                return_when="FIRST_COMPLETED",
            )
            _tick(finished + [worker.array for worker in workers], on_tick)
            for worker in [w for w in workers if w.future.done()]:
                workers.remove(worker)
                finished.append(worker.array)
                worker.pool.shutdown()
                error = worker.future.exception()
                if isinstance(error, BrokenProcessPool):
                    deaths += 1
                    if deaths >= _MOST_DEATHS:
                        raise CutOutWorkerError(f"worker processes died {deaths} times")
                    unit = meter.unit_at_death(worker.array)
                    work = on_death(worker.work, unit.background if unit else None)
                    if work.tasks:
                        workers.append(_start(context, work))
                elif isinstance(error, SegmentationModelError):
                    raise UserError(str(error))
                elif error is not None:
                    raise CutOutWorkerError(f"{type(error).__name__}: {error}") from error
    finally:
        for worker in workers:
            worker.array[_STOP] = 1
        for worker in workers:
            worker.pool.shutdown(cancel_futures=True)
    _tick(finished, on_tick)


def _tick(arrays: list[MutableSequence[int]], on_tick: Callable[[int, int], None]) -> None:
    made, failed = (meter.COUNTERS.index(name) for name in ("units_done", "units_failed"))
    on_tick(sum(a[made] for a in arrays), sum(a[failed] for a in arrays))


def _start(context: Any, work: Slice) -> _Worker:
    array = multiprocessing.sharedctypes.RawArray("q", _STOP + 1)
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_set_up, initargs=(array,))
    return _Worker(work, pool, array, pool.submit(cut_out_slice, work))


def _set_up(array: MutableSequence[int]) -> None:
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launcher's to handle
    logging.getLogger().setLevel(logging.ERROR)  # Beam warns of things that nobody can change
    cv2.setNumThreads(1)  # the processes are its threads
    meter.share(array)
    threading.Thread(target=_end_when_told, args=(array, os.getppid()), daemon=True).start()


def _end_when_told(array: MutableSequence[int], parent: int) -> None:
    launcher = multiprocessing.parent_process()
    while not array[_STOP] and os.getppid() == parent and (not launcher or launcher.is_alive()):
        time.sleep(_TICK_S)
    os._exit(1)


def cut_out_slice(work: Slice) -> None:
    """Cuts out the photos of one slice."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from transforms.cutout import method, steps

    if work.method.model is not None:
        # Opened before the pipeline starts, so that its errors reach the person as they are.
        method.open_network(work.method, work.threads)
    arguments = steps.CutOutArguments(
        work.output, work.tasks, work.method, work.fingerprint, work.threads
    )
    with beam.Pipeline(FnApiRunner(), PipelineOptions([])) as root:
        steps.cut_out(root, arguments)
