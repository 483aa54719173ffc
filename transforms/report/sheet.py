"""One sample as a picture: overlay, mask, depth in grey and in colours, and its numbers."""

from __future__ import annotations

import io
from typing import Any

import cv2

from transforms.report.looks import Pictures, depth_pictures

# Inches of a picture's width with its margin, of its share without, and of a line of text.
_WIDTH = 3.0
_SHARE = 0.96
_LINE = 0.2
_DPI = 120


def sheet(row: dict[str, Any], found: Pictures) -> bytes:
    """Draws a sample. The same sample gives the same bytes.

    Args:
        row: Its row of the manifest.
        found: Its pictures.

    Returns:
        A PNG.
    """
    import matplotlib
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
    lines = _lines(row)
    height, width = found.mask.shape
    text = _LINE * (len(lines) + 1)
    high = _SHARE * _WIDTH * height / width
    figure = Figure(figsize=(_WIDTH * len(panels), high + text + 0.35))
    whole = figure.get_figheight()
    # File names from elsewhere are no formulas.
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 9}):
        for i, (title, image) in enumerate(panels):
            left = (i + 0.02) / len(panels)
            axes = figure.add_axes((left, text / whole, _SHARE / len(panels), high / whole))
            axes.imshow(image, interpolation="nearest", aspect="auto")
            axes.set_title(title, fontsize=9)
            axes.axis("off")
        for i, line in enumerate(lines):
            at = (text - _LINE * (i + 0.4)) / whole
            weight = "bold" if i == 0 else "normal"
            figure.text(0.02 / len(panels), at, line, va="top", fontweight=weight)
        buffer = io.BytesIO()
        # Without the library's version in the file.
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _lines(row: dict[str, Any]) -> list[str]:
    direction = "mirrored" if row["mirrored"] else "as given"
    lines = [
        f"{row['key']} ({row['split']})",
        f"{row['fg_file']}, {direction}, on {row['bg_file']}",
        f"box {row['width']} x {row['height']} at {row['x']}, {row['y']}; mask "
        f"{row['mask_area']:,} pixels; placed {row['canvas_width']} x {row['canvas_height']} at "
        f"{row['canvas_x']}, {row['canvas_y']} on the canvas",
    ]
    if row["depth_mean_m"] is not None:
        lines.append(
            f"depth {row['depth_min_m']:.3f} to {row['depth_max_m']:.3f} m, "
            f"mean {row['depth_mean_m']:.3f} m"
        )
    return lines
