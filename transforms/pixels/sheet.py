"""Sheets: pictures with captions in a grid, for people to look at.

It lies here because this is the lowest room with pictures: data sets, reports, collected pictures,
cut-outs, previews and predictions are all drawn by it. Text is drawn by Pillow with the font that
comes with matplotlib, which has the letters of most alphabets and a box for what it lacks.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fgbg.transforms.pixels import codec
from fgbg.transforms.pixels.pictures import Array, resize, resize_cutout

TEXT = 10
_INK = (40, 40, 40)
# Letters are drawn smaller where there is little room, but not smaller than this.
_SMALLEST_TEXT = 8
_SQUARE, _LIGHT, _DARK = 11, 235, 190


@dataclasses.dataclass(frozen=True)
class Cell:
    """A place in a sheet.

    Attributes:
        picture: uint8 [height, width] grey, [height, width, 3] BGR or [height, width, 4] BGRA,
            which is laid on a checkerboard; None: the place stays white.
        caption: A line above it.
        colour: RGB of the caption.
    """

    picture: Array | None
    caption: str = ""
    colour: tuple[int, int, int] = _INK


def draw(
    rows: Sequence[Sequence[Cell]],
    box: tuple[int, int],
    *,
    heading: str = "",
    footer: Sequence[str] = (),
    text: int = TEXT,
    gap: int = 8,
    enlarge: bool = False,
) -> Array:
    """Draws a sheet.

    Args:
        rows: Cells, row by row; rows may have fewer cells than the first.
        box: Width and height in pixels that pictures are shrunk to fit into. Columns are that wide;
            a row is as high as its highest picture.
        heading: A line above all.
        footer: Lines below all.
        text: Height of the letters in pixels; lines that do not fit are drawn smaller, then
            shortened in the middle.
        gap: Pixels between pictures.
        enlarge: Whether smaller pictures are enlarged to the box.

    Returns:
        uint8 BGR [height, columns * (box width + gap), 3].
    """
    width = max(len(row) for row in rows) * (box[0] + gap)
    bands = [_line(heading, width, text, gap)] if heading else []
    bands += [_band(row, width, box, text, gap, enlarge) for row in rows]
    bands += [_line(words, width, text, gap) for words in footer]
    return np.concatenate(bands)


def grid(cells: Sequence[Cell], columns: int) -> list[list[Cell]]:
    """Cells in rows of so many; the last row may have fewer."""
    return [list(cells[i : i + columns]) for i in range(0, len(cells), columns)]


def png(sheet: Array) -> bytes:
    """The PNG of a sheet: the same bytes for the same pixels."""
    # OpenCV's own level is made for speed: a third of the bytes is worth a tenth of a second.
    return codec.encode(".png", sheet, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def fit(image: Array, box: tuple[int, int], enlarge: bool = False) -> Array:
    """A picture resized to fit into a box, its aspect kept; no side gets shorter than a pixel.

    Args:
        image: uint8 [height, width], [height, width, 3] or [height, width, 4], alpha last.
        box: Width and height that it may have.
        enlarge: Whether one that is smaller is enlarged to it, with its pixels to be seen.

    Returns:
        uint8, no larger than the box, with the channels of the image.
    """
    height, width = image.shape[:2]
    factor = min(box[0] / width, box[1] / height)
    if factor == 1 or (factor > 1 and not enlarge):
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if factor > 1:
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return resize_cutout(image, size) if image.shape[2:] == (4,) else resize(image, size)


def grey_depth(metres: NDArray[np.float32], near: float, far: float) -> Array:
    """Depth [height, width] in grey, near (metres) black to far white: uint8 [height, width]."""
    above = np.maximum(metres - np.float32(near), 0) if near else metres
    return np.asarray(cv2.convertScaleAbs(above, alpha=255 / max(far - near, 1e-6)), np.uint8)


def coloured_depth(
    metres: NDArray[np.float32], near: float, far: float, holes: bool = False
) -> Array:
    """Depth in colours.

    Args:
        metres: float32 [height, width].
        near: Metres of yellow, and nearer.
        far: Metres of dark blue, and farther.
        holes: Whether 0 stands for depth that is not known, to be drawn black.

    Returns:
        uint8 BGR [height, width, 3].
    """
    colours = cv2.applyColorMap(255 - grey_depth(metres, near, far), cv2.COLORMAP_VIRIDIS)
    if holes:
        colours[metres <= 0] = 0
    return np.asarray(colours, np.uint8)


def shortened(words: str, most: int) -> str:
    """Words in one line: without control characters, and without their middle where they are long.

    Args:
        words: Such as a file's name.
        most: Characters that may be left of them.
    """
    shown = "".join("\ufffd" if unicodedata.category(sign)[0] == "C" else sign for sign in words)
    if len(shown) <= most:
        return shown
    tail = (most - 1) // 2  # the ending tells more than the middle
    return f"{shown[: most - 1 - tail]}…{shown[len(shown) - tail :]}"


def _band(
    row: Sequence[Cell], width: int, box: tuple[int, int], text: int, gap: int, enlarge: bool
) -> Array:
    """A row of cells, as wide as the sheet."""
    fitted = [
        None if cell.picture is None else _opaque(fit(cell.picture, box, enlarge)) for cell in row
    ]
    top = _height(text) if any(cell.caption for cell in row) else 0
    height = max((picture.shape[0] for picture in fitted if picture is not None), default=0)
    band = np.full((top + height + gap, width, 3), 255, np.uint8)
    for i, (cell, picture) in enumerate(zip(row, fitted, strict=True)):
        left = i * (box[0] + gap)
        if cell.caption:
            band[:top, left : left + box[0] + gap] = _line(
                cell.caption, box[0] + gap, text, gap, cell.colour
            )
        if picture is not None:
            x = left + (box[0] + gap - picture.shape[1]) // 2
            y = top + (height + gap - picture.shape[0]) // 2
            band[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return band


def _opaque(image: Array) -> Array:
    """BGR of a picture of any channels."""
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    if image.shape[2] == 3:
        return image
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]] // _SQUARE
    board = np.where((x + y) % 2, _DARK, _LIGHT)[..., None]
    alpha = image[..., 3:].astype(np.float32) / 255
    return np.rint(image[..., :3] * alpha + board * (1 - alpha)).astype(np.uint8)


def _height(text: int) -> int:
    """Pixels of a line."""
    return round(1.75 * text)


def _line(
    words: str, width: int, text: int, gap: int, colour: tuple[int, int, int] = _INK
) -> Array:
    """A line of text: uint8 BGR [height, width, 3]."""
    inset = max(6, gap // 2 + 2)
    room = max(1, width - 2 * inset)
    strip = Image.new("RGB", (width, _height(text)), "white")
    shown, size = shortened(words, len(words)), text
    while _font(size).getlength(shown) > room and size > _SMALLEST_TEXT:
        size -= 1
    font = _font(size)
    if font.getlength(shown) > room:
        fits, most = 1, len(shown)
        while most - fits > 1:
            middle = (fits + most) // 2
            if font.getlength(shortened(shown, middle)) <= room:
                fits = middle
            else:
                most = middle
        shown = shortened(shown, fits)
    place = inset, strip.height // 2
    ImageDraw.Draw(strip).text(place, shown, fill=colour, font=font, anchor="lm")
    return np.asarray(strip)[..., ::-1]


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    # Basic layout: the same everywhere, whether the library for complex scripts is there or not.
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
