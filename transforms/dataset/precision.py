"""What a data set's depth is worth, in numbers: said where one can still choose otherwise.

What 8 bits lose, and that the built-in network is one to try things with.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from fgbg.models.depth.depth_card import BUILTIN

LEVELS = 256
# Its mean abs_rel on ten photos of rooms (docs/training.md).
_OF_BUILTIN = (
    "The depth is by builtin, a small network to try things with: off by 20 % on ten photos of "
    "rooms, and not measured elsewhere. For labels to train on give a network by --depth_model; "
    "fgbg networks lists some."
)


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


def remarks(depth: dict[str, Any] | None) -> str:
    """What is to be said of a data set's depth, in sentences; "" where nothing is.

    Args:
        depth: What generation.json says of it; None without depth.
    """
    if not depth:
        return ""
    by_builtin = (depth.get("model") or {}).get("kind") == BUILTIN
    found = [_loss(depth), _OF_BUILTIN if by_builtin else ""]
    return " ".join(filter(None, found))


def _loss(depth: dict[str, Any]) -> str:
    """What 8-bit depth loses; sets of older versions do not know the levels."""
    if depth.get("format") != "jpg":
        return ""
    median = depth.get("levels_median")
    across = "" if median is None else f", and half of the maps have at most {median} grey levels"
    return (
        f"8-bit depth is in steps of {1000 * depth['metres_per_level']:.3g} mm over "
        f"{depth['range_m']:g} m{across}; --depth_format png16 keeps millimetres."
    )
