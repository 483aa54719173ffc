"""Pictures of a training: its curves, and predictions beside the truth."""

from __future__ import annotations

import numpy as np

from fgbg.files.whole_file import whole_file
from fgbg.models.trained.compact_network import BACKGROUND, DEPTH, MASK, OVERLAY
from fgbg.models.training.evaluate import Example
from fgbg.transforms.pixels.sheet import Cell, coloured_depth, draw, png

_DPI = 110
_SIDE = 180


def write_predictions(path: str, examples: list[Example], what: str) -> None:
    """A row for each sample: what was shown, and mask and depth as they are and as said.

    Args:
        path: Of the PNG file.
        examples: At least one.
        what: What they are, for the heading.
    """
    height, width = examples[0].pictures[OVERLAY].shape[:2]
    drawn = draw(
        [_row(example) for example in examples],
        (_SIDE, max(1, round(_SIDE * height / width))),
        heading=f"{what}; depth: near is bright, one scale a row",
        enlarge=True,
    )
    with whole_file(path) as file:
        file.write(png(drawn))


def _row(example: Example) -> list[Cell]:
    shown = [name for name in (OVERLAY, BACKGROUND) if name in example.pictures]
    row = [
        Cell(
            np.rint(example.pictures[name][..., ::-1] * 255).astype(np.uint8),
            example.key if name == OVERLAY else name,
        )
        for name in shown
    ]
    pairs = ((example.truth, "true"), (example.said, "predicted"))
    row += [
        Cell(np.rint(images[MASK] * 255).astype(np.uint8), f"{word} {MASK}")
        for images, word in pairs
    ]
    if DEPTH in example.said:
        known = example.truth[DEPTH][example.truth[DEPTH] > 0]
        values = np.concatenate((known, example.said[DEPTH].ravel()))
        near, far = float(values.min()), float(values.max())
        for images, word in pairs:
            depth = images[DEPTH]
            median = np.median(depth[depth > 0]) if (depth > 0).any() else np.nan
            colours = coloured_depth(depth, near, far, holes=True)
            row.append(Cell(colours, f"{word} {DEPTH}, {median:.2f} m"))
    return row


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
    with whole_file(path) as file:
        # Without the library's version in the file.
        figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
