"""Shards: joining the blocks of work units, so that no moment can lose or double a record.

A work unit writes its records as one block. When every unit has been made or has failed, the plan
(records.plan) is stored, blocks are joined after it, and each shard that is whole gets a
shard record. Blocks are what can be joined anew, so they are kept until nothing is missing any
more: until then shards are provisional, and a later run that makes the missing units joins all of
them again.

Nothing here needs Beam: fgbg.transforms.steps.join_shards has the steps of the graph.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import zlib
from collections.abc import Iterable
from typing import Any

from fgbg.files import storage
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.files.sealed import DamagedError, seal, unseal
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import Chunk
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.job import BLOCKS, JOINING, RECORDS, SHARDS, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records.file import unframe
from fgbg.transforms.records.plan import NAME, Block, Places, Plan, Shard, draw_up
from fgbg.transforms.records.record import of_record
from fgbg.transforms.records.stored_plan import StoredPlan

DATASET_INFO = "dataset_info.json"
_PLAN = "plan.json"
_BLOCK_FILE = re.compile(r"(bg\d+/fg_\d+/(?:as_given|mirrored)_\d+)\.[0-9a-f]+\.tfrecord")
_FILE = re.compile(rf"{NAME}-\w+\.tfrecord-\d{{5,}}-of-\d{{5,}}")


def block_path(output: str, job: Job, unit: WorkUnit) -> str:
    """Where a unit's block is until it is joined."""
    name = f"{unit.name}.{jobs.unit_identity(job, unit)}.tfrecord"
    return storage.join(output, BLOCKS, name)


def is_block(output: str, job: Job, name: str) -> bool:
    """Whether a file among the blocks, by its path below their folder, is one of this very job."""
    match = _BLOCK_FILE.fullmatch(name)
    unit = WorkUnit.parse(match[1]) if match else None
    path = storage.join(output, BLOCKS, name)
    return unit is not None and jobs.holds(job, unit) and path == block_path(output, job, unit)


def read_plan(output: str) -> Plan | None:
    """The stored plan; None before the first joining, and where it is damaged.

    A plan is a function of the job and of the commit records, so that `prepare` draws it up again
    as it was.
    """
    path = storage.join(output, SHARDS, _PLAN)
    try:
        return Plan.from_bytes(storage.storage_for(path).read(path), path)
    except (FileNotFoundError, DamagedError):
        return None


def open_plan(output: str) -> StoredPlan:
    """The stored plan, for whoever needs a part of it.

    Raises:
        FileNotFoundError: There is none, or it is damaged.
    """
    path = storage.join(output, SHARDS, _PLAN)
    try:
        return StoredPlan(path)
    except (FileNotFoundError, DamagedError) as error:
        raise FileNotFoundError(f"{output}: no shards were planned") from error


def prepare(output: str) -> list[str]:
    """Draws up the plan of what is committed and stores it, if it is not the stored one.

    Args:
        output: The data set. Every unit that could be made is committed.

    Returns:
        Names of the shards that are still to be joined.
    """
    job = _job(output)
    store = storage.storage_for(output)
    blocks = _blocks(output, job)
    stored = read_plan(output)
    plan = _as_stored(stored, blocks) or draw_up(job, blocks)
    if plan != stored:
        # What tells of the shards is taken away before they change.
        store.delete(storage.join(output, RECORDS, DATASET_INFO))
        store.write_atomically(storage.join(output, SHARDS, _PLAN), plan.to_bytes())
    names = {shard.name for shard in plan.shards}
    folder = storage.join(output, RECORDS)
    for name in store.children(folder):
        if _FILE.fullmatch(name) and name not in names:
            store.delete_files([storage.join(folder, name), _record_path(output, name)])
    joined = _joined(output, plan)
    left = [shard for shard in plan.shards if shard not in joined]
    return [shard.name for shard in left if not _record_again(output, job, shard)]


def places_of_chunk(output: str, chunk: Chunk) -> Places:
    """Where the records of a chunk's units are, by the stored plan."""
    path = storage.join(output, SHARDS, _PLAN)
    version = storage.storage_for(path).versions(path).get("", "")
    return _kept_places(output, version)


@functools.lru_cache(maxsize=1)
def _kept_places(output: str, version: str) -> Places:
    return open_plan(output).places()


def _job(output: str) -> Job:
    job = jobs.read(output)
    if job is None:
        raise FileNotFoundError(f"{output} holds no data set")
    return job


def _blocks(output: str, job: Job) -> list[Block]:
    units = sorted(commit.committed(output, job))

    def block(unit: WorkUnit) -> Block:
        sizes = commit.read(output, job, unit).columns["record_bytes"]
        return Block(unit, len(sizes), sum(sizes))

    return list(in_order(block, units, threads_for(output)))


def planned(output: str, job: Job, blocks: Iterable[Block]) -> Plan:
    """The plan that the stored one should be.

    Args:
        output: The data set.
        job: Its job.
        blocks: Of all units that are done.
    """
    blocks = list(blocks)
    drawn = draw_up(job, blocks)
    stored = read_plan(output)
    kept = _as_stored(stored, blocks)
    if kept is None or kept == drawn:
        return drawn
    # Dealt out otherwise than today's sizes would have it: right, if it was joined like that.
    return kept if all(_is_recorded(output, shard) for shard in kept.shards) else drawn


def _as_stored(stored: Plan | None, blocks: list[Block]) -> Plan | None:
    """The stored plan with the sizes of today, if it holds all units and these are the same.

    Blocks of other shards may be gone, so a complete plan is never dealt out anew, not even when a
    lost unit was made again by another version of a library and has another size.
    """
    sizes = {block.unit: block for block in blocks}
    if stored is None or not stored.complete or stored.units() != set(sizes):
        return None
    return Plan(
        True,
        tuple(
            dataclasses.replace(shard, blocks=tuple(sizes[block.unit] for block in shard.blocks))
            for shard in stored.shards
        ),
    )


def _record_path(output: str, name: str) -> str:
    return storage.join(output, SHARDS, f"{name}.json")


def is_joined(output: str, shard: Shard) -> bool:
    """Whether a shard is whole and recorded as what the plan says."""
    size = storage.storage_for(output).size(storage.join(output, shard.path))
    return size == shard.bytes and _is_recorded(output, shard)


def _is_recorded(output: str, shard: Shard) -> bool:
    path = _record_path(output, shard.name)
    try:
        record = unseal(storage.storage_for(path).read(path), path)
    except (FileNotFoundError, DamagedError):
        return False
    return record == _record(shard)


def _record(shard: Shard) -> dict[str, Any]:
    """What a shard record says: a function of the plan, so that each of its values is checked."""
    return {"fingerprint": shard.fingerprint(), "records": shard.records, "bytes": shard.bytes}


def _joined(output: str, plan: Plan) -> set[Shard]:
    store = storage.storage_for(output)
    # Two listings first: on gs:// a shard that is not there costs no request of its own.
    sizes = store.sizes(storage.join(output, RECORDS))
    recorded = set(store.files(storage.join(output, SHARDS)))
    there = [
        shard
        for shard in plan.shards
        if f"{shard.name}.json" in recorded and sizes.get(shard.name) == shard.bytes
    ]
    done = in_order(lambda shard: _is_recorded(output, shard), there, threads_for(output))
    return {shard for shard, whole in zip(there, done, strict=True) if whole}


def all_joined(output: str) -> bool:
    """Whether every shard of the plan is whole and recorded."""
    plan = read_plan(output)
    return plan is not None and len(_joined(output, plan)) == len(plan.shards)


def join(output: str, plan: Plan | StoredPlan, name: str) -> int:
    """Joins the blocks of one shard, records that, and removes the blocks if nothing is missing.

    It may be repeated at any time, and run twice at once.

    Args:
        output: The data set.
        plan: Its plan.
        name: The shard.

    Returns:
        The shard's size in bytes.

    Raises:
        FileNotFoundError: A block is missing.
        ValueError: A block has another size than its commit record says.
    """
    shard = plan.shard(name)
    store = storage.storage_for(output)
    job = _job(output)
    paths = [block_path(output, job, block.unit) for block in shard.blocks]
    if not is_joined(output, shard):
        target, workspace = (storage.join(output, path) for path in (shard.path, JOINING))
        try:
            store.concatenate(paths, target, workspace, shard.bytes)
        except FileNotFoundError:
            if is_joined(output, shard):  # by another process, which has removed the blocks
                return shard.bytes
            raise
        except ValueError as error:
            raise ValueError(_wrong_sizes(output, job, shard)) from error
        store.write_atomically(_record_path(output, name), seal(_record(shard)))
    if plan.complete:
        store.delete_files(paths)
    return shard.bytes


def _wrong_sizes(output: str, job: Job, shard: Shard) -> str:
    store = storage.storage_for(output)
    wrong = [
        path
        for block in shard.blocks
        if store.size(path := block_path(output, job, block.unit)) != block.bytes
    ]
    return (
        f"{', '.join(wrong) or shard.path}: not of the size that the commit record says; delete "
        "it and run again to have it made anew"
    )


def _record_again(output: str, job: Job, shard: Shard) -> bool:
    """Records a whole shard that has lost its shard record, if its records are what they were.

    Its blocks may be gone: without this, all its units would be made again for a small file.

    Args:
        output: The data set.
        job: Its job.
        shard: As planned.

    Returns:
        Whether it is recorded now. What is not certain is joined, or made, again.
    """
    store = storage.storage_for(output)
    path = storage.join(output, shard.path)
    if store.size(path) != shard.bytes or store.size(block_path(output, job, shard.blocks[0].unit)):
        return False
    offset = 0
    for block in shard.blocks:
        try:
            record = commit.read(output, job, block.unit)
            data = store.read_range(path, offset, block.bytes)
            if not _is_block(record, data):
                return False
        except (OSError, ValueError, KeyError):
            return False
        offset += block.bytes
    store.write_atomically(_record_path(output, shard.name), seal(_record(shard)))
    return True


def _is_block(record: Commit, data: bytes) -> bool:
    """Whether bytes are the records of a unit: by their own checksums, and those of its pictures.

    Raises:
        ValueError: They are no records, or damaged.
    """
    begin = 0
    for i, size in enumerate(record.columns["record_bytes"]):
        found = of_record(unframe(data[begin : begin + size], i, begin))
        if found.key != f"{record.unit.folder}/{record.columns['number'][i]}":
            return False
        for kind, picture in found.pictures.items():
            if zlib.crc32(picture) != record.columns[f"{kind}_crc32"][i]:
                return False
        begin += size
    return begin == len(data)


def finish(output: str) -> Plan:
    """Removes what is left of the joining, once every shard is joined. Gives the plan."""
    plan = read_plan(output)
    if plan is None:
        raise FileNotFoundError(f"{output}: no shards were planned")
    store = storage.storage_for(output)
    store.delete(storage.join(output, JOINING))
    if plan.complete:
        job, folder = _job(output), storage.join(output, BLOCKS)
        # What was joined, and nothing else: another run's blocks, or a person's files, stay.
        for name in list(store.walk(folder)):
            if is_block(output, job, name):
                store.delete_files([storage.join(folder, name)])
        store.delete_empty([folder])
    return plan


def forget(output: str, names: Iterable[str]) -> None:
    """Takes damaged shards away: `forget_lost` takes back their units."""
    names = list(names)
    store = storage.storage_for(output)
    store.delete_files([_record_path(output, name) for name in names])
    store.delete_files([storage.join(output, RECORDS, name) for name in names])


def forget_lost(output: str, job: Job) -> set[WorkUnit]:
    """Takes back the commits of units whose records are nowhere any more: they are made again.

    A unit's records are in its block, or in its shard if that is joined; only a person or a
    damaged disk removes both.

    Returns:
        Such units.
    """
    store = storage.storage_for(output)
    folder = storage.join(output, BLOCKS)
    blocks = {storage.join(folder, name) for name in store.walk(folder)}
    committed = commit.committed(output, job)
    there = {unit for unit in committed if block_path(output, job, unit) in blocks}
    # Of a complete data set the plan is drawn up again as it was: shards need not be joined anew.
    plan = read_plan(output)
    if plan is None and len(committed) == job.units:
        plan = draw_up(job, _blocks(output, job))
    if plan is not None:
        joined = _joined(output, plan)
        for shard in plan.shards:
            if shard in joined or _record_again(output, job, shard):
                there.update(block.unit for block in shard.blocks)
    lost = committed - there
    commit.withdraw(output, job, lost)
    return lost
