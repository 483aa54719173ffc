"""Draws a report's charts once for the same contents: most of a small set's time."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from fgbg.transforms.report import charts


def keep(patch: pytest.MonkeyPatch) -> None:
    """Keeps what this process draws, by everything that it is drawn of.

    Worker processes and commands in processes of their own draw afresh, so a drawing that differed
    from one time to the next would show where their data sets are compared with this process'.
    `__wrapped__` of what it puts in place draws afresh here too.
    """
    patch.setattr(charts, "all_charts", _charts_kept(charts.all_charts))


def _charts_kept(draw: Callable[..., Any]) -> Callable[..., Any]:
    kept: dict[bytes, Any] = {}

    @functools.wraps(draw)
    def drawn(*content: Any) -> Any:
        key = pickle.dumps(content)
        if key not in kept:
            kept[key] = draw(*content)
        return kept[key]

    return drawn
