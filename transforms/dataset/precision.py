"""What 8-bit depth loses, in numbers: said wherever somebody could still choose otherwise."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

LEVELS = 256


@dataclasses.dataclass
class Levels:
    """How many of the 256 levels the maps of a data set lie across; as large for any number.

    Attributes:
        maps: How many maps lie across so many levels.
    """

    maps: dict[int, int] = dataclasses.field(default_factory=dict)

    def add(self, range_m: float, nearest_mm: Iterable[int], farthest_mm: Iterable[int]) -> None:
        """Counts maps by their least and greatest depth.

        Args:
            range_m: The depth of the greatest level.
            nearest_mm: Of each map.
            farthest_mm: Likewise.
        """
        ends = np.array([list(nearest_mm), list(farthest_mm)], np.float64)
        if not ends.size:
            return
        # Rounded to what the manifest holds: whoever counts its rows counts the same.
        metres = (ends / 1000).astype(np.float32).astype(np.float64)
        levels = np.rint(np.clip(metres * (LEVELS - 1) / range_m, 0, LEVELS - 1)).astype(np.int64)
        across = np.clip(levels[1] - levels[0] + 1, 0, LEVELS)
        self.merge(Levels(dict(Counter(across.tolist()))))

    def merge(self, other: Levels) -> None:
        """Takes in other maps."""
        for across, count in other.maps.items():
            self.maps[across] = self.maps.get(across, 0) + count

    def median(self) -> int | None:
        """The median over all maps, the lower one of two; None where there is no map."""
        wanted = (sum(self.maps.values()) + 1) // 2
        seen = 0
        for across in sorted(self.maps):
            seen += self.maps[across]
            if seen >= wanted:
                return across
        return None


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
