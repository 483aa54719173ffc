"""Pictures of touched restart segments: what pixels.jpeg.splice has encoded in one call.

To pay once for what a call costs, the touched segments of many pictures are stacked and encoded as
one tall picture. Where all segments of the picture are of one size they are laid out one after the
other, without those that show nothing but the background. Otherwise the encoder fills up MCUs
(ITU-T T.81, A.2.4) at the right and lower edge. A part that reaches such an edge must end there in
its stack as well, to be filled up alike: there whole boxes are stacked with others of equal width,
and one that reaches an uneven lower edge stands last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.pixels.placement import Box

# For each row of a box, its first column to be encoded and the one after the last: intp [2, rows].
Extents = NDArray[np.intp]
# Places of segments in a picture that follow each other: the first, and how many.
Run = tuple[int, int]

# Rows of a stack: libjpeg takes 65,500; far fewer cost the same and need less memory.
STACK_ROWS = 4096


class Grid(NamedTuple):
    """A background and its restart segments.

    Attributes:
        picture: uint8 [h, w, 3] BGR or [h, w] grey.
        segment: Width and height in pixels that a segment codes; less at uneven edges.
        columns: Segments in a row of MCUs.
    """

    picture: Array
    segment: tuple[int, int]
    columns: int

    @property
    def even(self) -> bool:
        """Whether all segments are of one size."""
        height, width = self.picture.shape[:2]
        return not (width % self.segment[0] or height % self.segment[1])


class Stack(NamedTuple):
    """Touched segments of some pictures.

    Attributes:
        members: Which pictures, of those given.
        pixels: uint8 [rows, width, 3] or [rows, width]: their segments in order, row by row, and
            perhaps a few of no use after the last.
        runs: Of each member, where in its picture the segments belong.
    """

    members: list[int]
    pixels: Array
    runs: list[list[Run]]


class _Span(NamedTuple):
    """The segments that a box touches: rows top..bottom - 1, columns left..right - 1."""

    top: int
    bottom: int
    left: int
    right: int


def stacks(
    grid: Grid,
    boxes: Mapping[int, Box],
    patches: Sequence[Array],
    extents: Sequence[Extents | None] | None,
) -> Iterator[Stack]:
    """Stacks of all segments that are touched.

    Args:
        grid: The background.
        boxes: By picture, where its patch lies, wholly inside of the background; not empty.
        patches: Of all pictures: uint8 [box.height, box.width, 3] or [box.height, box.width].
        extents: Of all pictures: which columns of each patch may differ from the background, row by
            row; empty where the first is not before the end. None: all.
    """
    spans = {i: _span(grid, box) for i, box in boxes.items()}
    if grid.even:
        return _of_segments(grid, spans, boxes, patches, extents)
    return _of_spans(grid, spans, boxes, patches)


def _span(grid: Grid, box: Box) -> _Span:
    width, height = grid.segment
    bottom, right = -(-(box.y + box.height) // height), -(-(box.x + box.width) // width)
    return _Span(box.y // height, bottom, box.x // width, right)


def _of_segments(
    grid: Grid,
    spans: Mapping[int, _Span],
    boxes: Mapping[int, Box],
    patches: Sequence[Array],
    extents: Sequence[Extents | None] | None,
) -> Iterator[Stack]:
    """Stacks as wide as the picture, of equal segments."""
    runs = _runs(grid, spans, boxes, extents)
    height, columns = grid.segment[1], grid.columns
    # The patches stand in one picture in turn, while their segments are taken from it.
    picture = grid.picture.copy()
    rows = picture.reshape(len(picture) // height, height, columns, -1)
    waiting: list[int] = []
    total = 0
    most = columns * (STACK_ROWS // height)
    for i, of_one in runs.items():
        count = sum(n for _, n in of_one)
        if waiting and total + count > most:
            chosen = {i: runs[i] for i in waiting}
            yield _lay_out(rows, total, chosen, picture, grid.picture, boxes, patches)
            waiting, total = [], 0
        waiting.append(i)
        total += count
    if waiting:
        chosen = {i: runs[i] for i in waiting}
        yield _lay_out(rows, total, chosen, picture, grid.picture, boxes, patches)


def _runs(
    grid: Grid,
    spans: Mapping[int, _Span],
    boxes: Mapping[int, Box],
    extents: Sequence[Extents | None] | None,
) -> dict[int, list[Run]]:
    """The touched segments of each picture: a run in each row of segments; it may be empty."""
    if not spans:
        return {}
    # All at once: a NumPy call costs more than what it does for one of them. One value for each row
    # of segments of each picture from here on.
    top, bottom, left, right = np.array(list(spans.values()), np.intp).T
    counts = bottom - top
    ends = np.cumsum(counts)
    row = np.arange(ends[-1]) + np.repeat(top - (ends - counts), counts)
    first, behind = np.repeat(left, counts), np.repeat(right, counts)
    known = [] if extents is None else [e for e in (extents[i] for i in spans) if e is not None]
    if len(known) == len(spans):
        width, height = grid.segment
        x, y, _, box_height = np.array([boxes[i] for i in spans], np.intp).T
        # Where the rows of pixels of each row of segments begin, among those of all boxes.
        before = np.repeat(np.cumsum(box_height) - box_height - y, counts)
        starts = before + np.maximum(row * height, np.repeat(y, counts))
        columns: Extents = np.concatenate(known, axis=1)
        x = np.repeat(x, counts)
        first = (np.minimum.reduceat(columns[0], starts) + x) // width
        behind = -(-(np.maximum.reduceat(columns[1], starts) + x) // width)
        behind = np.maximum(behind, first)
    flat = list(zip((row * grid.columns + first).tolist(), (behind - first).tolist(), strict=True))
    places = [0, *ends.tolist()]
    return {i: flat[a:b] for i, a, b in zip(spans, places[:-1], places[1:], strict=True)}


def _lay_out(
    rows: Array,
    total: int,
    runs: Mapping[int, list[Run]],
    picture: Array,
    background: Array,
    boxes: Mapping[int, Box],
    patches: Sequence[Array],
) -> Stack:
    """Segments in rows, as many in each as the picture has; the last row is filled up.

    Args:
        rows: A view of `picture`, [rows of segments, height, columns, width * channels].
        total: Number of segments.
        runs: What to lay out.
        picture: The background, changed and restored.
        background: The background.
        boxes: Where patches lie.
        patches: The patches.
    """
    _, height, columns, length = rows.shape
    # At least one row: an encoder wants a picture.
    laid = np.empty((max(1, -(-total // columns)), height, columns, length), np.uint8)
    laid[-1] = 0
    to_row = to_column = 0
    for i, of_one in runs.items():
        box = boxes[i]
        place = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
        picture[place] = patches[i]
        for first, count in of_one:
            row, column = divmod(first, columns)
            while count:
                n = min(count, columns - to_column)
                laid[to_row, :, to_column : to_column + n] = rows[row, :, column : column + n]
                column, count, to_column = column + n, count - n, to_column + n
                if to_column == columns:
                    to_row, to_column = to_row + 1, 0
        picture[place] = background[place]
    pixels = laid.reshape(len(laid) * height, *background.shape[1:])
    return Stack(list(runs), pixels, list(runs.values()))


def _of_spans(
    grid: Grid, spans: Mapping[int, _Span], boxes: Mapping[int, Box], patches: Sequence[Array]
) -> Iterator[Stack]:
    """Stacks of whole spans, where segments are not all of one size."""
    columns = grid.columns
    for members in _equally_wide(grid, spans):
        areas = [_pixels(grid, spans[i]) for i in members]
        width = areas[0].width
        shape = sum(area.height for area in areas), width, *grid.picture.shape[2:]
        pixels = np.empty(shape, np.uint8)
        row = 0
        for i, area in zip(members, areas, strict=True):
            part = pixels[row : row + area.height]
            part[:] = grid.picture[area.y : area.y + area.height, area.x : area.x + width]
            x, y = boxes[i].x - area.x, boxes[i].y - area.y
            part[y : y + boxes[i].height, x : x + boxes[i].width] = patches[i]
            row += area.height
        runs = [
            [(row * columns + s.left, s.right - s.left) for row in range(s.top, s.bottom)]
            for s in (spans[i] for i in members)
        ]
        yield Stack(members, pixels, runs)


def _pixels(grid: Grid, span: _Span) -> Box:
    """The pixels of a span: whole segments, but inside of the picture."""
    width, height = grid.segment
    x, y = span.left * width, span.top * height
    picture_height, picture_width = grid.picture.shape[:2]
    right, bottom = (
        min(span.right * width, picture_width),
        min(span.bottom * height, picture_height),
    )
    return Box(x, y, right - x, bottom - y)


def _equally_wide(grid: Grid, spans: Mapping[int, _Span]) -> Iterator[list[int]]:
    """Which spans are stacked: of equal width, one that ends unevenly last."""
    waiting: dict[int, tuple[list[int], int]] = {}
    for i, span in spans.items():
        _, _, width, height = _pixels(grid, span)
        members, rows = waiting.pop(width, ([], 0))
        if rows + height > STACK_ROWS and members:
            yield members
            members, rows = [], 0
        members.append(i)
        if height % grid.segment[1]:
            yield members
        else:
            waiting[width] = members, rows + height
    for members, _ in waiting.values():
        yield members
