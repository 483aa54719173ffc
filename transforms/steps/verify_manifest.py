"""Verify: the manifest as stored against the rows that the commit records give."""

from __future__ import annotations

import dataclasses
import filecmp
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from fgbg.transforms.dataset import manifest
from fgbg.transforms.dataset.manifest import MANIFEST
from fgbg.transforms.dataset.manifest_file import parts
from fgbg.transforms.steps.problem import SUMMARY, Problem

_COLUMNS_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Difference:
    """How some rows of the manifest differ from what they should be.

    Attributes:
        rows: How many do.
        columns: In which columns.
        key: The key of the first, as it should be.
        first: Of the first: column, what is there, what should be.
    """

    rows: int
    columns: list[str]
    key: str
    first: list[Any]


def differences(stored: pa.Table, expected: pa.Table) -> Difference | None:
    """Compares the rows of a background.

    Args:
        stored: Its row group of the manifest: every row that is expected, in the same order; and
            rows of units whose records are lost, which are not looked at.
        expected: What the commit records give.
    """
    if stored.num_rows != expected.num_rows:
        wanted = set(expected["key"].to_pylist())
        kept = [i for i, key in enumerate(_values(stored["key"])) if key in wanted]
        if len(kept) != expected.num_rows:
            return None  # with a record lost, no row can be told from another: told for the record
        stored = stored.take(pa.array(kept, pa.int64()))
    if stored.equals(expected):
        return None
    wrong: set[int] = set()
    columns: list[str] = []
    first: tuple[int, list[Any]] | None = None
    for name in expected.column_names:
        if stored[name].equals(expected[name]):
            continue
        columns.append(name)
        pairs = zip(_values(stored[name]), expected[name].to_pylist(), strict=True)
        rows = [(i, a, b) for i, (a, b) in enumerate(pairs) if a != b]
        wrong.update(i for i, _, _ in rows)
        if rows and (first is None or rows[0][0] < first[0]):
            first = rows[0][0], [name, *rows[0][1:]]
    if first is None:
        return None
    return Difference(len(wrong), columns, expected["key"][first[0]].as_py(), first[1])


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column, damaged text written out."""
    if not pa.types.is_string(column.type):
        return column.to_pylist()
    texts = column.cast(pa.binary()).to_pylist()
    return [None if text is None else text.decode(errors="backslashreplace") for text in texts]


def as_problem(found: Iterable[Difference], rows: int) -> list[Problem]:
    """All differences as one problem; nothing if there is none.

    Args:
        found: Those of all backgrounds, in order.
        rows: Of the whole manifest.
    """
    found = list(found)
    if not found:
        return []
    columns = list(dict.fromkeys(name for one in found for name in one.columns))
    named = ", ".join(columns[:_COLUMNS_NAMED])
    if len(columns) > _COLUMNS_NAMED:
        named += f" and {len(columns) - _COLUMNS_NAMED} more"
    wrong = sum(one.rows for one in found)
    column, there, wanted = found[0].first
    return [
        Problem(
            MANIFEST,
            f"{wrong:,} of {rows:,} rows {'is' if wrong == 1 else 'are'} not what the commit "
            f"records give, in {named}; the first is {found[0].key}: {column} is {there!r}, not "
            f"{wanted!r}",
            SUMMARY,
        )
    ]


def open_manifest(local: str) -> tuple[list[int] | None, list[Problem]]:
    """The sizes of a manifest's row groups.

    Args:
        local: A local copy of it.

    Returns:
        Rows of every group; None, and what is wrong, where it cannot be compared row by row.
    """
    try:
        with manifest.ManifestFile(local) as file:
            for group in range(len(file.sizes)):
                file.read(group)
    except FileNotFoundError:
        return None, [Problem(MANIFEST, "missing", SUMMARY)]
    except Exception as error:  # damaged files end in errors of many kinds
        why = " ".join(str(error).split())[:200]
        return None, [Problem(MANIFEST, f"cannot be read: {why}", SUMMARY)]
    if file.schema is None:
        return None, [Problem(MANIFEST, "is a folder without a part", SUMMARY)]
    if not file.schema.equals(manifest.SCHEMA):
        return None, [Problem(MANIFEST, "has other columns than a manifest has", SUMMARY)]
    return file.sizes, []


def check_bytes(local: str, made_with: str | None) -> Iterator[Problem]:
    """What no reader of rows sees: statistics, and bytes that nothing checks.

    The rows are written again and compared: byte by byte where the same version of pyarrow wrote
    the manifest, else by their statistics, for versions differ in how they write.

    Args:
        local: A local copy of the manifest, whose rows are what they should be.
        made_with: The version of pyarrow that generation.json names.
    """
    for part in parts(local):
        name = MANIFEST if part == local else f"{MANIFEST}/{os.path.basename(part)}"
        yield from _check_bytes(part, name, made_with)


def _check_bytes(part: str, name: str, made_with: str | None) -> Iterator[Problem]:
    with tempfile.TemporaryDirectory() as folder:
        again = os.path.join(folder, MANIFEST)
        manifest.rewrite(part, again)
        writer, ours = manifest.written_by(part), manifest.written_by(again)
        if writer == ours:
            if not filecmp.cmp(part, again, shallow=False):
                yield Problem(
                    name,
                    "its rows are right, but statistics or other bytes beside them are not what "
                    "was written",
                    SUMMARY,
                )
        elif made_with == pa.__version__:
            problem = f"says that {writer} wrote it; by generation.json it was {ours}"
            yield Problem(name, problem, SUMMARY)
        elif _statistics(part) != manifest.statistics(again):
            yield Problem(name, "its statistics are not those of its rows", SUMMARY)


def _statistics(local: str) -> list[list[dict[str, Any] | None]] | None:
    try:
        return manifest.statistics(local)
    except Exception:  # what cannot be read is not what was written
        return None
