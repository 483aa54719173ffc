"""A job on another runner while it runs: progress, quiet logs, and Ctrl-C."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.runner import PipelineState

from fgbg.pipeline import faults
from fgbg.pipeline.progress import Progress, say
from fgbg.pipeline.workers.local import samples_of
from fgbg.transforms import meter
from fgbg.transforms.job import commit
from fgbg.transforms.job.job import Job

# An engine has so long to answer and to end a job that is cancelled, in seconds.
_PATIENCE_S = 30.0
_INTERVAL_S = 1.0
# A look takes at most this share of the time.
_SHARE = 0.05


def totals(result: Any) -> dict[str, int]:
    """Our counters of a job, as they are now."""
    if hasattr(result, "_metrics"):
        result._metrics = None  # portable runners keep their first answer
    found = result.metrics().query(MetricsFilter().with_namespace(meter.NAMESPACE))
    counted: dict[str, int] = {}
    for counter in found["counters"]:
        name = counter.key.metric.name
        if name in meter.COUNTERS or name.startswith(meter.DEVICE):
            counted[name] = counted.get(name, 0) + (value(counter) or 0)
    return counted


def value(metric: Any) -> Any:
    """What a job has counted for certain; where a runner does not say that, what it tried."""
    return metric.committed if metric.committed is not None else metric.attempted


class Watch:
    """Shows how far a job is, by a thread: from its metrics, else from its commit records.

    Args:
        output: The data set.
        job: Its job.
        done: Samples that were there before.

    Attributes:
        result: The job on the runner; None while there is none.
    """

    def __init__(self, output: str, job: Job, done: int) -> None:
        self.result: Any = None
        self._output = output
        self._job = job
        self._done = done
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(_PATIENCE_S)

    def _look(self) -> None:
        progress = Progress("samples", self._job.samples, self._done)
        pause, joining = _INTERVAL_S, False
        while not self._ended.wait(pause):
            started = time.monotonic()
            new, failed = self._state()
            progress.update(new, failed)
            if self._job.in_records and self._done + new >= self._job.samples and not joining:
                joining = True
                progress.say("All samples are made; their records are joined to shards.")
            pause = max(_INTERVAL_S, (time.monotonic() - started) / _SHARE)
        progress.close()

    def _state(self) -> tuple[int, int]:
        """New samples and failed units."""
        with contextlib.suppress(Exception):  # of a runner that tells nothing yet, or never
            counted = totals(self.result)
            if counted.get("samples") or counted.get("units_failed"):
                return counted.get("samples", 0), counted.get("units_failed", 0)
        with contextlib.suppress(OSError):
            listed = commit.by_background(self._output, self._job)
            samples = sum(samples_of(self._job, found.done) for found in listed)
            return max(0, samples - self._done), 0
        return 0, 0


class _OfMainThread(io.TextIOBase):
    """Standard error without what threads of Beam print while they lose what they work with.

    Args:
        stream: Where the main thread writes to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread() is threading.main_thread():
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


def cancel(result: Any) -> None:
    """Ends a job on its engine, and waits until the engine says so."""
    sys.stderr = _OfMainThread(sys.stderr)
    threading.excepthook = lambda _: None
    if result is None or not hasattr(result, "cancel"):
        return  # the runner was this process
    states: list[str] = []

    def work() -> None:
        with contextlib.suppress(Exception):
            result.cancel()
            while not PipelineState.is_terminal(result.state):
                time.sleep(0.2)
            states.append(result.state)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    if states:
        say(f"\nThe job on the engine is {states[0]}.")
    else:
        say("\nThe engine does not say that it has ended the job; look there, and cancel it.")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the logs of Beam and of workers back, whose errors are told in one line."""
    # For good: it tells of the end of servers, which is this process' end.
    logging.getLogger("apache_beam.utils.subprocess_server").setLevel(logging.ERROR)
    if not faults.traceback_wanted():
        logging.disable(logging.CRITICAL)
    try:
        yield
    except KeyboardInterrupt:
        raise  # this process ends, and its threads with it: nobody wants to hear of them
    except BaseException:
        logging.disable(logging.NOTSET)
        raise
    logging.disable(logging.NOTSET)


class Interrupts:
    """Knows whether Ctrl-C was pressed: runners make other errors of it, or handle it their way."""

    def __init__(self) -> None:
        self.pressed = False
        self._before = signal.getsignal(signal.SIGINT)

    def take(self) -> None:
        """Has Ctrl-C come here, and from here to who had it before."""
        if threading.current_thread() is threading.main_thread() and callable(self._before):
            signal.signal(signal.SIGINT, self._handle)

    def give_back(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        if callable(self._before):
            self._before(number, frame)
