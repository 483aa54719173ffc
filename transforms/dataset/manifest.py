"""manifest.parquet: one row per sample, in the order (background, foreground, number)."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.transforms.dataset import manifest_parts
from fgbg.transforms.dataset.manifest_file import ManifestFile as ManifestFile
from fgbg.transforms.dataset.manifest_parts import MANIFEST as MANIFEST
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels.coding import KINDS, suffixes
from fgbg.transforms.records.plan import Places, record_name

_BOX = ("x", "y", "width", "height")

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("bg", pa.int32(), nullable=False),
        pa.field("fg", pa.int32(), nullable=False),
        pa.field("mirrored", pa.bool_(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),
        pa.field("bg_file", pa.string(), nullable=False),
        pa.field("fg_file", pa.string(), nullable=False),
        *(pa.field(name, pa.int32(), nullable=False) for name in _BOX),
        pa.field("mask_area", pa.int32(), nullable=False),
        *(pa.field(kind, pa.string(), nullable=kind == "depth") for kind in KINDS),
        *(pa.field(f"depth_{what}_m", pa.float32()) for what in ("min", "max", "mean")),
        # The placement itself: the foreground's whole box in canvas pixels.
        *(pa.field(f"canvas_{name}", pa.int32(), nullable=False) for name in _BOX),
        *(pa.field(f"{kind}_crc32", pa.uint32(), nullable=kind == "depth") for kind in KINDS),
    ]
)


def table(job: Job, records: list[Commit], places: Places | None = None) -> pa.Table:
    """The rows of units of one background.

    Args:
        job: The data set's job.
        records: Commit records of one background, in whatever order.
        places: Where each unit's records are; None where samples are files of their own.
    """
    if not records:
        return SCHEMA.empty_table()
    counts = [len(record.columns["number"]) for record in records]
    foregrounds = np.repeat([record.unit.foreground for record in records], counts)
    numbers = _whole_numbers(records, "number")
    # Samples of all units of a pair, by their numbers.
    order = np.lexsort((numbers, foregrounds))
    foregrounds, numbers = foregrounds[order], numbers[order]
    columns: dict[str, Any] = {
        name: _whole_numbers(records, name)[order]
        for name in records[0].columns
        if name in SCHEMA.names
    }
    unit = records[0].unit
    background = job.backgrounds[unit.background - 1]
    number = pa.array(numbers).cast(pa.string())
    folder = pc.binary_join_element_wise(
        f"bg{unit.background}/fg_", pa.array(foregrounds).cast(pa.string()), ""
    )
    mirrored = np.repeat([record.unit.mirrored for record in records], counts)
    columns |= {
        "key": pc.binary_join_element_wise(folder, number, "/"),
        "split": pa.repeat(background.split, len(order)),
        "bg": np.full(len(order), unit.background),
        "fg": foregrounds,
        "mirrored": mirrored[order],
        "bg_file": pa.repeat(background.file, len(order)),
        "fg_file": _foreground_files(job, foregrounds),
    }
    if places is None:
        for kind, end in suffixes(job.configuration).items():
            file = pc.binary_join_element_wise(number, end, "")
            columns[kind] = pc.binary_join_element_wise(folder, kind, file, "/")
    else:
        names = _record_names(records, counts, places, order)
        columns |= dict.fromkeys(suffixes(job.configuration), names)
    if "depth_sum_mm" in records[0].columns:
        # Divided as float64 and rounded once, on storing.
        pixels = job.configuration.size[0] * job.configuration.size[1]
        for end in ("min", "max"):
            columns[f"depth_{end}_m"] = _whole_numbers(records, f"depth_{end}_mm")[order] / 1000
        mean = _whole_numbers(records, "depth_sum_mm")[order] / pixels / 1000
        columns["depth_mean_m"] = mean
    arrays = [_as_column(columns.get(field.name), field, len(order)) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _whole_numbers(records: list[Commit], name: str) -> NDArray[np.int64]:
    return np.fromiter(
        itertools.chain.from_iterable(record.columns[name] for record in records), np.int64
    )


def _foreground_files(job: Job, foregrounds: NDArray[np.int64]) -> pa.Array:
    first, last = int(foregrounds[0]), int(foregrounds[-1])  # they are sorted
    names = pa.array([entry.file for entry in job.foregrounds[first - 1 : last]], pa.string())
    return names.take(pa.array(foregrounds - first))


def _record_names(
    records: list[Commit], counts: list[int], places: Places, order: NDArray[np.int64]
) -> pa.Array:
    """The names of records in their shards, as record_name gives them."""
    found = []
    for record, count in zip(records, counts, strict=True):
        shard, first, _ = places[record.unit]
        found += [record_name(shard, first + i) for i in range(count)]
    return pa.array(found, pa.string()).take(pa.array(order))


def _as_column(values: Any, field: pa.Field, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, field.type)
    if isinstance(values, np.ndarray):
        return pa.array(values if field.type != pa.bool_() else values.astype(bool), field.type)
    return values


class ManifestWriter:
    """Writes the manifest in row groups, one for each table given.

    Args:
        path: A local path, or a file in memory.
    """

    def __init__(self, path: str | IO[bytes]) -> None:
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def write(self, rows: pa.Table) -> None:
        """Adds a row group."""
        self._writer.write_table(rows, row_group_size=max(1, rows.num_rows))

    def __enter__(self) -> ManifestWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()


def read_part(data: bytes) -> pa.Table:
    """All rows of a small manifest, as they were given to be written."""
    return pq.read_table(pa.BufferReader(data), use_threads=False).combine_chunks()


@contextlib.contextmanager
def joined(output: str, job: Job) -> Iterator[str]:
    """Joins the parts of all chunks to the manifest, unless it is to be a folder of them.

    Yields:
        A local path of it, for as long as the block runs.
    """
    path = storage.join(output, MANIFEST)
    store = storage.storage_for(path)
    if manifest_parts.in_parts(job):
        manifest_parts.delete_strays(output, job)
        with local_copy(output) as local:
            yield local
        return
    with tempfile.TemporaryDirectory() as scratch:
        local = os.path.join(scratch, MANIFEST)
        with ManifestWriter(local) as writer:
            parts = manifest_parts.in_order_of_samples(output, job)
            for part in in_order(store.read, parts, threads_for(output)):
                writer.write(read_part(part))
        store.upload(local, path)
        store.delete(storage.join(output, manifest_parts.FOLDER))
        yield local


@contextlib.contextmanager
def local_copy(output: str, missing_ok: bool = False) -> Iterator[str]:
    """A local path of a data set's manifest, for as long as the block runs.

    Args:
        output: The data set.
        missing_ok: Whether there may be none: then there is nothing at the path.
    """
    path = storage.join(output, MANIFEST)
    if not storage.is_gcs(path):
        yield path
        return
    store = storage.storage_for(path)
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, MANIFEST)
        try:
            store.download(path, local)
        except FileNotFoundError:
            storage.storage_for(local).delete(local)
            names = list(filter(manifest_parts.NAME.fullmatch, store.files(path)))
            if not names and not missing_ok:
                raise
            if names:
                os.makedirs(local)
            for name in names:
                store.download(storage.join(path, name), os.path.join(local, name))
        yield local


def written_by(path: str) -> str:
    """The library that wrote a file of a local manifest, with its version, as the file says."""
    return str(pq.ParquetFile(path).metadata.created_by)


def rewrite(path: str, target: str) -> None:
    """Writes the rows of a file of a local manifest to another, as a run that gave them would.

    Equal rows, by the same version of pyarrow, are equal bytes.
    """
    with ManifestWriter(target) as writer, ManifestFile(path) as file:
        for group in range(len(file.sizes)):
            writer.write(file.read(group).combine_chunks())


def statistics(path: str) -> list[list[dict[str, Any] | None]]:
    """What a file of a local manifest says of the values of each column, by row group."""
    metadata = pq.ParquetFile(path).metadata
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return [[column["statistics"] for column in group.to_dict()["columns"]] for group in groups]


def spread_rows(path: str, count: int) -> list[dict[str, Any]]:
    """Rows spread evenly over a local manifest, read group by group.

    Args:
        path: The manifest.
        count: How many; fewer if there are fewer.
    """
    with ManifestFile(path) as file:
        total = file.rows
        # One in each of equal parts, so that every part of the data set is seen; where in its part
        # follows the golden ratio, so that sample numbers and directions are mixed.
        each = np.arange(count)
        wanted = np.unique(
            ((each + each * 0.6180339887498949 % 1) * total / count).astype(np.int64)
        )
        return list(_pick(file, wanted)) if total else []


def _pick(file: ManifestFile, wanted: np.ndarray) -> Iterator[dict[str, Any]]:
    start = 0
    for group, size in enumerate(file.sizes):
        here = [int(w) - start for w in wanted if start <= w < start + size]
        if here:
            yield from file.read(group).take(here).to_pylist()
        start += size


def rows(path: str) -> int:
    """Number of rows of a local manifest."""
    with ManifestFile(path) as file:
        return file.rows


def columns(path: str, names: list[str]) -> dict[str, list[Any]]:
    """Whole columns of a local manifest."""
    return pq.read_table(path, columns=names).to_pydict()
