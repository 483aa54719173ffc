"""PNGs of masks: what surrounds a mask is compressed once for all, and each shape once.

The rows of a PNG (ISO/IEC 15948, section 10) are one zlib stream (RFC 1950) of deflate blocks (RFC
1951), with an Adler-32 of all rows at its end. Deflate can be flushed to a whole byte between
blocks; what follows needs nothing of what came before if it does not refer back to it. So the
stream of a mask is put together: zeros before the tight box's upper left corner, what stands from
there to its lower right corner, zeros after that. Between the two corners nothing depends on where
in a picture of that width the box is: a shape is compressed once for all of its places. Adler-32 of
zeros is known without reading them, and two of them can be joined. Compression looks for runs only
(zlib's Z_RLE), which is all that a mask has: faster than zlib's search, and smaller than its
level 1.

The bytes depend on the mask alone, not on how it was handed over.
"""

from __future__ import annotations

import functools
import struct
import zlib
from typing import NamedTuple

import cv2
import numpy as np

from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.pixels.placement import Box

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ADLER_BASE = 65521  # RFC 1950, section 8.2
_RAW_DEFLATE = -15  # zlib's sign for deflate without header and checksum; the window is 32 KiB
_ZLIB_HEADER = b"\x78\x01"  # deflate, 32 KiB, fastest
_MEMORY_LEVEL = 9


class Shape(NamedTuple):
    """A mask's tight box, compressed for pictures of one width.

    Attributes:
        length: Bytes that it takes in a picture, from its upper left to its lower right corner.
        deflated: Those bytes as deflate blocks.
        adler: Their Adler-32, started from 0 instead of 1.
    """

    length: int
    deflated: bytes
    adler: int


def encode(mask: Array, value: int) -> bytes:
    """The PNG of a mask: 8 bits, grey, 0 and a value.

    Args:
        mask: uint8 [h, w], 0 and 255.
        value: What 255 is stored as, 1..255.
    """
    x, y, width, height = cv2.boundingRect(mask)
    box = Box(x, y, width, height)
    return encode_part(mask[y : y + height, x : x + width], box, mask.shape[::-1], value)


def encode_part(mask: Array, box: Box, size: tuple[int, int], value: int) -> bytes:
    """The same of a mask of which only the box around it is at hand.

    Args:
        mask: uint8 [box.height, box.width], 0 and 255.
        box: The tight box of the mask inside of the picture; empty if the mask is.
        size: Width and height of the picture.
        value: What 255 is stored as, 1..255.
    """
    return place(compress(mask, size[0], value), (box.x, box.y), size)


def compress(mask: Array, width: int, value: int) -> Shape:
    """Compresses a shape, for `place`.

    Args:
        mask: uint8 [h, w], 0 and 255: a mask's tight box, which may be empty.
        width: Of the pictures that it will stand in.
        value: What 255 is stored as, 1..255.
    """
    if not mask.size:
        return Shape(0, b"", 0)
    mask_height, mask_width = mask.shape
    # Each row begins with the type of its filter: 0, none (section 9.2). Here it stands after the
    # pixels, as does what is right and left of the box: the same bytes in the same order.
    rows = np.zeros((mask_height, width + 1), np.uint8)
    np.bitwise_and(mask, np.uint8(value), out=rows[:, :mask_width])
    data = rows.data.cast("B")[: rows.size - (width + 1 - mask_width)]
    return Shape(len(data), _deflate(data, False), zlib.adler32(data, 0))


def place(shape: Shape, at: tuple[int, int], size: tuple[int, int]) -> bytes:
    """The PNG of a mask.

    Args:
        shape: From `compress`, for this width.
        at: Where the upper left corner of its box is, x and y.
        size: Width and height of the picture.
    """
    width, height = size
    row = 1 + width
    # An empty mask has all of its zeros below.
    (x, y) = at if shape.length else (-1, 0)
    before = y * row + 1 + x
    below, right = divmod(height * row - before - shape.length, row)
    adler = _adler_of_zeros(1, before)
    # Adler-32 is two sums: of the bytes, and of the first sum after each byte. From here on, the
    # first starts higher by what it is now, and the second grows by that with every byte.
    first, second = adler & 0xFFFF, adler >> 16
    second += shape.length * first + (shape.adler >> 16)
    first += shape.adler & 0xFFFF
    adler = second % _ADLER_BASE << 16 | first % _ADLER_BASE
    adler = _adler_of_zeros(adler, below * row + right)
    data = b"".join(
        (
            _ZLIB_HEADER,
            _zeros(y * row, False),
            _zeros(1 + x, False),
            shape.deflated,
            _zeros(right, False),
            _zeros(below * row, True),
            adler.to_bytes(4, "big"),
        )
    )
    return b"".join((_start(width, height), _chunk(b"IDAT", data), _END))


@functools.lru_cache(maxsize=64)
def _start(width: int, height: int) -> bytes:
    # Colour type 0, grey; compression, filter and interlace method 0 (section 11.2.2).
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header)


def _chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk: length, kind, data, CRC of both (section 5.3)."""
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return b"".join((len(data).to_bytes(4, "big"), kind, data, checksum.to_bytes(4, "big")))


def _deflate(data: bytes | memoryview, last: bool) -> bytes:
    """Deflate blocks that end at a whole byte; the last of them ends the stream."""
    if not len(data) and not last:
        return b""
    compressor = zlib.compressobj(1, zlib.DEFLATED, _RAW_DEFLATE, _MEMORY_LEVEL, zlib.Z_RLE)
    start = compressor.compress(data)
    return start + compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


@functools.lru_cache(maxsize=8192)
def _zeros(count: int, last: bool) -> bytes:
    return _deflate(bytes(count), last)


def _adler_of_zeros(adler: int, count: int) -> int:
    """The Adler-32 after so many zeros more: its first sum stays, its second grows by it each."""
    first, second = adler & 0xFFFF, adler >> 16
    return (second + count * first) % _ADLER_BASE << 16 | first


_END = _chunk(b"IEND", b"")
