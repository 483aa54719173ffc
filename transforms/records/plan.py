"""The plan of the shards: which blocks stand in which TFRecord file, and in which order.

A block holds the records of one work unit. The plan is a function of the job and of what is
committed, so that every run comes to the same one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from fgbg.files.sealed import fitting, seal, unseal
from fgbg.transforms.job.job import RECORDS, Job
from fgbg.transforms.job.work_unit import WorkUnit

NAME = "fgbg"
# Large enough for reading in order to pay, small enough to have many to mix.
TARGET_BYTES = 128_000_000


@dataclasses.dataclass(frozen=True)
class Block:
    """The records of one work unit.

    Attributes:
        unit: The unit.
        records: How many.
        bytes: The block's size.
    """

    unit: WorkUnit
    records: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class ShardFile:
    """One file of records, whatever stands in it.

    Attributes:
        name: Its name in the folder RECORDS.
        split: The split that it belongs to.
    """

    name: str
    split: str

    @property
    def path(self) -> str:
        """Its path, relative to the data set."""
        return f"{RECORDS}/{self.name}"


@dataclasses.dataclass(frozen=True)
class Shard(ShardFile):
    """One file of records, and what it is joined of.

    Attributes:
        blocks: What stands in it, in order.
    """

    blocks: tuple[Block, ...]

    @property
    def records(self) -> int:
        return sum(block.records for block in self.blocks)

    @property
    def bytes(self) -> int:
        return sum(block.bytes for block in self.blocks)

    def fingerprint(self) -> str:
        """A short name of exactly this content."""
        return hashlib.sha256(json.dumps(_to_json(self)).encode()).hexdigest()[:16]


def _to_json(shard: Shard) -> dict[str, Any]:
    blocks = [[block.unit.name, block.records, block.bytes] for block in shard.blocks]
    return {"name": shard.name, "split": shard.split, "blocks": blocks}


def shard_of(content: dict[str, Any]) -> Shard:
    """A shard of what is stored of it.

    Raises:
        KeyError, TypeError, ValueError: It is no shard.
    """
    blocks = tuple(Block(WorkUnit.parse(name), k, size) for name, k, size in content["blocks"])
    numbers = (number for block in blocks for number in (block.records, block.bytes))
    if any(type(number) is not int or number < 0 for number in numbers):
        raise TypeError("a size is no whole number")
    return Shard(str(content["name"]), str(content["split"]), blocks)


@dataclasses.dataclass(frozen=True)
class Plan:
    """All shards of a data set.

    Attributes:
        complete: Whether every unit of the job is in it.
        shards: The shards, split by split.
    """

    complete: bool
    shards: tuple[Shard, ...]

    def to_bytes(self) -> bytes:
        """As stored; equal plans are equal bytes."""
        return seal({"complete": self.complete, "shards": [_to_json(s) for s in self.shards]})

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Plan:
        """Of what is stored.

        Raises:
            DamagedError: It is not what was written.
        """
        content = unseal(data, path)
        with fitting(path, "plan of shards"):
            return cls(content["complete"], tuple(map(shard_of, content["shards"])))

    def shard(self, name: str) -> Shard:
        """A shard by its name."""
        return next(shard for shard in self.shards if shard.name == name)

    def units(self) -> set[WorkUnit]:
        """The units whose records are in it."""
        return {block.unit for shard in self.shards for block in shard.blocks}

    def places(self) -> Places:
        """Of each unit its shard, the number of its first record there, and that one's offset."""
        found: dict[WorkUnit, tuple[ShardFile, int, int]] = {}
        for shard in self.shards:
            index = offset = 0
            for block in shard.blocks:
                found[block.unit] = shard, index, offset
                index += block.records
                offset += block.bytes
        return found


# Of each unit its shard, the number of its first record there, and that one's offset.
Places = Mapping[WorkUnit, tuple[ShardFile, int, int]]


def record_name(shard: ShardFile, index: int) -> str:
    """What the manifest says of where a record is."""
    return f"{shard.path}#{index}"


def draw_up(job: Job, blocks: Iterable[Block]) -> Plan:
    """Which blocks stand where: a function of its arguments, in whatever order they come.

    Each background's blocks are dealt out to the shards of its split in turn, so that every shard
    has its share of every background; inside a shard they stand in pseudo-random order. Both
    follow a keyed hash of the unit's name.

    Args:
        job: The data set's job.
        blocks: The blocks of the units that are done.
    """
    by_split: dict[str, list[Block]] = {name: [] for name, _ in job.configuration.splits}
    count = 0
    for block in blocks:
        by_split[job.backgrounds[block.unit.background - 1].split].append(block)
        count += 1
    by_split = {name: found for name, found in by_split.items() if found}
    counts = shard_counts(
        job.configuration.shards,
        {name: len(found) for name, found in by_split.items()},
        {name: sum(block.bytes for block in found) for name, found in by_split.items()},
    )
    key = job.configuration.seed.to_bytes(8, "little")

    def drawn(block: Block) -> bytes:
        return hashlib.blake2b(block.unit.name.encode(), key=key, digest_size=16).digest()

    shards = []
    for split, members in by_split.items():
        dealt = sorted(members, key=lambda block: (block.unit.background, drawn(block)))
        total = counts[split]
        for i in range(total):
            name = f"{NAME}-{split}.tfrecord-{i:05d}-of-{total:05d}"
            shards.append(Shard(name, split, tuple(sorted(dealt[i::total], key=drawn))))
    return Plan(count == job.units, tuple(shards))


def shard_counts(
    asked: int | None, units: dict[str, int], sizes: dict[str, float]
) -> dict[str, int]:
    """Shards of each split.

    Args:
        asked: How many there are to be in all; None: as many as keep them at TARGET_BYTES.
        units: Number of units of every split that has any.
        sizes: Bytes of their records.
    """
    if asked is not None:
        return share_out(asked, units)
    counts = {name: math.ceil(size / TARGET_BYTES) for name, size in sizes.items()}
    return {name: max(1, min(count, units[name])) for name, count in counts.items()}


def share_out(shards: int, units: dict[str, int]) -> dict[str, int]:
    """Shards of each split, by the number of its units: one at least, not more than units.

    Args:
        shards: How many there are to be in all.
        units: Number of units of every split that has any.

    Returns:
        Numbers with the sum that was asked for, as far as the units allow it.
    """
    counts = dict.fromkeys(units, 1)
    total = sum(units.values())
    for _ in range(min(shards, total) - len(units)):
        # The split that is furthest below its share; the first of equals.
        open_ = [name for name in units if counts[name] < units[name]]
        name = max(open_, key=lambda n: units[n] * shards / total - counts[n])
        counts[name] += 1
    return counts


def units_by_split(job: Job) -> dict[str, int]:
    """Number of units of every split that has any."""
    found: dict[str, int] = {}
    for background in job.backgrounds:
        found[background.split] = found.get(background.split, 0) + job.units_per_background
    return found
