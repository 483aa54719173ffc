"""PlotImages/contact.png: all pictures small, with their file names, to look through at once.

It lies in a folder of its own: pictures beside the collected ones would be taken for backgrounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from fgbg.files import storage
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.transforms.pixels.pictures import Array, PictureError, read_picture, resize

FOLDER = "PlotImages"
_COLUMNS, _ROWS = 8, 12
_CELL, _PICTURE, _CAPTION, _GAP = 176, (168, 126), 18, 4
_SQUARE = 8


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
        store.write_atomically(path, cv2.imencode(".png", drawn)[1].tobytes())
        paths.append(path)
    kept = {path.rpartition("/")[2] for path in paths}
    for name in store.children(folder):
        if name.startswith("contact") and name not in kept:
            store.delete(storage.join(folder, name))
    return paths


def sheet(output: str, files: Sequence[str]) -> Array:
    """One sheet: uint8 BGR."""
    columns = min(_COLUMNS, max(1, len(files)))
    rows = math.ceil(len(files) / columns)
    height = _PICTURE[1] + _CAPTION + 2 * _GAP
    canvas = np.full((rows * height, columns * _CELL, 3), 250, np.uint8)
    small_ones = in_order(lambda file: _read(output, file), files, threads_for(output))
    for i, (file, small) in enumerate(zip(files, small_ones)):
        x, y = i % columns * _CELL, i // columns * height
        if small is None:
            file += " unreadable"
        else:
            left = x + (_CELL - small.shape[1]) // 2
            top = y + _GAP + (_PICTURE[1] - small.shape[0]) // 2
            canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
        font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.38
        width = cv2.getTextSize(file, font, scale, 1)[0][0]
        # Long names are made narrower rather than cut: their number stands at the end.
        scale *= min(1.0, (_CELL - 2 * _GAP) / max(1, width))
        width = cv2.getTextSize(file, font, scale, 1)[0][0]
        place = (x + (_CELL - width) // 2, y + height - _GAP - 3)
        cv2.putText(canvas, file, place, font, scale, (40, 40, 40), 1, cv2.LINE_AA)
    return canvas


def _read(output: str, file: str) -> Array | None:
    """A picture of the folder made to fit; None where it cannot be read."""
    path = storage.join(output, file)
    try:
        return thumbnail(read_picture(storage.storage_for(path).read(path)))
    except (OSError, PictureError):
        return None


def thumbnail(image: Array) -> Array:
    """A picture made to fit its cell: uint8 BGR; transparency is put on a checkerboard."""
    height, width = image.shape[:2]
    scale = min(_PICTURE[0] / width, _PICTURE[1] / height, 1.0)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = resize(image, size)
    if small.shape[2] == 4:
        y, x = np.mgrid[0 : size[1], 0 : size[0]]
        board = np.where((x // _SQUARE + y // _SQUARE) % 2 == 0, 255, 205)[..., None]
        alpha = small[..., 3:].astype(np.float32) / 255
        mixed = small[..., :3] * alpha + board * (1 - alpha)
        small = np.rint(mixed).astype(np.uint8)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), np.uint8)
