"""A data set verified on all cores: what is wrong with it, in the order of its files."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from typing import Any

from fgbg.files import storage
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.progress import Progress
from fgbg.pipeline.workers.slices import run_slices
from fgbg.transforms.dataset import generation, manifest
from fgbg.transforms.dataset.generation import Totals
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import GENERATION, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records import shards
from fgbg.transforms.records.plan import Block, Plan
from fgbg.transforms.steps.problem import OTHER_JOB, SUMMARY, Problem
from fgbg.transforms.steps.verify import read_found
from fgbg.transforms.steps.verify_background import Found, Given, places_of
from fgbg.transforms.steps.verify_manifest import as_problem, check_bytes, open_manifest
from fgbg.transforms.steps.verify_recompute import Recompute, spread
from fgbg.transforms.steps.verify_records import check_shards
from fgbg.transforms.steps.verify_whole import (
    Ended,
    check_beside,
    check_commits,
    check_drawings,
    check_foreign,
    check_inputs,
    check_job,
)


@dataclasses.dataclass(frozen=True)
class Verified:
    """What verify found.

    Attributes:
        problems: What is wrong, sorted.
        samples: Number of samples of the units that are done.
        composed: Number of units that were composed again.
    """

    problems: list[Problem]
    samples: int
    composed: int


def open_job(output: str, repair: bool = False) -> Job:
    """The job of a data set that some run has brought to its end, be all of it there or not.

    Args:
        output: The data set's folder, local or gs://.
        repair: Whether one that is not finished will do.

    Raises:
        UserError: There is none, or it is not finished.
    """
    try:
        job = jobs.read(output)
    except ValueError as error:
        raise UserError(str(error)) from error
    if job is None:
        raise UserError(f"{output}: no data set of fgbg (no {jobs.JOB_FILE})")
    store = storage.storage_for(output)
    beside = (GENERATION, manifest.MANIFEST)
    lacking = [name for name in beside if not store.exists(storage.join(output, name))]
    if lacking and not repair:
        failed = commit.failed(output)
        number = 0
        for found in commit.by_background(output, job):
            number += len(found.done)
            failed -= found.done
        if number + len(failed) < job.units:
            raise UserError(
                f"{output}: the data set is not finished; run fgbg generate again to finish it"
            )
    return job


def verify(
    output: str, job: Job, workers: int, recompute: int | None, depth_path: str | None
) -> Verified:
    """Reads everything back and compares it with what the job gives.

    Args:
        output: The data set.
        job: Its job.
        workers: Number of processes.
        recompute: How many units to compose again; None: all.
        depth_path: Where the depth network is, to compare depth too; None: it is not compared.
    """
    problems = check_job(output, job)
    if any(p.cure == OTHER_JOB for p in problems):
        return Verified(problems, 0, 0)
    ended, found = check_commits(output, job)
    problems += found
    if any(p.cure == OTHER_JOB for p in problems):
        return Verified(problems, 0, 0)
    wrong_inputs, found = check_inputs(output, job)
    problems += found
    chosen = None if recompute is None else spread(job, recompute)
    again = Recompute(chosen, _same_versions(output), depth_path)
    totals, blocks = Totals(), []
    with manifest.local_copy(output, missing_ok=True) as local:
        comparable, found = _is_comparable(job, ended, local)
        problems += found
        rows = local if comparable else None
        by_chunk = tuple(ended.rows.items())
        given = Given(output, jobs.version(job), rows, wrong_inputs, again, by_chunk)
        on_backgrounds, found = _run(given, job, workers)
        problems += found
        if rows is not None and not any(one.manifest for one in on_backgrounds):
            problems += check_bytes(local, _versions(output).get("pyarrow"))
    for one in on_backgrounds:
        problems += one.problems
        totals.merge(one.totals)
        blocks += [Block(WorkUnit.parse(name), *numbers) for name, *numbers in one.blocks]
    problems += as_problem((one.manifest for one in on_backgrounds if one.manifest), totals.samples)
    # Units that failed are no loss: the summary was made without them.
    lost = totals.units + len(ended.failed) < job.units
    plan: Plan | None = None
    if job.in_records:
        plan = shards.planned(output, job, blocks) if blocks and not lost else None
        problems += check_shards(output, job, plan)
    problems += check_beside(output, job, None if lost else totals, plan)
    problems += check_drawings(output)
    problems += check_foreign(output, job)
    composed = job.units if chosen is None else len(chosen)
    return Verified(sorted(problems), totals.samples, composed)


def _same_versions(output: str) -> bool:
    """Whether the libraries of today made the data set, so that all bytes must be the same."""
    return _versions(output) == generation.versions()


def _versions(output: str) -> dict[str, Any]:
    """Versions of the libraries that made the data set; empty where nobody knows."""
    try:
        found = generation.read(output).get("versions")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_comparable(job: Job, ended: Ended, local: str) -> tuple[bool, list[Problem]]:
    """Whether the manifest has the rows that it should have, to be compared; and why not."""
    sizes, problems = open_manifest(local)
    if sizes is None:
        return False, problems
    comparable = places_of(job, ended.rows, sizes) is not None
    if not comparable:
        problem = f"has {sum(sizes)} rows in {len(sizes)} groups, not those of the commit records"
        problems = [Problem(manifest.MANIFEST, problem, SUMMARY)]
    return comparable, problems


def _run(given: Given, job: Job, workers: int) -> tuple[list[Found], list[Problem]]:
    """Checks every background in worker processes: what they found, in order; and what died."""
    count = min(workers, len(job.backgrounds))
    problems: list[Problem] = []
    found: list[tuple[int, Found]] = []
    with tempfile.TemporaryDirectory() as folder:
        run_slices(
            "fgbg.pipeline.workers.tasks:verify_slice",
            count,
            given,
            len(job.backgrounds),
            folder,
            progress=Progress("samples", job.samples),
            shown=["rows_checked"],
            name_of=lambda background: f"bg{background}",
            give_up=lambda background, reason: problems.append(
                Problem(f"bg{background}", f"is not checked: {reason}")
            ),
        )
        for i in range(count):
            with open(os.path.join(folder, str(i)), encoding="utf-8") as file:
                found += map(read_found, file)
    return [one for _, one in sorted(found, key=lambda pair: pair[0])], problems
