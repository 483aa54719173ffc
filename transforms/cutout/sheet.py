"""PlotImages/sheet.png: each photo beside its cut-out on a checkerboard, to be looked at."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fgbg.files import storage
from fgbg.transforms.cutout.record import MADE, UNSURE, Record
from fgbg.transforms.pixels import pictures

FOLDER = "PlotImages"
SHEET = "sheet.png"
_PER_PAGE, _COLUMNS = 48, 4
_TILE, _GAP, _TEXT = 220, 6, 16
_SQUARE, _LIGHT, _DARK = 11, 235, 190
_UNSURE_COLOUR, _TEXT_COLOUR = (200, 0, 0), (20, 20, 20)


def checkerboard(height: int, width: int) -> NDArray[np.uint8]:
    """uint8 [height, width, 3], of two greys."""
    y, x = np.mgrid[0:height, 0:width] // _SQUARE
    return np.repeat(np.where((x + y) % 2, _DARK, _LIGHT).astype(np.uint8)[..., None], 3, axis=2)


def page_name(page: int) -> str:
    """sheet.png, sheet_2.png, ..."""
    return SHEET if page == 0 else f"sheet_{page + 1}.png"


def write_sheets(output: str, records: list[Record]) -> None:
    """Writes the sheets of all cut-outs, in order; the unsure ones are named in red.

    Args:
        output: The folder of the cut-outs.
        records: Of all photos.
    """
    made = [r for r in records if r.status == MADE]
    folder = storage.join(output, FOLDER)
    store = storage.storage_for(folder)
    pages = [made[i : i + _PER_PAGE] for i in range(0, len(made), _PER_PAGE)]
    wanted = {page_name(page) for page in range(len(pages))}
    for name in store.children(folder):
        if name.startswith("sheet") and name not in wanted:
            store.delete(storage.join(folder, name))
    for page, chosen in enumerate(pages):
        buffer = io.BytesIO()
        _page(output, chosen).save(buffer, "PNG")
        store.write_atomically(storage.join(folder, page_name(page)), buffer.getvalue())


def _page(output: str, records: list[Record]) -> Image.Image:
    columns = min(_COLUMNS, len(records))
    cell_width, cell_height = 2 * _TILE + 3 * _GAP, _TILE + _TEXT + 2 * _GAP
    rows = -(-len(records) // columns)
    sheet = Image.new("RGB", (columns * cell_width, rows * cell_height), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for i, record in enumerate(records):
        x, y = i % columns * cell_width + _GAP, i // columns * cell_height + _GAP
        confidence = float(record.row["confidence"])
        unsure = confidence < UNSURE
        words = f"{record.name}  {confidence:.2f}" + (" unsure" if unsure else "")
        colour = _UNSURE_COLOUR if unsure else _TEXT_COLOUR
        draw.text((x, y), _fitting(words), fill=colour, font=font)
        for j, tile in enumerate((_photo(record), _cut_out(output, record))):
            if tile is not None:
                sheet.paste(tile, (x + j * (_TILE + _GAP), y + _TEXT))
    return sheet


def _fitting(words: str) -> str:
    return words if len(words) <= 60 else f"...{words[-57:]}"


def _photo(record: Record) -> Image.Image | None:
    """The photo, small; None where it is no longer there."""
    try:
        data = storage.storage_for(record.path).read(record.path)
        image = Image.fromarray(pictures.read_picture(data))
    except (OSError, ValueError):
        return None
    image.thumbnail((_TILE, _TILE))
    return _on_checkerboard(image)


def _cut_out(output: str, record: Record) -> Image.Image:
    path = storage.join(output, f"{record.name}.png")
    bgra = pictures.decode(storage.storage_for(path).read(path), path)
    height, width = bgra.shape[:2]
    scale = min(1.0, _TILE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = pictures.resize_cutout(bgra, size)
    return _on_checkerboard(Image.fromarray(np.ascontiguousarray(small[..., [2, 1, 0, 3]])))


def _on_checkerboard(image: Image.Image) -> Image.Image:
    board = Image.fromarray(checkerboard(image.height, image.width))
    if image.mode == "RGBA":
        board.paste(image, (0, 0), image)
        return board
    return image.convert("RGB")
