"""From records to the folder: pictures under their names, sources.csv, rejected.csv."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

from fgbg.files import foreign, storage, tables
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.transforms.collect import state
from fgbg.transforms.collect.candidate import GOOD, Query, Record
from fgbg.transforms.collect.check import Gallery, perceptual_hashes
from fgbg.transforms.collect.choose import choose
from fgbg.transforms.collect.state import Chosen
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.dataset.catalogue import natural_order
from fgbg.transforms.pixels.pictures import PictureError, read_picture

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
    gallery = _gallery(chosen, records, foreign)
    new = choose(chosen, list(records.values()), queries, needs, gallery, foreign)
    store = storage.storage_for(output)

    def put(record: Record, file: str) -> None:
        data = store.read(state.staged_path(output, record))
        store.write_atomically(storage.join(output, file), data)

    names = [named.file for named in chosen.named[len(chosen.named) - len(new) :]]
    for _ in in_order(lambda pair: put(*pair), zip(new, names), threads_for(output)):
        pass
    for query in queries:
        total, _ = state.results(output, query.search)
        before = chosen.looked_at.get(query.search, 0)
        chosen.looked_at[query.search] = max(before, min(query.upto, total))
    state.write_chosen(output, chosen)
    placed = [named.key for named in chosen.named] + list(chosen.duplicates)
    state.drop_staged(output, (records[key] for key in placed if key in records))
    write_lists(output, chosen, records)
    return chosen


def _gallery(
    chosen: Chosen, records: dict[str, Record], foreign: dict[str, tuple[str, ...] | None]
) -> Gallery:
    gallery = Gallery()
    for named in chosen.named:
        gallery.add(named.file, records[named.key].hashes)
    for file, hashes in foreign.items():
        if hashes is not None:
            gallery.add(file, hashes)
    return gallery


def _foreign_pictures(
    output: str, chosen: Chosen, records: dict[str, Record]
) -> dict[str, tuple[str, ...] | None]:
    """Pictures in the folder that somebody else put there, with their perceptual hashes."""
    try:
        paths, _ = catalogue.find(output, "--output")
    except catalogue.InputError:
        return {}
    ours = {named.file for named in chosen.named}
    paths = [path for path in paths if path.rpartition("/")[2] not in ours]
    versions = _versions(output, paths)
    looks = in_order(lambda path: _look(path, versions.get(path, "")), paths, threads_for(output))
    # A run that was killed before it stored its choice leaves pictures of that choice.
    staged = {record.sha256 for record in records.values() if record.state == GOOD}
    return {
        path.rpartition("/")[2]: hashes
        for path, (sha256, hashes) in zip(paths, looks)
        if sha256 not in staged
    }


def _versions(output: str, paths: list[str]) -> dict[str, str]:
    """What tells the contents of pictures from later ones."""
    store = storage.storage_for(output)
    if storage.is_gcs(output) and paths:  # by listings, not a request for each
        return {storage.join(output, name): v for name, v in store.versions(output).items()}
    return {path: version for path in paths for version in store.versions(path).values()}


@functools.lru_cache(maxsize=100_000)
def _look(path: str, version: str) -> tuple[str, tuple[str, ...] | None]:
    """SHA-256 and perceptual hashes of a picture; no hashes where it cannot be decoded."""
    try:
        data = foreign.read(path)
    except OSError as error:  # no picture of ours is lost over what somebody put beside them
        return f"unreadable {error.strerror}", None
    try:
        hashes = perceptual_hashes(read_picture(data))
    except PictureError:
        hashes = None
    return hashlib.sha256(data).hexdigest(), hashes


def write_lists(output: str, chosen: Chosen, records: dict[str, Record]) -> None:
    """Writes sources.csv and rejected.csv anew, each at once, in an order of their own."""
    store = storage.storage_for(output)
    rows = source_rows(output, chosen, records)
    store.write_atomically(storage.join(output, SOURCES), tables.write(SOURCE_COLUMNS, rows))
    data = tables.write(_REJECTED_COLUMNS, rejected_rows(output, chosen, records))
    store.write_atomically(storage.join(output, REJECTED_LIST), data)


def source_rows(output: str, chosen: Chosen, records: dict[str, Record]) -> list[dict[str, Any]]:
    """What sources.csv says: a row for each picture in the folder, by the names of the files."""
    names = state.there(output)
    there = [named for named in chosen.named if named.file in names]
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
    names = state.there(output)
    for named in chosen.named:
        if named.file not in names:
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
