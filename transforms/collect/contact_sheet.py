"""PlotImages/contact.png: all pictures small, with their file names, to look through at once.

It lies in a folder of its own: pictures beside the collected ones would be taken for backgrounds.
"""

from __future__ import annotations

from collections.abc import Sequence

from fgbg.files import foreign, storage
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.transforms.pixels.pictures import Array, PictureError, read_picture, to_bgr
from fgbg.transforms.pixels.sheet import Cell, draw, fit, grid, png

FOLDER = "PlotImages"
_COLUMNS, _ROWS = 8, 12
_BOX = (168, 126)


def write_contact_sheets(output: str, files: Sequence[str]) -> list[str]:
    """Writes contact.png, and contact_2.png and so on where one does not hold them all.

    Args:
        output: The folder.
        files: Names of its pictures, in order.

    Returns:
        Paths of the sheets.
    """
    store = storage.storage_for(output)
    folder = storage.join(output, FOLDER)
    per_sheet = _COLUMNS * _ROWS
    paths = []
    for start in range(0, len(files), per_sheet):
        number = start // per_sheet + 1
        path = storage.join(folder, "contact.png" if number == 1 else f"contact_{number}.png")
        drawn = sheet(output, files[start : start + per_sheet])
        store.write_atomically(path, png(drawn))
        paths.append(path)
    kept = {path.rpartition("/")[2] for path in paths}
    for name in store.children(folder):
        if name.startswith("contact") and name not in kept:
            store.delete(storage.join(folder, name))
    return paths


def sheet(output: str, files: Sequence[str]) -> Array:
    """One sheet: uint8 BGR."""
    found = in_order(lambda file: _read(output, file), files, threads_for(output))
    cells = [
        Cell(small, file if small is not None else f"{file} unreadable")
        for file, small in zip(files, found)
    ]
    return draw(grid(cells, _COLUMNS), _BOX)


def _read(output: str, file: str) -> Array | None:
    """A picture of the folder made to fit, BGR or BGRA; None where it cannot be read."""
    path = storage.join(output, file)
    try:
        return fit(to_bgr(read_picture(foreign.read(path))), _BOX)
    except (OSError, PictureError):
        return None
