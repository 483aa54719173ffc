"""How evenly the inputs were used, as charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.job.job import InputPicture, Job
from fgbg.transforms.report.drawing import chart, count_axis, keys, new_figure, series
from fgbg.transforms.report.markup import Html
from fgbg.transforms.report.words import named

Counts = NDArray[np.int64]

# Of more inputs than this, bars touch each other; of more than that, several share one.
_SINGLE_BARS = 60
MOST_BARS = 200
_FEWEST_NAMED = 5


def per_background(job: Job, counts: Counts) -> Html:
    """Samples of each background, in the colour of its split.

    Args:
        job: The data set's job.
        counts: Samples of each, by its number - 1.
    """
    if counts.size > MOST_BARS:
        return _of_groups("background", job.backgrounds, counts)
    figure, axes = new_figure()
    own = [background.split for background in job.backgrounds]
    splits = [name for name, _ in job.configuration.splits if name in own]
    for i, split in enumerate(splits):
        of_it = np.array([name == split for name in own])
        _bars(axes, np.where(of_it, counts, 0), series(i))
    return _finished("background", figure, axes, _evenness(job.backgrounds, counts), keys(splits))


def per_foreground(job: Job, counts: Counts) -> Html:
    """Samples of each foreground; arguments as of `per_background`."""
    if counts.size > MOST_BARS:
        return _of_groups("foreground", job.foregrounds, counts)
    figure, axes = new_figure()
    _bars(axes, counts, series(0))
    return _finished("foreground", figure, axes, _evenness(job.foregrounds, counts))


def _of_groups(kind: str, inputs: Sequence[InputPicture], counts: Counts) -> Html:
    """Bars of several inputs each, so that neither they nor the page's size are out of hand."""
    size = -(-counts.size // MOST_BARS)
    starts = np.arange(0, counts.size, size)
    edges = np.append(starts, counts.size)
    means = np.add.reduceat(counts, starts) / np.diff(edges)
    figure, axes = new_figure()
    axes.stairs(means, edges + 0.5, fill=True, color=series(0))
    axes.stairs(np.minimum.reduceat(counts, starts), edges + 0.5, color=series(1), linewidth=1.5)
    axes.set_xlim(0.5, counts.size + 0.5)
    text = f"{_evenness(inputs, counts)} Each bar stands for {size} {kind}s."
    return _finished(kind, figure, axes, text, keys(["mean of them", "fewest of them"]))


def _finished(kind: str, figure: Any, axes: Any, text: str, *more: Html) -> Html:
    from matplotlib.ticker import MaxNLocator

    count_axis(axes)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel(f"number of the {kind}")
    return chart(f"{kind}s", figure, f"Samples of each {kind}", text, *more)


def _evenness(inputs: Sequence[InputPicture], counts: Counts) -> str:
    least, greatest = int(counts.min()), int(counts.max())
    if least == greatest:
        return f"{least:,} each."
    fewest = [inputs[i].file for i in np.flatnonzero(counts == least).tolist()]
    return (
        f"{least:,} to {greatest:,}, {counts.mean():,.1f} on average. Fewest: "
        f"{named(fewest, _FEWEST_NAMED)}."
    )


def _bars(axes: Any, counts: Counts, colour: str) -> None:
    if counts.size > _SINGLE_BARS:
        edges = np.arange(counts.size + 1) + 0.5
        axes.stairs(counts, edges, fill=True, color=colour)
        axes.set_xlim(0.5, counts.size + 0.5)
    else:
        used = np.flatnonzero(counts)
        axes.bar(used + 1, counts[used], width=0.8, color=colour)
        axes.set_xlim(0.4, counts.size + 0.6)
