"""Chooses where the camera stands and looks, as people photograph rooms."""

from __future__ import annotations

import numpy as np

from tools.rooms.geometry import Vector
from tools.rooms.materials import Rng
from tools.rooms.tracer import Camera, World, trace

CLEAR = 0.22  # metres between the camera and any solid

# What people point a camera at from near by.
_SUBJECTS = ("table", "counter", "cupboard", "shelf", "bed", "sofa", "heap", "appliance", "chair")


def _clearance(world: World, position: Vector) -> float:
    """Returns how far (metres, along some axis of the nearest solid) a position is from all."""
    solids = world.primitives[world.first :]
    offset = position - np.array([p.centre for p in solids])
    frames = np.array([p.rotation for p in solids])
    local = np.abs(np.einsum("pij,pi->pj", frames, offset))
    return float((local - np.array([p.half for p in solids])).max(axis=1).min())


def _aim(position: Vector, target: Vector) -> tuple[float, float]:
    """Returns the yaw and pitch that look from position to target."""
    d = target - position
    return float(np.arctan2(-d[0], d[1])), float(np.arctan2(d[2], np.hypot(d[0], d[1])))


def _candidate(rng: Rng, world: World, style: str) -> Camera:
    shell = world.shell
    assert shell is not None
    size = shell.high - shell.low
    margin = np.array([0.25, 0.25])
    fov = np.deg2rad(rng.uniform(50, 75))
    roll = float(np.deg2rad(np.clip(rng.normal(0, 2.0), -6, 6)))
    height = float(np.clip(rng.normal(1.35, 0.28), 0.6, min(2.0, size[2] - 0.3)))
    mode = rng.random()
    subjects = [g for g in world.groups if g.name in _SUBJECTS]
    if style == "corridor" and mode < 0.8:
        along = int(np.argmax(size[:2]))
        place = rng.uniform(margin, size[:2] - margin)
        end = bool(rng.random() < 0.5)
        place[along] = rng.uniform(0.2, 1.5) if end else size[along] - rng.uniform(0.2, 1.5)
        target = size[:2] * rng.uniform(0.3, 0.7, 2)
        target[along] = size[along] if end else 0.0
        position = np.array([*place, height])
        yaw, pitch = _aim(position, np.array([*target, rng.uniform(0.6, 1.6)]))
    elif subjects and mode < 0.34:  # close to a piece of furniture, looking down on it
        low, high = subjects[int(rng.integers(0, len(subjects)))].bounds()
        middle = (low + high) / 2
        reach = float(np.hypot(*(high - low)[:2])) * 0.4 + rng.uniform(0.35, 1.2)
        if high[2] < 1.1:
            height = float(np.clip(high[2] + rng.uniform(0.35, 0.85), 0.6, size[2] - 0.3))
        turn = rng.uniform(0, 2 * np.pi)
        place = middle[:2] + reach * np.array([np.cos(turn), np.sin(turn)])
        place = np.clip(place, margin, size[:2] - margin)
        position = np.array([*place, height])
        aim = np.array([*middle[:2], high[2] * rng.uniform(0.7, 1.05)])
        yaw, pitch = _aim(position, aim + rng.normal(0, 0.15, 3))
    elif mode < 0.85:  # from one side across the room
        place = rng.uniform(margin, size[:2] - margin)
        axis = int(rng.integers(0, 2))
        place[axis] = (
            rng.uniform(0.2, 0.8) if rng.random() < 0.5 else size[axis] - rng.uniform(0.2, 0.8)
        )
        target = size[:2] * rng.uniform(0.15, 0.85, 2)
        target[axis] = size[axis] - place[axis]
        position = np.array([*place, height])
        yaw, pitch = _aim(position, np.array([*target, rng.uniform(0.5, 1.4)]))
    else:  # from anywhere, into a corner or at a wall
        place = rng.uniform(margin, size[:2] - margin)
        position = np.array([*place, height])
        yaw, pitch = rng.uniform(-np.pi, np.pi), float(np.deg2rad(rng.normal(-9, 7)))
    pitch = float(np.clip(pitch + np.deg2rad(rng.normal(-2, 4)), np.deg2rad(-27), np.deg2rad(10)))
    return Camera(position, float(yaw), pitch, roll, float(fov))


def _score(world: World, camera: Camera) -> float:
    """Judges a view by a thumbnail: 1 is good, below that something is in the way or missing."""
    depth, number, _ = trace(world, camera, 32, 24)
    near, median = np.percentile(depth, [3, 50])
    share = (
        np.bincount(np.maximum(number, 0).ravel(), minlength=len(world.primitives)) / number.size
    )
    bare = float(share[: world.first].max())
    score = 1.0
    score -= max(0.0, 0.55 - float(near)) * 2
    score -= max(0.0, 0.95 - float(median))
    score -= max(0.0, bare - 0.62) * 2
    score -= max(0.0, float(share[world.first :].max(initial=0.0)) - 0.5)
    groups = sum(share[a:b].sum() > 0.004 for a, b in world.group_slices)
    return score - 0.12 * max(0, 4 - groups)


def draw_camera(rng: Rng, world: World, style: str) -> Camera:
    """Draws a camera that stands clear of everything and sees something.

    Args:
        rng: source of randomness.
        world: the furnished room.
        style: kind of room.
    """
    best, best_score = None, -np.inf
    spare, spare_clearance = None, -np.inf
    judged = 0
    for _ in range(80):
        camera = _candidate(rng, world, style)
        clearance = _clearance(world, camera.position)
        if clearance < CLEAR:
            if clearance > spare_clearance:
                spare, spare_clearance = camera, clearance
            continue
        score = _score(world, camera)
        judged += 1
        if score > best_score:
            best, best_score = camera, score
        if score >= 0.999 or judged == 8:
            break
    chosen = spare if best is None else best  # a spare only in a room full to the ceiling
    assert chosen is not None
    return chosen
