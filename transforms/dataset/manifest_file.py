"""A local manifest opened, be it one file or a folder of parts: row groups in order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fgbg.transforms.dataset import manifest_parts


class _Group(NamedTuple):
    path: str
    group: int
    rows: int


class ManifestFile:
    """Reads row groups; memory is that of one of them, whatever the number of parts.

    Args:
        path: The manifest, local.

    Attributes:
        schema: Of its rows; None of a folder without a part.

    Raises:
        FileNotFoundError: There is none.
        OSError, ValueError: It, or a part of it, is damaged (as pyarrow says it).
    """

    def __init__(self, path: str) -> None:
        self.schema: pa.Schema | None = None
        self._groups: list[_Group] = []
        self._open: tuple[str, pq.ParquetFile] | None = None
        for part in parts(path):
            file = self._file(part)
            self.schema = file.schema_arrow
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                self._groups.append(_Group(part, group, rows))

    def _file(self, part: str) -> pq.ParquetFile:
        if self._open is None or self._open[0] != part:
            self.close()
            self._open = part, pq.ParquetFile(part)
        return self._open[1]

    @property
    def sizes(self) -> list[int]:
        """Rows of each row group."""
        return [group.rows for group in self._groups]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.sizes)

    def read(
        self, group: int, columns: list[str] | None = None, use_threads: bool = True
    ) -> pa.Table:
        """One row group."""
        of = self._groups[group]
        return self._file(of.path).read_row_group(of.group, columns, use_threads)

    def batches(
        self, rows: int, groups: list[int], columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Rows of some row groups, a few at a time, in order."""
        for group in groups:
            of = self._groups[group]
            yield from self._file(of.path).iter_batches(rows, [of.group], columns)

    def close(self) -> None:
        """Closes the part that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def __enter__(self) -> ManifestFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def parts(path: str) -> list[str]:
    """The files of a local manifest, in the order of their rows."""
    if not os.path.isdir(path):
        return [path]
    names = filter(manifest_parts.NAME.fullmatch, os.listdir(path))
    return [os.path.join(path, name) for name in sorted(names)]
