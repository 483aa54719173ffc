"""SummariseChunk: one chunk's commit records become its rows of the manifest and its sums.

It is what of Summarise grows with the data set, so it is done chunk by chunk, by as many processes
as there are. What it gives is small; the rows go into a file of their own. The chunk's records are
packed on the way, for whoever resumes.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable

from fgbg.files import storage
from fgbg.transforms.dataset import manifest, manifest_parts
from fgbg.transforms.dataset.generation import Totals
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import Chunk, units_of
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.records import shards


@dataclasses.dataclass
class Summed:
    """What chunks have come to.

    Attributes:
        totals: Over their commit records.
        replaced: Packs of commit records that are of no use once all chunks are packed.
    """

    totals: Totals = dataclasses.field(default_factory=Totals)
    replaced: list[str] = dataclasses.field(default_factory=list)

    @property
    def samples(self) -> int:
        return self.totals.samples


def summed(parts: Iterable[Summed]) -> Summed:
    """All of them together, in whatever order they come."""
    total = Summed()
    for part in parts:
        total.totals.merge(part.totals)
        total.replaced += part.replaced
    return total


def summarise_chunk(output: str, version: str, chunk: Chunk) -> Summed:
    """Writes a chunk's rows of the manifest, and packs its commit records.

    It may be repeated at any time, and run twice at once.

    Args:
        output: The data set; all units of the chunk have ended.
        version: The version of its job.
        chunk: The chunk.

    Raises:
        DamagedError: A commit record is not what was written.
    """
    job = jobs.read_cached(output, version)
    found = commit.of_chunk(output, job, chunk)
    done = found.done
    stored, records = [], []
    for unit, path, data in found.stored_all(u for u in units_of(job, chunk) if u in done):
        stored.append((unit, data))
        records.append(Commit.from_bytes(data, path, unit))
    totals = Totals()
    totals.add_all(job, records)
    path = manifest_parts.part_path(output, job, chunk)
    if records:
        places = shards.places_of_chunk(output, chunk) if job.in_records else None
        rows = io.BytesIO()
        with manifest.ManifestWriter(rows) as writer:
            writer.write(manifest.table(job, records, places))
        storage.storage_for(path).write_atomically(path, rows.getvalue(), durable=False)
    else:
        storage.storage_for(path).delete_files([path])
    return Summed(totals, commit.pack(found, chunk, stored))
