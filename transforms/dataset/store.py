"""The coded pictures of a work unit, stored in the form that the data set has."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from fgbg.files import storage
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.pixels.coding import suffixes
from fgbg.transforms.records import file as tfrecord_file
from fgbg.transforms.records import record as records
from fgbg.transforms.records import shards


def store_unit(
    output: str,
    job: Job,
    unit: WorkUnit,
    columns: dict[str, list[Any]],
    coded: dict[str, list[bytes]],
) -> dict[str, int]:
    """Writes a unit's files, or its block, and not yet its commit record.

    Args:
        output: The data set.
        job: Its job.
        unit: The unit.
        columns: Those of its commit record; checksums and the sizes of records are added.
        coded: The samples' pictures as fgbg.transforms.pixels.coding.encode gives them, by kind.

    Returns:
        Bytes of the pictures, by kind.
    """
    for kind, files in coded.items():
        columns[f"{kind}_crc32"] = [zlib.crc32(data) for data in files]
    if job.configuration.in_records:
        _store_block(output, job, unit, columns, coded)
    else:
        _store_files(output, job, unit, columns, coded)
    return {kind: sum(map(len, files)) for kind, files in coded.items()}


def _store_files(
    output: str,
    job: Job,
    unit: WorkUnit,
    columns: dict[str, list[Any]],
    coded: dict[str, list[bytes]],
) -> None:
    folder = storage.join(output, unit.folder)
    endings = suffixes(job.configuration)

    def files() -> Iterator[tuple[str, bytes]]:
        for kind, found in coded.items():
            for number, data in zip(columns["number"], found, strict=True):
                yield storage.join(folder, kind, f"{number}{endings[kind]}"), data

    storage.storage_for(output).write_many(files())


def _store_block(
    output: str,
    job: Job,
    unit: WorkUnit,
    columns: dict[str, list[Any]],
    coded: dict[str, list[bytes]],
) -> None:
    block: list[bytes] = []
    sizes = []
    for i in range(len(columns["number"])):
        row = {name: values[i] for name, values in columns.items()}
        row |= {"bg": unit.background, "fg": unit.foreground, "mirrored": unit.mirrored}
        if "depth" in coded:
            row |= {f"depth_{what}_m": row[f"depth_{what}_mm"] / 1000 for what in ("min", "max")}
        pictures = {kind: files[i] for kind, files in coded.items()}
        record = records.to_record(
            job, row, pictures["overlay"], pictures["mask"], pictures.get("depth")
        )
        block += tfrecord_file.pieces(record)
        sizes.append(len(record) + tfrecord_file.OVERHEAD)
    columns["record_bytes"] = sizes
    path = shards.block_path(output, job, unit)
    storage.storage_for(path).write(path, b"".join(block))
