"""A list of addresses in a file, instead of a search: text, or CSV with a header.

A text file has one address a line; empty lines and those that begin with # are passed over. A
CSV file has a column image_url (or url), and may have topic, page, title, author, licence (or
license) and provider: the sources.csv of an earlier run is such a file, and so collects the same
pictures again.
"""

from __future__ import annotations

import os
from typing import ClassVar

from fgbg.files import foreign, tables
from fgbg.files.tables import TableError
from fgbg.transforms.collect.candidate import Candidate, Page, plain, short_hash
from fgbg.transforms.collect.providers.base import Provider, SearchError

_ADDRESS = ("image_url", "url")
_MOST_BYTES = 100_000_000


class UrlList(Provider):
    """Reads a file of addresses; the topics are the files' paths."""

    name: ClassVar[str] = "urls"
    note: ClassVar[str] = (
        "TOPIC is a text file with an address a line, or a CSV file with a column image_url, such "
        "as an earlier sources.csv"
    )

    def question(self, topic: str) -> str:
        # A file that was changed is another question.
        return short_hash(_read(topic))

    def page(self, topic: str, following: str) -> Page:
        return Page(read_urls(topic), None)


def read_urls(path: str) -> list[Candidate]:
    """The candidates of a file, each address once.

    Raises:
        SearchError: It cannot be read, or has no column of addresses.
    """
    text = _read(path)
    stem = os.path.splitext(os.path.basename(path))[0]
    first = next((line for line in text.splitlines() if line.strip()), "")
    try:
        columns = [name.strip().lower() for name in tables.parse(first.encode(), path).columns]
    except TableError:  # a list of addresses may hold anything
        columns = []
    if any(name in columns for name in _ADDRESS):
        found = _from_csv(text, path, stem)
    elif path.lower().endswith(".csv"):
        raise SearchError(f"{path}: its first line names no column {' or '.join(_ADDRESS)}")
    else:
        lines = (plain(line) for line in text.splitlines())
        found = [Candidate(stem, UrlList.name, line) for line in lines if line and line[0] != "#"]
    once: dict[str, Candidate] = {}
    for candidate in found:
        once.setdefault(candidate.key, candidate)
    return list(once.values())


def _from_csv(text: str, path: str, stem: str) -> list[Candidate]:
    try:
        rows = tables.parse(text.lstrip("\r\n").encode(), path).rows
    except TableError as error:
        raise SearchError(str(error)) from error
    found = []
    for row in rows:
        cells = {name.strip().lower(): plain(cell) for name, cell in row.items()}
        address = next((cells[name] for name in _ADDRESS if cells.get(name)), "")
        if address:
            found.append(
                Candidate(
                    cells.get("topic") or stem,
                    cells.get("provider") or UrlList.name,
                    address,
                    cells.get("page", ""),
                    cells.get("title", ""),
                    cells.get("author", ""),
                    cells.get("licence") or cells.get("license") or "",
                )
            )
    return found


def _read(path: str) -> str:
    try:
        data = foreign.read(path, _MOST_BYTES)
    except OSError as error:
        raise SearchError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SearchError(f"{path}: not text in UTF-8") from error
