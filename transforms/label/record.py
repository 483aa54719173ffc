"""Blocks of pictures and their records: what has been labelled, by which network, of what content.

```
OUT/bird/dog.depth.png    labels, at the size of their picture, by its path
OUT/photos-000000.tar     labels of a WebDataset shard, by the keys of its samples
OUT/labels.parquet        one row per picture
OUT/label.json            the network, the convention, counts
OUT/_work/label/          a sealed record per block; blocks of shards until they are joined
```

A block is labelled by one process and counts when its record is there. A record holds what its
rows depend on (the network, the options, the pictures' versions), so that a rerun makes what is
new, changed or damaged, and nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import tarfile
from collections.abc import Iterable
from typing import Any

from fgbg.files import storage
from fgbg.files.sealed import DamagedError, fitting, seal, unseal
from fgbg.transforms.label.sources import Item

FOLDER = "_work/label"
RECORDS, PARTS, JOINING = f"{FOLDER}/records", f"{FOLDER}/parts", f"{FOLDER}/joining"
# Pictures of a block: what a process holds at once, and what a kill costs.
BLOCK = 32
# What became of a picture. What is rejected, as no picture say, would be again; what failed is
# tried again.
MADE, REJECTED, FAILED = "made", "rejected", "failed"
_BETTER = {MADE: 0, REJECTED: 1, FAILED: 2}
_TAR_END = bytes(2 * tarfile.BLOCKSIZE)
_PART = ".tarpart"
Row = dict[str, Any]
Key = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Block:
    """Pictures that are labelled together, of one shard or of none.

    Attributes:
        number: Among the blocks of a run, from 0.
        first: Number of its first picture in the run.
        items: The pictures.
        fingerprint: Of the network and the options.
        given_up: Places in `items` of pictures that are not tried any more: they kill processes.
    """

    number: int
    first: int
    items: tuple[Item, ...]
    fingerprint: str
    given_up: frozenset[int] = frozenset()

    @property
    def target(self) -> str:
        """The shard that the labels go to; "" for files of their own."""
        return self.items[0].target

    @property
    def identity(self) -> str:
        """A short name of everything that its labels depend on."""
        known = [self.fingerprint, self.items]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Known:
    """What records say of the pictures of a run, as these are now.

    Attributes:
        rows: Of each picture that was dealt with, by (target, name).
        parts: Bytes of the part that each block of a shard had, by its identity.
    """

    rows: dict[Key, Row]
    parts: dict[str, int]


def cut(items: Iterable[Item], fingerprint: str, size: int = BLOCK) -> list[Block]:
    """Cuts pictures into blocks of a size: consecutive ones of one shard, or of none."""
    found: list[Block] = []
    first = 0
    for _, group in itertools.groupby(items, lambda item: item.target):
        members = tuple(group)
        for start in range(0, len(members), size):
            part = members[start : start + size]
            found.append(Block(len(found), first, part, fingerprint))
            first += len(part)
    return found


def record_path(output: str, identity: str) -> str:
    """Where a block's record is."""
    return storage.join(output, RECORDS, f"{identity}.json")


def part_path(output: str, identity: str) -> str:
    """Where the labels of a block of a shard are until they are joined."""
    return storage.join(output, PARTS, identity + _PART)


def write(output: str, block: Block, rows: list[Row], part_bytes: int) -> None:
    """Records what became of a block.

    Args:
        output: The folder of the labels.
        block: The block.
        rows: One for each of its pictures, in order, with "name", "status", and "files" or
            "reason".
        part_bytes: Of its part of a shard.
    """
    content = {
        "fingerprint": block.fingerprint,
        "target": block.target,
        "versions": [item.version for item in block.items],
        "rows": rows,
        "part_bytes": part_bytes,
    }
    path = record_path(output, block.identity)
    storage.storage_for(path).write_atomically(path, seal(content))


def read(output: str, items: Iterable[Item], fingerprint: str) -> Known:
    """What is known of pictures as they are now. Labels that are not there any more do not count.

    Args:
        output: The folder of the labels.
        items: The pictures of the run.
        fingerprint: Of the network and the options: records of others count for nothing.
    """
    store = storage.storage_for(output)
    wanted = {(item.target, item.name): item.version for item in items}
    there = set(store.walk(output))
    known = Known({}, {})
    for name in sorted(there):
        if not name.startswith(f"{RECORDS}/"):
            continue
        path = storage.join(output, name)
        try:
            content = unseal(store.read(path), path)
            with fitting(path, "record of labels"):
                if content["fingerprint"] != fingerprint:
                    continue
                target, part_bytes = content["target"], int(content["part_bytes"])
                pairs = zip(content["versions"], content["rows"], strict=True)
                rows = [(row["name"], _BETTER[row["status"]], of, row) for of, row in pairs]
        except (DamagedError, FileNotFoundError):
            continue
        if target:
            known.parts[os.path.basename(name).removesuffix(".json")] = part_bytes
        for picture, rank, version, row in rows:
            key = target, picture
            is_lost = not target and not there.issuperset(row.get("files", ()))
            before = known.rows.get(key)
            is_better = before is None or rank < _BETTER[before["status"]]
            if wanted.get(key) == version and not is_lost and is_better:
                known.rows[key] = row
    return known


def to_make(
    output: str, items: list[Item], fingerprint: str, known: Known, workers: int = 1
) -> list[Block]:
    """The blocks that are to be labelled: new pictures, changed ones, and lost labels.

    Args:
        output: The folder of the labels.
        items: The pictures of the run.
        fingerprint: Of the network and the options.
        known: What is known of them.
        workers: Processes that are to have some of the blocks each, of few pictures too.
    """
    left = [item for item in items if not item.target and _is_open(known.rows.get(("", item.name)))]
    size = min(BLOCK, max(1, len(left) // (4 * workers)))
    found = cut(left, fingerprint, size)
    for target, members in shards(items, fingerprint).items():
        if not is_joined(output, target, members, known):
            found += [block for block in members if _lacks(output, block, known)]
    numbered = []
    first = 0
    for number, block in enumerate(found):
        numbered.append(dataclasses.replace(block, number=number, first=first))
        first += len(block.items)
    return numbered


def withdraw(output: str, blocks: Iterable[Block]) -> None:
    """Takes away the records of blocks that are made again."""
    paths = [record_path(output, block.identity) for block in blocks]
    storage.storage_for(output).delete_files(paths)


def _is_open(row: Row | None) -> bool:
    return row is None or row["status"] == FAILED


def _lacks(output: str, block: Block, known: Known) -> bool:
    rows = [known.rows.get((block.target, item.name)) for item in block.items]
    size = storage.storage_for(output).size(part_path(output, block.identity))
    return any(map(_is_open, rows)) or size != known.parts.get(block.identity)


def shards(items: Iterable[Item], fingerprint: str) -> dict[str, list[Block]]:
    """The blocks of each shard, in order, by its name. They are cut of all of its pictures."""
    found: dict[str, list[Block]] = {}
    for block in cut((item for item in items if item.target), fingerprint):
        found.setdefault(block.target, []).append(block)
    return found


def is_joined(output: str, target: str, members: list[Block], known: Known) -> bool:
    """Whether a shard is whole: each of its pictures is dealt with, and none failed."""
    rows = (known.rows.get((target, item.name)) for block in members for item in block.items)
    return not any(map(_is_open, rows)) and _size(output, target) == _planned(members, known)


def _size(output: str, target: str) -> int | None:
    path = storage.join(output, target)
    return storage.storage_for(path).size(path)


def _planned(members: list[Block], known: Known) -> int | None:
    sizes = [known.parts.get(block.identity) for block in members]
    return None if None in sizes else sum(filter(None, sizes)) + len(_TAR_END)


def join(output: str, target: str, members: list[Block], known: Known) -> None:
    """Joins the parts of a shard, and removes them if nothing of it is to be tried again."""
    if is_joined(output, target, members, known):
        return
    size = _planned(members, known)
    if size is None:
        return
    store = storage.storage_for(output)
    end = storage.join(output, JOINING, "end")
    store.write(end, _TAR_END)
    paths = [part_path(output, block.identity) for block in members]
    store.concatenate(
        [*paths, end], storage.join(output, target), storage.join(output, JOINING), size
    )
    if is_joined(output, target, members, known):
        store.delete_files(paths)
    store.delete(storage.join(output, JOINING))


def member(name: str, data: bytes) -> bytes:
    """A file as it stands in an archive: without owner and time, equal files are equal bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    padding = bytes(-len(data) % tarfile.BLOCKSIZE)
    return info.tobuf(tarfile.PAX_FORMAT) + data + padding
