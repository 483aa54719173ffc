"""JPEGs of pictures that differ from a background inside a box: only the box is encoded.

With a restart interval (ITU-T T.81, B.2.4.4) the entropy-coded data of a baseline JPEG is a row of
segments that can be decoded, and so encoded, one without the other: at each the DC prediction
starts again (F.1.1.5.1) and bits are filled up to a byte (F.1.2.3). Between two of them stands the
marker RSTm, where m counts segments modulo 8 (E.1.4). So the background is encoded once; of each
picture only the segments that its box touches are encoded, and put in the place of the
background's. The Huffman tables are the fixed ones (K.3) and blocks are transformed one by one, so
the bytes are those that the encoder gives for the whole picture with the same interval.

To pay once for what a call costs, the touched segments of many pictures are stacked and encoded as
one tall picture; its segments are cut apart and numbered anew. Where all segments of the picture
are of one size they are laid out one after the other, without those that show nothing but the
background. Otherwise the encoder fills up MCUs (A.2.4) at the right and lower edge. A part that
reaches such an edge must end there in its stack as well, to be filled up alike: there whole boxes
are stacked with others of equal width, and one that reaches an uneven lower edge stands last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from transforms import jpeg_stream
from transforms.pictures import Array
from transforms.placement import Box

# For each row of a box, its first column to be encoded and the one after the last: intp [2, rows].
Extents = NDArray[np.intp]
# Places of segments in a picture that follow each other: the first, and how many.
_Run = tuple[int, int]

# Rows of a stack: libjpeg takes 65,500; far fewer cost the same and need less memory.
_STACK_ROWS = 4096
# Pixels of a segment's width, at least: see `best_interval`.
_COLOUR_SEGMENT, _GREY_SEGMENT = 32, 112


@dataclasses.dataclass(frozen=True)
class SplicedBackground:
    """A background, encoded once, with the places of its segments.

    Attributes:
        picture: uint8 [h, w, 3] BGR or [h, w] grey.
        flags: What cv2.imencode is told.
        segment: Width and height in pixels that a segment codes; less at uneven edges.
        columns: Segments in a row of MCUs.
        size_at: Where in `header` the picture's height and width stand, four bytes.
        header: All before the entropy-coded data.
        body: The entropy-coded data: each segment with the marker after it, which is RSTm, or EOI
            after the last.
        offsets: Where in `body` each segment starts, and the length of `body`. Empty where
            segments cannot be spliced; then whole pictures are encoded.
    """

    picture: Array
    flags: tuple[int, ...]
    segment: tuple[int, int]
    columns: int
    size_at: int
    header: bytes
    body: bytes
    offsets: list[int]


class _Span(NamedTuple):
    """The segments that a box touches: rows top..bottom - 1, columns left..right - 1."""

    top: int
    bottom: int
    left: int
    right: int


def best_interval(width: int, channels: int) -> int:
    """The restart interval to use for pictures of a width: a divisor of the MCUs in a row.

    Short segments fit a box closely, but each costs two bytes for its marker and more bits for DC
    and for filling up; docs/benchmarks.md weighs both. An overlay's segment is some hundred bytes,
    that of a mask mostly a few, so it pays to make the latter longer.

    Args:
        width: In pixels.
        channels: 3, or 1 for grey.
    """
    mcu, least = (8, _GREY_SEGMENT) if channels == 1 else (16, _COLOUR_SEGMENT)
    mcus = -(-width // mcu)
    return next(n for n in range(1, mcus + 1) if mcus % n == 0 and (n * mcu >= least or n == mcus))


def encode_whole(picture: Array, quality: int, interval: int) -> bytes:
    """The JPEG of a picture: baseline, fixed Huffman tables, 4:2:0 if it has colours.

    Args:
        picture: uint8 [h, w, 3] BGR or [h, w] grey.
        quality: 1..100.
        interval: MCUs (of 16x16 pixels, grey 8x8) between restart markers; 0 for none.
    """
    return _imencode(picture, _flags(quality, interval)).tobytes()


def prepare(picture: Array, quality: int, interval: int) -> SplicedBackground:
    """Encodes a background and finds its segments.

    Args:
        picture: uint8 [h, w, 3] BGR or [h, w] grey.
        quality: 1..100.
        interval: MCUs in a segment. It must divide those in a row; otherwise, `encode` works but
            encodes whole pictures.
    """
    flags = _flags(quality, interval)
    data = _imencode(picture, flags)
    header = jpeg_stream.read_header(data.tobytes())
    body = data[header.length :]
    ends = jpeg_stream.segment_ends(body)
    width, height = header.mcu[0] * interval, header.mcu[1]
    mcus, rows = -(-picture.shape[1] // header.mcu[0]), -(-picture.shape[0] // height)
    columns = mcus // interval if interval and mcus % interval == 0 else 0
    as_told = header.interval == interval and len(ends) == columns * rows
    return SplicedBackground(
        picture=picture,
        flags=flags,
        segment=(width, height),
        columns=columns,
        size_at=header.size_at,
        header=data[: header.length].tobytes(),
        body=body.tobytes(),
        offsets=[0, *ends.tolist()] if columns and as_told else [],
    )


def encode(
    background: SplicedBackground,
    boxes: Sequence[Box],
    patches: Sequence[Array],
    extents: Sequence[Extents | None] | None = None,
) -> list[bytes]:
    """The JPEGs of pictures that are the background with a patch each.

    Byte for byte what `encode_whole` gives for the whole pictures.

    Args:
        background: From `prepare`.
        boxes: Where each patch lies, in pixels, wholly inside of the background; may be empty.
        patches: uint8 [box.height, box.width, 3] or [box.height, box.width], as the background.
        extents: Which columns of each patch may differ from the background, row by row; empty
            where the first is not before the end. None: all.
    """
    files = [background.header + background.body] * len(boxes)
    touched = [i for i, box in enumerate(boxes) if box.width and box.height]
    if not background.offsets:
        for i in touched:
            picture = background.picture.copy()
            _paste(picture, boxes[i], patches[i])
            files[i] = _imencode(picture, background.flags).tobytes()
        return files
    spans = {i: _span(background, boxes[i]) for i in touched}
    if _is_even(background):
        stacks = _stacks_of_segments(background, spans, boxes, patches, extents)
    else:
        stacks = _stacks_of_spans(background, spans, boxes, patches)
    for members, stack, runs in stacks:
        for i, file in zip(members, _encode_stack(background, runs, stack), strict=True):
            files[i] = file
    return files


def _is_even(background: SplicedBackground) -> bool:
    """Whether all segments are of one size."""
    height, width = background.picture.shape[:2]
    return not (width % background.segment[0] or height % background.segment[1])


def _flags(quality: int, interval: int) -> tuple[int, ...]:
    flags = (cv2.IMWRITE_JPEG_QUALITY, quality)
    return (*flags, cv2.IMWRITE_JPEG_RST_INTERVAL, interval) if interval else flags


def _imencode(picture: Array, flags: tuple[int, ...]) -> Array:
    done, data = cv2.imencode(".jpg", picture, flags)
    if not done:
        raise ValueError(f"OpenCV could not encode a JPEG of {picture.shape}")
    return data


def _span(background: SplicedBackground, box: Box) -> _Span:
    width, height = background.segment
    bottom, right = -(-(box.y + box.height) // height), -(-(box.x + box.width) // width)
    return _Span(box.y // height, bottom, box.x // width, right)


def _pixels(background: SplicedBackground, span: _Span) -> Box:
    """The pixels of a span: whole segments, but inside of the picture."""
    width, height = background.segment
    x, y = span.left * width, span.top * height
    picture_height, picture_width = background.picture.shape[:2]
    right, bottom = (
        min(span.right * width, picture_width),
        min(span.bottom * height, picture_height),
    )
    return Box(x, y, right - x, bottom - y)


def _stacks_of_segments(
    background: SplicedBackground,
    spans: dict[int, _Span],
    boxes: Sequence[Box],
    patches: Sequence[Array],
    extents: Sequence[Extents | None] | None,
) -> Iterator[tuple[list[int], Array, list[list[_Run]]]]:
    """Stacks as wide as the picture, of equal segments: members, pixels, runs of each member."""
    most = background.columns * (_STACK_ROWS // background.segment[1])
    waiting: list[int] = []
    runs: list[list[_Run]] = []
    blocks: list[Array] = []
    total = 0
    for i, span in spans.items():
        extent = extents[i] if extents is not None else None
        first, behind = _columns(background, span, boxes[i], extent)
        count = int((behind - first).sum())
        if waiting and total + count > most:
            yield waiting, _lay_out(background, blocks, total), runs
            waiting, runs, blocks, total = [], [], [], 0
        waiting.append(i)
        starts = np.arange(span.top, span.bottom) * background.columns + first
        runs.append(list(zip(starts.tolist(), (behind - first).tolist(), strict=True)))
        columns = np.arange(span.left, span.right)
        chosen = (columns >= first[:, None]) & (columns < behind[:, None])
        blocks.append(_segments(background, span, boxes[i], patches[i])[chosen])
        total += count
    if waiting:
        yield waiting, _lay_out(background, blocks, total), runs


def _columns(
    background: SplicedBackground, span: _Span, box: Box, extent: Extents | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """In each row of a span's segments, the first to be encoded and the one after the last."""
    rows = span.bottom - span.top
    if extent is None:
        return np.full(rows, span.left), np.full(rows, span.right)
    width, height = background.segment
    starts = np.arange(span.top, span.bottom) * height - box.y
    starts[0] = 0
    first = (np.minimum.reduceat(extent[0], starts) + box.x) // width
    behind = -(-(np.maximum.reduceat(extent[1], starts) + box.x) // width)
    return first, np.maximum(behind, first)


def _segments(background: SplicedBackground, span: _Span, box: Box, patch: Array) -> Array:
    """A span's pixels with a patch, by segment: uint8 [rows, columns, height, width * channels]."""
    area = _pixels(background, span)
    picture = background.picture[area.y : area.y + area.height, area.x : area.x + area.width].copy()
    _paste(picture, Box(box.x - area.x, box.y - area.y, box.width, box.height), patch)
    rows, columns = span.bottom - span.top, span.right - span.left
    return picture.reshape(rows, background.segment[1], columns, -1).transpose(0, 2, 1, 3)


def _lay_out(background: SplicedBackground, blocks: list[Array], total: int) -> Array:
    """Segments in rows, as many in each as the picture has; the last row is filled up."""
    columns, height = background.columns, background.segment[1]
    # At least one row: an encoder wants a picture.
    rows = max(1, -(-total // columns))
    stack = np.empty((rows, height, columns, blocks[0].shape[2]), np.uint8)
    stack[-1] = 0
    laid = stack.transpose(0, 2, 1, 3)
    at = 0
    for block in blocks:
        places = np.arange(at, at + len(block))
        laid[places // columns, places % columns] = block
        at += len(block)
    shape = (rows * height, *background.picture.shape[1:])
    return stack.reshape(shape)


def _stacks_of_spans(
    background: SplicedBackground,
    spans: dict[int, _Span],
    boxes: Sequence[Box],
    patches: Sequence[Array],
) -> Iterator[tuple[list[int], Array, list[list[_Run]]]]:
    """Stacks of whole spans, where segments are not all of one size."""
    for members in _equally_wide(background, spans):
        chosen = [spans[i] for i in members]
        stack = _stack(
            background, chosen, [boxes[i] for i in members], [patches[i] for i in members]
        )
        columns = background.columns
        runs = [
            [(row * columns + s.left, s.right - s.left) for row in range(s.top, s.bottom)]
            for s in chosen
        ]
        yield members, stack, runs


def _equally_wide(background: SplicedBackground, spans: dict[int, _Span]) -> Iterator[list[int]]:
    """Which spans are stacked: of equal width, one that ends unevenly last."""
    waiting: dict[int, tuple[list[int], int]] = {}
    for i, span in spans.items():
        _, _, width, height = _pixels(background, span)
        members, rows = waiting.pop(width, ([], 0))
        if rows + height > _STACK_ROWS and members:
            yield members
            members, rows = [], 0
        members.append(i)
        if height % background.segment[1]:
            yield members
        else:
            waiting[width] = members, rows + height
    for members, _ in waiting.values():
        yield members


def _stack(
    background: SplicedBackground, spans: list[_Span], boxes: list[Box], patches: list[Array]
) -> Array:
    """What spans show, one below the other: uint8 [rows, width, 3] or [rows, width]."""
    areas = [_pixels(background, span) for span in spans]
    rows, width = sum(area.height for area in areas), areas[0].width
    stack = np.empty((rows, width, *background.picture.shape[2:]), np.uint8)
    row = 0
    for area, box, patch in zip(areas, boxes, patches, strict=True):
        part = stack[row : row + area.height]
        part[:] = background.picture[area.y : area.y + area.height, area.x : area.x + width]
        _paste(part, Box(box.x - area.x, box.y - area.y, box.width, box.height), patch)
        row += area.height
    return stack


def _paste(picture: Array, box: Box, patch: Array) -> None:
    picture[box.y : box.y + box.height, box.x : box.x + box.width] = patch


def _encode_stack(
    background: SplicedBackground, runs: list[list[_Run]], stack: Array
) -> Iterator[bytes]:
    """Encodes a stack and puts its segments into the background's: a file for each list of runs."""
    data = _imencode(stack, background.flags)
    _check_header(background, data)
    offsets = background.offsets
    body = memoryview(background.body)
    fresh = data[len(background.header) :]
    ends = jpeg_stream.segment_ends(fresh)
    places = np.array(
        [place for of_one in runs for first, n in of_one for place in range(first, first + n)],
        np.intp,
    )
    columns, (width, height) = background.columns, background.segment
    expected = -(-len(stack) // height) * -(-stack.shape[1] // width)
    if len(ends) != expected or expected - len(places) not in range(columns + 1):
        raise ValueError(f"{len(ends)} segments in a JPEG that should have {len(places)}")
    ends = ends[: len(places)]
    jpeg_stream.renumber(fresh, ends, places, len(offsets) - 2)
    starts = [0, *ends.tolist()]
    view = fresh.data
    at = 0  # in segments of the stack
    for of_one in runs:
        pieces: list[bytes | memoryview] = [background.header]
        done = 0
        for first, count in of_one:
            if not count:
                continue
            pieces.append(body[done : offsets[first]])
            pieces.append(view[starts[at] : starts[at + count]])
            done = offsets[first + count]
            at += count
        pieces.append(body[done:])
        yield b"".join(pieces)


def _check_header(background: SplicedBackground, data: Array) -> None:
    """Raises ValueError unless a stack is coded as the background is: equal but for the size."""
    expected, at = background.header, background.size_at
    found = data[: len(expected)].tobytes()
    if found[:at] != expected[:at] or found[at + 4 :] != expected[at + 4 :]:
        raise ValueError("the encoder changed its tables from one picture to the next")
