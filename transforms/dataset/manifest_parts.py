"""The manifest's parts: a file of rows for each chunk, and what becomes of them.

Up to ONE_FILE_ROWS, they are joined to one file, manifest.parquet, and deleted. A manifest of more
rows is a folder of that name, with the parts in it: pyarrow, pandas, DuckDB and Spark read either
as one table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fgbg.files import storage
from fgbg.transforms.job.chunk import Chunk, chunks
from fgbg.transforms.job.job import Job

MANIFEST = "manifest.parquet"
ONE_FILE_ROWS = 5_000_000
# Parts that are still to be joined.
FOLDER = "_work/manifest"
NAME = re.compile(r"bg\d{6,}-fg\d{6,}\.parquet")


def in_parts(job: Job) -> bool:
    """Whether a job's manifest is a folder of parts."""
    return job.samples > ONE_FILE_ROWS


def _name(chunk: Chunk) -> str:
    # Not of the last foreground: a chunk that has grown replaces its part.
    return f"bg{chunk.background:06d}-fg{chunk.first:06d}.parquet"


def part_path(output: str, job: Job, chunk: Chunk) -> str:
    """Where the rows of a chunk are."""
    return storage.join(output, MANIFEST if in_parts(job) else FOLDER, _name(chunk))


def prepare(output: str, job: Job) -> None:
    """Makes room for the parts, before the first is written."""
    path = storage.join(output, MANIFEST)
    if in_parts(job) and storage.storage_for(path).size(path) is not None:
        # That of a data set which was smaller.
        storage.storage_for(path).delete_files([path])


def delete_strays(output: str, job: Job) -> None:
    """Deletes parts in the manifest's folder that are of no chunk of the job."""
    path = storage.join(output, MANIFEST)
    store = storage.storage_for(path)
    own = {_name(chunk) for chunk in chunks(job)}
    others = [name for name in store.files(path) if NAME.fullmatch(name) and name not in own]
    store.delete_files([storage.join(path, name) for name in others])


def in_order_of_samples(output: str, job: Job) -> Iterator[str]:
    """Paths of the parts that are to be joined."""
    folder = storage.join(output, FOLDER)
    there = set(storage.storage_for(folder).files(folder))
    names = map(_name, chunks(job))
    return (storage.join(folder, name) for name in names if name in there)
