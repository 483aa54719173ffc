"""The chunks of a PNG: what says what its pixels mean, and a file without what is not needed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# More chunks than this before the pixels are no picture of anybody's.
_MOST = 10_000
# Kind, length and checksum of a chunk, beside what it holds.
_FRAME = 12
_PIXELS = b"IDAT"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", _PIXELS, b"IEND", b"eXIf")


def _each(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of every chunk, where it begins and the length of what it holds; nothing of others."""
    at = len(SIGNATURE)
    if not data.startswith(SIGNATURE):
        return
    while at + _FRAME <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at, length
        at += _FRAME + length


def before_pixels(data: bytes) -> dict[bytes, bytes]:
    """What the chunks before the pixels hold, by kind; of two of a kind the first."""
    found: dict[bytes, bytes] = {}
    for (kind, at, length), _ in zip(_each(data), range(_MOST)):
        if kind == _PIXELS:
            break
        found.setdefault(kind, data[at + 8 : at + 8 + length])
    return found


def depth(data: bytes) -> int:
    """Bits of a sample; 0 of a file that is no PNG."""
    # The header is the first chunk, always.
    return data[24] if data.startswith(SIGNATURE) and len(data) > 24 else 0


def profile(chunk: bytes, most: int) -> bytes | None:
    """The profile in what an iCCP chunk holds; None where it is broken or has more bytes."""
    _, _, packed = chunk.partition(b"\0")
    try:
        found = zlib.decompressobj().decompress(packed[1:], most + 1)
    except zlib.error:
        return None
    return found if 0 < len(found) <= most else None


def bare(data: bytes) -> bytes | None:
    """A PNG with nothing but its pixels and how they are turned.

    Readers stumble over texts, colours and animations that are broken or large, without which
    there is a picture.

    Returns:
        None where nothing can be left out, or it is no PNG.
    """
    kept, end = [data[: len(SIGNATURE)]], len(SIGNATURE)
    for kind, at, length in _each(data):
        end = at + _FRAME + length
        if kind in _NEEDED:
            kept.append(data[at:end])
    kept.append(data[end:])
    found = b"".join(kept)
    return found if data.startswith(SIGNATURE) and len(found) < len(data) else None
