"""Progress on standard error: a bar on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from tqdm import tqdm

from fgbg.transforms.escaping import terminal
from fgbg.transforms.quantities import byte_size, duration

__all__ = ["Progress", "byte_size", "duration", "quiet", "say", "tell"]

PLAIN_INTERVAL_S = 10.0


_quiet = False


@contextlib.contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """Nothing is said inside but warnings; results are printed all the same.

    Args:
        wanted: Whether to be quiet at all.
    """
    global _quiet
    before, _quiet = _quiet, wanted
    try:
        yield
    finally:
        _quiet = before


def _is_left_out(line: str) -> bool:
    return _quiet and not line.startswith("Warning: ")


def say(line: str) -> None:
    """Prints a line on standard error, at once: what is of interest while a command runs."""
    if not _is_left_out(line):
        print(terminal(line), file=sys.stderr, flush=True)


def tell(line: str = "") -> None:
    """Prints a line of what a command has to say in the end, on standard output."""
    print(terminal(line))


class Progress:
    """Shows how far a job is.

    Args:
        what: What is counted, such as "samples".
        total: How many there will be.
        done: How many were there before.
        stream: Where to.
    """

    def __init__(self, what: str, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        self._what = what
        self._total = total
        self._before = done
        self._stream = stream or sys.stderr
        self._start = self._last = time.monotonic()
        self._bar: tqdm | None = None
        if self._stream.isatty() and not _quiet:
            self._bar = tqdm(
                total=total,
                initial=done,
                unit=" " + what,
                file=self._stream,
                smoothing=0.1,
                dynamic_ncols=True,
            )

    def update(self, new: int, failed: int = 0, note: str | None = None) -> None:
        """Shows the state.

        Args:
            new: How many were done since the start.
            failed: Failures so far.
            note: What to say instead of the number of failures.
        """
        words = note if note is not None else f"{failed} failed"
        done = self._before + new
        if self._bar is not None:
            self._bar.set_postfix_str(words, refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._last < PLAIN_INTERVAL_S:
            return
        self._last = now
        rate = new / (now - self._start)
        left = duration((self._total - done) / rate) if rate else "unknown time"
        share = done / self._total if self._total else 1.0
        self.say(
            f"{done:,} of {self._total:,} {self._what} ({share:.1%}), {rate:,.0f} a second, "
            f"{left} left, {words}"
        )

    def say(self, line: str) -> None:
        """Prints a line without tearing the bar."""
        if _is_left_out(line):
            return
        if self._bar is not None:
            self._bar.clear()
        print(terminal(line), file=self._stream, flush=True)
        if self._bar is not None:
            self._bar.refresh()

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()
