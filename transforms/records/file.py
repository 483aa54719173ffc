"""TFRecord files: each record's length and bytes, both with a masked CRC-32C.

    uint64 length, uint32 checksum of the length, the bytes, uint32 checksum of the bytes

All little-endian. Files may be joined end to end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER = _LENGTH.size + _CHECKSUM.size
# What a record takes beside its bytes.
OVERHEAD = _HEADER + _CHECKSUM.size


class RecordError(ValueError):
    """A record is damaged.

    Attributes:
        index: Which record of the file, from 0.
        offset: Where it begins in the file, in bytes.
        problem: What is wrong with it.
    """

    def __init__(self, index: int, offset: int, problem: str) -> None:
        super().__init__(f"record {index} (at byte {offset}): {problem}")
        self.index = index
        self.offset = offset
        self.problem = problem


def _masked(data: bytes) -> bytes:
    """The checksum as TFRecord files store it: rotated by 15 bits, plus a constant."""
    crc = google_crc32c.value(data)
    return _CHECKSUM.pack((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(data: bytes) -> bytes:
    """The bytes of one record as they stand in a file: OVERHEAD more than the data."""
    return b"".join(pieces(data))


def pieces(data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The same in pieces, to be joined with those of other records."""
    length = _LENGTH.pack(len(data))
    return length, _masked(length), data, _masked(data)


def unframe(framed: bytes, index: int = 0, offset: int = 0) -> bytes:
    """The data of exactly one framed record.

    Args:
        framed: What `frame` gave.
        index: Which record of its file it is, for the error's text.
        offset: Where it begins in its file, likewise.

    Raises:
        RecordError: It is not one whole, undamaged record.
    """
    length = _length(framed[:_HEADER], index, offset)
    if len(framed) != length + OVERHEAD:
        raise RecordError(
            index, offset, f"is {length + OVERHEAD} bytes long by its header, not {len(framed)}"
        )
    return _data(framed[_HEADER:], length, index, offset)


def _length(header: bytes, index: int, offset: int) -> int:
    if len(header) < _HEADER:
        raise RecordError(index, offset, f"truncated: {len(header)} bytes of its header are there")
    if _masked(header[: _LENGTH.size]) != header[_LENGTH.size :]:
        raise RecordError(index, offset, "the checksum of its length is wrong")
    return _LENGTH.unpack_from(header)[0]


def _data(body: bytes, length: int, index: int, offset: int) -> bytes:
    if len(body) < length + _CHECKSUM.size:
        there = min(len(body), length)
        raise RecordError(index, offset, f"truncated: {there} of its {length} bytes are there")
    data = body[:length]
    if _masked(data) != body[length:]:
        raise RecordError(index, offset, "the checksum of its bytes is wrong")
    return data


def read_frames(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The records of an open file, in order, one in memory at a time.

    Args:
        file: Opened for reading bytes, at the beginning of a record.

    Yields:
        Where each record begins, in bytes from the first, and its data.

    Raises:
        RecordError: A record is damaged or cut off; those before it have been given.
    """
    index = offset = 0
    while header := file.read(_HEADER):
        length = _length(header, index, offset)
        data = _data(file.read(length + _CHECKSUM.size), length, index, offset)
        yield offset, data
        index += 1
        offset += OVERHEAD + length
