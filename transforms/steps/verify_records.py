"""Verify, for data sets of records: every record against its row, and the shards as a whole.

A unit's records are read at once, from where plan and commit record say that they begin, so that a
damaged record does not hide those after it, and every byte of every shard is read once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fgbg.files import storage
from fgbg.files.sealed import DamagedError
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import BLOCKS, JOINING, RECORDS, SHARDS, Job
from fgbg.transforms.job.work_unit import WorkUnit, unit_of_sample
from fgbg.transforms.records import example as tf_example
from fgbg.transforms.records import shards
from fgbg.transforms.records.description import descriptions
from fgbg.transforms.records.file import RecordError
from fgbg.transforms.records.plan import Plan
from fgbg.transforms.records.record import of_record, to_record
from fgbg.transforms.steps.verify_pictures import check_pictures

Problem = tuple[str, str]


def check_rows(
    output: str, version: str, rows: list[dict[str, Any]], reader: RecordReader | None
) -> Iterator[Problem]:
    """Checks the records of some rows, unit by unit.

    Args:
        output: The data set.
        version: The version of its job.
        rows: Rows of the manifest, whole units of them.
        reader: Of the data set; None where no plan of its shards is there.

    Yields:
        Pairs of a file and what is wrong with it.
    """
    job = jobs.read_cached(output, version)
    c = job.configuration
    by_unit: dict[WorkUnit, list[tuple[int, dict[str, Any]]]] = {}
    for row in rows:
        try:
            unit, i = unit_of_sample(c.placements, c.mirror, row["bg"], row["fg"], row["number"])
        except ValueError as error:
            yield row["key"], str(error)
            continue
        by_unit.setdefault(unit, []).append((i, row))
    for unit, members in by_unit.items():
        if reader is None or unit not in reader.places:
            yield unit.name, "is in the manifest, but in no shard"
            continue
        yield from _check_unit(version, reader, unit, members)


def _check_unit(
    version: str, reader: RecordReader, unit: WorkUnit, members: list[tuple[int, dict[str, Any]]]
) -> Iterator[Problem]:
    try:
        frames = reader.frames(unit)
    except (SampleError, DamagedError, FileNotFoundError):
        return  # told once for the shard; the commit records are checked elsewhere
    for i, row in members:
        frame = frames[i]
        file, index = frame.shard.path, frame.index
        if row["overlay"] != frame.name:
            yield row["key"], f"is {row['overlay']} by the manifest, and {frame.name} by the plan"
        try:
            data = frame.data()
            record = of_record(data)
        except RecordError as error:
            yield file, str(error)
            continue
        except ValueError as error:
            yield file, f"record {index}: {error}"
            continue
        for kind, problem in check_pictures(reader.output, version, row, record.pictures):
            yield file, f"record {index}: {kind}: {problem}"
        expected = to_record(reader.job, row, record.overlay, record.mask_png, record.depth_png)
        for problem in _differences(data, expected):
            yield file, f"record {index}: {problem}"


def _differences(found: bytes, expected: bytes) -> Iterator[str]:
    """What a record says otherwise than its row; not its bytes, which protobuf decides."""
    if found == expected:
        return
    ours, theirs = tf_example.decode(expected), tf_example.decode(found)
    for name in sorted(ours | theirs):
        if ours.get(name) != theirs.get(name):
            yield f"{name} is {_show(theirs.get(name))}, the manifest gives {_show(ours.get(name))}"


def _show(values: list[Any] | None) -> str:
    if values is None:
        return "missing"
    return str([f"{len(v)} bytes" if isinstance(v, bytes) and len(v) > 99 else v for v in values])


def check_shards(output: str, job: Job, splits: dict[str, int]) -> Iterator[Problem]:
    """What no single record shows: missing, stray and unfinished files, sizes, descriptions.

    Args:
        output: The data set.
        job: Its job.
        splits: Rows of the manifest in every split that has any.
    """
    plan = shards.read_plan(output)
    if plan is None:
        yield SHARDS, "there is no plan of the shards: run fgbg generate again"
        return
    store = storage.storage_for(output)
    records: dict[str, int] = {}
    for shard in plan.shards:
        records[shard.split] = records.get(shard.split, 0) + shard.records
        size = store.size(storage.join(output, shard.path))
        if size is None:
            yield shard.path, "missing: fgbg generate makes it again"
        elif size != shard.bytes:
            yield shard.path, f"has {size} bytes, not {shard.bytes}"
        elif not shards.is_joined(output, shard):
            yield shard.path, "its shard record is missing or another's"
    if records != splits:
        yield RECORDS, f"the shards hold {records} records, the manifest has {splits}"
    if plan.units() != commit.committed(output, job):
        yield SHARDS, "the shards do not hold just the units that are committed: run again"
    yield from _check_descriptions(output, job, plan)
    yield from _strays(output, plan)


def _check_descriptions(output: str, job: Job, plan: Plan) -> Iterator[Problem]:
    store = storage.storage_for(output)
    for name, expected in descriptions(job, plan).items():
        path = f"{RECORDS}/{name}"
        try:
            found = store.read(storage.join(output, path))
        except FileNotFoundError:
            yield path, "missing"
            continue
        if found == expected:
            continue
        try:
            differing = sorted(_differing(json.loads(found), json.loads(expected)))
        except ValueError:
            differing = []
        yield path, "does not describe these shards" + "".join(f"; {d}" for d in differing[:5])


def _differing(found: Any, expected: Any, where: str = "") -> Iterator[str]:
    """Where two JSON values differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in found.keys() | expected.keys():
            yield from _differing(found.get(name), expected.get(name), f"{where}/{name}")
    elif found != expected:
        yield f"{where.strip('/') or 'it'} is {found!r}, not {expected!r}"


def _strays(output: str, plan: Plan) -> Iterator[Problem]:
    store = storage.storage_for(output)
    known = {shard.name for shard in plan.shards}
    known |= {"features.json", "schema.pbtxt", shards.DATASET_INFO}
    for name in store.walk(storage.join(output, RECORDS)):
        if name not in known:
            yield f"{RECORDS}/{name}", "belongs to no shard of the data set"
    for folder in (BLOCKS, JOINING) if plan.complete else (JOINING,):
        for name in store.walk(storage.join(output, folder)):
            yield f"{folder}/{name}", "is left from joining the shards: run fgbg generate again"
