"""Files that are left out because of their names, told of: some hold pictures."""

from __future__ import annotations

import re

from fgbg.files import storage
from fgbg.transforms import escaping
from fgbg.transforms.pixels import formats

# Files looked into, and names shown.
_LOOKED_AT, _SHOWN = 200, 8
DRAWINGS = "PlotImages"
_DRAWING = re.compile(
    rf"(^|/){DRAWINGS}/(sheet(_\d+)?|contact(_\d+)?|overlay|mask|depth|rows)\.png$"
)


def lines(paths: list[str], where: str) -> list[str]:
    """What is to be said of files that were left out of a folder; nothing where there are none.

    Args:
        paths: The files.
        where: The folder, or the option that it was given for.
    """
    drawn = [path for path in paths if is_drawing(path)]
    paths = [path for path in paths if path not in drawn]
    alike = pictures_among(paths)
    others = [path for path in paths if path not in alike]
    said = []
    if drawn:
        said.append(f"Sheets that fgbg has drawn, left out of {where}: {few(drawn)}")
    if others:
        said.append(f"Not pictures by their names, left out of {where}: {few(others)}")
    if alike:
        said.append(
            f"Warning: pictures by what they hold but not by their names, left out of {where}: "
            f"{few(alike)}; rename them, or give a pattern, where every match counts"
        )
    return said


def is_drawing(path: str) -> bool:
    """Whether a file is a sheet that fgbg draws beside pictures, and no picture itself."""
    return bool(_DRAWING.search(path))


def pictures_among(paths: list[str]) -> list[str]:
    """The files that begin as pictures do; of many, only the first are looked into."""
    return [path for path in paths[:_LOOKED_AT] if formats.looks_like_picture(_start(path))]


def _start(path: str) -> bytes:
    store = storage.storage_for(path)
    try:
        size = store.size(path)  # None of what is no regular file: reading a pipe may never end
        return store.read_range(path, 0, min(size, formats.START)) if size else b""
    except OSError:
        return b""


def few(paths: list[str]) -> str:
    """The first of some files by their names, and how many more there are."""
    names = ", ".join(escaping.name(path.rpartition("/")[2]) for path in paths[:_SHOWN])
    return names + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
