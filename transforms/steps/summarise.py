"""Summarise: from the commit records to manifest, statistics, card, errors; then the drawings.

What grows with the data set is done chunk by chunk (summarise_chunk); here what is small is joined.
Everything written is a function of the records and of the job
alone, but for the timings in generation.json and in the report. The data set is finished when
generation.json is there: sheets and report come after it, and their errors are warnings.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from fgbg.files import durable, storage
from fgbg.transforms.dataset import generation, manifest, manifest_parts, precision
from fgbg.transforms.dataset.card import card
from fgbg.transforms.dataset.generation import Totals
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import chunks
from fgbg.transforms.job.job import CARD, ERRORS, GENERATION, RECORDS, Job
from fgbg.transforms.records import shards
from fgbg.transforms.records.description import descriptions
from fgbg.transforms.records.plan import Plan
from fgbg.transforms.steps.draw import draw
from fgbg.transforms.steps.summarise_chunk import Summed, summarise_chunk, summed


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a data set holds.

    Attributes:
        samples: Number of samples.
        units: Number of units that are done.
        failed: Number of units that failed.
        bytes: Bytes of all samples' pictures.
        empty_masks: Number of samples whose mask has no pixel.
        depth_remarks: What is to be said of its depth, in sentences; "" for nothing.
        not_drawn: Why sheets or report could not be drawn, in words; empty if they were.
    """

    samples: int
    units: int
    failed: int
    bytes: int
    empty_masks: int
    depth_remarks: str = ""
    not_drawn: tuple[str, ...] = ()


def summarise(output: str, run: dict[str, Any] | None = None) -> Summary:
    """Writes everything that stands beside the samples, in this process alone.

    Args:
        output: The data set; records are in shards by now.
        run: Timings of the run that ends with this, for generation.json. None or empty where no
            sample was made: timings and versions stay those of the runs that made them.
    """
    job = _job(output)
    manifest_parts.prepare(output, job)
    version = jobs.version(job)
    return conclude(
        output, summed(summarise_chunk(output, version, chunk) for chunk in chunks(job)), run
    )


def conclude(output: str, total: Summed, run: dict[str, Any] | None = None) -> Summary:
    """Writes what is left to be written once all chunks are summed up.

    Args:
        output: The data set; the parts of its manifest are there.
        total: Of all its chunks.
        run: As `summarise` takes it.
    """
    job = _job(output)
    plan = shards.finish(output) if job.configuration.in_records else None
    storage.storage_for(output).delete_files(total.replaced)
    with manifest.joined(output, job) as local:
        failures = _write_errors(output, job)
        totals = total.totals
        size = sum(totals.sizes.values())
        summary = Summary(totals.samples, totals.units, failures, size, totals.empty_masks)
        content = _finish(output, job, totals, failures, plan, run)
        return dataclasses.replace(
            summary,
            depth_remarks=precision.remarks(content["depth"]),
            not_drawn=draw(output, job, content, local).problems,
        )


def conclude_parts(output: str, parts: list[Summed], run: dict[str, Any]) -> Summary:
    """`conclude`, of what several processes have summed up."""
    return conclude(output, summed(parts), run)


def _job(output: str) -> Job:
    job = jobs.read(output)
    if job is None:
        raise FileNotFoundError(f"{output} holds no data set")
    return job


def _finish(
    output: str,
    job: Job,
    totals: Totals,
    failed: int,
    plan: Plan | None,
    run: dict[str, Any] | None,
) -> dict[str, Any]:
    """Writes what makes the data set a finished one. Returns the content of generation.json."""
    made_with, runs = _of_earlier_runs(output)
    if run or not made_with:
        made_with = generation.versions()
    content = generation.content(job, totals, failed, plan, made_with)
    if plan is not None:
        for name, data in descriptions(job, plan).items():
            _put(output, f"{RECORDS}/{name}", data)
    content["timings"] = {"runs": [*runs, run] if run else runs}
    _put(output, CARD, card(job, content).encode())
    durable.sync(output)
    # Last: whoever sees it sees a whole data set.
    _put(output, GENERATION, (json.dumps(content, indent=1) + "\n").encode())
    return content


def _write_errors(output: str, job: Job) -> int:
    """Writes errors.jsonl, or removes it where nothing failed. Returns the number of units."""
    path = storage.join(output, ERRORS)
    data, failed = generation.errors(output, job)
    if data is None:
        storage.storage_for(path).delete(path)
    else:
        storage.storage_for(path).write_atomically(path, data)
    return failed


def _of_earlier_runs(output: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Versions of the last run, timings of all: a resumed data set was made by several."""
    try:
        stored = generation.read(output)
    except (FileNotFoundError, ValueError):
        return {}, []
    problems = dict(generation.wrong_of_the_runs(stored))
    made_with = {} if "versions" in problems else stored["versions"]
    return made_with, [] if "timings" in problems else stored["timings"]["runs"]


def _put(output: str, name: str, data: bytes) -> None:
    path = storage.join(output, name)
    storage.storage_for(path).write_atomically(path, data)
