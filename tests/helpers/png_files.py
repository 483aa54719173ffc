"""PNGs of every kind, written from samples by hand: what is in them is known by construction.

After the PNG specification (third edition): colour types, bit depths, Adam7, the five filters,
palettes, transparent colours, and chunks that say what colours mean.
"""

from __future__ import annotations

import dataclasses
import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16),
          RGBA: (8, 16)}  # fmt: skip
# First column, first row, steps of both: the passes of Adam7.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2))  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A PNG and what is in it.

    Attributes:
        data: The file.
        samples: int [height, width, channels], as they are in the file.
        pixels: uint8 [height, width, 3 or 4], what is to be read.
    """

    data: bytes
    samples: np.ndarray
    pixels: np.ndarray


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def draw(
    colour: int,
    depth: int,
    size: tuple[int, int] = (13, 11),
    *,
    interlaced: bool = False,
    filters: Sequence[int] = (0, 1, 2, 3, 4),
    transparent: bool = False,
    chunks: Sequence[bytes] = (),
    pieces: int = 1,
    seed: int = 0,
) -> Drawn:
    """A PNG of random samples.

    Args:
        colour: Its colour type.
        depth: Bits of a sample.
        size: Width and height.
        interlaced: By Adam7.
        filters: Of the rows, in turn.
        transparent: With a tRNS chunk; colour types with alpha have none.
        chunks: Before the palette.
        pieces: How many IDAT chunks.
        seed: Of the samples.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    entries = (1 << depth) if colour == PALETTE else 0
    samples = rng.integers(0, 1 << depth, (height, width, CHANNELS[colour]))
    palette = rng.integers(0, 256, (entries, 3))
    alphas = rng.integers(0, 256, max(1, entries // 2))
    # Several pixels have the transparent colour, and others its upper half only.
    clear = samples[0, 0].copy()
    if colour in (GREY, RGB):
        samples[height // 2] = clear
        samples[-1] = clear ^ 1
    more = list(chunks)
    if colour == PALETTE:
        more.append(chunk(b"PLTE", palette.astype(np.uint8).tobytes()))
    if transparent:
        held = alphas.astype(np.uint8) if colour == PALETTE else clear.astype(">u2")
        more.append(chunk(b"tRNS", held.tobytes()))
    pixels = _meant(samples, colour, depth, palette, alphas, clear if transparent else None)
    return Drawn(write(samples, depth, colour, interlaced, filters, more, pieces), samples, pixels)


def _meant(
    samples: np.ndarray,
    colour: int,
    depth: int,
    palette: np.ndarray,
    alphas: np.ndarray,
    clear: np.ndarray | None,
) -> np.ndarray:
    if colour == PALETTE:
        seen = palette[samples[..., 0]]
        if clear is not None:
            every = np.full(len(palette), 255)
            every[: len(alphas)] = alphas
            seen = np.concatenate((seen, every[samples]), axis=2)
        return seen.astype(np.uint8)
    # Grey of 16 bits is rounded; of colours of 16 bits the upper half is taken.
    eight = samples >> 8 if depth == 16 else samples * 255 // ((1 << depth) - 1)
    if colour == GREY and depth == 16:
        eight = np.rint(samples / 257).astype(int)
    grey = colour in (GREY, GREY_ALPHA)
    seen = eight[..., :1].repeat(3, 2) if grey else eight[..., :3]
    if colour in (GREY_ALPHA, RGBA):
        seen = np.concatenate((seen, eight[..., -1:]), axis=2)
    elif clear is not None:
        shown = (samples != clear).any(axis=2, keepdims=True)
        seen = np.concatenate((seen, shown * 255), axis=2)
    return seen.astype(np.uint8)


def write(
    samples: np.ndarray,
    depth: int,
    colour: int,
    interlaced: bool = False,
    filters: Sequence[int] = (0,),
    chunks: Sequence[bytes] = (),
    pieces: int = 1,
) -> bytes:
    """The file of samples, int [height, width, channels]."""
    height, width = samples.shape[:2]
    rows = b"".join(_rows(part, depth, filters) for part in _passes(samples, interlaced))
    body = zlib.compress(rows)
    cuts = [len(body) * i // pieces for i in range(pieces + 1)]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *chunks,
            *(chunk(b"IDAT", body[a:b]) for a, b in itertools.pairwise(cuts)),
            chunk(b"IEND", b""),
        )
    )


def _passes(samples: np.ndarray, interlaced: bool) -> Iterator[np.ndarray]:
    if not interlaced:
        yield samples
        return
    for x, y, across, down in ADAM7:
        part = samples[y::down, x::across]
        if part.size:
            yield part


def _rows(samples: np.ndarray, depth: int, filters: Sequence[int]) -> bytes:
    """Rows of one pass, each with its filter before it."""
    height, _, channels = samples.shape
    if depth == 16:
        packed = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    elif depth == 8:
        packed = samples.astype(np.uint8).reshape(height, -1)
    else:
        places = np.arange(depth)[::-1]
        bits = (samples.reshape(height, -1, 1) >> places) & 1
        packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    step = max(1, channels * depth // 8)
    above = np.zeros(packed.shape[1], int)
    found = bytearray()
    for number, row in enumerate(packed.astype(int)):
        kind = filters[number % len(filters)]
        found += bytes((kind,)) + _filtered(row, above, step, kind)
        above = row
    return bytes(found)


def _filtered(row: np.ndarray, above: np.ndarray, step: int, kind: int) -> bytes:
    def shifted(values: np.ndarray) -> np.ndarray:
        return np.concatenate((np.zeros(step, int), values))[: len(values)]

    left, corner = shifted(row), shifted(above)
    guess = left + above - corner
    by_distance = np.stack([abs(guess - left), abs(guess - above), abs(guess - corner)])
    nearest = np.choose(by_distance.argmin(axis=0), (left, above, corner))
    taken = (np.zeros_like(row), left, above, (left + above) // 2, nearest)[kind]
    return ((row - taken) & 255).astype(np.uint8).tobytes()


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chromaticities(white: tuple[float, float], primaries: Sequence[tuple[float, float]]) -> bytes:
    points = [value for point in (white, *primaries) for value in point]
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in points)))


def code_points(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes((primaries, transfer, matrix, full)))


def named_srgb(intent: int = 0) -> bytes:
    return chunk(b"sRGB", bytes((intent,)))


def profile(icc: bytes) -> bytes:
    return chunk(b"iCCP", b"a profile\0\0" + zlib.compress(icc))
