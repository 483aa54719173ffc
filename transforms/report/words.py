"""Numbers and lists of names in words."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 12


def count(number: int, thing: str) -> str:
    """A number of things: 1 sample, 2,000 samples."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def are(number: int) -> str:
    """The verb after a number of things."""
    return "is" if number == 1 else "are"


def named(names: Sequence[str], most: int = _NAMED) -> str:
    """Names with commas between them, the first of many."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
