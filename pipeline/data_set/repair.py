"""`fgbg verify --repair`: what is wrong with a data set, made again, and nothing else.

Everything is found out before anything is changed: whether the job is the one that the data set
was made of, whether its inputs as used are what they were, whether the depth network can be had.
Then commit records are withdrawn, and the ordinary run makes their units again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from fgbg.files import storage
from fgbg.pipeline.data_set.depth_source import NotHad, depth_source
from fgbg.pipeline.data_set.verifying import Verified, verify
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.progress import say
from fgbg.pipeline.workers import local, processes
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records import shards
from fgbg.transforms.steps.problem import (
    DRAWINGS,
    INPUT_SUMS,
    JOB,
    MISSING,
    ORIGINALS,
    OTHER_JOB,
    PLAN,
    SHARD,
    SUMMARY,
    UNIT,
    Problem,
)

_MENDED = {UNIT, MISSING, SHARD, PLAN, SUMMARY, DRAWINGS, JOB, INPUT_SUMS}
# A damaged plan or job hides what else is wrong; more rounds than this bring nothing.
_ROUNDS = 3


def can_mend(problems: Iterable[Problem]) -> bool:
    """Whether any of the problems is one that repair mends."""
    cures = {problem.cure for problem in problems}
    return bool(cures & _MENDED) and OTHER_JOB not in cures


def repair(output: str, job: Job, workers: int, depth_model: str | None) -> Verified:
    """Mends a data set, and verifies it again.

    Args:
        output: The data set; it is held.
        job: Its job.
        workers: Number of processes.
        depth_model: The path of its depth network that a person gives; None: it is looked for.

    Returns:
        What is wrong with it now.

    Raises:
        UserError: It cannot be mended; nothing was changed.
    """
    found = verify(output, job, workers, 0, None)
    for _ in range(_ROUNDS):
        if not can_mend(found.problems):
            _refuse_other_job(found.problems)
            break
        if not _mend(output, job, workers, depth_model, found.problems):
            break
        found = verify(output, job, workers, 0, None)
    return found


def _refuse_other_job(problems: list[Problem]) -> None:
    for problem in problems:
        if problem.cure == OTHER_JOB:
            raise UserError(f"{problem.file}: {problem.problem}. Nothing was changed")


def _mend(
    output: str, job: Job, workers: int, depth_model: str | None, problems: list[Problem]
) -> bool:
    """One round. Returns whether anything was done."""
    cures = {problem.cure for problem in problems}
    remake = _to_make(problems)
    sums = _proven_inputs(output, job) if INPUT_SUMS in cures else None
    depth_path = None
    if remake is not None:
        if INPUT_SUMS in cures and sums is None:
            say(f"{jobs.INPUTS}: no sample proves the inputs as used; fgbg generate, with the "
                "options and pictures that made the data set, stores them again")  # fmt: skip
            remake = None
        elif ORIGINALS in cures:
            say("Samples are not made again before the inputs as used are what they were: see "
                "what is said of them.")  # fmt: skip
            remake = None
    if remake is not None:
        try:
            depth_path = depth_source(job, depth_model, output)
        except NotHad as error:
            raise UserError(f"{output}: {error}. Nothing was changed") from error
    changed = False
    if JOB in cures:
        jobs.write(output, job)
        say(f"The job is stored twice again: {jobs.JOB_FILE}, {jobs.JOB_SPARE}")
        changed = True
    if sums is not None:
        catalogue.record_inputs(output, sums)
        say(f"The inputs as used are proven by the samples; recorded again: {jobs.INPUTS}")
        changed = True
    if remake is not None:
        _make_again(output, job, workers, depth_path, remake)
        return True
    if cures & {UNIT, MISSING, SHARD}:
        return changed
    if cures & {SUMMARY, PLAN}:
        if job.in_records:
            local.join(output, workers)
        summary = local.summarise(output, job, workers, {})
        local.warn_of_drawings(output, summary.not_drawn)
        say("Written again: manifest, statistics, card, errors, descriptions, report and sheets.")
        return True
    if DRAWINGS in cures:
        local.draw_missing(output)
        return True
    return changed


def _to_make(problems: list[Problem]) -> tuple[set[WorkUnit], set[str]] | None:
    """Units and shards whose records are withdrawn; None where nothing is to be made."""
    units = {WorkUnit.parse(p.of) for p in problems if p.cure == UNIT}
    wrong = {p.of for p in problems if p.cure == SHARD}
    if not units and not wrong and all(p.cure != MISSING for p in problems):
        return None
    return units, wrong


def _make_again(
    output: str,
    job: Job,
    workers: int,
    depth_path: str | None,
    remake: tuple[set[WorkUnit], set[str]],
) -> None:
    units, wrong = remake
    if wrong and shards.read_plan(output) is None:
        # Before records are withdrawn: of all of them it is drawn up as it was.
        processes.run_alone("fgbg.transforms.records.shards:prepare", output)
    if wrong:
        shards.forget(output, wrong)
    commit.withdraw(output, job, units)
    what = [f"{len(units):,} units"] if units else []
    what += [f"the units of {len(wrong):,} shards"] if wrong else []
    say(f"Made again: {' and '.join(what) or 'what is missing'}")
    local.run(output, job, depth_path, workers, [], time.monotonic())


def _proven_inputs(output: str, job: Job) -> dict[str, list[int]] | None:
    """Checksums of the inputs as used, if a sample of each is what they give; None if not.

    A sample's picture is the whole background and the whole foreground, so that inputs of which
    it can be composed again, byte by byte, are those that it was made of.
    """
    version = jobs.version(job)
    if catalogue.missing_inputs(output, job):
        return None
    if not processes.run_alone("fgbg.pipeline.workers.tasks:proven_inputs", output, version):
        return None
    store = storage.storage_for(output)
    return {
        name: catalogue.checksum(store.read(storage.join(output, name)))
        for name in catalogue.input_files(job)
    }
