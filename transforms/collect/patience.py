"""Politeness to hosts, and patience with those that ask for it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fgbg.files.http import LATER, WebError, pause_s, retry_after
from fgbg.transforms.collect.web import Answer, StoppedError

_ABOUT_USER_AGENT = re.compile(rb"user[- ]?agent", re.IGNORECASE)
WHO_ASKS = "the service wants to know who asks: give --contact, an address or a page of yours"


def is_later(answer: Answer) -> bool:
    """Whether a later try may bring a better answer."""
    return answer.status in LATER


class HostGate:
    """Lets requests to a host pass: not too many at once, not too soon one after the other.

    Args:
        at_once: Requests to one host at once.
        interval_s: Least time between the starts of two.
        stopped: Set when the run is to end; ends all waits.
    """

    def __init__(self, at_once: int, interval_s: float, stopped: threading.Event) -> None:
        self._at_once = at_once
        self._interval_s = interval_s
        self._stopped = stopped
        self._change = threading.Condition()
        self._running: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    @contextmanager
    def passing(self, host: str) -> Iterator[None]:
        """Waits until the host may be asked, and counts the request while it runs."""
        with self._change:
            while True:
                if self._stopped.is_set():
                    raise StoppedError
                wait = self._not_before.get(host, 0.0) - time.monotonic()
                if wait <= 0 and self._running.get(host, 0) < self._at_once:
                    break
                # Looks up now and then for the end of the run.
                self._change.wait(min(wait, 0.5) if wait > 0 else 0.5)
            self._running[host] = self._running.get(host, 0) + 1
            self._not_before[host] = time.monotonic() + self._interval_s
        try:
            yield
        finally:
            with self._change:
                self._running[host] -= 1
                self._change.notify_all()

    def hold(self, host: str, seconds: float) -> None:
        """Keeps all requests to a host back for a time."""
        with self._change:
            until = time.monotonic() + seconds
            self._not_before[host] = max(self._not_before.get(host, 0.0), until)


def about_user_agent(answer: Answer) -> str:
    """What helps where an answer forbids programs that do not say whose they are; else ""."""
    if answer.status == 403 and _ABOUT_USER_AGENT.search(answer.body):
        return f"; {WHO_ASKS}"
    return ""


def persevere(
    ask: Callable[[], Answer],
    gate: HostGate,
    host: str,
    tries: int,
    first_wait_s: float,
    longest_wait_s: float,
    is_later: Callable[[Answer], bool] = is_later,
) -> Answer:
    """Asks until there is an answer that is not "later".

    Args:
        ask: One request.
        gate: Of the host.
        host: The host.
        tries: At most so many.
        first_wait_s: Before the second try, doubled before each further one; Retry-After goes
            before it.
        longest_wait_s: A longer wait is not waited for.
        is_later: Whether an answer is "later".

    Returns:
        The last answer, whatever its status.

    Raises:
        WebError: The last try brought no answer.
        StoppedError: The run is being ended.
    """
    for failed in range(1, tries + 1):
        asked: float | None = None
        try:
            with gate.passing(host):
                answer = ask()
            if not is_later(answer):
                return answer
            asked = retry_after(answer.headers)
            if failed == tries or (asked is not None and asked > longest_wait_s):
                return answer
        except WebError as error:
            if not error.transient or failed == tries:
                raise
        gate.hold(host, pause_s(failed, first_wait_s, longest_wait_s, asked))
    raise AssertionError("unreachable: tries are at least 1")
