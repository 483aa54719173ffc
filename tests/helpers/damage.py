"""Damage done to data sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def commit_file(output: Path, unit: str) -> Path:
    """The commit record of a unit, by the unit's name."""
    (found,) = (output / "_work" / "commits").glob(f"{unit}.*.json")
    return found


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit_manifest(output: Path, change: Callable[[list[dict]], list[dict]]) -> None:
    path = output / "manifest.parquet"
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    groups = [file.read_row_group(g).to_pylist() for g in range(file.num_row_groups)]
    with pq.ParquetWriter(path, schema) as writer:
        for group in groups:
            writer.write_table(pa.Table.from_pylist(change(group), schema=schema))


def edit_row(key: str, **values: object) -> Callable[[Path], None]:
    def change(rows: list[dict]) -> list[dict]:
        return [{**row, **values} if row["key"] == key else row for row in rows]

    return lambda output: edit_manifest(output, change)


def edit_generation(output: Path, change: Callable[[dict], None]) -> None:
    path = output / "generation.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
