"""One sample as a picture: overlay, mask, depth in grey and in colours, and its numbers."""

from __future__ import annotations

from typing import Any

from fgbg.transforms.pixels.sheet import Cell, draw, png
from fgbg.transforms.report.looks import Pictures, depth_pictures

_SIDE, _GAP, _TEXT = 346, 14, 15


def sheet(row: dict[str, Any], found: Pictures) -> bytes:
    """Draws a sample. The same sample gives the same bytes.

    Args:
        row: Its row of the manifest.
        found: Its pictures.

    Returns:
        A PNG.
    """
    cells = [Cell(found.overlay, "overlay"), Cell(found.mask, "mask")]
    if found.depth_m is not None:
        end = max(0.001, float(found.depth_m.max()))
        grey, colours = depth_pictures(found.depth_m, end)
        cells.append(Cell(grey, f"depth, 0 m black to {end:.2f} m white"))
        cells.append(Cell(colours, "depth, near is yellow"))
    height, width = found.mask.shape
    box = _SIDE, max(1, round(_SIDE * height / width))
    heading, *numbers = _lines(row)
    drawn = draw([cells], box, heading=heading, footer=numbers, text=_TEXT, gap=_GAP, enlarge=True)
    return png(drawn)


def _lines(row: dict[str, Any]) -> list[str]:
    lines = [
        f"{row['key']} ({row['split']}), {'mirrored' if row['mirrored'] else 'as given'}",
        f"foreground {row['fg_file']}",
        f"background {row['bg_file']}",
        f"box {row['width']} x {row['height']} at {row['x']}, {row['y']}; mask "
        f"{row['mask_area']:,} pixels",
        f"placed {row['canvas_width']} x {row['canvas_height']} at {row['canvas_x']}, "
        f"{row['canvas_y']} on the canvas",
    ]
    if row["depth_mean_m"] is not None:
        lines.append(
            f"depth {row['depth_min_m']:.3f} to {row['depth_max_m']:.3f} m, "
            f"mean {row['depth_mean_m']:.3f} m"
        )
    return lines
