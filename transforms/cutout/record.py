"""What became of each photo: one small file each, written last, and the tables made of them.

```
OUT/dog.png               the cut-outs, and nothing else by a picture's name: OUT is a folder of
                          foregrounds as it is
OUT/cats/1.png            those of sub-folders, in folders of the same names
OUT/cutouts.csv           one row per cut-out
OUT/rejected.csv          one row per photo without one, with the reason
OUT/sources.csv           origin and licence, where the photos' folder has a table of them;
                          OUT/cats/sources.csv of those in cats
OUT/PlotImages/sheet.png  photos and cut-outs side by side
OUT/_work/cutouts/        the records
```
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Iterable
from typing import Any

from fgbg.files import foreign, storage, tables

RECORDS = "_work/cutouts"
CUTOUTS, REJECTED, SOURCES = "cutouts.csv", "rejected.csv", "sources.csv"
MADE, REJECT, FAILED = "made", "rejected", "failed"
# A cut-out less sure than this is called unsure: on the sheet, in the table, in the last lines.
UNSURE = 0.5
# Names that are written otherwise, so that no two are written alike.
_IN_FOLDERS = re.compile("/|%(25)*2F")
_COLUMNS = (
    *("file", "photo", "method", "what", "confidence", "unsure", "coverage", "softness"),
    *("touches", "width", "height", "photo_width", "photo_height", "x", "y", "sha256"),
)


@dataclasses.dataclass(frozen=True)
class Task:
    """A photo to be cut out.

    Attributes:
        number: Among the photos of a run, from 0.
        path: Where it is.
        name: Of its cut-out, without the ending.
    """

    number: int
    path: str
    name: str

    @property
    def file(self) -> str:
        """The name of its cut-out's file."""
        return f"{self.name}.png"

    @property
    def told(self) -> str:
        """Its path as records have it: what is not UTF-8 in it (it is refused) is written out."""
        return self.path.encode(errors="backslashreplace").decode()


@dataclasses.dataclass(frozen=True)
class Record:
    """What became of a photo.

    Attributes:
        name: Of its cut-out, without the ending.
        path: Where the photo is.
        sha256: Of the photo's file.
        fingerprint: Of the method.
        status: MADE, REJECT or FAILED.
        reason: Why there is none; or why that of an earlier run is kept.
        row: What the table says of the cut-out.
    """

    name: str
    path: str
    sha256: str
    fingerprint: str
    status: str
    reason: str = ""
    row: dict[str, Any] = dataclasses.field(default_factory=dict)


def write(output: str, record: Record) -> None:
    """Stores a record, at once or not at all."""
    path = storage.join(output, RECORDS, _file_of(record.name))
    data = json.dumps(dataclasses.asdict(record), ensure_ascii=False).encode()
    storage.storage_for(path).write_atomically(path, data)


def kept(output: str, failed: Record) -> Record | None:
    """The record of a cut-out that an earlier run made of a photo that fails now.

    It keeps the method that it was made by, so that the photo is tried again.

    Args:
        output: The folder of the cut-outs.
        failed: What became of the photo now.

    Returns:
        None where there is no such cut-out.
    """
    earlier = read_all(output, {failed.name}).get(failed.name)
    path = storage.join(output, f"{failed.name}.png")
    if earlier is None or earlier.status != MADE or earlier.path != failed.path:
        return None
    if not storage.storage_for(path).exists(path):
        return None
    return dataclasses.replace(earlier, reason=failed.reason)


def _file_of(name: str) -> str:
    """The file of a record: all lie in one folder, those of sub-folders too."""
    if _IN_FOLDERS.search(name):
        name = name.replace("%", "%25").replace("/", "%2F")
    return f"{name}.json"


def read_all(output: str, names: Collection[str] | None = None) -> dict[str, Record]:
    """All records by name, or those of some names; one that cannot be read counts as none."""
    folder = storage.join(output, RECORDS)
    store = storage.storage_for(folder)
    wanted = None if names is None else {_file_of(name) for name in names}
    found = {}
    for name in store.children(folder):
        if name.endswith(".json") and (wanted is None or name in wanted):
            try:
                record = Record(**json.loads(store.read(storage.join(folder, name))))
            except (ValueError, TypeError):
                continue
            found[record.name] = record
    return found


def is_done(task: Task, found: Record | None, fingerprint: str, output: str) -> bool:
    """Whether a photo has been dealt with, as it is now, by a method.

    Args:
        task: The photo.
        found: Its record, if there is one.
        fingerprint: Of the method.
        output: The folder of the cut-outs.
    """
    if found is None or found.fingerprint != fingerprint or found.status == FAILED:
        return False
    store = storage.storage_for(output)
    if found.status == MADE and not store.exists(storage.join(output, task.file)):
        return False
    try:
        data = foreign.read(task.path)
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == found.sha256


def write_tables(output: str, records: list[Record]) -> None:
    """Writes cutouts.csv, rejected.csv if there is something to say, and sources.csv."""
    made = [r for r in records if r.status == MADE]
    rows = [{"file": f"{r.name}.png", **r.row, "sha256": r.sha256} for r in made]
    _write_csv(output, CUTOUTS, _COLUMNS, rows)
    bad = [r for r in records if r.status != MADE]
    path = storage.join(output, REJECTED)
    if bad:
        rows = [{"photo": r.path, "status": r.status, "reason": r.reason} for r in bad]
        _write_csv(output, REJECTED, ("photo", "status", "reason"), rows)
    else:
        storage.storage_for(path).delete(path)
    _carry_sources(output, made)


def _write_csv(
    output: str, name: str, columns: tuple[str, ...], rows: list[dict[str, Any]]
) -> None:
    path = storage.join(output, name)
    storage.storage_for(path).write_atomically(path, tables.write(columns, rows, "\r\n"))


def check_sources(paths: Iterable[str]) -> None:
    """Raises TableError for a table beside some photos that cannot be carried over."""
    for folder in dict.fromkeys(path.rpartition("/")[0] for path in paths):
        _sources(folder)


def licences(paths: Iterable[str]) -> list[dict[str, str]]:
    """File and licence of photos, by the tables beside them; "" where they say none."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    found = []
    for path in paths:
        folder, _, file = path.rpartition("/")
        if folder not in tables:
            tables[folder] = _sources(folder)[0]
        row = tables[folder].get(file, {})
        found.append({"file": path, "licence": row.get("licence") or ""})
    return found


def _carry_sources(output: str, made: list[Record]) -> None:
    """Carries over origin and licence of the photos: the same columns, `file` the cut-out's.

    Each folder of cut-outs has a table of its own, as its reader looks for it there.
    """
    tables: dict[str, tuple[dict[str, dict[str, str]], list[str]]] = {}
    rows: dict[str, list[dict[str, str]]] = {}
    columns: dict[str, list[str]] = {}
    for record in made:
        folder, _, file = record.path.rpartition("/")
        if folder not in tables:
            tables[folder] = _sources(folder)
        by_file, found = tables[folder]
        to, _, name = record.name.rpartition("/")
        known = columns.setdefault(to, [])
        known += [column for column in found if column not in known]
        if file in by_file:
            rows.setdefault(to, []).append({**by_file[file], "file": f"{name}.png"})
    for to, listed in rows.items():
        _write_csv(output, storage.join(to, SOURCES), tuple(columns[to]), listed)


def _sources(folder: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The table of a folder by file, and its columns; nothing if it has none."""
    path = storage.join(folder, SOURCES)
    try:
        table = tables.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    if "file" not in table.columns:
        return {}, []
    by_file = {row["file"].rpartition("/")[2]: row for row in table.rows if row.get("file")}
    return by_file, table.columns
