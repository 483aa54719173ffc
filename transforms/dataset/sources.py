"""sources.csv: where pictures come from and under which licence, as `fgbg collect` writes it.

The table stands beside the pictures; `fgbg cutout` carries it on, and the data set's card names
authors and licences of it. Tables without a column `file` are somebody else's and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from fgbg.files import storage, tables

SOURCES = "sources.csv"


def read(paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """What the tables in the folders of some pictures say of them.

    Args:
        paths: The pictures' paths.

    Returns:
        Author, licence and page of each picture that a table knows, by its path; "" where the
        table has none.

    Raises:
        TableError: There is a table that cannot be read: its licences are not to be lost.
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
        rows = tables.read(path).rows
    except (FileNotFoundError, NotADirectoryError):
        return {}  # a picture's origin is no condition
    return {row["file"]: row for row in rows if row.get("file")}
