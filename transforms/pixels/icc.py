"""Colour profiles as bytes (ICC.1:2022): made of primaries and a curve, and read from such ones.

A picture can say what its colours are without a profile, by primaries and a curve; of these a
profile is made, so that all colours take one way. Profiles of three curves and a matrix, which
nearly all pictures have, are read here too: LittleCMS, as Pillow offers it, takes colours of 8 bits
only.
"""

from __future__ import annotations

import dataclasses
import functools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = tuple[tuple[float, float], ...]
"""Chromaticities x, y."""

# Of the white that profiles are for; and Bradford's cone responses, by which others are adapted.
_D50 = (0.9642, 1.0, 0.8249)
_CONES = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
D65 = (0.3127, 0.3290)
SRGB: Points = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE: Points = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
# Parameters of sRGB's curve (IEC 61966-2-1): gamma, a, b, c, d of ICC's function 3.
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_COLOURS = ("r", "g", "b")
_LEVELS = 65536
# Tables of colours; where a profile has one, its matrix is not used.
_TABLES = (b"A2B0", b"A2B1")


def make(primaries: Points, white: tuple[float, float], curve: tuple[float, ...]) -> bytes:
    """A profile.

    Args:
        primaries: Of red, green and blue.
        white: Of the white.
        curve: From samples to light: a gamma, or the five parameters of ICC's function 3.

    Raises:
        ValueError: No colours are described by these.
    """
    matrix = _matrix(primaries, white)
    function = 0 if len(curve) == 1 else 3
    shape = b"para" + struct.pack(">4xHH", function, 0) + _fixed(curve)
    tags = {
        b"desc": _text("Made of what the picture says"),
        b"cprt": _text("None"),
        b"wtpt": b"XYZ " + bytes(4) + _fixed(_D50),
        **{f"{c}XYZ".encode(): b"XYZ " + bytes(4) + _fixed(matrix[:, i]) for i, c in _each()},
        **{f"{c}TRC".encode(): shape for _, c in _each()},
    }
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(_D50)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def _each() -> list[tuple[int, str]]:
    return list(enumerate(_COLOURS))


def _fixed(values: Any) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _text(words: str) -> bytes:
    letters = words.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xIIHHII", 1, 12, 0x656E, 0x5553, len(letters), 28) + letters


def _matrix(primaries: Points, white: tuple[float, float]) -> NDArray[np.float64]:
    """From linear red, green and blue to XYZ of D50."""
    if not all(0 <= x <= 1 and 0 < y <= 1 for x, y in (*primaries, white)):
        raise ValueError("chromaticities outside 0..1")
    columns = np.stack([_xyz(point) for point in primaries], axis=1)
    if abs(np.linalg.det(columns)) < 1e-3:
        raise ValueError("primaries on one line")
    columns = columns * np.linalg.solve(columns, _xyz(white))
    cones = np.array(_CONES)
    gain = (cones @ np.array(_D50)) / (cones @ _xyz(white))
    return np.asarray(np.linalg.inv(cones) @ np.diag(gain) @ cones @ columns, np.float64)


def _xyz(point: tuple[float, float]) -> NDArray[np.float64]:
    x, y = point
    return np.array((x / y, 1, (1 - x - y) / y))


@dataclasses.dataclass(frozen=True)
class Shaper:
    """A profile of three curves and a matrix.

    Attributes:
        light: float64 [3, 65536], linear light of every value of a red, green or blue of 16 bits.
        matrix: float64 [3, 3], from that to linear sRGB.
    """

    light: NDArray[np.float64]
    matrix: NDArray[np.float64]

    def to_srgb(self, values: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Colours in sRGB of 8 bits.

        Args:
            values: uint16 [n, 3].
        """
        linear = np.stack([self.light[i][values[..., i]] for i in range(3)], axis=-1)
        linear = np.clip(linear @ self.matrix.T, 0, 1)
        return _srgb_levels()[np.rint(linear * (_LEVELS - 1)).astype(np.uint16)]


def read_shaper(profile: bytes) -> Shaper | None:
    """A profile's curves and matrix; None of one that has others, or is damaged."""
    try:
        tags = _tags(profile)
        if profile[16:20] != b"RGB " or profile[20:24] != b"XYZ " or set(_TABLES) & set(tags):
            return None
        columns = [_fixed_at(tags[f"{c}XYZ".encode()], 8, 3) for c in _COLOURS]
        light = np.stack([_curve(tags[f"{c}TRC".encode()]) for c in _COLOURS])
        to_srgb = np.linalg.inv(_matrix(SRGB, D65))
    except (KeyError, ValueError, IndexError, struct.error):
        return None
    if not np.isfinite(light).all():
        return None
    return Shaper(light, to_srgb @ np.array(columns).T)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    found = {}
    for number in range(min(count, 200)):
        name, start, length = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        found[name] = profile[start : start + length]
    return found


def _fixed_at(data: bytes, at: int, count: int) -> list[float]:
    return [value / 65536 for value in struct.unpack_from(f">{count}i", data, at)]


def _curve(data: bytes) -> NDArray[np.float64]:
    """Linear light of 0..65535 by a curve's tag."""
    x = np.arange(_LEVELS) / (_LEVELS - 1)
    if data[:4] == b"para":
        (function,) = struct.unpack_from(">H", data, 8)
        return np.clip(_FUNCTIONS[function](x, *_fixed_at(data, 12, _PARAMETERS[function])), 0, 1)
    if data[:4] != b"curv":
        raise ValueError("a curve of a kind unknown")
    (count,) = struct.unpack_from(">I", data, 8)
    if count == 0:
        return x
    if count == 1:
        return np.asarray(x ** (struct.unpack_from(">H", data, 12)[0] / 256), np.float64)
    table = np.array(struct.unpack_from(f">{count}H", data, 12)) / 65535
    return np.interp(x, np.linspace(0, 1, count), table)


def _power(x: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    return np.asarray(np.maximum(x, 0) ** gamma, np.float64)


def _after(
    x: NDArray[np.float64], start: float, high: NDArray[np.float64], low: Any
) -> NDArray[np.float64]:
    return np.where(x >= start, high, low)


# ICC.1:2022, table 68.
_PARAMETERS = (1, 3, 4, 5, 7)
_FUNCTIONS: tuple[Callable[..., NDArray[np.float64]], ...] = (
    _power,
    lambda x, g, a, b: _after(x, -b / a, _power(a * x + b, g), 0.0),
    lambda x, g, a, b, c: _after(x, -b / a, _power(a * x + b, g) + c, c),
    lambda x, g, a, b, c, d: _after(x, d, _power(a * x + b, g), c * x),
    lambda x, g, a, b, c, d, e, f: _after(x, d, _power(a * x + b, g) + e, c * x + f),
)


@functools.cache
def _srgb_levels() -> NDArray[np.uint8]:
    """The level of 8 bits that sRGB has for linear light of 0..65535."""
    light = np.arange(_LEVELS) / (_LEVELS - 1)
    bent = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(bent * 255).astype(np.uint8)
