"""The data set that is in the folder of --output already: ours or not, to be kept or deleted."""

from __future__ import annotations

import itertools
import os

from fgbg.files import storage
from fgbg.pipeline.exit_codes import UserError
from fgbg.transforms.dataset import layout, manifest_parts
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job
from fgbg.transforms.records.plan import units_by_split

_SHOWN = 10


def stored_job(output: str, overwrite: bool) -> Job | None:
    """The job of the data set that is there.

    Args:
        output: The folder of --output.
        overwrite: Whether what is there is to be deleted.

    Returns:
        None if there is none, or if it is to be deleted.

    Raises:
        UserError: There is something that is not ours, or that cannot be read; or that would be
            deleted and is somebody's own.
    """
    if not storage.is_gcs(output) and os.path.exists(output) and not os.path.isdir(output):
        raise UserError(f"--output {output}: a file, not a folder")
    try:
        stored = jobs.read(output)
    except ValueError as error:
        if overwrite:
            _refuse_foreign(output, None)
            return None  # unreadable, but ours: the file is there
        raise UserError(f"{error}; --overwrite starts anew") from error
    if stored is None and _is_occupied(output):
        raise UserError(
            f"--output {output}: the folder is not empty and holds no data set of fgbg; give an "
            "empty or a new one (--overwrite deletes data sets of fgbg, nothing else)"
        )
    if overwrite and stored is not None:
        _refuse_foreign(output, stored)
    if not overwrite and (problem := jobs.contradiction(output)):
        # Which one is meant nobody can tell, and going on would write one over the other.
        raise UserError(
            f"{output}: {problem}; if one was edited, copy the right one over the other; "
            "--overwrite starts anew"
        )
    return None if overwrite else stored


def _refuse_foreign(output: str, job: Job | None) -> None:
    """Raises for files of others in the folders that --overwrite deletes."""
    foreign = (name for name in layout.foreign(output, job) if layout.in_own_folder(name))
    found = list(itertools.islice(foreign, _SHOWN + 1))
    if not found:
        return
    more = " and more" if len(found) > _SHOWN else ""
    raise UserError(
        f"--overwrite: {output} holds files that are not the data set's: "
        f"{', '.join(found[:_SHOWN])}{more}; move them elsewhere, or delete the folder yourself"
    )


def _is_occupied(output: str) -> bool:
    names = storage.storage_for(output).children(output)
    # A run that found bad inputs leaves no more than the folder of its lock.
    return bool(set(names) - {"_work"})


def check_shards(output: str, stored: Job | None, job: Job) -> None:
    """Raises for shards that cannot be, and for extensions of what is already joined."""
    if not job.configuration.in_records:
        return
    if stored is not None and stored.samples != job.samples:
        raise UserError(
            f"{output} holds shards of {stored.samples:,} samples, and {job.samples:,} are asked "
            "for. Shards have their number in their names and mix all backgrounds, so they are "
            "not extended: make a new data set with another --output (its samples will be the "
            "same where they are the same), or start anew with --overwrite. An image tree "
            "(--format images) can be extended, and fgbg convert makes shards of it"
        )
    units = units_by_split(job)
    asked = job.configuration.shards
    if asked is not None and not len(units) <= asked <= sum(units.values()):
        raise UserError(
            f"--shards {asked}: with {len(units)} splits and {sum(units.values()):,} work units "
            f"there can be {len(units)} to {sum(units.values()):,}, for a shard belongs to one "
            "split and a unit is not divided"
        )


def delete(output: str) -> None:
    """Deletes a data set of ours; `stored_job` has looked that nothing else is there.

    Commit records go first, so that no unit counts as done whose files are gone already; the job
    goes last, so that what is left after a crash is still known to be ours.
    """
    store = storage.storage_for(output)
    for name in (
        jobs.COMMITS,
        jobs.FAILED,
        jobs.SHARDS,
        jobs.BLOCKS,
        jobs.JOINING,
        manifest_parts.FOLDER,
        jobs.DEPTH_MODEL,
        jobs.INPUTS,
        jobs.DRAWN,
    ):
        store.delete(storage.join(output, name))
    for name in store.children(output):
        if name != layout.WORK and (layout.belongs(None, name) or layout.in_own_folder(f"{name}/")):
            store.delete(storage.join(output, name))
    for name in (jobs.JOB_FILE, jobs.JOB_SPARE):
        store.delete(storage.join(output, name))
