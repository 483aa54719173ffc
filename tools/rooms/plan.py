"""The floor plan: where things stand along the walls, in the room and on each other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tools.rooms.geometry import Assembly, Top
from tools.rooms.materials import Rng
from tools.rooms.small_things import DESK_THINGS, TABLE_THINGS

# Yaw that turns an assembly's back (+y) to wall x-, x+, y-, y+.
WALL_YAW = (np.pi / 2, -np.pi / 2, np.pi, 0.0)


@dataclass
class Slot:
    """A stretch of wall in use, metres along the wall and up."""

    start: float
    end: float
    bottom: float
    top: float

    def meets(self, other: Slot, gap: float = 0.0) -> bool:
        """Whether two stretches overlap."""
        return (
            self.start < other.end + gap
            and other.start < self.end + gap
            and self.bottom < other.top
            and other.bottom < self.top
        )


@dataclass
class Plan:
    """A room being furnished.

    Attributes:
        length, depth, height: the room's size along x, y, z in metres.
        groups: what has been placed, in room coordinates.
        taken: floor rectangles in use: x0, y0, x1, y1.
        slots: per wall, the stretches in use.
    """

    length: float
    depth: float
    height: float
    groups: list[Assembly] = field(default_factory=list)
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    slots: list[list[Slot]] = field(default_factory=lambda: [[], [], [], []])

    def wall_length(self, wall: int) -> float:
        """Length of a wall in metres."""
        return self.depth if wall < 2 else self.length

    def on_wall(self, wall: int, along: float, out: float) -> tuple[float, float]:
        """Floor position `along` a wall and `out` metres from it."""
        if wall == 0:
            return out, along
        if wall == 1:
            return self.length - out, along
        return (along, out) if wall == 2 else (along, self.depth - out)

    def is_free(self, box: tuple[float, float, float, float], gap: float = 0.0) -> bool:
        """Whether a floor rectangle is inside the room and clear of the others."""
        x0, y0, x1, y1 = box
        if x0 < 0 or y0 < 0 or x1 > self.length or y1 > self.depth:
            return False
        return all(
            x0 >= c + gap or x1 <= a - gap or y0 >= d + gap or y1 <= b - gap
            for a, b, c, d in self.taken
        )

    def hang(
        self, thing: Assembly, wall: int, along: float, z: float, reserve: bool = True
    ) -> bool:
        """Fixes something to a wall (built against y = 0); False if the place is taken."""
        low, high = thing.bounds()
        half = max(-low[0], high[0])
        slot = Slot(along - half, along + half, z + low[2], z + high[2])
        if slot.start < 0.02 or slot.end > self.wall_length(wall) - 0.02:
            return False
        if slot.top > self.height or any(slot.meets(s, 0.04) for s in self.slots[wall]):
            return False
        x, y = self.on_wall(wall, along, 0.0)
        self.groups.append(thing.placed(x, y, z, WALL_YAW[wall]))
        if reserve:
            self.slots[wall].append(slot)
        return True

    def stand_at_wall(
        self, thing: Assembly, wall: int, along: float, gap: float
    ) -> Assembly | None:
        """Stands furniture with its back `gap` metres from a wall; None if it does not fit."""
        low, high = thing.bounds()
        half = max(-low[0], high[0])
        slot = Slot(along - half, along + half, 0.0, float(high[2]))
        if slot.start < 0.02 or slot.end > self.wall_length(wall) - 0.02 or slot.top > self.height:
            return None
        if any(slot.meets(s) for s in self.slots[wall]):
            return None
        x, y = self.on_wall(wall, along, gap + float(high[1]))
        placed = thing.placed(x, y, 0, WALL_YAW[wall])
        if not self._claim(placed, 0.02):
            return None
        self.slots[wall].append(slot)
        return placed

    def stand(
        self, thing: Assembly, x: float, y: float, yaw: float, gap: float = 0.05
    ) -> Assembly | None:
        """Stands something on the floor; None if it does not fit."""
        placed = thing.placed(x, y, 0, yaw)
        return placed if self._claim(placed, gap) else None

    def _claim(self, placed: Assembly, gap: float) -> bool:
        low, high = placed.bounds()
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        if high[2] > self.height - 0.02 or not self.is_free(box, gap):
            return False
        self.taken.append(box)
        self.groups.append(placed)
        return True

    def dress(
        self, rng: Rng, top: Top, density: float, desk: bool = False, facing: float | None = None
    ) -> None:
        """Puts small things onto a horizontal surface without overlap.

        Args:
            rng: source of randomness.
            top: the surface.
            density: things a square metre.
            desk: things of an office rather than of a home.
            facing: yaw that the things' fronts keep to; any if None.
        """
        things = DESK_THINGS if desk else TABLE_THINGS
        names = list(things)
        used: list[tuple[float, float, float]] = []
        wanted = min(int(rng.poisson(density * top.width * top.depth)), 12)
        room = min(top.headroom, self.height - top.z) - 0.03
        for _ in range(wanted * 2):
            if len(used) >= wanted:
                return
            thing = things[names[int(rng.integers(0, len(names)))]](rng)
            low, high = thing.bounds()
            if high[2] > room:
                continue
            reach = float(np.max(np.abs([low[:2], high[:2]])))
            w, d = top.width / 2 - reach, top.depth / 2 - reach
            if w < 0 or d < 0:
                continue
            x, y = top.x + rng.uniform(-w, w), top.y + rng.uniform(-d, d)
            if any(np.hypot(x - a, y - b) < reach + r for a, b, r in used):
                continue
            used.append((x, y, reach))
            front = WALL_YAW[int(rng.integers(0, 4))] if facing is None else facing
            yaw = rng.uniform(-0.5, 0.5) + front
            self.groups.append(thing.placed(x, y, top.z, yaw))
