"""Single records out of shards: where they begin is known from plan and commit records."""

from __future__ import annotations

from typing import Any

from transforms import commit, storage
from transforms.job import Job
from transforms.records import Record, of_record
from transforms.shard_plan import Places
from transforms.tfrecord_file import unframe
from transforms.work_unit import unit_of_sample


def read_record(output: str, job: Job, row: dict[str, Any], places: Places) -> Record:
    """The record of one sample, without reading others.

    Args:
        output: The data set.
        job: Its job.
        row: The sample's row of the manifest.
        places: Where each unit's records are.

    Raises:
        FileNotFoundError: The shard or the commit record is missing.
        ValueError: The record is damaged.
    """
    c = job.configuration
    unit, i = unit_of_sample(c.placements, c.mirror, row["bg"], row["fg"], row["number"])
    shard, first, offset = places[unit]
    sizes = commit.read(output, unit).columns["record_bytes"]
    offset += sum(sizes[:i])
    path = storage.join(output, shard.path)
    framed = storage.storage_for(path).read_range(path, offset, sizes[i])
    return of_record(unframe(framed, first + i, offset))
