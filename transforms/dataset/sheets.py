"""PlotImages/: sheets of samples as they lie in the data set, read back from its files."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.transforms.dataset.file_samples import depth_in_metres
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels import pictures
from fgbg.transforms.pixels.coding import decode_mask
from fgbg.transforms.records.record import decode_depth

FOLDER = "PlotImages"
ROWS = 24
_GRID_COLUMNS = 6
_SIDE_BY_SIDE = 8
_DPI = 100


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
    images = {kind: [pictures_of_row[kind] for pictures_of_row in loaded] for kind in kinds}
    titles = [f"{row['key']} ({row['split']})" for row in rows]
    nearest_far = (0.0, 1.0)
    if "depth" in kinds:
        nearest_far = (0.0, max(float(image.max()) for image in images["depth"]) or 1.0)
    for kind in kinds:
        _save_grid(output, kind, images[kind], titles, nearest_far)
    _save_rows(output, images, titles, nearest_far)


def _load(
    output: str, row: dict[str, Any], kinds: list[str], job: Job, reader: RecordReader | None
) -> dict[str, NDArray[Any]]:
    """The pictures of a row: uint8 RGB, uint8 of 0 and 255, and float32 metres."""
    images: dict[str, NDArray[Any]] = {}
    if reader is not None:
        record = reader.sample(row)
        images = {"overlay": pictures.decode(record.overlay, row["overlay"])}
        images["mask"] = decode_mask(record.mask_png)
        if record.depth_png is not None:
            images["depth"] = decode_depth(record.depth_png)
    else:
        for kind in kinds:
            path = storage.join(output, row[kind])
            images[kind] = pictures.decode(storage.storage_for(path).read(path), path)
    images["overlay"] = cv2.cvtColor(images["overlay"], cv2.COLOR_BGR2RGB)
    if "depth" in images:
        images["depth"] = depth_in_metres(images["depth"], job.configuration)
    return images


def _save_grid(
    output: str,
    kind: str,
    images: list[NDArray[Any]],
    titles: list[str],
    depth_range: tuple[float, float],
) -> None:
    figure, axes = _figure(-(-len(images) // _GRID_COLUMNS), _GRID_COLUMNS, images[0].shape)
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        _show(axis, kind, image, depth_range)
        axis.set_title(title, fontsize=6)
    if kind == "depth":
        figure.suptitle(
            f"depth in grey, {depth_range[0]:.1f} m black to {depth_range[1]:.1f} m white",
            fontsize=8,
        )
    _save(output, kind, figure)


def _save_rows(
    output: str,
    images: dict[str, list[NDArray[Any]]],
    titles: list[str],
    depth_range: tuple[float, float],
) -> None:
    columns = [*images, *(["depth, colours for viewing"] if "depth" in images else [])]
    # The grid has many; here a few, from all over, two in a line.
    chosen = np.unique(np.linspace(0, len(titles) - 1, _SIDE_BY_SIDE).astype(int))
    lines = -(-len(chosen) // 2)
    figure, axes = _figure(lines, 2 * len(columns), images["overlay"][0].shape)
    for i, start in zip(chosen, range(0, axes.size, len(columns)), strict=False):
        for axis, column in zip(axes.flat[start : start + len(columns)], columns, strict=True):
            kind = column.partition(",")[0]
            _show(axis, kind, images[kind][i], depth_range, coloured=column != kind)
            axis.set_title(titles[i] if kind == "overlay" else column, fontsize=6)
    _save(output, "rows", figure)


def _figure(rows: int, columns: int, shape: tuple[int, ...]) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    width = 1.6
    height = width * shape[0] / shape[1] + 0.2
    figure = Figure(figsize=(width * columns, height * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
        # Matplotlib lays out the ticks of hidden axes too, a third of the time.
        axis.xaxis.set_visible(False)
        axis.yaxis.set_visible(False)
    return figure, axes


def _show(
    axis: Any,
    kind: str,
    image: NDArray[Any],
    depth_range: tuple[float, float],
    coloured: bool = False,
) -> None:
    if kind == "overlay":
        axis.imshow(image)
    elif kind == "mask":
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
    else:
        colours = "viridis_r" if coloured else "gray"
        axis.imshow(image, cmap=colours, vmin=depth_range[0], vmax=depth_range[1])


def _save(output: str, name: str, figure: Any) -> None:
    buffer = io.BytesIO()
    # Without the library's version in the file: the same data set is the same bytes.
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    path = storage.join(output, FOLDER, f"{name}.png")
    storage.storage_for(path).write_atomically(path, buffer.getvalue())
