"""Data sets made by a test, and commands run as a person would or within this process."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from fgbg.transforms.job import job as jobs

if TYPE_CHECKING:
    from fgbg.pipeline.arguments import GraphArguments

ROOT = Path(__file__).resolve().parents[2]


SHARED = ROOT.parent / "shared" / "data"
# A folder of this machine, or a gs:// path.
Output = TypeVar("Output", Path, str)


def arguments(inputs: Path, output: Path | str, *more: str) -> list[str]:
    """A quick `generate` command line: 32x32 stored, 64x64 composed, without depth."""
    return [
        "generate",
        *("--backgrounds", str(inputs / "bg")),
        *("--foregrounds", str(inputs / "fg")),
        *("--output", str(output)),
        *("--size", "32"),
        *("--placements", "3"),
        *("--depth_model", "none"),
        *more,
    ]


def fgbg(*command: str, timeout: float = 120, **settings: object) -> subprocess.CompletedProcess:
    """Runs a command as a person would, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "fgbg", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **settings,  # type: ignore[call-overload]
    )


@contextlib.contextmanager
def without_workers(deadly: tuple[str, int] = ("", 0)) -> Iterator[None]:
    """Commands run by main() do the work of their worker processes here, one slice after the other.

    For small data sets, whose processes take most of the time. What the workers do sees this
    process' environment. That workers make the same is proved where they are not left out.

    Args:
        deadly: A task of tasks.py, and the number of an item at which its process dies each time.
    """
    from fgbg.pipeline.workers import processes
    from fgbg.transforms import meter

    def run(task, arguments, on_tick=None, on_death=None):  # type: ignore[no-untyped-def]
        totals = [0] * meter.ARRAY_LENGTH
        results = []
        try:
            for given in arguments:
                while task.endswith(f":{deadly[0]}") and given[0].has(deadly[1]):
                    counters = [0] * meter.ARRAY_LENGTH
                    meter.share(counters)
                    meter.begin(deadly[1])
                    given = on_death(counters, given, "SIGSEGV")
                counters = [0] * meter.ARRAY_LENGTH
                results.append(processes.call(task, given, counters))
                totals = meter.combine(totals, counters)
        finally:
            meter.share(None)
        return processes.Ran(results, totals, processes.peak_memory())

    loggers = [logging.getLogger(), logging.getLogger("fgbg")]
    levels = [logger.level for logger in loggers]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "run", run)
        patch.setattr(processes, "warm_up", lambda: None)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def store_job(inputs: Path, output: Path | str, *more: str) -> GraphArguments:
    """Stores the job of a data set and its inputs, and makes no sample."""
    from fgbg.pipeline.arguments import GraphArguments
    from fgbg.pipeline.data_set import request as requests
    from fgbg.pipeline.options import parser as options

    asked, _ = options.parse(options.generate_parser(), arguments(inputs, output, *more)[1:])
    request = requests.read(asked)
    requests.store(request)
    return GraphArguments.of(request.output, request.job, request.depth_path, threads=1)


def make_in_process(inputs: Path, output: Output, *more: str) -> Output:
    """Makes a data set without worker processes: quick, for tests that look at the result."""
    from fgbg.pipeline.arguments import Slice
    from fgbg.pipeline.workers import tasks as worker
    from fgbg.transforms.records import shards
    from fgbg.transforms.steps.summarise import summarise

    graph = store_job(inputs, output, *more)
    worker.make_slice(Slice(), graph, [])
    if graph.in_records and (names := shards.prepare(str(output))):
        worker.join_slice(Slice(), str(output), names)
    summarise(str(output))
    return output


def job_of(output: Path | str) -> jobs.Job:
    """The job of a data set that is there."""
    job = jobs.read(str(output))
    assert job is not None
    return job


def tree(output: Path) -> dict[str, bytes]:
    """All files of a data set by name, but for what is allowed to differ between runs."""

    found = {}
    for folder, _, names in os.walk(output):
        for name in names:
            path = Path(folder) / name
            relative = path.relative_to(output).as_posix()
            data = path.read_bytes()
            if relative == "generation.json":
                content = json.loads(data)
                del content["timings"]
                data = json.dumps(content).encode()
            if relative == "index.html":
                before, _, rest = data.partition(b"<!-- timings -->")
                data = before + rest.partition(b"<!-- end of timings -->")[2]
            if relative not in ("_work/lock", "_work/drawn.json"):  # the latter: of index.html
                found[relative] = data
    return found


MakeDataSet = Callable[..., Path]
