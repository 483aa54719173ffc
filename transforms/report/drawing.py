"""Drawing by matplotlib as inline SVG.

Text stays text, and colours become CSS variables, so that a chart is sharp, can be read aloud and
follows the page into the dark. Equal numbers give equal bytes.
"""

from __future__ import annotations

import colorsys
import io
import re
from collections.abc import Sequence
from typing import Any

from fgbg.transforms.report.markup import Html, element

# Colours that matplotlib is given, and what they become.
_INK, _RULE = "#010101", "#020202"
_SERIES = tuple(f"#{i:02x}{i:02x}{i:02x}" for i in range(3, 11))
_STYLES = {
    _INK: "currentColor",
    _RULE: "var(--rule)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(_SERIES, 1)},
}
# Inches, at which the text has 12 pixels on a phone's page.
_WIDTH, _HEIGHT = 4.4, 3.0
_TEXT = 11
SETTINGS: dict[Any, Any] = {
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
}


def series(i: int) -> str:
    """The colour of the i-th of several things, from 0; none has that of another."""
    if i < len(_SERIES):
        return _SERIES[i]
    # By the golden ratio around the circle of hues, of a lightness that is seen on black and white;
    # it starts where the eight have left a gap.
    shares = colorsys.hls_to_rgb((0.28 + i * 0.6180339887498949) % 1, 0.5, 0.6)
    return "#" + "".join(f"{round(255 * share):02x}" for share in shares)


def keys(names: Sequence[str], lines: Sequence[str] = ()) -> Html:
    """What the colours of `series` stand for: beside the drawing, so that long names find room.

    Args:
        names: Of the things.
        lines: How they are drawn, by words of CSS such as "dashed"; areas if not given.
    """
    items = []
    for i, name in enumerate(names):
        colour = _STYLES.get(series(i), series(i))
        style, kind = f"background: {colour}", "swatch"
        if lines:
            style, kind = f"border-top: .2em {lines[i]} {colour}", "swatch line"
        items.append(element("li", element("span", class_=kind, style=style), name))
    return element("ul", *items, class_="keys")


def count_axis(axes: Any, label: str = "samples") -> None:
    """Makes the vertical axis one of numbers from 0."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.grid(axis="y")


def new_figure(square: bool = False) -> tuple[Any, Any]:
    """matplotlib's figure of a chart, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT * (1.05 if square else 1)), layout="constrained")
    return figure, figure.subplots()


def chart(name: str, figure: Any, title: str, text: str, *more: Html) -> Html:
    """A chart as a <figure> with its title and what it says in words.

    Args:
        name: Unique on the page.
        figure: matplotlib's.
        title: Of the chart.
        text: Beside it.
        more: After the text, such as `keys`.
    """
    svg = inline_svg(name, figure, title)
    caption = element("figcaption", element("h3", title), element("p", text), *more)
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
