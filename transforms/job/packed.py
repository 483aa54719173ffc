"""Packed commit records: those of a chunk that has ended, as one file instead of thousands.

The first line is a sealed table: each record's unit, identity and size, and the checksum of all
that follows. Then come the records as they were, one a line, each with its own checksum. So what
is done is known by one short read, everything is read by one long one, and a damaged byte costs
one unit. Its name ends with a checksum of the table: equal packs have equal names.
"""

from __future__ import annotations

import functools
import hashlib
import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from fgbg.files import storage
from fgbg.files.sealed import DamagedError, fitting, seal, unseal
from fgbg.transforms.job.chunk import Chunk
from fgbg.transforms.job.job import COMMITS
from fgbg.transforms.job.work_unit import WorkUnit

FOLDER = "packed"
NAME = re.compile(rf"bg(\d+)/{FOLDER}/fg_(\d+)-(\d+)\.[0-9a-f]+\.jsonl")
# What is read of a pack to have its table: more than that of 2,500 units has.
_TABLE_BYTES = 1 << 18
# Tables that a process keeps.
_TABLES_KEPT = 32
# Backgrounds whose packs' names a process keeps.
_FOLDERS_KEPT = 4096


class Entry(NamedTuple):
    """A record in a pack.

    Attributes:
        identity: Of its unit, as jobs.unit_identity gives it.
        offset: Where it begins in the file.
        size: Its bytes.
    """

    identity: str
    offset: int
    size: int


class Pack(NamedTuple):
    """A file of records, opened.

    Attributes:
        path: Where it is.
        begin: Where its records begin.
        checksum: CRC-32 of all of them.
        entries: By unit.
    """

    path: str
    begin: int
    checksum: int
    entries: dict[WorkUnit, Entry]

    def read(self, unit: WorkUnit) -> bytes:
        """One record, as it was before it was packed."""
        entry = self.entries[unit]
        return storage.storage_for(self.path).read_range(self.path, entry.offset, entry.size)

    def read_all(self) -> bytes:
        """The whole file: records are at their offsets, unless the file is damaged."""
        return storage.storage_for(self.path).read(self.path)

    def is_whole(self, data: bytes) -> bool:
        """Whether all records are as they were written, by what `read_all` gave."""
        return zlib.crc32(memoryview(data)[self.begin :]) == self.checksum


def folder(output: str, background: int) -> str:
    """Where the packs of a background are."""
    return storage.join(output, COMMITS, f"bg{background}", FOLDER)


def write(output: str, chunk: Chunk, records: Iterable[tuple[WorkUnit, str, bytes]]) -> str:
    """Packs records, in one step. Gives the pack's path.

    Args:
        output: The data set.
        chunk: What they are of; it names the file.
        records: Units with their identities and records, in order.
    """
    units, identities, found = zip(*records, strict=True)
    body = b"".join(found)
    table = seal(
        {
            "units": [unit.name for unit in units],
            "identities": identities,
            "sizes": [len(data) for data in found],
            "checksum": zlib.crc32(body),
        }
    )
    key = hashlib.blake2b(table, digest_size=6).hexdigest()
    name = f"fg_{chunk.first}-{chunk.last}.{key}.jsonl"
    path = storage.join(folder(output, chunk.background), name)
    # On the disk before the records that it replaces are deleted.
    storage.storage_for(path).write_atomically(path, table + body, durable=True)
    return path


def open_pack(path: str) -> Pack:
    """Reads the table of a pack.

    Raises:
        FileNotFoundError: There is none: other packs have replaced it.
        DamagedError: Its table is not what was written.
    """
    store = storage.storage_for(path)
    wanted = _TABLE_BYTES
    data = store.read_range(path, 0, wanted)
    while (end := data.find(b"\n") + 1) == 0 and len(data) == wanted:
        wanted *= 4
        data = store.read_range(path, 0, wanted)
    content = unseal(data[:end] or data, path)
    with fitting(path, "file of packed commit records"):
        entries = {}
        offset = end
        columns = (content[name] for name in ("units", "identities", "sizes"))
        for name, identity, size in zip(*columns, strict=True):
            entries[WorkUnit.parse(name)] = Entry(identity, offset, size)
            offset += size
        return Pack(path, end, content["checksum"], entries)


kept_pack = functools.lru_cache(_TABLES_KEPT)(open_pack)


def paths(output: str, background: int) -> list[str]:
    """The packs of a background, damaged or not."""
    where = folder(output, background)
    names = storage.storage_for(where).files(where)
    found = (name for name in names if NAME.fullmatch(f"bg{background}/{FOLDER}/{name}"))
    return [storage.join(where, name) for name in found]


@functools.lru_cache(_FOLDERS_KEPT)
def _kept_paths(output: str, background: int) -> tuple[str, ...]:
    return tuple(paths(output, background))


def find(output: str, unit: WorkUnit, identity: str) -> tuple[str, bytes] | None:
    """The packed record of a unit, by what is remembered of packs: where it is, and its bytes.

    Raises:
        DamagedError: The pack that would hold it is damaged.
    """
    damage = None
    for path in _kept_paths(output, unit.background):
        if not _may_hold(path, unit):
            continue
        try:
            pack = kept_pack(path)
            entry = pack.entries.get(unit)
            if entry is not None and entry.identity == identity:
                return f"{path}: {unit.name}", pack.read(unit)
        except FileNotFoundError:
            continue  # replaced since
        except DamagedError as error:
            damage = error
    if damage is not None:
        raise damage
    return None


def forget_what_is_kept() -> None:
    """Has packs looked for anew: some were written or deleted."""
    _kept_paths.cache_clear()
    kept_pack.cache_clear()


def _may_hold(path: str, unit: WorkUnit) -> bool:
    match = NAME.search(path)
    return match is not None and Chunk(*map(int, match.groups())).has(unit)


def write_without(output: str, pack: Pack, units: set[WorkUnit]) -> None:
    """Writes a pack anew without some of its records, or deletes it if none is left.

    Damaged records are left out too: a pack that is new is as it was written.
    """
    match = NAME.search(pack.path)
    assert match is not None
    data = pack.read_all()
    kept = []
    for unit, entry in pack.entries.items():
        record = data[entry.offset : entry.offset + entry.size]
        if unit not in units and _is_sealed(record, pack.path):
            kept.append((unit, entry.identity, record))
    if kept:
        write(output, Chunk(*map(int, match.groups())), kept)
    storage.storage_for(pack.path).delete_files([pack.path])


def _is_sealed(record: bytes, path: str) -> bool:
    try:
        unseal(record, path)
    except DamagedError:
        return False
    return True
