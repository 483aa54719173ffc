"""One sample as a picture: overlay, mask, depth in grey and in colours, and its numbers."""

from __future__ import annotations

import io
import unicodedata
import warnings
from collections.abc import Callable
from typing import Any

import cv2

from fgbg.transforms.report.looks import Pictures, depth_pictures

# Inches of a picture's width with its margin, of its share without, and of a line of text.
_WIDTH = 3.0
_SHARE = 0.96
_LINE = 0.2
_DPI = 120
# Characters of a name: more are never shown, and fewer are no name.
_LONGEST, _SHORTEST = 300, 8
# Words, by the most characters of each name among them.
Line = Callable[[int], str]


def sheet(row: dict[str, Any], found: Pictures) -> bytes:
    """Draws a sample. The same sample gives the same bytes.

    Args:
        row: Its row of the manifest.
        found: Its pictures.

    Returns:
        A PNG.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: list[tuple[str, Any]] = [
        ("overlay", cv2.cvtColor(found.overlay, cv2.COLOR_BGR2RGB)),
        ("mask", cv2.cvtColor(found.mask, cv2.COLOR_GRAY2RGB)),
    ]
    if found.depth_m is not None:
        end = max(0.001, float(found.depth_m.max()))
        grey, colours = depth_pictures(found.depth_m, end)
        panels += [
            (f"depth, 0 m black to {end:.2f} m white", cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)),
            ("depth, near is yellow", cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)),
        ]
    height, width = found.mask.shape
    lines = _lines(row)
    text = _LINE * (len(lines) + 1)
    high = _SHARE * _WIDTH * height / width
    figure = Figure(figsize=(_WIDTH * len(panels), high + text + 0.35), dpi=_DPI)
    FigureCanvasAgg(figure)  # measures text as it will be drawn
    whole = figure.get_figheight()
    with (
        # File names from elsewhere are no formulas.
        matplotlib.rc_context({"text.parse_math": False, "font.size": 9}),
        warnings.catch_warnings(),
    ):
        # A box stands for a sign that the font lacks, and says so itself.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        for i, (title, image) in enumerate(panels):
            left = (i + 0.02) / len(panels)
            axes = figure.add_axes((left, text / whole, _SHARE / len(panels), high / whole))
            axes.imshow(image, interpolation="nearest", aspect="auto")
            axes.set_title(title, fontsize=9)
            axes.axis("off")
        for i, line in enumerate(lines):
            at = (text - _LINE * (i + 1)) / whole
            weight = "bold" if i == 0 else "normal"
            drawn = figure.text(0.02 / len(panels), at, "", va="baseline", fontweight=weight)
            _fit(drawn, line, (1 - 0.04 / len(panels)) * figure.bbox.width)
        buffer = io.BytesIO()
        # Without the library's version in the file.
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _fit(drawn: Any, line: Line, width: float) -> None:
    """Gives a text its words, with names as long as there is room for.

    Args:
        drawn: matplotlib's text.
        line: Its words, by the most characters of a name.
        width: Pixels that there are.
    """
    fits, too_long = _SHORTEST, _LONGEST + 1
    drawn.set_text(line(_LONGEST))
    if drawn.get_window_extent().width <= width:
        return
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        drawn.set_text(line(middle))
        if drawn.get_window_extent().width <= width:
            fits = middle
        else:
            too_long = middle
    drawn.set_text(line(fits))


def shortened(name: str, most: int) -> str:
    """A name in one line: without control characters, and without its middle where it is long.

    Args:
        name: A file's name.
        most: Characters that may be left of it.
    """
    shown = "".join("\ufffd" if unicodedata.category(sign)[0] == "C" else sign for sign in name)
    if len(shown) <= most:
        return shown
    tail = (most - 1) // 2  # the ending tells more than the middle
    return f"{shown[: most - 1 - tail]}…{shown[len(shown) - tail :]}"


def _lines(row: dict[str, Any]) -> list[Line]:
    direction = "mirrored" if row["mirrored"] else "as given"
    lines: list[Line] = [
        lambda most: f"{row['key']} ({shortened(row['split'], most)})",
        lambda most: (
            f"{shortened(row['fg_file'], most)}, {direction}, on {shortened(row['bg_file'], most)}"
        ),
        lambda _: (
            f"box {row['width']} x {row['height']} at {row['x']}, {row['y']}; mask "
            f"{row['mask_area']:,} pixels"
        ),
        lambda _: (
            f"placed {row['canvas_width']} x {row['canvas_height']} at {row['canvas_x']}, "
            f"{row['canvas_y']} on the canvas"
        ),
    ]
    if row["depth_mean_m"] is not None:
        lines.append(
            lambda _: (
                f"depth {row['depth_min_m']:.3f} to {row['depth_max_m']:.3f} m, "
                f"mean {row['depth_mean_m']:.3f} m"
            )
        )
    return lines
