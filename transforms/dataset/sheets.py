"""PlotImages/: sheets of samples as they lie in the data set, read back from its files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.transforms.dataset.file_samples import depth_in_metres
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels import codec, sheet
from fgbg.transforms.pixels.coding import decode_mask
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.pixels.sheet import Cell, coloured_depth, grey_depth
from fgbg.transforms.records.record import decode_depth

FOLDER = "PlotImages"
ROWS = 24
_GRID_COLUMNS = 6
_SIDE_BY_SIDE = 8
_BOX = (160, 320)


def write_sheets(output: str, job: Job, rows: list[dict[str, Any]]) -> None:
    """Writes overlay.png, mask.png, depth.png (the same samples in the same cells) and rows.png.

    rows.png has overlay, mask, depth in grey and depth in colours side by side. The colours are
    for viewing only: depth is stored in grey.

    Args:
        output: The data set.
        job: Its job.
        rows: Rows of the manifest.
    """
    if not rows:
        return
    kinds = [kind for kind in ("overlay", "mask", "depth") if rows[0][kind]]
    reader = RecordReader(output, job) if job.configuration.in_records else None
    loaded = [_load(output, row, kinds, job, reader) for row in rows]
    far = max((float(images["depth"].max()) for images in loaded if "depth" in images), default=0)
    drawn = [_drawn(images, far or 1.0) for images in loaded]
    titles = [f"{row['key']} ({row['split']})" for row in rows]
    for kind in kinds:
        cells = [Cell(images[kind], title) for images, title in zip(drawn, titles, strict=True)]
        heading = f"depth in grey, 0.0 m black to {far or 1.0:.1f} m white"
        _save(output, kind, cells, _GRID_COLUMNS, heading if kind == "depth" else "")
    # The grid has many; here a few, from all over, two in a line.
    chosen = np.unique(np.linspace(0, len(titles) - 1, _SIDE_BY_SIDE).astype(int))
    side_by_side = [
        Cell(picture, titles[i] if kind == "overlay" else kind)
        for i in chosen
        for kind, picture in drawn[i].items()
    ]
    _save(output, "rows", side_by_side, 2 * len(drawn[0]))


def _load(
    output: str, row: dict[str, Any], kinds: list[str], job: Job, reader: RecordReader | None
) -> dict[str, NDArray[Any]]:
    """The pictures of a row: uint8 BGR, uint8 of 0 and 255, and float32 metres."""
    images: dict[str, NDArray[Any]] = {}
    if reader is not None:
        record = reader.sample(row)
        images = {"overlay": codec.decode(record.overlay, row["overlay"])}
        images["mask"] = decode_mask(record.mask_png)
        if record.depth_png is not None:
            images["depth"] = decode_depth(record.depth_png)
    else:
        for kind in kinds:
            path = storage.join(output, row[kind])
            images[kind] = codec.decode(storage.storage_for(path).read(path), path)
    if "depth" in images:
        images["depth"] = depth_in_metres(images["depth"], job.configuration)
    return images


def _drawn(images: dict[str, NDArray[Any]], far: float) -> dict[str, Array]:
    """The pictures as they are drawn, depth from 0 to so many metres in grey and in colours."""
    drawn = dict(images)
    if "depth" in images:
        drawn["depth"] = grey_depth(images["depth"], 0, far)
        drawn["depth, colours for viewing"] = coloured_depth(images["depth"], 0, far)
    return drawn


def _save(output: str, name: str, cells: list[Cell], columns: int, heading: str = "") -> None:
    drawn = sheet.draw(sheet.grid(cells, columns), _BOX, heading=heading, enlarge=True)
    path = storage.join(output, FOLDER, f"{name}.png")
    storage.storage_for(path).write_atomically(path, sheet.png(drawn))
