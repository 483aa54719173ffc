"""sources.csv: where pictures come from and under which licence, as `fgbg collect` writes it.

The table stands beside the pictures; `fgbg cutout` carries it on, and the data set's card names
authors and licences of it. Tables without a column `file` are somebody else's and are left alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from fgbg.files import storage

SOURCES = "sources.csv"


def read(paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """What the tables in the folders of some pictures say of them.

    Args:
        paths: The pictures' paths.

    Returns:
        Author, licence and page of each picture that a table knows, by its path; "" where the
        table has none.
    """
    tables: dict[str, dict[str, dict[str, str]]] = {}
    found = {}
    for path in paths:
        folder, _, file = path.rpartition("/")
        if folder not in tables:
            tables[folder] = _table(storage.join(folder, SOURCES) if folder else SOURCES)
        row = tables[folder].get(file)
        if row is not None:
            found[path] = {name: row.get(name) or "" for name in ("author", "licence", "page")}
    return found


def _table(path: str) -> dict[str, dict[str, str]]:
    try:
        text = storage.storage_for(path).read(path).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}  # no table, or none that can be read: a picture's origin is no condition
    return {row["file"]: row for row in rows if row.get("file")}
