"""Verify: what no single background shows, of a data set as a whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from fgbg.files import storage
from fgbg.files.sealed import DamagedError
from fgbg.transforms.dataset import catalogue, drawings, generation, layout
from fgbg.transforms.dataset.card import card
from fgbg.transforms.dataset.generation import Totals
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import Chunk, chunk_of
from fgbg.transforms.job.job import CARD, ERRORS, GENERATION, JOB_FILE, JOB_SPARE, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records.plan import Plan
from fgbg.transforms.steps.problem import (
    DRAWINGS,
    FOREIGN,
    INPUT_SUMS,
    JOB,
    MISSING,
    ORIGINALS,
    OTHER_JOB,
    SUMMARY,
    Problem,
)
from fgbg.transforms.steps.verify_records import differing_values

_SHOWN = 3


def check_job(output: str, job: Job) -> list[Problem]:
    """The two files that hold the job, and whether the commit records are of it.

    Args:
        output: The data set.
        job: Its job, as it was read.
    """
    found = []
    store = storage.storage_for(output)
    others = {}
    for name in (JOB_FILE, JOB_SPARE):
        path = storage.join(output, name)
        try:
            data = store.read(path)
            stored = Job.from_bytes(data, path)
        except FileNotFoundError:
            found.append(Problem(name, "missing", JOB))
        except DamagedError as error:
            found.append(Problem(name, error.problem, JOB))
        except (OSError, ValueError) as error:
            found.append(Problem(name, f"cannot be read: {error}", JOB))
        else:
            if stored != job:
                others[name] = stored
            elif data != job.to_bytes():
                found.append(Problem(name, "is not as it was written", JOB))
    for name, stored in others.items():
        ours, theirs = (len(commit.committed(output, j)) for j in (job, stored))
        found.append(
            Problem(
                f"{JOB_FILE} and {name}",
                f"are different jobs ({_differences(job, stored)}); {ours} commit records are of "
                f"the first, {theirs} of the second: a run that was cut off goes on with fgbg "
                "generate; if one was edited, copy the right one over the other",
                OTHER_JOB,
            )
        )
    return found


def _differences(job: Job, other: Job) -> str:
    first, second = (json.loads(j.to_bytes()) for j in (job, other))
    found = sorted(differing_values(second, first))
    kept = [d for d in found if not d.startswith("crc32")][:_SHOWN]
    return "; ".join(d if len(d) < 200 else f"{d[:200]}..." for d in kept)


@dataclasses.dataclass
class Ended:
    """How much of a data set has ended, by its commit records and those of failures.

    Attributes:
        units: Number of units that are done.
        rows: Their samples, by chunk.
        failed: Units that failed and are not done.
    """

    units: int = 0
    rows: dict[Chunk, int] = dataclasses.field(default_factory=dict)
    failed: set[WorkUnit] = dataclasses.field(default_factory=set)


def check_commits(output: str, job: Job) -> tuple[Ended, list[Problem]]:
    """The commit records by their names: what has ended, and what is wrong."""
    c = job.configuration
    failed = commit.failed(output)
    ended = Ended(failed=set(failed))
    others: list[str] = []
    lost, first_lost = 0, None
    whole: set[int] = set()
    for records in commit.by_background(output, job):
        done = records.done
        ended.units += len(done)
        ended.failed -= done
        for unit in done:
            chunk = chunk_of(job, unit)
            ended.rows[chunk] = ended.rows.get(chunk, 0) + c.placements[unit.round]
        if len(done) == job.units_per_background:
            whole.add(next(iter(done)).background)
        others += records.others
        for unit in filter(None, map(commit.unit_named, records.others)):
            if unit not in done:
                lost += 1
                first_lost = unit if first_lost is None else min(first_lost, unit)
    if first_lost is not None:
        return ended, [
            Problem(
                jobs.COMMITS,
                f"{lost:,} records are of another job than {JOB_FILE}, the first is of "
                f"{first_lost.name}: seed, inputs' hashes or another option of the job was edited, "
                "or the records are another data set's. Put back the right job or records; or let "
                "fgbg generate make these units of the job that is there",
                OTHER_JOB,
            )
        ]
    problem = "is no commit record of this job, but another one's, a copy or somebody's file"
    found = [Problem(name, f"{problem}; it is left alone", FOREIGN) for name in others]
    if ended.units + len(ended.failed) != job.units or failed:
        absent = _first_absent(output, job, whole)
        path = jobs.COMMITS if absent is None else commit.record_path(output, job, absent)
        found.append(
            Problem(
                path.removeprefix(output).lstrip("/"),
                f"missing: {ended.units} of {job.units} units are done, {len(failed)} failed: fgbg "
                "generate makes what is missing",
                MISSING,
            )
        )
    return ended, found


def _first_absent(output: str, job: Job, whole: set[int]) -> WorkUnit | None:
    """The first unit of a job that has no commit record."""
    for background in range(1, len(job.backgrounds) + 1):
        if background not in whole:
            done = commit.of_background(output, job, background).done
            first = (background - 1) * job.units_per_background
            for number in range(first, first + job.units_per_background):
                if (unit := job.unit_at(number)) not in done:
                    return unit
    return None


def check_inputs(output: str, job: Job) -> tuple[frozenset[str], list[Problem]]:
    """The inputs as used: those that are not what they were, and what is wrong."""
    found = []
    try:
        recorded = catalogue.read_recorded_inputs(output)
    except FileNotFoundError:
        found.append(Problem(jobs.INPUTS, "missing", INPUT_SUMS))
    except DamagedError as error:
        found.append(Problem(jobs.INPUTS, error.problem, INPUT_SUMS))
    if found:  # then nothing more can be said of a file that is there
        wrong = dict.fromkeys(catalogue.missing_inputs(output, job), "missing")
    else:
        wrong = catalogue.wrong_inputs(output, job, recorded, whole=True)
    entries = catalogue.input_files(job)
    for name, problem in wrong.items():
        kind, entry = entries[name]
        found.append(
            Problem(
                name,
                f"{problem}; it was made of {entry.file}: fgbg generate --{kind}s FOLDER --output "
                f"{output}, with the options that made the data set, stores it again",
                ORIGINALS,
            )
        )
    return frozenset(wrong), found


def check_beside(
    output: str, job: Job, totals: Totals | None, plan: Plan | None
) -> Iterator[Problem]:
    """What stands beside the samples, against what job and commit records give.

    Args:
        output: The data set.
        job: Its job.
        totals: Over all commit records; None where some are lost: then sums are not looked at.
        plan: The plan that the shards should have; None for image files, or where it is not known.
    """
    errors, failed = generation.errors(output, job)
    found = _read(output, ERRORS)
    if found != errors:
        problem = "missing" if found is None else "does not name just the units that failed"
        yield Problem(ERRORS, problem, SUMMARY)
    try:
        stored: dict[str, Any] | None = generation.read(output)
    except FileNotFoundError:
        yield Problem(GENERATION, "missing", SUMMARY)
        stored = None
    except (OSError, ValueError) as error:
        yield Problem(GENERATION, f"cannot be read: {error}", SUMMARY)
        stored = None
    expected = generation.content(job, totals or Totals(), failed, plan, {})
    if stored is not None:
        yield from _check_generation(stored, expected, sums=totals is not None)
    if totals is not None:
        found = _read(output, CARD)
        if found != card(job, expected).encode():
            problem = "missing" if found is None else "is not the card of this data set"
            yield Problem(CARD, problem, SUMMARY)


_OF_SUMS = {"counts", "bytes", "statistics", "shards"}


def _check_generation(
    stored: dict[str, Any], expected: dict[str, Any], sums: bool
) -> Iterator[Problem]:
    """One problem for each section of generation.json that is not what it should be."""
    wanted = json.loads(json.dumps(expected))
    if not sums and isinstance(stored.get("depth"), dict) and wanted["depth"] is not None:
        # The one value of this section that is summed up.
        stored, wanted = ({**of, "depth": dict(of["depth"])} for of in (stored, wanted))
        for of in (stored, wanted):
            of["depth"].pop("levels_median", None)
    for name in sorted((stored.keys() | wanted.keys()) - {"versions", "timings"}):
        if name in _OF_SUMS and not sums:
            continue
        if name not in stored or name not in wanted:
            problem = f"has no {name}" if name in wanted else f"has {name}, which is not fgbg's"
            yield Problem(GENERATION, problem, SUMMARY)
            continue
        differing = sorted(differing_values(stored[name], wanted[name], name))
        if differing:
            first = differing[0] if len(differing[0]) < 300 else f"{differing[0][:300]}..."
            more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
            yield Problem(GENERATION, f"{first}{more}", SUMMARY)
    for name, problem in generation.wrong_of_the_runs(stored):
        yield Problem(GENERATION, f"{name} {problem}", SUMMARY)


def _read(output: str, name: str) -> bytes | None:
    path = storage.join(output, name)
    try:
        return storage.storage_for(path).read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return str(error).encode()  # a folder of that name, or one not to be read


def check_drawings(output: str) -> Iterator[Problem]:
    """Report and sheets, as they were drawn."""
    for name, problem in drawings.wrong(output).items():
        yield Problem(name, f"{problem}; fgbg report {output} draws again", DRAWINGS)


def check_foreign(output: str, job: Job) -> Iterator[Problem]:
    """Files that fgbg did not write, but in the backgrounds' folders, which are looked at apart."""
    own = {f"bg{number}" for number in range(1, len(job.backgrounds) + 1)}
    store = storage.storage_for(output)
    files = set(store.files(output))
    for child in store.children(output):
        if (child in own and not job.in_records) or child == layout.WORK:
            continue
        inside = (f"{child}/{name}" for name in store.walk(storage.join(output, child)))
        for name in [child] if child in files else inside:
            if not layout.belongs(job, name):
                yield Problem(name, "is no file of this data set; it is left alone", FOREIGN)
    for name in layout.foreign_in_work(output, job):
        yield Problem(name, "is no file of fgbg; it is left alone", FOREIGN)
