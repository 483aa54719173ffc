"""PlotImages/: sheets of samples as they lie in the data set, read back from its files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.transforms.dataset.sample import Sample
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels import sheet
from fgbg.transforms.pixels.coding import KINDS, depth_in_metres
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.pixels.sheet import Cell, coloured_depth, grey_depth

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
    kinds = [kind for kind in KINDS if rows[0][kind]]
    reader = open_reader(output, job)
    loaded = [_load(reader.sample(row), kinds) for row in rows]
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


def _load(sample: Sample, kinds: list[str]) -> dict[str, NDArray[Any]]:
    """The pictures of a sample: uint8 BGR, uint8 as stored, and float32 metres."""
    images = {kind: sample.decode(kind, sample.coded(kind)) for kind in kinds}
    if "depth" in images:
        range_m = sample.configuration.depth_range_m
        images["depth"] = depth_in_metres(images["depth"], range_m)
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
