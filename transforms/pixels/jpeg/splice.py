"""JPEGs of pictures that differ from a background inside a box: only the box is encoded.

With a restart interval (ITU-T T.81, B.2.4.4) the entropy-coded data of a baseline JPEG is a row of
segments that can be decoded, and so encoded, one without the other: at each the DC prediction
starts again (F.1.1.5.1) and bits are filled up to a byte (F.1.2.3). Between two of them stands the
marker RSTm, where m counts segments modulo 8 (E.1.4). So the background is encoded once; of each
picture only the segments that its box touches are encoded, and put in the place of the
background's. The Huffman tables are the fixed ones (K.3) and blocks are transformed one by one, so
the bytes are those that the encoder gives for the whole picture with the same interval.

The touched segments of many pictures are encoded in one call (pixels.jpeg.stacks), cut apart
and numbered anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from fgbg.transforms.pixels import codec
from fgbg.transforms.pixels.jpeg import stream as jpeg_stream
from fgbg.transforms.pixels.jpeg.stacks import Extents, Grid, Stack, stacks
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.pixels.placement import Box

# Pixels of a segment's width, at least: see `best_interval`.
_COLOUR_SEGMENT, _GREY_SEGMENT = 32, 112


@dataclasses.dataclass(frozen=True)
class SplicedBackground:
    """A background, encoded once, with the places of its segments.

    Attributes:
        grid: Its pixels and segments.
        flags: What cv2.imencode is told.
        size_at: Where in `header` the picture's height and width stand, four bytes.
        header: All before the entropy-coded data.
        body: The entropy-coded data: each segment with the marker after it, which is RSTm, or EOI
            after the last.
        offsets: Where in `body` each segment starts, and the length of `body`. Empty where
            segments cannot be spliced; then whole pictures are encoded.
    """

    grid: Grid
    flags: tuple[int, ...]
    size_at: int
    header: bytes
    body: bytes
    offsets: list[int]


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
    return codec.encode(".jpg", picture, _flags(quality, interval))


def prepare(picture: Array, quality: int, interval: int) -> SplicedBackground:
    """Encodes a background and finds its segments.

    Args:
        picture: uint8 [h, w, 3] BGR or [h, w] grey.
        quality: 1..100.
        interval: MCUs in a segment. It must divide those in a row; otherwise, `encode` works but
            encodes whole pictures.
    """
    flags = _flags(quality, interval)
    data = codec.encode(".jpg", picture, flags)
    header = jpeg_stream.read_header(data)
    body = data[header.length :]
    ends = jpeg_stream.segment_ends(np.frombuffer(body, np.uint8))
    width, height = header.mcu[0] * interval, header.mcu[1]
    mcus, rows = -(-picture.shape[1] // header.mcu[0]), -(-picture.shape[0] // height)
    columns = mcus // interval if interval and mcus % interval == 0 else 0
    as_told = header.interval == interval and len(ends) == columns * rows
    return SplicedBackground(
        grid=Grid(picture, (width, height), columns),
        flags=flags,
        size_at=header.size_at,
        header=data[: header.length],
        body=body,
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
    touched = {i: box for i, box in enumerate(boxes) if box.width and box.height}
    if not background.offsets:
        for i, box in touched.items():
            picture = background.grid.picture.copy()
            picture[box.y : box.y + box.height, box.x : box.x + box.width] = patches[i]
            files[i] = codec.encode(".jpg", picture, background.flags)
        return files
    for stack in stacks(background.grid, touched, patches, extents):
        for i, file in zip(stack.members, _encode_stack(background, stack), strict=True):
            files[i] = file
    return files


def _flags(quality: int, interval: int) -> tuple[int, ...]:
    flags = (cv2.IMWRITE_JPEG_QUALITY, quality)
    return (*flags, cv2.IMWRITE_JPEG_RST_INTERVAL, interval) if interval else flags


def _encode_stack(background: SplicedBackground, stack: Stack) -> Iterator[bytes]:
    """Encodes a stack and puts its segments into the background's: a file for each member."""
    data = codec.encode_to_array(".jpg", stack.pixels, background.flags)
    _check_header(background, data)
    offsets = background.offsets
    body = memoryview(background.body)
    fresh = data[len(background.header) :]
    ends = jpeg_stream.segment_ends(fresh)
    places = np.array(
        [place for runs in stack.runs for first, n in runs for place in range(first, first + n)],
        np.intp,
    )
    columns, (width, height) = background.grid.columns, background.grid.segment
    expected = -(-len(stack.pixels) // height) * -(-stack.pixels.shape[1] // width)
    if len(ends) != expected or expected - len(places) not in range(columns + 1):
        raise ValueError(f"{len(ends)} segments in a JPEG that should have {len(places)}")
    ends = ends[: len(places)]
    jpeg_stream.renumber(fresh, ends, places, len(offsets) - 2)
    starts = [0, *ends.tolist()]
    view = fresh.data
    at = 0  # in segments of the stack
    for runs in stack.runs:
        pieces: list[bytes | memoryview] = [background.header]
        done = 0
        for first, count in runs:
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
