"""What a run leaves for the next one: small files under _work/, each written at once or not.

```
_work/searches/NAME/0001.json   a page of results, as asked for once
_work/fetched/KEY.json          what became of an address: written last, so it is whole
_work/staged/KEY.jpg            a good picture that has no place in the folder yet
_work/chosen.json               which pictures have a name, and how far each search was looked at
```

On gs:// they are objects of the same names, found by listings. Pages and records never change once
they are written, so a process asks for each of them once (`_recall`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator

from fgbg.files import storage
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.transforms.collect.candidate import FAILED, GOOD, Page, Record, short_hash
from fgbg.transforms.collect.providers.base import Provider

WORK = "_work"
_SEARCHES, _FETCHED, _STAGED = "_work/searches", "_work/fetched", "_work/staged"
_CHOSEN = "_work/chosen.json"
_FAILED_SEARCHES = "_work/failed_searches"
# What is known of pages and records on gs://, by their paths.
_recalled: dict[str, bytes] = {}


def begin() -> None:
    """Forgets what earlier runs of this process knew of gs://."""
    _recalled.clear()


def _put_for_good(path: str, data: bytes) -> None:
    """Writes a page or a record."""
    storage.storage_for(path).write_atomically(path, data)
    if storage.is_gcs(path):
        _recalled[path] = data


def _recall(folder: str) -> list[bytes]:
    """The pages or records in a folder, in the order of their names."""
    store = storage.storage_for(folder)
    paths = [storage.join(folder, n) for n in store.children(folder) if n.endswith(".json")]
    if not storage.is_gcs(folder):
        return [store.read(path) for path in paths]
    new = [path for path in paths if path not in _recalled]
    for path, data in zip(new, in_order(store.read, new, threads_for(folder))):
        _recalled[path] = data
    return [_recalled[path] for path in paths]


@dataclasses.dataclass(frozen=True)
class Named:
    """A picture that was given a name in the folder.

    Attributes:
        key: Of its record.
        file: Its name.
    """

    key: str
    file: str


@dataclasses.dataclass
class Chosen:
    """The choice so far; stored whole, at once.

    Attributes:
        named: The pictures in the folder, in the order in which they were chosen.
        duplicates: Key of a record -> name of the picture that looks the same.
        looked_at: Name of a search -> how many of its results were looked at.
    """

    named: list[Named] = dataclasses.field(default_factory=list)
    duplicates: dict[str, str] = dataclasses.field(default_factory=dict)
    looked_at: dict[str, int] = dataclasses.field(default_factory=dict)


def read_chosen(output: str) -> Chosen:
    """The choice so far; an empty one where there is none."""
    path = storage.join(output, _CHOSEN)
    try:
        content = json.loads(storage.storage_for(path).read(path))
    except FileNotFoundError:
        return Chosen()
    return Chosen(
        [Named(**named) for named in content["named"]], content["duplicates"], content["looked_at"]
    )


def write_chosen(output: str, chosen: Chosen) -> None:
    """Stores the choice."""
    path = storage.join(output, _CHOSEN)
    data = json.dumps(dataclasses.asdict(chosen), indent=1).encode() + b"\n"
    storage.storage_for(path).write_atomically(path, data)


# Records of addresses.


def write_record(output: str, record: Record, picture: bytes = b"") -> None:
    """Stores a good picture, if there is one, and then what became of the address."""
    store = storage.storage_for(output)
    if picture:
        store.write_atomically(staged_path(output, record), picture)
    _put_for_good(storage.join(output, _FETCHED, f"{record.key}.json"), record.to_bytes())


def staged_path(output: str, record: Record) -> str:
    """Where a good picture lies until it has a name."""
    return storage.join(output, _STAGED, f"{record.key}.{record.ending}")


def read_records(output: str) -> dict[str, Record]:
    """All records, by key."""
    found = map(Record.from_bytes, _recall(storage.join(output, _FETCHED)))
    return {record.key: record for record in found}


def known_keys(output: str) -> set[str]:
    """Keys of all records, without reading them."""
    names = storage.storage_for(output).children(storage.join(output, _FETCHED))
    return {name.removesuffix(".json") for name in names if name.endswith(".json")}


def forget(output: str, checks: str) -> None:
    """Removes what is to be tried again: transient failures, and what other checks rejected.

    Pictures with a name are left alone.

    Args:
        output: The folder.
        checks: Fingerprint of this run's checks.
    """
    chosen = read_chosen(output)
    kept = {named.key for named in chosen.named} | set(chosen.duplicates)
    stale = [
        record
        for key, record in read_records(output).items()
        if key not in kept
        and (record.transient or (record.checks != checks and record.state != FAILED))
    ]
    store = storage.storage_for(output)
    paths = [storage.join(output, _FETCHED, f"{record.key}.json") for record in stale]
    store.delete_files(paths)
    for path in paths:
        _recalled.pop(path, None)
    drop_staged(output, (record for record in stale if record.state == GOOD))
    store.delete(storage.join(output, _FAILED_SEARCHES))


# Searches.


def search_name(provider: Provider, topic: str) -> str:
    """Names the recorded pages of a topic's search: another question has another name."""
    return f"{provider.name}-{short_hash(provider.question(topic))}"


def recorded(output: str, search: str) -> tuple[list[Page], str | None]:
    """Pages of a search that were asked for, and how to go on; (.., None) when it has ended."""
    pages = [Page.from_bytes(data) for data in _recall(storage.join(output, _SEARCHES, search))]
    return pages, pages[-1].following if pages else Provider.FIRST


def pages(output: str, search: str, provider: Provider, topic: str) -> Iterator[Page]:
    """The pages of a search: those recorded, then further ones, each recorded as it comes.

    Raises:
        SearchError: The provider gives no further page now.
    """
    known, following = recorded(output, search)
    yield from known
    number = len(known)
    while following is not None:
        page = provider.page(topic, following)
        number += 1
        path = storage.join(output, _SEARCHES, search, f"{number:04d}.json")
        _put_for_good(path, page.to_bytes())
        yield page
        following = page.following


def results(output: str, search: str) -> tuple[int, bool]:
    """How many results of a search are recorded, and whether there are no more."""
    known, following = recorded(output, search)
    return sum(len(page.candidates) for page in known), following is None


def write_failed_search(output: str, search: str, reason: str) -> None:
    """Notes that a search could not be carried on in this run."""
    path = storage.join(output, _FAILED_SEARCHES, f"{search}.json")
    data = json.dumps({"reason": reason}).encode()
    storage.storage_for(path).write_atomically(path, data)


def failed_searches(output: str) -> dict[str, str]:
    """Searches that could not be carried on in this run, and why."""
    folder = storage.join(output, _FAILED_SEARCHES)
    store = storage.storage_for(folder)
    return {
        name.removesuffix(".json"): json.loads(store.read(storage.join(folder, name)))["reason"]
        for name in store.children(folder)
        if name.endswith(".json")
    }


def drop_staged(output: str, records: Iterable[Record]) -> None:
    """Removes pictures that have a name now, or will never have one."""
    store = storage.storage_for(output)
    there = set(store.children(storage.join(output, _STAGED)))
    paths = [staged_path(output, record) for record in records]
    store.delete_files(path for path in paths if path.rpartition("/")[2] in there)


def there(output: str) -> set[str]:
    """Names of what is directly in the folder."""
    return set(storage.storage_for(output).children(output))
