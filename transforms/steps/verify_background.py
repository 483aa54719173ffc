"""Verify: everything of one background that the job and its commit records decide.

The rows that the manifest should have are made again from the commit records, and pictures are
checked against these: one wrong cell of the manifest is one difference, and not a hundred of
pictures that do not fit it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa

from fgbg.files import storage
from fgbg.files.sealed import DamagedError
from fgbg.transforms import meter
from fgbg.transforms.dataset import layout, manifest
from fgbg.transforms.dataset.file_samples import FileReader, FileSample
from fgbg.transforms.dataset.generation import Totals
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import Chunk, chunks, units_of
from fgbg.transforms.job.commit import Commit, Records
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.pixels.coding import KINDS
from fgbg.transforms.steps.problem import FOREIGN, MISSING, UNIT, Problem
from fgbg.transforms.steps.verify_commits import wrong_places, wrong_record
from fgbg.transforms.steps.verify_manifest import Difference, differences
from fgbg.transforms.steps.verify_pictures import check_pictures
from fgbg.transforms.steps.verify_recompute import Recompute, check_composed
from fgbg.transforms.steps.verify_records import check_unit


@dataclasses.dataclass(frozen=True)
class Given:
    """What verify's workers are told.

    Attributes:
        output: The data set.
        version: The version of its job.
        manifest: A local copy of its manifest; None where its rows cannot be compared.
        wrong_inputs: Inputs as used that are not what they were, relative to the data set.
        recompute: What to compose again, and how to compare it.
        rows: Rows of the units that have a commit record, by chunk.
    """

    output: str
    version: str
    manifest: str | None
    wrong_inputs: frozenset[str]
    recompute: Recompute
    rows: tuple[tuple[Chunk, int], ...] = ()

    def can_compose(self, unit: WorkUnit) -> bool:
        """Whether both inputs of a unit are what they were."""
        background = f"{jobs.BACKGROUNDS}/bg{unit.background}.jpg"
        return not self.wrong_inputs & {background, self._foreground(unit)}

    def knows_size(self, unit: WorkUnit) -> bool:
        """Whether the foreground of a unit is what it was."""
        return self._foreground(unit) not in self.wrong_inputs

    @staticmethod
    def _foreground(unit: WorkUnit) -> str:
        return f"{jobs.FOREGROUNDS}/fg_{unit.foreground}.png"


@dataclasses.dataclass
class Found:
    """What is found on one background.

    Attributes:
        problems: What is wrong.
        totals: Over its commit records.
        manifest: How the rows of the manifest differ; None where they do not.
        blocks: Of records, each unit's name, number of records, and bytes.
    """

    problems: list[Problem]
    totals: Totals
    manifest: Difference | None = None
    blocks: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)


def check_chunk(
    given: Given,
    chunk: Chunk,
    stored: pa.Table | None,
    reader: FileReader | RecordReader | None,
) -> Found:
    """Checks the commit records, rows, and pictures of a background, or of a chunk of it.

    Args:
        given: What all workers are told.
        chunk: The chunk.
        stored: Its rows of the manifest; None if there are none.
        reader: Of the data set; None where no plan of its shards is there.
    """
    job = jobs.read_cached(given.output, given.version)
    found = Found([], Totals())
    records = []
    of_chunk = commit.of_chunk(given.output, job, chunk)
    for damage in of_chunk.damaged:
        name = _relative(given.output, damage.path)
        problem = f"{damage.problem}; its units are to be made again"
        found.problems.append(Problem(name, problem, MISSING))
    done = of_chunk.done
    for unit in (unit for unit in units_of(job, chunk) if unit in done):
        record = _record(given, of_chunk, unit, found.problems)
        if record is not None:
            records.append(record)
            found.totals.add(job, record)
            if job.in_records:
                lengths = record.columns["record_bytes"]
                found.blocks.append((unit.name, len(lengths), sum(lengths)))
    places = reader.places if isinstance(reader, RecordReader) else None
    if job.in_records:
        known = [record for record in records if places is not None and record.unit in places]
    else:
        known = records
    table = manifest.table(job, known, places)
    if stored is not None:
        found.manifest = differences(stored, table)
    found.problems += _check_pictures(given, job, reader, known, table)
    if not job.in_records:
        found.problems += _strays(given.output, job, chunk, table)
    return found


def _relative(output: str, path: str) -> str:
    return path.removeprefix(output).lstrip("/")


def _record(
    given: Given, records: Records, unit: WorkUnit, problems: list[Problem]
) -> Commit | None:
    """The commit record of a unit; None where there is none that can be used."""
    name = _relative(given.output, records.path_of(unit))
    try:
        record = records.read(unit)
    except FileNotFoundError:
        return None  # withdrawn meanwhile
    except DamagedError as error:
        problems.append(
            Problem(name, f"{error.problem}; its unit is to be made again", UNIT, unit.name)
        )
        return None
    if problem := wrong_record(records.job, record):
        problems.append(Problem(name, problem, UNIT, unit.name))
        return None
    if given.knows_size(unit) and (problem := wrong_places(given.output, given.version, record)):
        problems.append(Problem(name, problem, UNIT, unit.name))
    return record


def _check_pictures(
    given: Given,
    job: Job,
    reader: FileReader | RecordReader | None,
    records: list[Commit],
    table: pa.Table,
) -> Iterator[Problem]:
    rows = {(row["fg"], row["number"]): row for row in table.to_pylist()}
    for record in records:
        unit = record.unit
        own = [rows[unit.foreground, number] for number in record.columns["number"]]
        sizes = dict.fromkeys(record.sizes, 0)
        problems: list[Problem] = []
        with_background = f"{jobs.BACKGROUNDS}/bg{unit.background}.jpg" not in given.wrong_inputs
        if isinstance(reader, RecordReader):
            problems += check_unit(given.version, reader, unit, own, sizes, with_background)
        elif reader is not None:
            for row in own:
                sample = reader.sample(row)
                problems += _check_files(given, sample, unit, sizes, with_background)
        meter.count("rows_checked", len(own))
        if not problems and sizes != record.sizes:
            name = _relative(given.output, commit.record_path(given.output, job, unit))
            problem = f"says {record.sizes} bytes, there are {sizes}"
            problems.append(Problem(name, problem, UNIT, unit.name))
        chosen = given.recompute.has(job, unit) and given.can_compose(unit)
        if chosen and reader is not None and not problems:
            problems += check_composed(given.output, given.version, given.recompute, reader, record)
        yield from problems


def _check_files(
    given: Given, sample: FileSample, unit: WorkUnit, sizes: dict[str, int], with_background: bool
) -> Iterator[Problem]:
    """Checks all files of one sample, and adds up their sizes."""
    coded = {}
    for kind in sizes:
        try:
            coded[kind] = sample.coded(kind)
        except SampleError:
            yield Problem(sample.row[kind], "missing", UNIT, unit.name)
        except OSError as error:  # a folder, or not to be read
            problem = f"cannot be read: {error.strerror or error}"
            yield Problem(sample.row[kind], problem, UNIT, unit.name)
        else:
            sizes[kind] += len(coded[kind])
    checked = check_pictures(given.output, given.version, sample.row, coded, with_background)
    for kind, problem in checked:
        yield Problem(sample.row[kind], problem, UNIT, unit.name)


def _strays(output: str, job: Job, chunk: Chunk, table: pa.Table) -> Iterator[Problem]:
    """Files in a background's folder that belong to no sample that is done."""
    names = {name for kind in KINDS for name in table[kind].to_pylist()}
    undone: list[str] = []
    for name in _files_of(output, job, chunk):
        if name in names:
            continue
        if not layout.belongs(job, name):
            yield Problem(name, "is no file of this data set; it is left alone", FOREIGN)
        elif not name.endswith(".part"):  # a write that was cut off
            undone.append(name)
    if undone:
        where = f"bg{chunk.background}"
        more = f", as are {len(undone) - 1} more files in {where}" if len(undone) > 1 else ""
        yield Problem(undone[0], f"is of a unit that is not done{more}", MISSING)


def _files_of(output: str, job: Job, chunk: Chunk) -> Iterator[str]:
    """Files below a background's folder: those of a chunk, with the first one what is of none."""
    store, folder = storage.storage_for(output), f"bg{chunk.background}"
    own = {f"fg_{number}" for number in range(chunk.first, chunk.last + 1)}
    if chunk.last - chunk.first + 1 < len(job.foregrounds):
        if chunk.first == 1:
            every = {f"fg_{number}" for number in range(1, len(job.foregrounds) + 1)}
            own |= set(store.children(storage.join(output, folder))) - every
    else:
        own = {""}
    for child in sorted(own):
        where = storage.join(folder, child).rstrip("/")
        names = list(store.walk(storage.join(output, where)))
        if not names and store.size(storage.join(output, where)) is not None:
            yield where
        yield from (f"{where}/{name}" for name in names)


class Place(NamedTuple):
    """Where a chunk's rows are in a manifest.

    Attributes:
        group: The row group.
        first: The first of its rows that is the chunk's.
        rows: How many are.
    """

    group: int
    first: int
    rows: int


def places_of(job: Job, done: Mapping[Chunk, int], sizes: list[int]) -> dict[Chunk, Place] | None:
    """The rows of each chunk in a manifest of whole groups.

    Args:
        job: The data set's job.
        done: Rows of the units that have a commit record, by chunk.
        sizes: Rows of each row group.

    Returns:
        None if the manifest has other rows than all of the job, or all that are done.
    """
    each = job.samples // (len(job.backgrounds) * len(job.foregrounds))
    everything = {chunk: each * (chunk.last - chunk.first + 1) for chunk in chunks(job)}
    for rows in (everything, {chunk: done[chunk] for chunk in sorted(done)}):
        if sizes == list(rows.values()):
            return {chunk: Place(i, 0, count) for i, (chunk, count) in enumerate(rows.items())}
        found = _in_large_groups(rows, sizes)
        if found is not None:
            return found
    return None


def _in_large_groups(rows: dict[Chunk, int], sizes: list[int]) -> dict[Chunk, Place] | None:
    """As older versions wrote them: a row group for each background, whatever its size."""
    found = {}
    group = -1
    for _, chunks_ in itertools.groupby(rows, lambda chunk: chunk.background):
        group, first = group + 1, 0
        for chunk in chunks_:
            found[chunk] = Place(group, first, rows[chunk])
            first += rows[chunk]
        if group >= len(sizes) or sizes[group] != first:
            return None
    return found if group + 1 == len(sizes) else None
