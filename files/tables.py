"""CSV tables: read with every way of being wrong told, written so that no cell is a formula."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fgbg.files import foreign

_MAX_BYTES = 256 << 20
# Cells that a spreadsheet would compute; with an apostrophe before them they are text. What has
# apostrophes there already gets one more, so that reading gives back what was written.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")
_QUOTED = re.compile(r'[",\r\n]')
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


class TableError(ValueError):
    """A table that cannot be read: the message names the file, what is wrong and where."""


@dataclasses.dataclass(frozen=True)
class Table:
    """The content of a CSV file with a header.

    Attributes:
        columns: Names of its columns.
        rows: Cells by column; "" where a row is short.
    """

    columns: list[str]
    rows: list[dict[str, str]]


def read(path: str) -> Table:
    """Reads a CSV file with a header: UTF-8, with a byte order mark or without, any line ends.

    Raises:
        FileNotFoundError: There is none.
        TableError: It cannot be read or parsed.
    """
    try:
        data = foreign.read(path, _MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror or error}") from error
    return parse(data, path)


def parse(data: bytes, path: str) -> Table:
    """The table of a file's bytes.

    Args:
        data: The bytes.
        path: The file, for messages.

    Raises:
        TableError: They cannot be parsed.
    """
    advice = "save it as CSV in UTF-8"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TableError(f"{path}: in UTF-16; {advice}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: not UTF-8 at byte {error.start}; {advice}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise TableError(f"{path}: line {line} holds a NUL byte, so it is no table; {advice}")
    # With newline="" CSV's own rules hold: line ends of any kind, and as they are inside quotes.
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True)
    try:
        columns = [name for name in reader.fieldnames or [] if name]
        rows = [
            {name: _unescape(row[name] or "") for name in columns if isinstance(row[name], str)}
            for row in reader
        ]
    except csv.Error as error:
        raise TableError(
            f"{path}: not CSV from line {reader.line_num + 1} on: {error} (a quotation mark that "
            "is never closed?); mend that line"
        ) from error
    return Table(columns, rows)


def write(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], line_end: str = "\n") -> bytes:
    """A CSV file with a header, in UTF-8.

    Args:
        columns: Names of the columns, in order; other entries of the rows are left out.
        rows: Cells by column; "" where there is none.
        line_end: What ends a line.
    """
    lines = [columns, *([row.get(name, "") for name in columns] for row in rows)]
    text = "".join(",".join(map(_cell, line)) + line_end for line in lines)
    return text.encode("utf-8", "replace")


def _cell(value: Any) -> str:
    # Not csv.writer, which leaves a carriage return without quotation marks.
    text = "" if value is None else str(value)
    if isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if _QUOTED.search(text) else text


def _unescape(text: str) -> str:
    return text[1:] if _ESCAPED.match(text) else text
