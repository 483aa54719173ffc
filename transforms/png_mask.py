"""PNGs of masks, in proportion to the mask: rows without it are compressed once for all masks.

The rows of a PNG (ISO/IEC 15948, section 10) are one zlib stream (RFC 1950) of deflate blocks (RFC
1951), with an Adler-32 of all rows at its end. Deflate can be flushed to a whole byte between
blocks; what follows needs nothing of what came before if it does not refer back to it. So the
stream of a mask is put together from three: rows of zeros above, the rows with the mask, rows of
zeros below. Adler-32 of zeros is known without reading them. Compression looks for runs only
(zlib's Z_RLE), which is all that a mask has: faster than zlib's search, and smaller than its
level 1.

The bytes depend on the mask alone, not on how it was handed over.
"""

from __future__ import annotations

import functools
import struct
import zlib

import cv2
import numpy as np

from transforms.pictures import Array
from transforms.placement import Box

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ADLER_BASE = 65521  # RFC 1950, section 8.2
_RAW_DEFLATE = -15  # zlib's sign for deflate without header and checksum; the window is 32 KiB
_ZLIB_HEADER = b"\x78\x01"  # deflate, 32 KiB, fastest
_MEMORY_LEVEL = 9


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
    width, height = size
    # Each row begins with the type of its filter: 0, none (section 9.2).
    rows = np.zeros((box.height, 1 + width), np.uint8)
    np.bitwise_and(mask, np.uint8(value), out=rows[:, 1 + box.x : 1 + box.x + box.width])
    touched = rows.data.cast("B") if rows.size else b""
    below = height - box.y - box.height
    adler = _adler_of_zeros(1, box.y * (1 + width))
    adler = zlib.adler32(touched, adler)
    adler = _adler_of_zeros(adler, below * (1 + width))
    data = b"".join(
        (
            _ZLIB_HEADER,
            _zeros(box.y, width, False),
            _deflate(touched, False),
            _zeros(below, width, True),
            adler.to_bytes(4, "big"),
        )
    )
    # Colour type 0, grey; compression, filter and interlace method 0 (section 11.2.2).
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"".join((_SIGNATURE, header, _chunk(b"IDAT", data), _chunk(b"IEND", b"")))


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
def _zeros(rows: int, width: int, last: bool) -> bytes:
    return _deflate(bytes(rows * (1 + width)), last)


def _adler_of_zeros(adler: int, count: int) -> int:
    """The Adler-32 after so many zeros more: its first sum stays, its second grows by it each."""
    first, second = adler & 0xFFFF, adler >> 16
    return (second + count * first) % _ADLER_BASE << 16 | first
