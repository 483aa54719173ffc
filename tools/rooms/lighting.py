"""Which lamps a point sees and how enclosed it is: shadow and occlusion rays.

Rays are cast from a coarse grid of the visible points, each towards another spot of the lamp,
and the results are averaged over neighbours on the same surface: soft shadows at little cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.rooms.geometry import Vector
from tools.rooms.solids import Array, span
from tools.rooms.tracer import World

PATTERN = 4  # neighbours over PATTERN x PATTERN points use different rays
OCCLUSION_REACH = 0.9  # metres


@dataclass(frozen=True)
class Beam:
    """The window that sunlight comes through: wall axis and place, and the pane's corners.

    Attributes:
        axis: 0 or 1, the axis across the wall.
        wall: where the wall is on it, metres.
        low, high: [2] float64 limits along the other horizontal axis and up, metres.
    """

    axis: int
    wall: float
    low: Vector
    high: Vector

    def reach(self, points: Array, towards: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Cuts sun directions [3, H, W] off at the wall; says which go through the pane."""
        t = (np.float32(self.wall) - points[self.axis]) / (towards[self.axis] + np.float32(1e-9))
        cut = towards * t
        along = points[1 - self.axis] + cut[1 - self.axis]
        height = points[2] + cut[2]
        through = (t > 0) & (along > self.low[0]) & (along < self.high[0])
        return cut, through & (height > self.low[1]) & (height < self.high[1])


@dataclass(frozen=True)
class Lamp:
    """A lamp, a window, or the sun through a window.

    Attributes:
        position: [3] float64 centre, metres; of the sun, the direction towards it.
        spread: [2, 3] float64, half sides of the luminous rectangle.
        colour: [3] float64 linear radiant power.
        facing: [3] float64 unit normal of a window, or None for a lamp shining all round.
        inside: 0 for the room, 1 for the room beyond the opening.
        beam: for the sun, the window; None for lamps.
    """

    position: Vector
    spread: Vector
    colour: Vector
    facing: Vector | None = None
    inside: int = 0
    beam: Beam | None = None


def _blocked(
    world: World, points: Array, rays: Array, start: NDArray[np.int16], falloff: bool
) -> NDArray[np.float32]:
    """Returns how much is in the way of segments points + t * rays, t in 0..1.

    Args:
        world: the solids.
        points, rays: [3, N] float32.
        start: [N] int; the primitive each segment leaves from (it never blocks itself, being
            convex).
        falloff: count near blockers more than far ones instead of all as 1.

    Returns:
        [N] float32 in 0..1.
    """
    result = np.zeros(points.shape[1], np.float32)
    if not len(result):
        return result
    ends = points + rays
    low = np.minimum(points.min(1), ends.min(1))
    high = np.maximum(points.max(1), ends.max(1))
    inverse = 1 / (_dot(rays, rays) + np.float32(1e-9))
    apart = (world.bounds[:, 0] > high).any(axis=1) | (world.bounds[:, 1] < low).any(axis=1)
    for number in np.flatnonzero(~apart):
        first, last = world.group_slices[number]
        parts = [
            (i, p)
            for i, p in enumerate(world.primitives[first:last], first)
            if p.material.emission == 0 and p.half.max() > 0.012
        ]
        if not parts:
            continue
        radius = world.spheres[number, 3]
        offset = world.spheres[number, :3, None] - points
        t = np.clip(_dot(offset, rays) * inverse, 0, 1)
        offset -= t * rays
        near = np.flatnonzero(_dot(offset, offset) < radius * radius)
        if not len(near):
            continue
        p, d, s = points[:, near], rays[:, near], start[near]
        block = np.zeros(len(near), np.float32)
        for i, part in parts:
            c = part.centre.astype(np.float32)
            origin = (p[0] - c[0], p[1] - c[1], p[2] - c[2])
            enter, leave = span(part, origin, (d[0], d[1], d[2]))
            hit = (enter < leave) & (leave > 0) & (enter < 1) & (s != i)
            if falloff:
                block = np.maximum(block, hit * (1 - np.maximum(enter, 0)))
            else:
                block = np.maximum(block, hit)
        result[near] = np.maximum(result[near], block)
    return result


def _dot(a: Array, b: Array) -> Array:
    """Dot product over the first axis."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _average(values: Array, key: NDArray[np.int32], size: int) -> Array:
    """Averages [H, W, C] over the size x size neighbours that share the surface key."""
    height, width, channels = values.shape
    before, after = (size - 1) // 2, size // 2
    around = (before, after, before, after)
    padded = cv2.copyMakeBorder(values, *around, cv2.BORDER_REFLECT_101)
    padded = padded.reshape(height + size - 1, width + size - 1, channels)
    keys = cv2.copyMakeBorder(key, *around, cv2.BORDER_REFLECT_101)
    total = np.zeros_like(values)
    count = np.zeros((height, width), np.float32)
    for i in range(size):
        for j in range(size):
            same = (keys[i : i + height, j : j + width] == key).astype(np.float32)
            total += padded[i : i + height, j : j + width] * same[..., None]
            count += same
    return total / count[..., None]


def visibility(
    world: World,
    lamps: list[Lamp],
    points: Array,
    normals: Array,
    number: NDArray[np.int16],
    key: NDArray[np.int32],
    beyond: NDArray[np.bool_],
) -> Array:
    """Casts one ray to each lamp and one into the hemisphere from each point of a grid.

    Args:
        world: the solids.
        lamps: L lamps that cast shadows.
        points, normals: [3, H, W] float32.
        number: [H, W] int16 primitive, -1 for none.
        key: [H, W] int32 surface, for averaging.
        beyond: [H, W] bool, points of the other room.

    Returns:
        [H, W, L + 1] float32: the visible share of each lamp, then the openness 0..1.
    """
    _, height, width = points.shape
    cell = (np.arange(height) % PATTERN)[:, None] * PATTERN + (np.arange(width) % PATTERN)[None, :]
    # A fixed scramble so that rays of neighbouring points are far apart.
    order = np.array([0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5])[cell]
    # Somewhere within the cell: else wide half-shadows show 16 steps.
    jitter = np.random.Generator(np.random.Philox(height * 10007 + width))
    across = (((order * 7) % 16) + jitter.random(order.shape)) / 8 - 1
    up = (order + jitter.random(order.shape)) / 8 - 1
    result = np.ones((height, width, len(lamps) + 1), np.float32)
    lifted = points + normals * np.float32(0.004)
    hit = number >= 0
    for i, lamp in enumerate(lamps):
        cast = hit & (beyond == bool(lamp.inside))
        if lamp.beam is None:
            spot = lamp.position[:, None, None] + across * lamp.spread[0][:, None, None]
            towards = (spot + up * lamp.spread[1][:, None, None]).astype(np.float32) - lifted
        else:
            sway = across * lamp.spread[0][:, None, None] + up * lamp.spread[1][:, None, None]
            towards = (lamp.position[:, None, None] + sway).astype(np.float32)
            towards, through = lamp.beam.reach(lifted, towards)
            cast &= through
            result[..., i] = through
        # Faces turned away are asked too: thin strips borrow their neighbours' values.
        free = _blocked(world, lifted[:, cast], towards[:, cast], number[cast], False)
        result[..., i][cast] -= free
    # Cosine-distributed directions: a unit vector plus the normal.
    turn = 2 * np.pi * ((order * 0.618034) % 1.0)
    ring = np.sqrt(np.maximum(1 - up * up, 0))
    ball = np.stack([ring * np.cos(turn), ring * np.sin(turn), up])
    ray = normals + np.float32(0.98) * ball.astype(np.float32)
    ray *= np.float32(OCCLUSION_REACH) / np.sqrt(_dot(ray, ray))
    base, ray = lifted[:, hit], ray[:, hit]
    closed = _blocked(world, base, ray, number[hit], True)
    shell = world.shell
    if shell is not None:
        inner = ~beyond[hit]
        for axis in range(3):
            edge = np.where(ray[axis] > 0, shell.high[axis], shell.low[axis]).astype(np.float32)
            t = (edge - base[axis]) / (ray[axis] + np.float32(1e-12))
            closed = np.maximum(closed, np.where(inner, np.clip(1 - t, 0, 1), 0))
    result[..., -1][hit] -= closed
    # The first average completes each pattern of rays, the second smooths what jitter is left.
    return _average(_average(result, key, PATTERN), key, 3)


def spread_up(
    coarse: Array, key: NDArray[np.int32], fine_key: NDArray[np.int32], step: int
) -> Array:
    """Interpolates coarse values onto a fine grid without crossing surfaces.

    Args:
        coarse: [h, w, C] float32, taken at every `step`-th fine row and column.
        key: [h, w] int32 surfaces of the coarse points.
        fine_key: [H, W] int32.
        step: the ratio of the grids.

    Returns:
        [H, W, C] float32.
    """
    height, width = fine_key.shape
    h, w = key.shape
    fraction_v = ((np.arange(height) % step) / step).astype(np.float32)[:, None]
    fraction_u = ((np.arange(width) % step) / step).astype(np.float32)[None, :]
    solid = fine_key >> 3
    total = np.zeros((height, width, coarse.shape[2]), np.float32)
    weight = np.zeros((height, width), np.float32)
    for dv in (0, 1):
        rows = np.minimum(np.arange(h) + dv, h - 1)
        for du in (0, 1):
            columns = np.minimum(np.arange(w) + du, w - 1)
            values, keys = coarse[rows][:, columns], key[rows][:, columns]
            size = (w * step, h * step)
            near = cv2.resize(values, size, interpolation=cv2.INTER_NEAREST)[:height, :width]
            near = near.reshape(height, width, -1)
            same = cv2.resize(keys, size, interpolation=cv2.INTER_NEAREST)[:height, :width]
            share = (fraction_v if dv else 1 - fraction_v) * (fraction_u if du else 1 - fraction_u)
            # Thin strips may have no point of their own: then another face of the same solid.
            trust = np.where(same == fine_key, np.float32(1), np.float32(1e-4))
            trust[(same >> 3) == solid] += np.float32(0.1)
            share = (share + np.float32(1e-3)) * trust
            total += near * share[..., None]
            weight += share
    return total / weight[..., None]
