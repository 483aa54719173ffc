"""From records to the folder: pictures under their names, sources.csv, rejected.csv."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import os
from collections.abc import Sequence
from typing import Any

from transforms import catalogue, storage
from transforms.catalogue import natural_order
from transforms.collect import state
from transforms.collect.candidate import GOOD, Query, Record
from transforms.collect.check import Gallery, perceptual_hashes
from transforms.collect.choose import choose
from transforms.collect.state import Chosen
from transforms.pictures import PictureError, read_picture

SOURCES, REJECTED_LIST = "sources.csv", "rejected.csv"
SOURCE_COLUMNS = (
    "file",
    "topic",
    "provider",
    "page",
    "image_url",
    "title",
    "author",
    "licence",
    "sha256",
    "width",
    "height",
    "fetched",
)
_REJECTED_COLUMNS = (*SOURCE_COLUMNS[1:8], "reason", "fetched")
REMOVED = "removed by hand"
DUPLICATE = "nearly the same as"


def publish(output: str, queries: Sequence[Query], needs: Sequence[int]) -> Chosen:
    """Chooses pictures, puts them into the folder and lists them.

    The pictures come first and the choice that counts them last: a run that is killed in between
    is followed by one that chooses the same and writes equal bytes.

    Args:
        output: The folder.
        queries: Searches, with the ranks up to which they were looked at.
        needs: How many pictures each of them is to give.
    """
    chosen, records = state.read_chosen(output), state.read_records(output)
    foreign = _foreign_pictures(output, chosen, records)
    gallery = _gallery(output, chosen, records, foreign)
    new = choose(chosen, list(records.values()), queries, needs, gallery, foreign)
    store = storage.storage_for(output)
    for record, named in zip(new, chosen.named[len(chosen.named) - len(new) :]):
        data = store.read(state.staged_path(output, record))
        store.write_atomically(storage.join(output, named.file), data)
    for query in queries:
        total, _ = state.results(output, query.search)
        before = chosen.looked_at.get(query.search, 0)
        chosen.looked_at[query.search] = max(before, min(query.upto, total))
    state.write_chosen(output, chosen)
    for key in [named.key for named in chosen.named] + list(chosen.duplicates):
        if key in records:
            state.drop_staged(output, records[key])
    write_lists(output, chosen, records)
    return chosen


def _gallery(
    output: str, chosen: Chosen, records: dict[str, Record], foreign: list[str]
) -> Gallery:
    gallery = Gallery()
    for named in chosen.named:
        gallery.add(named.file, records[named.key].hashes)
    for file in foreign:
        path = storage.join(output, file)
        status = os.stat(path)
        hashes = _hashes_of_file(path, status.st_size, status.st_mtime_ns)
        if hashes is not None:
            gallery.add(file, hashes)
    return gallery


def _foreign_pictures(output: str, chosen: Chosen, records: dict[str, Record]) -> list[str]:
    """Pictures in the folder that somebody else put there."""
    try:
        paths, _ = catalogue.find(output, "--output")
    except catalogue.InputError:
        return []
    ours = {named.file for named in chosen.named}
    # A run that was killed before it stored its choice leaves pictures of that choice.
    staged = {record.sha256 for record in records.values() if record.state == GOOD}
    store = storage.storage_for(output)
    names = (path.rpartition("/")[2] for path in paths)
    return [
        name
        for name in names
        if name not in ours
        and hashlib.sha256(store.read(storage.join(output, name))).hexdigest() not in staged
    ]


@functools.lru_cache(maxsize=100_000)
def _hashes_of_file(path: str, size: int, changed_ns: int) -> tuple[str, ...] | None:
    try:
        return perceptual_hashes(read_picture(storage.storage_for(path).read(path)))
    except PictureError:
        return None


def write_lists(output: str, chosen: Chosen, records: dict[str, Record]) -> None:
    """Writes sources.csv and rejected.csv anew, each at once, in an order of their own."""
    store = storage.storage_for(output)
    rows = source_rows(output, chosen, records)
    store.write_atomically(storage.join(output, SOURCES), _table(SOURCE_COLUMNS, rows))
    rows = rejected_rows(output, chosen, records)
    store.write_atomically(storage.join(output, REJECTED_LIST), _table(_REJECTED_COLUMNS, rows))


def source_rows(output: str, chosen: Chosen, records: dict[str, Record]) -> list[dict[str, Any]]:
    """What sources.csv says: a row for each picture in the folder, by the names of the files."""
    there = [named for named in chosen.named if state.exists(output, named.file)]
    there.sort(key=lambda named: natural_order(named.file))
    return [
        {
            "file": named.file,
            **_origin(records[named.key]),
            "sha256": records[named.key].sha256,
            "width": records[named.key].width,
            "height": records[named.key].height,
            "fetched": records[named.key].fetched,
        }
        for named in there
    ]


def rejected_rows(output: str, chosen: Chosen, records: dict[str, Record]) -> list[dict[str, Any]]:
    """What rejected.csv says: what was looked at and is not in the folder, and why."""
    reasons = {key: record.reason for key, record in records.items() if record.state != GOOD}
    for key, like in chosen.duplicates.items():
        reasons[key] = f"{DUPLICATE} {like}"
    for named in chosen.named:
        if not state.exists(output, named.file):
            reasons[named.key] = f"{REMOVED}: {named.file}"
    left_out = [records[key] for key in reasons if key in records]
    left_out.sort(key=lambda r: (r.found.candidate.topic, r.found.search, r.found.rank, r.key))
    return [
        {**_origin(record), "reason": reasons[record.key], "fetched": record.fetched}
        for record in left_out
    ]


def _origin(record: Record) -> dict[str, Any]:
    candidate = record.found.candidate
    return {
        "topic": candidate.topic,
        "provider": candidate.provider,
        "page": candidate.page_url,
        "image_url": candidate.image_url,
        "title": candidate.title,
        "author": candidate.author,
        "licence": candidate.licence,
    }


def _table(columns: Sequence[str], rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "replace")
