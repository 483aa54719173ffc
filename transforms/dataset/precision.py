"""What 8-bit depth loses, in numbers: said wherever somebody could still choose otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 256


class Levels:
    """How many of the 256 levels the maps of a data set lie across; as large for any number."""

    def __init__(self, range_m: float) -> None:
        self._range_m = range_m
        self._maps: NDArray[np.int64] = np.zeros(LEVELS + 1, np.int64)

    def add(self, nearest_m: Iterable[float | None], farthest_m: Iterable[float | None]) -> None:
        """Counts maps by their least and greatest depth; those without depth are passed over."""
        ends = [(n, f) for n, f in zip(nearest_m, farthest_m, strict=True) if None not in (n, f)]
        if ends:
            scaled = np.clip(np.array(ends, np.float64) * (LEVELS - 1) / self._range_m, 0, 255)
            levels = np.rint(scaled).astype(np.int64)
            across = levels[:, 1] - levels[:, 0] + 1
            self._maps += np.bincount(np.clip(across, 0, LEVELS), minlength=LEVELS + 1)

    def median(self) -> int | None:
        """The median over all maps; None where there is no map."""
        total = int(self._maps.sum())
        if not total:
            return None
        return int(np.searchsorted(np.cumsum(self._maps), (total + 1) // 2))


def loss(depth: dict[str, Any] | None) -> str:
    """A sentence on what 8-bit depth loses; "" where it is stored in millimetres, or there is none.

    Args:
        depth: What generation.json says of it; that of older versions does not know the levels.
    """
    if not depth or depth.get("format") != "jpg":
        return ""
    median = depth.get("levels_median")
    across = "" if median is None else f", and half of the maps have at most {median} grey levels"
    return (
        f"8-bit depth is in steps of {1000 * depth['metres_per_level']:.3g} mm over "
        f"{depth['range_m']:g} m{across}; --depth_format png16 keeps millimetres."
    )
