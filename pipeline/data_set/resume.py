"""What a run finds of earlier ones: the units that need not be made again."""

from __future__ import annotations

from fgbg.files import storage
from fgbg.pipeline.progress import say
from fgbg.transforms.job import commit
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records import shards

_SHOWN = 5


def units_done(output: str, job: Job) -> set[WorkUnit]:
    """The units of a data set that are done, and really are.

    Failures of earlier runs are forgotten. Units whose commit records are damaged, or whose records
    are nowhere any more, are named, and count as not made.

    Args:
        output: The data set.
        job: Its job.
    """
    commit.clear_failures(output)
    done, others = commit.listed(output, job)
    # On gs:// an object is whole or not there; what is damaged all the same, Summarise finds.
    damaged = {} if storage.is_gcs(output) else commit.damaged(output, job, done)
    for error in list(damaged.values())[:_SHOWN]:
        say(f"{error}. Its unit is made again.")
    if len(damaged) > _SHOWN:
        say(f"and {len(damaged) - _SHOWN:,} more commit records; their units are made again.")
    commit.withdraw(output, job, damaged)
    if others:
        say(
            f"{others[0]}{f' and {len(others) - 1:,} more' if len(others) > 1 else ''}: no commit "
            "record of this job; left alone, and of no effect."
        )
    if job.in_records and (lost := shards.forget_lost(output, job)):
        say(f"{lost:,} units have lost their records; they are made again.")
        return commit.committed(output, job)
    return done - damaged.keys()
