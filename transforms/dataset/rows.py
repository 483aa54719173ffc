"""Rows of a manifest one after the other, in order or mixed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from fgbg.transforms.dataset.manifest_file import ManifestFile

# Rows that are mixed with each other at least: a few dozen shards of a usual size.
_ROWS_MIXED = 50_000
_ROWS_AT_ONCE = 1024


def ordered_rows(path: str, split: str | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a local manifest in its order.

    Args:
        path: The manifest.
        split: Only this split's; None: all.
    """
    with ManifestFile(path) as file:
        for batch in file.batches(_ROWS_AT_ONCE, _groups(file, split)):
            yield from batch.to_pylist()


def mixed_rows(path: str, split: str | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a local manifest shuffled, the same way each time.

    Backgrounds are taken in a random order, and the rows of a few dozen are mixed.

    Args:
        path: The manifest.
        split: Only this split's; None: all.
    """
    generator = np.random.Philox(key=0)
    with ManifestFile(path) as file:
        sizes = file.sizes
        groups = _groups(file, split)
        window: list[int] = []
        rows = 0
        for i in _permutation(generator, len(groups)):
            window.append(groups[i])
            rows += sizes[groups[i]]
            if rows >= _ROWS_MIXED:
                yield from _mix(file, window, _permutation(generator, rows))
                window, rows = [], 0
        if window:
            yield from _mix(file, window, _permutation(generator, rows))


def _mix(file: ManifestFile, groups: list[int], order: np.ndarray) -> Iterator[dict[str, Any]]:
    # Shuffled as an Arrow table: as Python's objects they would take ten times the memory.
    table = pa.concat_tables(map(file.read, groups))
    for first in range(0, len(order), _ROWS_AT_ONCE):
        yield from table.take(order[first : first + _ROWS_AT_ONCE]).to_pylist()


def _groups(file: ManifestFile, split: str | None) -> list[int]:
    """Row groups of a split: a row group is of one background, and that is in one split."""
    groups = range(len(file.sizes))
    return [group for group in groups if split is None or _split(file, group) == split]


def _split(file: ManifestFile, group: int) -> str:
    return next(file.batches(1, [group], ["split"]))["split"][0].as_py()


def _permutation(generator: np.random.Philox, count: int) -> np.ndarray:
    # Of raw output, which NumPy keeps the same in all versions; not so its shuffling.
    return np.argsort(generator.random_raw(count), kind="stable")
