"""Data sets in both forms, of the same inputs: what a record holds is what the files hold."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from fgbg.files import storage
from fgbg.transforms.records.file import read_frames
from fgbg.transforms.records.record import Record, of_record
from tests.helpers.pictures import disc, photo, sieve


def inputs_with_a_ghost(folder: Path) -> Path:
    """Four photos, a cut-out, and one that is too thin to leave anything in its mask."""
    (folder / "bg").mkdir(parents=True)
    (folder / "fg").mkdir()
    for i in range(4):
        Image.fromarray(photo(i)).save(folder / "bg" / f"room{i}.png")
    Image.fromarray(disc(0)).save(folder / "fg" / "thing.png")
    Image.fromarray(sieve(1)).save(folder / "fg" / "ghost.png")
    return folder


def rows(output: Path) -> list[dict]:
    return pq.read_table(output / "manifest.parquet").to_pylist()


def shard_files(output: Path, split: str = "*") -> list[Path]:
    return sorted((output / "tfrecord").glob(f"fgbg-{split}.tfrecord-*-of-*"))


def read_shard(path: Path) -> list[bytes]:
    with storage.storage_for(str(path)).open(str(path)) as file:
        return [data for _, data in read_frames(file)]


def records_by_name(output: Path) -> dict[str, Record]:
    """Every record under the name that the manifest has for it."""
    return {
        f"tfrecord/{path.name}#{i}": of_record(data)
        for path in shard_files(output)
        for i, data in enumerate(read_shard(path))
    }


RECORDS = ("--format", "tfrecord", "--shards", "4")
