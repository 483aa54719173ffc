"""PlotImages/sheet.png: each photo beside its cut-out on a checkerboard, to be looked at."""

from __future__ import annotations

from fgbg.files import foreign, storage
from fgbg.transforms.cutout.record import MADE, UNSURE, Record
from fgbg.transforms.pixels import codec, pictures
from fgbg.transforms.pixels.sheet import Cell, draw, grid, png

FOLDER = "PlotImages"
SHEET = "sheet.png"
_PER_PAGE, _COLUMNS = 48, 4
_BOX = (220, 220)
_UNSURE_COLOUR, _SURE_COLOUR = (200, 0, 0), (20, 20, 20)


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
        cells = [cell for record in chosen for cell in _cells(output, record)]
        columns = 2 * min(_COLUMNS, len(chosen))
        drawn = png(draw(grid(cells, columns), _BOX, text=12))
        store.write_atomically(storage.join(folder, page_name(page)), drawn)


def _cells(output: str, record: Record) -> list[Cell]:
    """A photo with its name, and its cut-out with how sure it is."""
    confidence = float(record.row["confidence"])
    unsure = confidence < UNSURE
    colour = _UNSURE_COLOUR if unsure else _SURE_COLOUR
    words = f"{confidence:.2f}" + (" unsure" if unsure else "")
    path = storage.join(output, f"{record.name}.png")
    bgra = codec.decode(storage.storage_for(path).read(path), path)
    return [Cell(_photo(record), record.name, colour), Cell(bgra, words, colour)]


def _photo(record: Record) -> pictures.Array | None:
    """The photo, BGR or BGRA; None where it is no longer there."""
    try:
        return pictures.to_bgr(pictures.read_picture(foreign.read(record.path)))
    except (OSError, ValueError):
        return None
