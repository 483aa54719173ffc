"""What a run finds of earlier ones: the units that need not be made again."""

from __future__ import annotations

import dataclasses
from collections import Counter

from fgbg.files import storage
from fgbg.files.sealed import DamagedError
from fgbg.pipeline.progress import say
from fgbg.transforms.job import commit
from fgbg.transforms.job.commit import Records
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records import shards

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Done:
    """How much of a data set is done.

    Attributes:
        units: Number of its units.
        samples: Number of their samples.
    """

    units: int
    samples: int


def units_done(output: str, job: Job) -> Done:
    """How many units of a data set are done, and really are.

    Failures of earlier runs are forgotten. Units whose commit records are damaged, or whose records
    are nowhere any more, are named, and count as not made.

    Args:
        output: The data set.
        job: Its job.
    """
    commit.clear_failures(output)
    rounds: Counter[int] = Counter()
    damages: list[DamagedError] = []
    others: list[str] = []
    number_damaged = number_of_others = 0
    for found in commit.by_background(output, job):
        # On gs:// an object is whole or not there; what is damaged all the same, Summarise finds.
        damaged = {} if storage.is_gcs(output) else _damaged(found)
        commit.withdraw(output, job, damaged)
        storage.storage_for(output).delete_files([error.path for error in found.damaged])
        errors = [*found.damaged, *damaged.values()]
        number_damaged += len(errors)
        number_of_others += len(found.others)
        damages += errors[: _SHOWN - len(damages)]
        others += found.others[: 1 - len(others)]
        rounds.update(unit.round for unit in found.done - damaged.keys())
    for error in damages:
        what = "Its units are" if error.path.endswith(".jsonl") else "Its unit is"
        say(f"{error}. {what} made again.")
    if number_damaged > _SHOWN:
        say(f"and {number_damaged - _SHOWN:,} more commit records; their units are made again.")
    if others:
        more = f" and {number_of_others - 1:,} more" if number_of_others > 1 else ""
        say(f"{others[0]}{more}: no commit record of this job; left alone, and of no effect.")
    if job.in_records and (lost := shards.forget_lost(output, job)):
        say(f"{len(lost):,} units have lost their records; they are made again.")
        rounds.subtract(unit.round for unit in lost)
    c = job.configuration
    samples = sum(number * c.placements[round_] for round_, number in rounds.items())
    return Done(rounds.total(), samples)


def _damaged(found: Records) -> dict[WorkUnit, DamagedError]:
    """What is wrong with the commit records of a background, where something is."""
    suspected = sorted(found.singles - found.in_packs.keys())
    for pack in found.packs:
        data = pack.read_all()
        if not pack.is_whole(data):
            suspected += [unit for unit, of in found.in_packs.items() if of is pack]
    damaged = {}
    for unit in suspected:
        try:
            found.read(unit)
        except DamagedError as error:
            damaged[unit] = error
    return damaged
