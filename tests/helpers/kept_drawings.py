"""Draws a data set's sheets and charts once for the same contents: most of a small set's time."""

from __future__ import annotations

import functools
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fgbg.files import storage
from fgbg.transforms.dataset import sheets as sample_sheets
from fgbg.transforms.report import charts

Draw = Callable[..., None]


def keep(patch: pytest.MonkeyPatch) -> None:
    """Keeps what this process draws, by everything that it is drawn of.

    Worker processes and commands in processes of their own draw afresh, so a drawing that differed
    from one time to the next would show where their data sets are compared with this process'.
    `__wrapped__` of what it puts in place draws afresh here too.
    """
    patch.setattr(sample_sheets, "_save_grid", _sheet_kept(sample_sheets._save_grid))
    patch.setattr(sample_sheets, "_save_rows", _sheet_kept(sample_sheets._save_rows))
    patch.setattr(charts, "all_charts", _charts_kept(charts.all_charts))


def _sheet_kept(draw: Draw) -> Draw:
    kept: dict[bytes, tuple[str, bytes]] = {}

    @functools.wraps(draw)
    def drawn(output: str, *content: Any) -> None:
        key = pickle.dumps(content)
        if key not in kept:
            with tempfile.TemporaryDirectory() as folder:
                draw(folder, *content)
                (file,) = Path(folder).rglob("*.png")
                kept[key] = file.name, file.read_bytes()
        name, data = kept[key]
        path = storage.join(output, sample_sheets.FOLDER, name)
        storage.storage_for(path).write_atomically(path, data)

    return drawn


def _charts_kept(draw: Callable[..., Any]) -> Callable[..., Any]:
    kept: dict[bytes, Any] = {}

    @functools.wraps(draw)
    def drawn(*content: Any) -> Any:
        key = pickle.dumps(content)
        if key not in kept:
            kept[key] = draw(*content)
        return kept[key]

    return drawn
