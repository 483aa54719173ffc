"""A stored plan of the shards, of which a process holds only what it needs.

As Python's objects the blocks of a million samples take some 25 MB. Whoever joins one shard needs
that one's blocks; whoever reads records needs two numbers of each unit.
"""

from __future__ import annotations

import itertools
import json
from array import array
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fgbg.files import storage
from fgbg.files.sealed import check_seal, fitting
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records.plan import Shard, ShardFile, shard_of

_SHARDS = '"shards":['


class StoredPlan:
    """A plan by the places of its shards in its file.

    Args:
        path: The file; it is read once, and must stay as it is while shards are asked for.

    Attributes:
        complete: Whether every unit of the job is in it.

    Raises:
        FileNotFoundError: There is none.
        DamagedError: It is not what was written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        data = storage.storage_for(path).read(path)
        check_seal(data, path)
        text = data.decode("ascii")
        with fitting(path, "plan of shards"):
            head = json.loads(text[: text.index(_SHARDS)].rstrip(",") + "}")
            self.complete: bool = head["complete"]
            self._shards = {
                shard_of(content).name: (begin, end - begin)
                for begin, end, content in _shards(text)
            }

    def shard(self, name: str) -> Shard:
        """A shard by its name."""
        data = storage.storage_for(self._path).read_range(self._path, *self._shards[name])
        return shard_of(json.loads(data))

    def places(self) -> StoredPlaces:
        """Of each unit its shard, the number of its first record there, and that one's offset."""
        data = storage.storage_for(self._path).read(self._path)
        check_seal(data, self._path)
        with fitting(self._path, "plan of shards"):
            found = (shard_of(content) for _, _, content in _shards(data.decode("ascii")))
            return StoredPlaces(found)


def _shards(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The shards of a stored plan, one at a time, with where each begins and ends."""
    decode = json.JSONDecoder().raw_decode
    end = text.index(_SHARDS) + len(_SHARDS) - 1
    while text[end] == "," or (text[end] == "[" and text[end + 1] != "]"):
        begin = end + 1
        content, end = decode(text, begin)
        yield begin, end, content


class StoredPlaces(Mapping[WorkUnit, tuple[ShardFile, int, int]]):
    """Where the records of each unit are, 24 bytes a unit.

    Args:
        shards: All shards; they are not kept.
    """

    def __init__(self, shards: Iterator[Shard]) -> None:
        self._files: list[ShardFile] = []
        units, files, records, offsets = array("q"), array("i"), array("q"), array("q")
        for shard in shards:
            blocks = shard.blocks
            units.extend(_number(block.unit) for block in blocks)
            files.extend(itertools.repeat(len(self._files), len(blocks)))
            first = itertools.accumulate((block.records for block in blocks), initial=0)
            records.extend(itertools.islice(first, len(blocks)))
            begins = itertools.accumulate((block.bytes for block in blocks), initial=0)
            offsets.extend(itertools.islice(begins, len(blocks)))
            self._files.append(ShardFile(shard.name, shard.split))
        order = np.argsort(np.asarray(units))
        self._units = np.asarray(units)[order]
        self._columns = [np.asarray(column)[order] for column in (files, records, offsets)]

    def __getitem__(self, unit: WorkUnit) -> tuple[ShardFile, int, int]:
        number = _number(unit)
        at = int(np.searchsorted(self._units, number))
        if at == len(self._units) or self._units[at] != number:
            raise KeyError(unit)
        file, record, offset = (int(column[at]) for column in self._columns)
        return self._files[file], record, offset

    def __iter__(self) -> Iterator[WorkUnit]:
        return map(_unit, self._units.tolist())

    def __len__(self) -> int:
        return len(self._units)


def _number(unit: WorkUnit) -> int:
    """One number of a unit's four, whatever the job: 23 bits, 23 bits, 16 bits and one."""
    return ((unit.background << 23 | unit.foreground) << 16 | unit.round) << 1 | unit.mirrored


def _unit(number: int) -> WorkUnit:
    low = (1 << 23) - 1
    return WorkUnit(number >> 40, number >> 17 & low, bool(number & 1), number >> 1 & (1 << 16) - 1)
