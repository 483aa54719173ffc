"""Where a foreground stands: drawn from a counter-based generator, sample by sample.

Every draw is a function of (seed, bytes of the background, bytes of the foreground, mirrored?,
sample number) alone. So neither order, nor workers, nor other inputs change a sample. Only raw
64-bit output of Philox 4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011) is used: NumPy guarantees that stream for ever, the streams of its distributions it does
not (NEP 19).
"""

from __future__ import annotations

import decimal
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from fgbg.transforms.job.job import BY_AREA, BY_HEIGHT

# Streams of one key: the last word of Philox' 256-bit counter. What is drawn for another purpose
# has another stream, so that an option changes no draw of the others.
_SAMPLE_STREAM, _UNIT_STREAM, _SIZE_STREAM = 0, 1, 2
_2_64 = 1 << 64
# Its logarithms and powers are rounded correctly, and so are the same on every machine; those of
# the C library are not.
_EXACT = decimal.Context(prec=25)


class Box(NamedTuple):
    """A rectangle in pixels; x, y is its upper left corner and may be negative if truncated."""

    x: int
    y: int
    width: int
    height: int


def generator_key(seed: int, background: str, foreground: str, mirrored: bool) -> int:
    """The 128-bit Philox key of a pair of inputs.

    Args:
        seed: The data set's seed.
        background: SHA-256 of the background's file, in hexadecimal.
        foreground: Likewise of the foreground.
        mirrored: Whether the foreground is mirrored.
    """
    text = f"fgbg 1|{seed}|{background}|{foreground}|{int(mirrored)}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


class _Draws:
    """Uniform 64-bit draws of a key, from wherever they are asked to begin.

    A generator is made once: that takes longer than all that is drawn for a sample.
    """

    def __init__(self, key: int) -> None:
        self._generator = np.random.Philox(key=key)
        self._state = self._generator.state  # of one that has drawn nothing

    def begin(self, stream: int, number: int) -> Callable[[], int]:
        """Starts a stream; those given before draw from it as well."""
        # The lowest counter word counts the draws; ours are above it.
        self._state["state"]["counter"][:] = 0, number, 0, stream
        self._generator.state = self._state
        return lambda: int(self._generator.random_raw())


def _below(bits: int, n: int) -> int:
    """Maps 64 uniform bits to 0..n-1; its bias is below n / 2**64."""
    return (bits * n) >> 64


def draw_scale(key: int, round_: int, fg_scale: tuple[float, float]) -> float:
    """The foreground's height as a share of the canvas' height: one draw for a whole unit."""
    least, greatest = fg_scale
    return least + (greatest - least) * (_Draws(key).begin(_UNIT_STREAM, round_)() / _2_64)


def draw_scales(key: int, numbers: Iterable[int], fg_scale: tuple[float, float]) -> list[float]:
    """A size for each sample, as a share of the canvas' height: its logarithm is uniform.

    So of the range 0.1 to 0.8 a third is below 0.2, a third below 0.4: small and large things are
    met alike.
    """
    draws = _Draws(key)
    least, greatest = (decimal.Decimal(share) for share in fg_scale)
    spread = _EXACT.ln(_EXACT.divide(greatest, least))
    found = []
    for number in numbers:
        share = decimal.Decimal(draws.begin(_SIZE_STREAM, number)()) / _2_64
        factor = _EXACT.exp(_EXACT.multiply(spread, share))
        found.append(float(_EXACT.multiply(least, factor)))
    return found


def size_by(
    foreground: tuple[int, int],
    canvas: tuple[int, int],
    scale: float,
    by: str,
    truncation: float = 0.0,
) -> tuple[int, int]:
    """Width and height of a foreground on the canvas, its aspect kept.

    It is smaller than the scale says where it could not be placed: no more of its box than the
    truncation allows may lie outside of the canvas.

    Args:
        foreground: Width and height of the cut-out.
        canvas: Width and height of the canvas.
        scale: As a share of the canvas' height, above 0.
        by: What the scale is of: BY_HEIGHT, BY_LONGER_SIDE or BY_AREA.
        truncation: Greatest share of the foreground's box outside of the canvas, in [0, 1).
    """
    fg_width, fg_height = foreground
    measure = {BY_HEIGHT: fg_height, BY_AREA: (fg_width * fg_height) ** 0.5}
    factor = scale * canvas[1] / measure.get(by, max(foreground))
    # Of what exceeds the canvas one way or both ways the visible share is known beforehand.
    visible = 1.0 - truncation
    by_width, by_height = canvas[0] / fg_width, canvas[1] / fg_height
    both_ways = (by_width * by_height / visible) ** 0.5
    # It may exceed the shorter way at once, and then the other way as far as both allow.
    short, long = sorted((by_width, by_height))
    limit = short / visible if short / visible <= long else both_ways
    factor = min(factor, limit)
    width, height = max(1, round(factor * fg_width)), max(1, round(factor * fg_height))
    while not _can_be_placed(width, height, canvas, visible):  # a pixel too large by the rounding
        width, height = _smaller(width, height, foreground)
    return width, height


def _can_be_placed(width: int, height: int, canvas: tuple[int, int], visible: float) -> bool:
    return min(width, canvas[0]) * min(height, canvas[1]) >= visible * width * height - 1e-9


def _smaller(width: int, height: int, foreground: tuple[int, int]) -> tuple[int, int]:
    """The longer side a pixel less, the other after it."""
    if width >= height:
        width -= 1
        return width, max(1, round(width * foreground[1] / foreground[0]))
    height -= 1
    return max(1, round(height * foreground[0] / foreground[1])), height


def scaled_size(
    foreground: tuple[int, int], canvas: tuple[int, int], scale: float
) -> tuple[int, int]:
    """Width and height of a foreground on the canvas, its aspect kept.

    It is as high as the scale says, or smaller if it would be wider than the canvas.

    Args:
        foreground: Width and height of the cut-out.
        canvas: Width and height of the canvas.
        scale: Height as a share of the canvas' height, in (0, 1].
    """
    fg_width, fg_height = foreground
    height = max(1, round(scale * canvas[1]))
    width = max(1, round(height * fg_width / fg_height))
    if width > canvas[0]:
        width = canvas[0]
        height = min(canvas[1], max(1, round(width * fg_height / fg_width)))
    return width, height


def place(
    key: int,
    number: int,
    foreground: tuple[int, int],
    canvas: tuple[int, int],
    truncation: float = 0.0,
) -> Box:
    """Draws where a foreground stands in one sample: see `places`."""
    return places(key, [number], [foreground], canvas, truncation)[0]


def places(
    key: int,
    numbers: Sequence[int],
    foregrounds: Sequence[tuple[int, int]],
    canvas: tuple[int, int],
    truncation: float = 0.0,
) -> list[Box]:
    """Draws where a foreground stands, uniformly over all positions that are allowed.

    Args:
        key: From `generator_key`.
        numbers: The samples' numbers in their folder; each draws for itself.
        foregrounds: Width and height of the scaled foreground of each sample, at most as large
            as `size_by` returns for the truncation.
        canvas: Width and height of the canvas.
        truncation: Greatest share of the foreground's box outside the canvas, in [0, 1). With 0
            it is wholly inside; the corners and both end positions can be drawn.

    Returns:
        The foreground's box in canvas pixels, for each sample.
    """
    draws = _Draws(key)
    found = []
    for number, (width, height) in zip(numbers, foregrounds, strict=True):
        margin_x, margin_y = int(truncation * width), int(truncation * height)
        least_visible = (1.0 - truncation) * width * height
        draw = draws.begin(_SAMPLE_STREAM, number)
        while True:
            x = _below(draw(), canvas[0] - width + 2 * margin_x + 1) - margin_x
            y = _below(draw(), canvas[1] - height + 2 * margin_y + 1) - margin_y
            visible_x = min(x + width, canvas[0]) - max(x, 0)
            visible_y = min(y + height, canvas[1]) - max(y, 0)
            # Only near a corner can both sides together take more than the share: draw again there.
            if visible_x * visible_y >= least_visible - 1e-9:
                found.append(Box(x, y, width, height))
                break
    return found
