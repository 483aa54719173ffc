"""The distributions of a data set as charts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.job.job import Job
from fgbg.transforms.report import input_charts
from fgbg.transforms.report.drawing import SETTINGS, chart, count_axis, keys, new_figure, series
from fgbg.transforms.report.looks import Looks, depth_bins
from fgbg.transforms.report.markup import Html
from fgbg.transforms.report.survey import DEPTH_KINDS, Distribution, Survey
from fgbg.transforms.report.words import count

_BARS = 48


def all_charts(job: Job, survey: Survey, looks: Looks) -> list[Html]:
    """Every chart that there are numbers for, as <figure> elements."""
    import matplotlib

    with matplotlib.rc_context(SETTINGS):
        charts = [_covered(survey), _positions(job, survey)]
        charts += [
            _histogram(
                "height",
                survey.height,
                "Size of the foregrounds",
                "height placed, share of the picture's height",
            ),
            _histogram(
                "coverage",
                survey.coverage,
                "Mask coverage",
                "mask pixels, share of the picture's pixels",
            ),
            _histogram(
                "fill",
                survey.fill,
                "How much of its box a foreground fills",
                "mask pixels, share of the visible part of the box",
            ),
        ]
        if survey.depth:
            charts += [_depth_of_samples(survey), _depth_of_pixels(job, looks)]
        charts.append(input_charts.per_background(job, survey.per_background))
        charts.append(input_charts.per_foreground(job, survey.per_foreground))
        return charts


def _covered(survey: Survey) -> Html:
    shares = survey.covered / max(1, survey.samples)
    figure, axes = new_figure(square=True)
    _heat(figure, axes, shares, "share of samples")
    for share, x, y in zip(survey.corner_shares(), (0, 1, 0, 1), (1, 1, 0, 0), strict=True):
        axes.text(
            0.97 if x else 0.03,
            0.96 if y else 0.04,
            f"{share:.2%}",
            color="#ffffff",
            ha="right" if x else "left",
            va="top" if y else "bottom",
            transform=axes.transAxes,
            bbox={"facecolor": "#000000", "alpha": 0.65, "edgecolor": "none", "pad": 2},
        )
    corners = ", ".join(f"{share:.2%}" for share in survey.corner_shares())
    return chart(
        "covered",
        figure,
        "Where the foregrounds are",
        "How often a foreground's box touches each part of the picture, with the shares of the "
        f"four corners written in them: {corners} (upper left, upper right, lower left, lower "
        "right).",
    )


def _positions(job: Job, survey: Survey) -> Html:
    figure, axes = new_figure(square=True)
    _heat(figure, axes, survey.positions / max(1, survey.samples), "share of samples")
    axes.set_xlabel("touching left … touching right")
    axes.set_ylabel("touching bottom … touching top")
    text = (
        "Where each foreground stands within the room that it has; every position that keeps it "
        "inside is as likely as any other, so this is even, corners and edges included."
    )
    if job.configuration.truncation:
        text = (
            "Where each foreground stands within the room that it has, up to "
            f"{job.configuration.truncation:.0%} of its box outside the picture; near the corners "
            "fewer positions are allowed."
        )
    expected = survey.samples / max(1, survey.positions.size)
    text += f" {expected:,.2f} samples a cell on average, {int(survey.positions.min()):,} to "
    text += f"{int(survey.positions.max()):,}."
    return chart("positions", figure, "Placement within the picture", text)


def _histogram(name: str, values: Distribution, title: str, label: str) -> Html:
    counts, edges = _coarse(values)
    figure, axes = new_figure()
    axes.stairs(counts, edges, fill=True, color=series(0))
    count_axis(axes)
    axes.set_xlabel(label)
    axes.set_xlim(edges[0], edges[-1])
    text = (
        f"Mean {values.mean:.3f}, median about {values.quantile(0.5):.3f}, "
        f"{_end(values.least):.3f} to {_end(values.greatest):.3f}."
    )
    return chart(name, figure, title, text)


def _depth_of_samples(survey: Survey) -> Html:
    figure, axes = new_figure()
    words = {"min": "nearest pixel", "mean": "mean", "max": "farthest pixel"}
    # One pass over all three, so that their bins are the same.
    least = min(survey.depth[kind].least for kind in DEPTH_KINDS)
    greatest = max(survey.depth[kind].greatest for kind in DEPTH_KINDS)
    for i, (kind, line) in enumerate(zip(DEPTH_KINDS, ("-", "--", ":"), strict=True)):
        counts, edges = _coarse(survey.depth[kind], least, greatest)
        axes.stairs(counts, edges, color=series(i), linestyle=line, linewidth=1.8)
    count_axis(axes)
    axes.set_xlabel("metres")
    means = ", ".join(f"{words[kind]} {survey.depth[kind].mean:.2f} m" for kind in DEPTH_KINDS)
    return chart(
        "depth-samples",
        figure,
        "Depth of each sample",
        f"Of all samples, from the manifest. On average: {means}.",
        keys([words[kind] for kind in DEPTH_KINDS], ("solid", "dashed", "dotted")),
    )


def _depth_of_pixels(job: Job, looks: Looks) -> Html:
    figure, axes = new_figure()
    read = [look.depth_counts for look in looks.all if look.depth_counts is not None]
    counts = np.sum(read, axis=0) if read else np.zeros(1, np.int64)
    used = np.flatnonzero(counts)
    first, end = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
    start, width = depth_bins(job)
    # Few enough bars that the levels of a quantised network are no comb.
    bars, edges = _bars(counts, first, end, start, width)
    axes.stairs(bars / max(1, counts.sum()), edges, fill=True, color=series(0))
    count_axis(axes, "share of pixels")
    axes.set_xlabel("metres")
    return chart(
        "depth-pixels",
        figure,
        "Depth of pixels",
        f"Of {count(len(read), 'sample')} from all over the data set, read back as stored.",
    )


def _coarse(
    values: Distribution, least: float | None = None, greatest: float | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The occupied part of a histogram, in few enough bars to be seen."""
    low = _end(values.least if least is None else least)
    high = _end(values.greatest if greatest is None else greatest)
    first, last = (int(values.bins(np.array([value]))[0]) for value in (low, high))
    return _bars(values.counts, first, max(first, last) + 1, values.start, values.width)


def _bars(
    counts: NDArray[np.int64], first: int, end: int, start: float, width: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Bins first to end - 1 in bars of equally many, and the bars' edges.

    Args:
        counts: Of all bins.
        first: The first bin that is shown.
        end: The one after the last.
        start: Where bin 0 begins.
        width: Of a bin.
    """
    step = max(1, -(-(end - first) // _BARS))
    starts = np.arange(first, end, step)
    heights = np.add.reduceat(counts[:end], starts)
    return heights, start + np.append(starts, starts[-1] + step) * width


def _end(value: float) -> float:
    return value if np.isfinite(value) else 0.0


def _heat(figure: Any, axes: Any, shares: NDArray[np.float64], label: str) -> None:
    from matplotlib.ticker import PercentFormatter

    greatest = float(shares.max()) or 1.0
    drawn = axes.imshow(shares, cmap="viridis", vmin=0, vmax=greatest, interpolation="none")
    axes.set_xticks([])
    axes.set_yticks([])
    bar = figure.colorbar(drawn, ax=axes, label=label, shrink=0.85)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
