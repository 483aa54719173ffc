"""`fgbg collect`: from topics to a folder of pictures that `fgbg generate` takes."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence

import filelock

from fgbg.files import storage
from fgbg.pipeline import faults
from fgbg.pipeline.data_set.writable import check_writable
from fgbg.pipeline.exit_codes import OK, SOME_FAILED, UserError
from fgbg.pipeline.options import collect as collect_options
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import Progress, duration, say, tell
from fgbg.transforms.collect import choose, providers, running, state
from fgbg.transforms.collect.candidate import FAILED, GOOD, Query, Record, Settings
from fgbg.transforms.collect.providers import SearchError
from fgbg.transforms.collect.state import Chosen

_REASONS_SHOWN = 8
# For downloads to break off after Ctrl-C, before the folder is given free.
_PATIENCE_S = 5.0
_LOCK = "_work/lock"
# A data set of `fgbg generate`, which uses _work too.
_DATA_SET = "_work/job.json"


def main(arguments: list[str]) -> int:
    """Runs `fgbg collect`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    asked = options.parse_all(collect_options.parser(), arguments)
    settings = collect_options.settings_of(asked)
    topics = list(dict.fromkeys(topic.strip() for topic in asked.topics))
    if "" in topics:
        raise UserError("an empty TOPIC")
    output = settings.output
    _check_output(output)
    try:
        provider = providers.make(settings.searching, settings.downloads, os.environ)
        searches = [state.search_name(provider, topic) for topic in topics]
        count = asked.count or collect_options.COUNT
        if settings.searching.provider == "urls":
            listed = {c.key for topic in topics for c in providers.read_urls(topic)}
            if not listed:
                raise UserError(f"{', '.join(topics)}: no address in it")
            count = asked.count or len(listed)
    except SearchError as error:
        raise UserError(str(error)) from None
    check_writable(output, "--output")
    try:
        with _alone(output):
            return _Collecting(settings, topics, searches, count).run()
    except filelock.Timeout:
        raise UserError(f"--output {output}: another fgbg is writing to it") from None
    except OSError as error:
        if storage.is_gcs(output):  # it could be written at first: no wrong use
            raise OSError(error.errno, str(error), output) from error
        if faults.of_machine(error):
            raise
        raise UserError(f"--output {output}: cannot be written: {error}") from error


def _alone(output: str) -> contextlib.AbstractContextManager[object]:
    """Keeps a second run away from a local folder; gs:// has no locks."""
    if storage.is_gcs(output):
        return contextlib.nullcontext()
    os.makedirs(os.path.join(output, state.WORK), exist_ok=True)
    return filelock.FileLock(os.path.join(output, _LOCK), timeout=0)


def _check_output(output: str) -> None:
    store = storage.storage_for(output)
    a_file = os.path.exists(output) and not os.path.isdir(output)
    if a_file or store.size(output) is not None:
        raise UserError(f"--output {output}: a file, not a folder")
    if store.size(storage.join(output, _DATA_SET)) is not None:
        raise UserError(f"--output {output}: holds a data set of fgbg; give another folder")


class _Collecting:
    """One run: rounds of the graph until there are enough pictures or no more to be had."""

    def __init__(
        self, settings: Settings, topics: list[str], searches: list[str], count: int
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._searches = searches
        self._count = count
        self._output = settings.output

    def run(self) -> int:
        started = time.monotonic()
        state.begin()
        chosen = state.read_chosen(self._output)
        before = sum(self._have(chosen, state.read_records(self._output)))
        if before < self._count:
            state.forget(self._output, self._settings.checks.fingerprint)
            if before:
                say(f"Going on: {before:,} of {self._count:,} pictures are there.")
            self._rounds(before)
        return self._close(time.monotonic() - started)

    def _have(self, chosen: Chosen, records: dict[str, Record]) -> list[int]:
        """How many pictures of each topic are in the folder, whoever found them."""
        have = [0] * len(self._topics)
        there = state.there(self._output)
        for named in chosen.named:
            found = records[named.key].found
            if named.file not in there:
                continue
            for i, (topic, search) in enumerate(zip(self._topics, self._searches)):
                if found.search == search or found.candidate.topic == topic:
                    have[i] += 1
                    break
        return have

    def _rounds(self, before: int) -> None:
        progress = Progress("pictures", self._count, before)
        told: Counter[str] = Counter()

        def on_picture(what: str) -> None:
            told[what] += 1
            good = min(told[GOOD], self._count - before)
            progress.update(good, told.total() - told[GOOD])

        running.stopped.clear()
        running.listen(on_picture)
        try:
            while (asked := self._next_round()) is not None:
                self._run_graph(*asked)
        finally:
            # Whatever ended the rounds ends downloads that are still under way.
            running.stopped.set()
            running.listen(None)
            progress.close()

    def _next_round(self) -> tuple[tuple[Query, ...], tuple[int, ...]] | None:
        """What to search next, from nothing but what is stored; None when there is no more."""
        chosen, records = state.read_chosen(self._output), state.read_records(self._output)
        failed = state.failed_searches(self._output)
        have = self._have(chosen, records)
        looked_at = [chosen.looked_at.get(search, 0) for search in self._searches]
        spare = [
            len(choose.spare(records.values(), chosen, search, upto))
            for search, upto in zip(self._searches, looked_at)
        ]
        ended = []
        for search, upto, extra in zip(self._searches, looked_at, spare):
            keys, over = self._results(search)
            missing = any(key not in records for key in keys[:upto])
            nothing = search in failed or (over and upto >= len(keys))
            ended.append(nothing and not extra and (search in failed or not missing))
        wanted = choose.targets(self._count, have, ended)
        needs = [max(0, w - h) for w, h in zip(wanted, have)]
        if not any(need and not end for need, end in zip(needs, ended)):
            return None
        queries = tuple(
            Query(i, topic, search, upto + choose.results_wanted(need - extra, taken, upto))
            for i, (topic, search, upto, need, extra, taken) in enumerate(
                zip(self._topics, self._searches, looked_at, needs, spare, have)
            )
        )
        return queries, tuple(needs)

    def _results(self, search: str) -> tuple[list[str], bool]:
        pages, following = state.recorded(self._output, search)
        return [c.key for page in pages for c in page.candidates], following is None

    def _run_graph(self, queries: tuple[Query, ...], needs: tuple[int, ...]) -> None:
        # Here, not above: --help and wrong use are answered without Beam.
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        from fgbg.transforms.collect.graph import Round, collect

        logging.getLogger().setLevel(logging.ERROR)
        problems: list[BaseException] = []

        def work() -> None:
            try:
                with beam.Pipeline(FnApiRunner(), PipelineOptions([])) as root:
                    collect(root, self._settings, Round(queries, needs))
            except BaseException as error:
                problems.append(error)

        # In a thread: Beam turns a Ctrl-C that meets it into an error of the step it was in.
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.2)
        except KeyboardInterrupt:
            running.stopped.set()
            logging.getLogger().setLevel(logging.CRITICAL)
            thread.join(_PATIENCE_S)
            raise
        if problems:
            raise _cause(problems[0])

    def _close(self, wall: float) -> int:
        """Writes the lists and the sheet, prints the closing lines and gives the exit code."""
        from fgbg.transforms.collect.contact_sheet import write_contact_sheets
        from fgbg.transforms.collect.publish import rejected_rows, source_rows, write_lists

        output = self._output
        chosen, records = state.read_chosen(output), state.read_records(output)
        write_lists(output, chosen, records)
        have = self._have(chosen, records)
        sheets = write_contact_sheets(
            output, [row["file"] for row in source_rows(output, chosen, records)]
        )
        tell(
            f"{sum(have):,} of {self._count:,} pictures, in {duration(wall)}: {output}"
            + _per_topic(self._topics, have)
        )
        there = state.there(output)
        for named in chosen.named:
            for note in records[named.key].notes if named.file in there else ():
                say(f"Warning: {storage.join(output, named.file)}: {note}")
        rejected = rejected_rows(output, chosen, records)
        if rejected:
            tell(f"{len(rejected):,} left out (rejected.csv): {_summary(rejected)}")
        failed = state.failed_searches(output)
        for topic, search in zip(self._topics, self._searches):
            if search in failed:
                say(f"{topic}: {failed[search]}")
        again = sum(1 for record in records.values() if record.state == FAILED and record.transient)
        if sum(have) < self._count:
            hint = "; the same command tries them again" if again else ""
            say(
                f"{self._count - sum(have):,} fewer than asked for: there are no more results of "
                f"these topics; give further ones, or another --provider{hint}"
                if not failed
                else f"{self._count - sum(have):,} fewer than asked for{hint}"
            )
        if sheets:
            tell(f"Look at {sheets[0]}, delete what you do not like and run the command again")
        return OK if sum(have) >= self._count and not failed else SOME_FAILED


def _cause(error: BaseException) -> BaseException:
    """The OSError that Beam has made a RuntimeError of, or the error itself."""
    cause = error.__cause__ or error.__context__
    return cause if isinstance(error, RuntimeError) and isinstance(cause, OSError) else error


def _per_topic(topics: Sequence[str], have: Sequence[int]) -> str:
    if len(topics) == 1 or len(topics) > 10:
        return ""
    return " (" + ", ".join(f"{topic} {n}" for topic, n in zip(topics, have)) + ")"


def _summary(rows: Sequence[dict[str, object]]) -> str:
    """Reasons by how often: what stands before the first colon, without numbers."""
    kinds: Counter[str] = Counter()
    for row in rows:
        kinds[_kind(str(row["reason"]))] += 1
    shown = [f"{n:,} {kind}" for kind, n in kinds.most_common(_REASONS_SHOWN)]
    return ", ".join(shown) + (", ..." if len(kinds) > _REASONS_SHOWN else "")


def _kind(reason: str) -> str:
    from fgbg.transforms.collect.publish import DUPLICATE

    if reason.startswith(DUPLICATE):
        return "near-duplicates"
    return reason.partition(":")[0].partition(" (")[0]
