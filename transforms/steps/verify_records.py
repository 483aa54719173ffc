"""Verify, for data sets of records: every record against its row, and the shards as a whole.

A unit's records are read at once, from where plan and commit record say that they begin, so that a
damaged record does not hide those after it, and every byte of every shard is read once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fgbg.files import storage
from fgbg.transforms.dataset import layout
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.job.job import BLOCKS, JOINING, RECORDS, SHARDS, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records import example as tf_example
from fgbg.transforms.records import shards
from fgbg.transforms.records.description import descriptions
from fgbg.transforms.records.file import RecordError
from fgbg.transforms.records.plan import Plan
from fgbg.transforms.records.record import of_record, to_record
from fgbg.transforms.steps.problem import FOREIGN, PLAN, SHARD, SUMMARY, Problem
from fgbg.transforms.steps.verify_pictures import check_pictures


def check_unit(
    version: str,
    reader: RecordReader,
    unit: WorkUnit,
    rows: list[dict[str, Any]],
    sizes: dict[str, int],
    with_background: bool,
) -> Iterator[Problem]:
    """Checks the records of a unit.

    Args:
        version: The version of the data set's job.
        reader: Of the data set.
        unit: The unit, one of the reader's places.
        rows: Its rows, as its commit record gives them.
        sizes: Bytes of its pictures by kind; they are added to.
        with_background: Whether its background as used is whole.
    """
    try:
        frames = reader.frames(unit)
    except (SampleError, OSError):
        return  # told once for the shard
    for row, frame in zip(rows, frames, strict=True):
        file, index, shard = frame.shard.path, frame.index, frame.shard.name
        try:
            data = frame.data()
            record = of_record(data)
        except RecordError as error:
            yield Problem(file, str(error), SHARD, shard)
            continue
        except ValueError as error:
            yield Problem(file, f"record {index}: {error}", SHARD, shard)
            continue
        for kind, size in ((kind, len(data)) for kind, data in record.pictures.items()):
            sizes[kind] = sizes.get(kind, 0) + size
        checked = check_pictures(reader.output, version, row, record.pictures, with_background)
        for kind, problem in checked:
            yield Problem(file, f"record {index}: {kind}: {problem}", SHARD, shard)
        expected = to_record(reader.job, row, record.overlay, record.mask_png, record.depth_png)
        for problem in _differences(data, expected):
            yield Problem(file, f"record {index}: {problem}", SHARD, shard)


def _differences(found: bytes, expected: bytes) -> Iterator[str]:
    """What a record says otherwise than its row; not its bytes, which protobuf decides."""
    if found == expected:
        return
    ours, theirs = tf_example.decode(expected), tf_example.decode(found)
    for name in sorted(ours | theirs):
        if ours.get(name) != theirs.get(name):
            yield f"{name} is {_show(theirs.get(name))}, its row gives {_show(ours.get(name))}"


def _show(values: list[Any] | None) -> str:
    if values is None:
        return "missing"
    return str([f"{len(v)} bytes" if isinstance(v, bytes) and len(v) > 99 else v for v in values])


def differing_values(found: Any, expected: Any, where: str = "") -> Iterator[str]:
    """Where two JSON values differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in found.keys() | expected.keys():
            yield from differing_values(found.get(name), expected.get(name), f"{where}/{name}")
    elif found != expected:
        yield f"{where.strip('/') or 'it'} is {found!r}, not {expected!r}"


def check_shards(output: str, job: Job, expected: Plan | None) -> Iterator[Problem]:
    """What no single record shows: missing, stray and unfinished files, sizes, descriptions.

    Args:
        output: The data set.
        job: Its job.
        expected: The plan of what is committed; None where commit records are damaged.
    """
    plan = shards.read_plan(output)
    if plan is None:
        yield Problem(f"{SHARDS}/plan.json", "the plan of the shards is missing or damaged", PLAN)
        plan = expected
    elif expected is not None and plan != expected:
        yield Problem(f"{SHARDS}/plan.json", "is not the plan of the units that are done", PLAN)
        plan = expected
    if plan is None:
        return
    store = storage.storage_for(output)
    for shard in plan.shards:
        size = store.size(storage.join(output, shard.path))
        if size is None:
            yield Problem(shard.path, "missing", SHARD, shard.name)
        elif size != shard.bytes:
            problem = f"has {size} bytes, not {shard.bytes}"
            yield Problem(shard.path, problem, SHARD, shard.name)
        elif not shards.is_joined(output, shard):
            yield Problem(shard.path, "its shard record is missing or another's", PLAN)
    yield from _check_descriptions(output, job, plan)
    yield from _strays(output, job, plan)


def _check_descriptions(output: str, job: Job, plan: Plan) -> Iterator[Problem]:
    store = storage.storage_for(output)
    for name, expected in descriptions(job, plan).items():
        path = f"{RECORDS}/{name}"
        try:
            found = store.read(storage.join(output, path))
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            yield Problem(path, "missing" if missing else f"cannot be read: {error}", SUMMARY)
            continue
        if found == expected:
            continue
        try:
            differing = sorted(differing_values(json.loads(found), json.loads(expected)))
        except ValueError:
            differing = []
        problem = "does not describe these shards" + "".join(f"; {d}" for d in differing[:5])
        yield Problem(path, problem, SUMMARY)


def _strays(output: str, job: Job, plan: Plan) -> Iterator[Problem]:
    store = storage.storage_for(output)
    known = {shard.name for shard in plan.shards}
    known |= {"features.json", "schema.pbtxt", shards.DATASET_INFO}
    for name in store.walk(storage.join(output, RECORDS)):
        if name not in known and layout.belongs(None, f"{RECORDS}/{name}"):
            problem = "belongs to no shard of the data set; it is left alone"
            yield Problem(f"{RECORDS}/{name}", problem, FOREIGN)
    for folder in (BLOCKS, JOINING) if plan.complete else (JOINING,):
        for name in store.walk(storage.join(output, folder)):
            if folder == BLOCKS and not shards.is_block(output, job, name):
                # A file that no run writes there is told with all others of its kind.
                if layout.is_block(f"{folder}/{name}"):
                    problem = "is another job's, or damaged in its name; it is left alone"
                    yield Problem(f"{folder}/{name}", problem, FOREIGN)
                continue
            yield Problem(f"{folder}/{name}", "is left from joining the shards", SUMMARY)
