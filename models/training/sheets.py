"""Pictures of a training: its curves, and predictions beside the truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from fgbg.files.whole_file import whole_file
from fgbg.models.trained.compact_network import BACKGROUND, DEPTH, MASK, OVERLAY
from fgbg.models.training.evaluate import Example

_DPI = 110


def write_predictions(path: str, examples: list[Example], what: str) -> None:
    """A row for each sample: what was shown, and mask and depth as they are and as said.

    Args:
        path: Of the PNG file.
        examples: At least one.
        what: What they are, for the heading.
    """
    from matplotlib.figure import Figure

    shown = [name for name in (OVERLAY, BACKGROUND) if name in examples[0].pictures]
    kinds = [name for name in (MASK, DEPTH) if name in examples[0].said]
    columns = len(shown) + 2 * len(kinds)
    height, width = examples[0].pictures[OVERLAY].shape[:2]
    figure = Figure(
        figsize=(1.7 * columns, (1.7 * height / width + 0.25) * len(examples) + 0.4),
        layout="constrained",
    )
    figure.suptitle(f"{what}; depth: near is bright, one scale a row", fontsize=8)
    axes = figure.subplots(len(examples), columns, squeeze=False)
    for row, example in zip(axes, examples, strict=True):
        for axis in row:
            axis.axis("off")
        cells = iter(row)
        for name in shown:
            _show(next(cells), example.pictures[name], example.key if name == OVERLAY else name)
        for kind in kinds:
            limits = _limits(kind, example)
            for images, word in ((example.truth, "true"), (example.said, "predicted")):
                colours = "gray" if kind == MASK else "viridis_r"
                image = np.where(images[kind] > 0, images[kind], np.nan)
                image = images[kind] if kind == MASK else image
                title = f"{word} {kind}"
                if kind == DEPTH:
                    title += f", {np.nanmedian(image):.2f} m"
                _show(next(cells), image, title, cmap=colours, vmin=limits[0], vmax=limits[1])
    _save(figure, path)


def _limits(kind: str, example: Example) -> tuple[float, float]:
    if kind == MASK:
        return 0.0, 1.0
    known = example.truth[DEPTH][example.truth[DEPTH] > 0]
    values = np.concatenate((known, example.said[DEPTH].ravel()))
    return float(values.min()), float(max(values.max(), values.min() + 1e-3))


def _show(axis: Any, image: Any, title: str, **settings: Any) -> None:
    axis.imshow(image, **settings)
    axis.set_title(title, fontsize=6)


def write_curve(path: str, history: list[dict[str, float]], best_epoch: int) -> None:
    """Losses and measures by epoch.

    Args:
        path: Of the PNG file.
        history: One entry per epoch.
        best_epoch: The epoch that was kept, from 0.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [int(row["epoch"]) + 1 for row in history]
    panels: list[tuple[str, tuple[str, ...]]] = [("loss", ("loss", "val_loss"))]
    if "depth_loss" in history[0]:
        panels.append(("depth loss", ("depth_loss", "val_depth_loss")))
    panels.append(("mask loss", ("mask_bce", "val_mask_bce", "mask_dice", "val_mask_dice")))
    panels.append(("validation", ("val_iou", "val_delta1")))
    figure = Figure(figsize=(3.4 * len(panels), 3), layout="constrained")
    for axis, (title, names) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for name in names:
            if name in history[0]:
                values = [row.get(name, np.nan) for row in history]
                axis.plot(epochs, values, marker=".", linewidth=1, label=name)
        axis.axvline(best_epoch + 1, color="gray", linewidth=0.5, linestyle="--")
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("epoch (dashed: kept)", fontsize=7)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=6)
    _save(figure, path)


def _save(figure: Any, path: str) -> None:
    with whole_file(path) as file:
        # Without the library's version in the file.
        figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
