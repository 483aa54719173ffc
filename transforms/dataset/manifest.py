"""manifest.parquet: one row per sample, in the order (background, foreground, number)."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fgbg.files import storage
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels.coding import KINDS, suffixes
from fgbg.transforms.records.plan import Places, record_name

MANIFEST = "manifest.parquet"
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
        records: Commit records of one background, in order.
        places: Where each unit's records are; None where samples are files of their own.
    """
    by_foreground: dict[int, list[Commit]] = {}
    for record in records:
        by_foreground.setdefault(record.unit.foreground, []).append(record)
    columns: dict[str, list[Any]] = {field.name: [] for field in SCHEMA}
    endings = suffixes(job.configuration)
    pixels = job.configuration.size[0] * job.configuration.size[1]
    for foreground in sorted(by_foreground):
        # Samples of all units of the pair, by their numbers.
        numbered = [
            (number, i, record)
            for record in by_foreground[foreground]
            for i, number in enumerate(record.columns["number"])
        ]
        numbered.sort(key=lambda sample: sample[0])
        for number, i, record in numbered:
            folder = record.unit.folder
            files = {kind: f"{folder}/{kind}/{number}{end}" for kind, end in endings.items()}
            if places is not None:
                shard, first, _ = places[record.unit]
                files = dict.fromkeys(endings, record_name(shard, first + i))
            _add_row(columns, job, record, i, files, pixels)
    return pa.table(columns, schema=SCHEMA)


def _add_row(
    columns: dict[str, list[Any]],
    job: Job,
    record: Commit,
    i: int,
    files: dict[str, str],
    pixels: int,
) -> None:
    unit = record.unit
    background = job.backgrounds[unit.background - 1]
    row: dict[str, Any] = {
        "key": f"{unit.folder}/{record.columns['number'][i]}",
        "split": background.split,
        "bg": unit.background,
        "fg": unit.foreground,
        "mirrored": unit.mirrored,
        "bg_file": background.file,
        "fg_file": job.foregrounds[unit.foreground - 1].file,
        **files,
    }
    if "depth_sum_mm" in record.columns:
        # Divided as float64 and rounded once, on storing.
        row["depth_min_m"] = record.columns["depth_min_mm"][i] / 1000
        row["depth_max_m"] = record.columns["depth_max_mm"][i] / 1000
        row["depth_mean_m"] = record.columns["depth_sum_mm"][i] / pixels / 1000
    for name, values in columns.items():
        stored = record.columns.get(name)
        values.append(stored[i] if stored is not None else row.get(name))


class ManifestWriter:
    """Writes the manifest in row groups, one for each table given.

    Args:
        path: A local path.
    """

    def __init__(self, path: str) -> None:
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
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, MANIFEST)
        try:
            with storage.storage_for(path).open(path) as source, open(local, "wb") as target:
                shutil.copyfileobj(source, target)
        except FileNotFoundError:
            if not missing_ok:
                raise
            storage.storage_for(local).delete(local)
        yield local


def group_sizes(path: str) -> list[int]:
    """Rows of each row group of a local manifest."""
    metadata = pq.ParquetFile(path).metadata
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def read_table(path: str, group: int) -> pa.Table:
    """One row group of a local manifest."""
    return pq.ParquetFile(path).read_row_group(group)


def written_by(path: str) -> str:
    """The library that wrote a local manifest, with its version, as the file says."""
    return str(pq.ParquetFile(path).metadata.created_by)


def rewrite(path: str, target: str) -> None:
    """Writes the rows of a local manifest to another file, as a run that gave them would.

    Equal rows, by the same version of pyarrow, are equal bytes.
    """
    with ManifestWriter(target) as writer:
        for group in range(len(group_sizes(path))):
            writer.write(read_table(path, group).combine_chunks())


def statistics(path: str) -> list[list[dict[str, Any] | None]]:
    """What a local manifest says of the values of each column, by row group."""
    metadata = pq.ParquetFile(path).metadata
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return [[column["statistics"] for column in group.to_dict()["columns"]] for group in groups]


def spread_rows(path: str, count: int) -> list[dict[str, Any]]:
    """Rows spread evenly over a local manifest, read group by group.

    Args:
        path: The manifest.
        count: How many; fewer if there are fewer.
    """
    file = pq.ParquetFile(path)
    total = file.metadata.num_rows
    # One in each of equal parts, so that every part of the data set is seen; where in its part
    # follows the golden ratio, so that sample numbers and directions are mixed.
    parts = np.arange(count)
    wanted = np.unique(((parts + parts * 0.6180339887498949 % 1) * total / count).astype(np.int64))
    return list(_pick(file, wanted)) if total else []


def _pick(file: pq.ParquetFile, wanted: np.ndarray) -> Iterator[dict[str, Any]]:
    start = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        here = [int(w) - start for w in wanted if start <= w < start + size]
        if here:
            yield from file.read_row_group(group).take(here).to_pylist()
        start += size


def rows(path: str) -> int:
    """Number of rows of a local manifest."""
    return pq.ParquetFile(path).metadata.num_rows


def columns(path: str, names: list[str]) -> dict[str, list[Any]]:
    """Whole columns of a local manifest."""
    return pq.read_table(path, columns=names).to_pydict()
