"""The distributions of a data set as inline SVG, drawn by matplotlib.

Text stays text, and colours become CSS variables, so that a chart is sharp, can be read aloud and
follows the page into the dark. Equal numbers give equal bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.job import Job
from transforms.report.looks import Looks, depth_bins
from transforms.report.markup import Html, element
from transforms.report.survey import DEPTH_KINDS, Distribution, Survey

# Colours that matplotlib is given, and what they become.
_INK, _RULE = "#010101", "#020202"
_SERIES = ("#030303", "#040404", "#050505", "#060606")
_STYLES = {
    _INK: "currentColor",
    _RULE: "var(--rule)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(_SERIES, 1)},
}
_WIDTH, _HEIGHT = 5.0, 3.3
_TEXT = 10.5
_BARS = 48
# Of more inputs than this, bars touch each other.
_SINGLE_BARS = 60
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": _TEXT,
    "axes.titlesize": _TEXT,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": _TEXT,
}


def all_charts(job: Job, survey: Survey, looks: Looks) -> list[Html]:
    """Every chart that there are numbers for, as <figure> elements."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
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
        return [*charts, _per_background(job, survey), _per_foreground(job, survey)]


def _covered(survey: Survey) -> Html:
    shares = survey.covered / max(1, survey.samples)
    figure, axes = _figure(square=True)
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
    return _chart(
        "covered",
        figure,
        "Where the foregrounds are",
        "How often a foreground's box touches each part of the picture, with the shares of the "
        f"four corners written in them: {corners} (upper left, upper right, lower left, lower "
        "right).",
    )


def _positions(job: Job, survey: Survey) -> Html:
    figure, axes = _figure(square=True)
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
    return _chart("positions", figure, "Placement within the picture", text)


def _histogram(name: str, values: Distribution, title: str, label: str) -> Html:
    counts, edges = _coarse(values)
    figure, axes = _figure()
    axes.stairs(counts, edges, fill=True, color=_SERIES[0])
    _count_axis(axes)
    axes.set_xlabel(label)
    axes.set_xlim(edges[0], edges[-1])
    text = (
        f"Mean {values.mean:.3f}, median about {values.quantile(0.5):.3f}, "
        f"{_end(values.least):.3f} to {_end(values.greatest):.3f}."
    )
    return _chart(name, figure, title, text)


def _depth_of_samples(survey: Survey) -> Html:
    figure, axes = _figure()
    words = {"min": "nearest pixel", "mean": "mean", "max": "farthest pixel"}
    # One pass over all three, so that their bins are the same.
    least = min(survey.depth[kind].least for kind in DEPTH_KINDS)
    greatest = max(survey.depth[kind].greatest for kind in DEPTH_KINDS)
    for kind, colour, line in zip(DEPTH_KINDS, _SERIES, ("-", "--", ":"), strict=False):
        counts, edges = _coarse(survey.depth[kind], least, greatest)
        axes.stairs(counts, edges, color=colour, linestyle=line, linewidth=1.8, label=words[kind])
    axes.legend()
    _count_axis(axes)
    axes.set_xlabel("metres")
    means = ", ".join(f"{words[kind]} {survey.depth[kind].mean:.2f} m" for kind in DEPTH_KINDS)
    return _chart(
        "depth-samples",
        figure,
        "Depth of each sample",
        f"Of all samples, from the manifest. On average: {means}.",
    )


def _depth_of_pixels(job: Job, looks: Looks) -> Html:
    figure, axes = _figure()
    read = [look.depth_counts for look in looks.all if look.depth_counts is not None]
    counts = np.sum(read, axis=0) if read else np.zeros(1, np.int64)
    used = np.flatnonzero(counts)
    first, end = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
    start, width = depth_bins(job)
    edges = start + np.arange(first, end + 1) * width
    axes.stairs(counts[first:end] / max(1, counts.sum()), edges, fill=True, color=_SERIES[0])
    _count_axis(axes, "share of pixels")
    axes.set_xlabel("metres")
    return _chart(
        "depth-pixels",
        figure,
        "Depth of pixels",
        f"Of {len(read)} samples from all over the data set, read back as stored.",
    )


def _per_background(job: Job, survey: Survey) -> Html:
    figure, axes = _figure()
    splits = [name for name, _ in job.configuration.splits]
    for i, split in enumerate(splits):
        own = np.array([background.split == split for background in job.backgrounds])
        if own.any():
            _bars(axes, np.where(own, survey.per_background, 0), _SERIES[i % len(_SERIES)], split)
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    _count_axis(axes)
    axes.set_xlabel("number of the background")
    return _chart(
        "backgrounds", figure, "Samples of each background", _evenness(survey.per_background)
    )


def _per_foreground(job: Job, survey: Survey) -> Html:
    figure, axes = _figure()
    _bars(axes, survey.per_foreground, _SERIES[0], None)
    _count_axis(axes)
    axes.set_xlabel("number of the foreground")
    return _chart(
        "foregrounds", figure, "Samples of each foreground", _evenness(survey.per_foreground)
    )


def _evenness(counts: NDArray[np.int64]) -> str:
    least, greatest = int(counts.min()), int(counts.max())
    if least == greatest:
        return f"{least:,} each."
    return f"{least:,} to {greatest:,}, {counts.mean():,.1f} on average."


def _bars(axes: Any, counts: NDArray[np.int64], colour: str, label: str | None) -> None:
    if counts.size > _SINGLE_BARS:
        edges = np.arange(counts.size + 1) + 0.5
        axes.stairs(counts, edges, fill=True, color=colour, label=label)
        axes.set_xlim(0.5, counts.size + 0.5)
    else:
        used = np.flatnonzero(counts)
        axes.bar(used + 1, counts[used], width=0.8, color=colour, label=label)
        axes.set_xlim(0.4, counts.size + 0.6)
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def _coarse(
    values: Distribution, least: float | None = None, greatest: float | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The occupied part of a histogram, in few enough bars to be seen."""
    low = _end(values.least if least is None else least)
    high = _end(values.greatest if greatest is None else greatest)
    first = int(low / values.width + 1e-9)
    end = max(first + 1, min(int(high / values.width + 1e-9) + 1, values.counts.size))
    first = min(first, end - 1)
    step = max(1, -(-(end - first) // _BARS))
    starts = np.arange(first, end, step)
    counts = np.add.reduceat(values.counts[:end], starts)
    return counts, np.append(starts, starts[-1] + step) * values.width


def _end(value: float) -> float:
    return value if np.isfinite(value) else 0.0


def _count_axis(axes: Any, label: str = "samples") -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.grid(axis="y")


def _figure(square: bool = False) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT * (1.15 if square else 1)), layout="constrained")
    return figure, figure.subplots()


def _heat(figure: Any, axes: Any, shares: NDArray[np.float64], label: str) -> None:
    from matplotlib.ticker import PercentFormatter

    greatest = float(shares.max()) or 1.0
    drawn = axes.imshow(shares, cmap="viridis", vmin=0, vmax=greatest, interpolation="none")
    axes.set_xticks([])
    axes.set_yticks([])
    bar = figure.colorbar(drawn, ax=axes, label=label, shrink=0.85)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))


def _chart(name: str, figure: Any, title: str, text: str) -> Html:
    """The chart as a <figure> with its title and what it says in words."""
    svg = inline_svg(name, figure, title)
    caption = element("figcaption", element("h3", title), element("p", text))
    return element("figure", caption, svg, class_="chart", id=f"chart-{name}")


def inline_svg(name: str, figure: Any, title: str) -> Html:
    """A figure as an <svg> element for a page.

    Args:
        name: Unique on the page; it goes before all identifiers of the drawing.
        figure: matplotlib's.
        title: For whoever does not see it.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": f"fgbg {name}"}):
        figure.savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for pattern, replacement in _rewriting(name, title):
        text = re.sub(pattern, replacement, text, flags=re.DOTALL)
    for colour, style in _STYLES.items():
        text = text.replace(colour, style)
    return Html(text.strip())


def _rewriting(name: str, title: str) -> Sequence[tuple[str, str]]:
    opening = element("svg", role="img", aria_label=title)[:-7]
    return (
        # Its size is the page's business; the date and the library's version are nobody's.
        (r"<metadata>.*?</metadata>", ""),
        (r"<!--.*?-->", ""),
        (r'<style type="text/css">.*?</style>', ""),
        (r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'{opening} viewBox="\1">'),
        (r'\bid="', f'id="{name}-'),
        (r'href="#', f'href="#{name}-'),
        (r"url\(#", f"url(#{name}-"),
        (r"xlink:href", "href"),
        (r"font: ([\d.]+px)[^;\"]*", r"font-size: \1"),
        (r"font-family: [^;\"]*;? ?", ""),
        (r"base64,\n", "base64,"),
        (r"\n\s*", "\n"),
    )
