"""Commit records: the small files, written last, that say a work unit is done.

One sealed JSON file a unit under _work/commits/, with one entry per sample in each column and the
unit's share of the statistics, as integers: sums that come out the same in any order. It holds
nothing that differs from run to run. Its name ends with the unit's identity (jobs.unit_identity),
so that a record of another job, left or still being written by a run of that one, counts for
nothing. Of a large data set, the records of a chunk that has ended are in one file (packed); what
is read here is the same either way. A unit that failed has a record under _work/failed/ instead,
until it succeeds.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator

from fgbg.files import storage
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.files.sealed import DamagedError, fitting, seal, unseal
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job import packed
from fgbg.transforms.job.chunk import Chunk, units_of
from fgbg.transforms.job.commit_record import Commit as Commit
from fgbg.transforms.job.commit_record import Moments as Moments
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.packed import Entry, Pack
from fgbg.transforms.job.work_unit import WorkUnit

# Records of a data set up to this number stay as they are: a listing of them is one request.
PACKED_FROM = 1000
_NAMES_IN_A_PAGE = 1000
_SUFFIX = ".json"
_NAME = r"(bg\d+/fg_\d+/(?:as_given|mirrored)_\d+)"
_RECORD = re.compile(_NAME + r"\.([0-9a-f]+)\.json")
_IN_PACK = re.compile(rf"bg\d+/{packed.FOLDER}/[^/]+\.jsonl: " + _NAME)
_FAILURE = re.compile(_NAME + r"\.json")


def record_path(output: str, job: Job, unit: WorkUnit) -> str:
    """Where a unit's commit record is, unless it is packed."""
    name = f"{unit.name}.{jobs.unit_identity(job, unit)}{_SUFFIX}"
    return storage.join(output, jobs.COMMITS, name)


def _failure_path(output: str, unit: WorkUnit) -> str:
    return storage.join(output, jobs.FAILED, unit.name + _SUFFIX)


def write(output: str, job: Job, commit: Commit) -> int:
    """Commits a unit, in one step. Returns the record's size in bytes."""
    path = record_path(output, job, commit.unit)
    data = commit.to_bytes()
    storage.storage_for(path).write_atomically(path, data, durable=False)  # sealed
    return len(data)


@dataclasses.dataclass
class Records:
    """The commit records of a background, or of a chunk of it, by one listing of them.

    Attributes:
        output: The data set.
        job: Its job: records of others are no records.
        singles: Units that have a file of their own.
        packs: Files of many records that can be read.
        damaged: What is wrong with those that cannot.
        others: What else lies there, as paths relative to the data set: records of another job,
            copies, files of other programs.
        in_packs: Of units that have a record in one of them, that one.
    """

    output: str
    job: Job
    singles: set[WorkUnit] = dataclasses.field(default_factory=set)
    packs: list[Pack] = dataclasses.field(default_factory=list)
    damaged: list[DamagedError] = dataclasses.field(default_factory=list)
    others: list[str] = dataclasses.field(default_factory=list)
    in_packs: dict[WorkUnit, Pack] = dataclasses.field(default_factory=dict)
    _whole: tuple[Pack, bytes] | None = None

    @property
    def done(self) -> set[WorkUnit]:
        """The units that have a record of either kind."""
        return self.singles | self.in_packs.keys()

    def take_in(self, name: str, chunk: Chunk | None) -> None:
        """Looks at a file among the commit records, by its path relative to their folder."""
        match = _RECORD.fullmatch(name)
        unit = WorkUnit.parse(match[1]) if match else None
        if match and unit and self._is_ours(unit, match[2]):
            if chunk is None or chunk.has(unit):
                self.singles.add(unit)
        elif packed.NAME.fullmatch(name):
            self._take_in_pack(name, chunk)
        elif not name.endswith(".part"):  # a write that was cut off, and is repeated
            self.others.append(f"{jobs.COMMITS}/{name}")

    def _is_ours(self, unit: WorkUnit, identity: str) -> bool:
        return jobs.holds(self.job, unit) and jobs.unit_identity(self.job, unit) == identity

    def is_ours(self, packed_unit: tuple[WorkUnit, Entry]) -> bool:
        """Whether a record in a pack is of this job."""
        return self._is_ours(packed_unit[0], packed_unit[1].identity)

    def _take_in_pack(self, name: str, chunk: Chunk | None) -> None:
        _, first, last = map(int, packed.NAME.fullmatch(name).groups())  # type: ignore[union-attr]
        if chunk is not None and (last < chunk.first or chunk.last < first):
            return
        try:
            pack = packed.open_pack(storage.join(self.output, jobs.COMMITS, name))
        except FileNotFoundError:
            return  # another one has replaced it since, which is listed after it or not needed
        except DamagedError as error:
            self.damaged.append(error)
            return
        self.packs.append(pack)
        for unit, entry in pack.entries.items():
            if not self._is_ours(unit, entry.identity):
                self.others.append(f"{jobs.COMMITS}/{name}: {unit.name}")
            elif chunk is None or chunk.has(unit):
                self.in_packs[unit] = pack

    def path_of(self, unit: WorkUnit) -> str:
        """Where a unit's record is, in words where it is one of many in a file."""
        pack = self.in_packs.get(unit)
        if pack is None:
            return record_path(self.output, self.job, unit)
        return f"{pack.path}: {unit.name}"

    def stored(self, unit: WorkUnit) -> tuple[str, bytes]:
        """Where a unit's record lies, and its bytes; those of a pack are read at once, and kept.

        Raises:
            FileNotFoundError: The unit is not done.
        """
        path, pack = self.path_of(unit), self.in_packs.get(unit)
        try:
            if pack is None:
                return path, storage.storage_for(path).read(path)
            entry, data = pack.entries[unit], self._bytes_of(pack)
            return path, data[entry.offset : entry.offset + entry.size]
        except FileNotFoundError:  # moved since it was listed
            return _stored(self.output, self.job, unit)

    def _bytes_of(self, pack: Pack) -> bytes:
        kept = self._whole
        if kept is None or kept[0] is not pack:
            kept = self._whole = pack, pack.read_all()
        return kept[1]

    def read(self, unit: WorkUnit) -> Commit:
        """The commit record of a unit, as `commit.read` gives it."""
        path, data = self.stored(unit)
        return Commit.from_bytes(data, path, unit)

    def stored_all(self, units: Iterable[WorkUnit]) -> Iterator[tuple[WorkUnit, str, bytes]]:
        """Several units, in order, each with where its record lies and with its bytes."""

        def stored(unit: WorkUnit) -> tuple[WorkUnit, str, bytes]:
            return unit, *self.stored(unit)

        # Without threads where most of them are in few files.
        threads = 1 if self.in_packs else threads_for(self.output)
        return map(stored, units) if threads == 1 else in_order(stored, units, threads)


def of_background(output: str, job: Job, background: int) -> Records:
    """The commit records of a background."""
    return _below(output, job, [f"bg{background}"], None)


def of_chunk(output: str, job: Job, chunk: Chunk) -> Records:
    """The commit records of a chunk."""
    folder = f"bg{chunk.background}"
    number = chunk.last - chunk.first + 1
    # On gs:// a listing is a request for each page of names, here for each folder.
    pages = job.units_per_background // _NAMES_IN_A_PAGE
    if number == len(job.foregrounds) or (storage.is_gcs(output) and pages < number):
        return _below(output, job, [folder], chunk)
    # Singles before packs: one that is packed meanwhile is then seen twice, and not missed.
    own = [f"{folder}/fg_{number}" for number in range(chunk.first, chunk.last + 1)]
    return _below(output, job, [*own, f"{folder}/{packed.FOLDER}"], chunk)


def _below(output: str, job: Job, folders: list[str], chunk: Chunk | None) -> Records:
    store = storage.storage_for(output)
    found = Records(output, job)

    def names(folder: str) -> list[str]:
        return list(store.walk(storage.join(output, jobs.COMMITS, folder)))

    for folder, inside in zip(folders, in_order(names, folders, threads_for(output)), strict=True):
        for name in inside:
            found.take_in(f"{folder}/{name}", chunk)
    return found


def by_background(output: str, job: Job) -> Iterator[Records]:
    """All commit records by one listing, those of a background at a time."""
    names = storage.storage_for(output).walk(storage.join(output, jobs.COMMITS))
    for _, group in itertools.groupby(names, lambda name: name.partition("/")[0]):
        found = Records(output, job)
        for name in group:
            found.take_in(name, None)
        yield found


def withdraw(output: str, job: Job, units: Iterable[WorkUnit]) -> None:
    """Takes commit records away: their units are made again."""
    units = sorted(units)
    for background, some in itertools.groupby(units, lambda unit: unit.background):
        _withdraw_packed(output, job, background, set(some))
    paths = [record_path(output, job, unit) for unit in units]
    storage.storage_for(output).delete_files(paths)


def _withdraw_packed(output: str, job: Job, background: int, units: set[WorkUnit]) -> None:
    """Writes packs anew without some units, and deletes the old ones."""
    for path in packed.paths(output, background):
        try:
            pack = packed.open_pack(path)
        except (DamagedError, FileNotFoundError):
            continue
        mine = {u for u in units & pack.entries.keys()
                if pack.entries[u].identity == jobs.unit_identity(job, u)}  # fmt: skip
        if mine:
            packed.write_without(output, pack, mine)
    packed.forget_what_is_kept()


def pack(found: Records, chunk: Chunk, records: list[tuple[WorkUnit, bytes]]) -> list[str]:
    """Packs the records of a chunk whose units have all ended, and deletes them as they were.

    It may be repeated at any time, and run twice at once: equal records make the same file.

    Args:
        found: Those of the chunk.
        chunk: The chunk.
        records: Its done units, in order, and their records as stored.

    Returns:
        Packs that hold records of other chunks too: to be deleted when these are packed.
    """
    job = found.job
    if job.units <= PACKED_FROM or not records:
        return []
    units = {unit for unit, _ in records}
    if not found.singles and len(found.packs) == 1 and found.packs[0].entries.keys() == units:
        return []
    rows = [(unit, jobs.unit_identity(job, unit), data) for unit, data in records]
    new = packed.write(found.output, chunk, rows)
    store = storage.storage_for(found.output)
    folders = {unit.folder for unit in found.singles}
    store.delete_files([record_path(found.output, job, unit) for unit in found.singles])
    store.delete_empty([storage.join(found.output, jobs.COMMITS, name) for name in folders])
    old: list[str] = []
    shared: list[str] = []
    for of in found.packs:
        if of.path == new or not all(map(found.is_ours, of.entries.items())):
            continue
        (old if all(map(chunk.has, of.entries)) else shared).append(of.path)
    store.delete_files(old)
    packed.forget_what_is_kept()
    return shared


def pack_whole(found: Records, chunk: Chunk) -> None:
    """Packs the records of a chunk if all of its units are done, some of them not packed yet.

    Records that are damaged stay as they are, to be named by whoever reads them.
    """
    units = list(units_of(found.job, chunk))
    if found.job.units <= PACKED_FROM or not found.singles or len(found.done) < len(units):
        return
    records = []
    for unit, path, data in found.stored_all(units):
        try:
            Commit.from_bytes(data, path, unit)
        except DamagedError:
            return
        records.append((unit, data))
    pack(found, chunk, records)


def read(output: str, job: Job, unit: WorkUnit) -> Commit:
    """The commit record of a unit that is done.

    Raises:
        FileNotFoundError: The unit is not done.
        DamagedError: The record is not what was written.
    """
    path, data = _stored(output, job, unit)
    return Commit.from_bytes(data, path, unit)


def _stored(output: str, job: Job, unit: WorkUnit) -> tuple[str, bytes]:
    path = record_path(output, job, unit)
    identity = jobs.unit_identity(job, unit)
    if job.units > PACKED_FROM and (found := packed.find(output, unit, identity)):
        return found
    try:
        return path, storage.storage_for(path).read(path)
    except FileNotFoundError:
        packed.forget_what_is_kept()  # packed since it was looked for
        if found := packed.find(output, unit, identity):
            return found
        raise


def committed(output: str, job: Job) -> set[WorkUnit]:
    """The units of this very job that are done, by one listing of their records.

    Of a large job these are more than a process should hold: `by_background` and `of_chunk` give
    some of them.
    """
    done, _ = listed(output, job)
    return done


def count(output: str, job: Job) -> int:
    """How many units of this very job are done."""
    return sum(len(found.done) for found in by_background(output, job))


def listed(output: str, job: Job) -> tuple[set[WorkUnit], list[str]]:
    """What the folder of commit records holds.

    Returns:
        The units that are done; and what else lies there, as paths relative to the data set:
        records of another job, copies, files of other programs.
    """
    done: set[WorkUnit] = set()
    others = []
    for found in by_background(output, job):
        done |= found.done
        others += found.others
    return done, others


def unit_named(name: str) -> WorkUnit | None:
    """The unit that a file among the commit records is of, by its path; None if it is no record."""
    name = name.removeprefix(f"{jobs.COMMITS}/")
    match = _RECORD.fullmatch(name) or _IN_PACK.fullmatch(name)
    return WorkUnit.parse(match[1]) if match else None


def damaged(output: str, job: Job, units: Iterable[WorkUnit]) -> dict[WorkUnit, DamagedError]:
    """What is wrong with the commit records of units that count as done, where something is."""
    found = {}
    for unit in sorted(units):
        try:
            read(output, job, unit)
        except DamagedError as error:
            found[unit] = error
    return found


def failed(output: str) -> set[WorkUnit]:
    """The units that failed in the last run."""
    names = storage.storage_for(output).walk(storage.join(output, jobs.FAILED))
    found = (_FAILURE.fullmatch(name) for name in names)
    return {WorkUnit.parse(match[1]) for match in found if match}


def write_failure(output: str, unit: WorkUnit, step: str, reason: str) -> None:
    """Records that a unit failed.

    Args:
        output: The data set.
        unit: The unit.
        step: The step of the graph that failed.
        reason: Why, in words.
    """
    path = _failure_path(output, unit)
    data = seal({"unit": unit.name, "step": step, "reason": reason})
    storage.storage_for(path).write_atomically(path, data, durable=False)  # sealed


def read_failure(output: str, unit: WorkUnit) -> dict[str, str]:
    """What `write_failure` recorded; of a damaged record the damage itself."""
    path = _failure_path(output, unit)
    try:
        content = unseal(storage.storage_for(path).read(path), path)
        with fitting(path, "record of a failure"):
            return {name: str(content[name]) for name in ("unit", "step", "reason")}
    except DamagedError as error:
        return {"unit": unit.name, "step": "unknown", "reason": str(error)}


def clear_failures(output: str) -> None:
    """Forgets the failures of earlier runs: their units are tried again."""
    folder = storage.join(output, jobs.FAILED)
    storage.storage_for(folder).delete(folder)
