"""The steps of collecting: plain functions, and thin DoFns over them."""

from __future__ import annotations

import abc
import datetime
import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from fgbg.files import storage
from fgbg.files.http import LATER, WebError, host_of
from fgbg.files.ordered_map import threads_for
from fgbg.transforms.collect import providers, running, state, web
from fgbg.transforms.collect.candidate import (
    FAILED,
    GOOD,
    REJECTED,
    Checks,
    Downloaded,
    Downloads,
    Found,
    Query,
    Record,
    Settings,
)
from fgbg.transforms.collect.check import check, size_problem
from fgbg.transforms.collect.patience import HostGate, about_user_agent, persevere
from fgbg.transforms.collect.providers import Provider, SearchError
from fgbg.transforms.collect.web import Rules, StoppedError
from fgbg.transforms.pixels.pictures import PictureError

_HOST_INTERVAL_S = 0.05


def unknown_results(
    output: str, query: Query, provider: Provider, known: set[str]
) -> Iterator[Found]:
    """The results of a query that have no record yet, up to the rank asked for.

    No page is asked for before its results are needed.

    Raises:
        SearchError: The provider gives no further page now.
    """
    rank = 0
    for page in state.pages(output, query.search, provider, query.topic):
        for candidate in page.candidates:
            if rank >= query.upto:
                return
            if candidate.key not in known:
                yield Found(query.number, query.search, rank, candidate)
            rank += 1
        if rank >= query.upto:
            return


class Search(beam.DoFn):
    """Query -> Found, for all that has no record.

    Args:
        settings: Of the run.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def setup(self) -> None:
        # Keys are read here: they are in no pickled step.
        self._provider = providers.make(
            self._settings.searching, self._settings.downloads, os.environ, running.stopped
        )

    def process(self, query: Query) -> Iterator[Found]:
        output = self._settings.output
        known = state.known_keys(output)
        try:
            yield from unknown_results(output, query, self._provider, known)
        except SearchError as error:
            state.write_failed_search(output, query.search, str(error))


def first_found(same: tuple[str, Iterable[Found]]) -> Found:
    """Of the results with one address the one that stands first in its search."""
    return min(same[1], key=lambda found: (found.rank, found.number))


class DropBySize(beam.DoFn):
    """Found -> Found, without those that their provider itself says are too small.

    Args:
        settings: Of the run.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, found: Found) -> Iterator[Found]:
        candidate, checks = found.candidate, self._settings.checks
        problem = ""
        if candidate.width and candidate.height:
            problem = size_problem(candidate.width, candidate.height, checks)
        if not problem:
            yield found
            return
        reason = f"{problem} (as {candidate.provider} says; not downloaded)"
        record = Record(found, REJECTED, checks.fingerprint, reason=reason)
        state.write_record(self._settings.output, record)
        running.tell(REJECTED)


def download(found: Found, downloads: Downloads, gate: HostGate) -> Downloaded:
    """Downloads a picture, with patience.

    Args:
        found: What to download.
        downloads: How.
        gate: Of all downloads of this process.

    Raises:
        StoppedError: The run is being ended.
    """
    url = found.candidate.image_url
    headers = {"User-Agent": downloads.user_agent, "Accept": "image/*"}
    rules = Rules(
        downloads.timeout_s,
        downloads.max_bytes,
        downloads.allow_private,
        stopped=running.stopped,
    )
    reason, transient, data, content_type = "", False, b"", ""
    try:
        answer = persevere(
            lambda: web.get(url, headers, rules),
            gate,
            host_of(url),
            downloads.tries,
            downloads.retry_wait_s,
            downloads.longest_wait_s,
        )
        data, content_type = answer.body, answer.headers.get("content-type", "")
        if answer.status != 200:
            reason, data = f"the server answered {answer.status}{about_user_agent(answer)}", b""
            transient = answer.status in LATER
    except WebError as error:
        reason, transient = str(error), error.transient
    now = datetime.datetime.now(datetime.UTC)
    fetched = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Downloaded(found, data, content_type, fetched, reason, transient)


class _InThreads(beam.DoFn):
    """Works on several elements at once and gives what becomes of them in any order.

    At most a few more elements than threads are held in memory at any time: the steps after this
    one take each as it comes.

    Args:
        threads: How many.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads

    @abc.abstractmethod
    def work(self, element: Any) -> Any:
        """What becomes of an element; called in a thread."""

    def setup(self) -> None:
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix=type(self).__name__)

    def start_bundle(self) -> None:
        self._pending: set[Future[Any]] = set()

    def process(self, element: Any) -> Iterator[Any]:
        self._pending.add(self._pool.submit(self.work, element))
        yield from self._finished(at_most=2 * self._threads)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        window = GlobalWindow()
        for result in self._finished(at_most=0):
            yield WindowedValue(result, window.max_timestamp(), (window,))

    def _finished(self, at_most: int) -> Iterator[Any]:
        """Those that are done, and as many more as leave at_most pending."""
        while self._pending:
            timeout = None if len(self._pending) > at_most else 0
            done, self._pending = wait(self._pending, timeout, return_when=FIRST_COMPLETED)
            if not done:
                return
            for future in done:
                yield future.result()

    def teardown(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Download(_InThreads):
    """Found -> Downloaded.

    Args:
        downloads: How downloads are made.
    """

    def __init__(self, downloads: Downloads) -> None:
        super().__init__(downloads.at_once)
        self._downloads = downloads

    def setup(self) -> None:
        super().setup()
        self._gate = HostGate(self._downloads.per_host, _HOST_INTERVAL_S, running.stopped)

    def work(self, element: Found) -> Downloaded:
        return download(element, self._downloads, self._gate)


def record_of(downloaded: Downloaded, checks: Checks) -> tuple[Record, bytes]:
    """What is to be recorded of a download, and the picture if it is a good one."""
    found, mark, when = downloaded.found, checks.fingerprint, downloaded.fetched
    if downloaded.reason:
        record = Record(found, FAILED, mark, when, downloaded.reason, downloaded.transient)
        return record, b""
    try:
        good = check(downloaded.data, checks, downloaded.content_type)
    except PictureError as error:
        return Record(found, REJECTED, mark, when, str(error)), b""
    except Exception as error:  # a stranger's file must not cost the job, whatever it does
        reason = f"cannot be decoded: {type(error).__name__}: {error}"
        return Record(found, REJECTED, mark, when, reason), b""
    sha256 = hashlib.sha256(good.encoded).hexdigest()
    record = Record(
        found,
        GOOD,
        mark,
        when,
        ending=good.ending,
        sha256=sha256,
        width=good.width,
        height=good.height,
        hashes=good.hashes,
        notes=good.notes,
    )
    return record, good.encoded


class Check(beam.DoFn):
    """Downloaded -> (Record, picture as encoded anew or b"").

    Args:
        checks: What a picture must be like.
    """

    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    def process(self, downloaded: Downloaded) -> Iterator[tuple[Record, bytes]]:
        if running.stopped.is_set():
            raise StoppedError
        yield record_of(downloaded, self._checks)


class Write(_InThreads):
    """(Record, picture) -> state: the picture first, its record last.

    Args:
        output: The folder.
    """

    def __init__(self, output: str) -> None:
        super().__init__(threads_for(output))
        self._output = output

    def work(self, element: tuple[Record, bytes]) -> str:
        record, picture = element
        state.write_record(self._output, record, picture)
        running.tell(record.state)
        return record.state

    def process(self, element: tuple[Record, bytes]) -> Iterator[str]:
        if storage.is_gcs(self._output):
            yield from super().process(element)
        else:
            yield self.work(element)
