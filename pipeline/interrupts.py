"""Ctrl-C, pressed once or many times: one KeyboardInterrupt, and no traceback after it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from types import FrameType

from fgbg.pipeline.exit_codes import INTERRUPTED

# So long the end of a command is not disturbed by further ones, in seconds; then it is given up.
_PATIENCE_S = 10.0


@contextlib.contextmanager
def once(for_good: bool) -> Iterator[None]:
    """Has the first Ctrl-C raise KeyboardInterrupt, and further ones not disturb what it ends.

    Args:
        for_good: Whether Ctrl-C is of no more effect after an interrupted block: it would only
            disturb the end of this process.
    """
    before = signal.getsignal(signal.SIGINT)
    here = threading.current_thread() is threading.main_thread()
    if not here or before != signal.default_int_handler:
        yield  # in a thread, or where the caller has decided about Ctrl-C
        return
    first: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if first:
            if time.monotonic() - first[0] > _PATIENCE_S:
                os._exit(INTERRUPTED)
            return
        first.append(time.monotonic())
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN if first and for_good else before)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Has processes that are started inside never see Ctrl-C, which is their launcher's."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
