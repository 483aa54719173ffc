"""Stages for single objects: which object, seen how, in which light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.rooms import seating, small_things
from tools.rooms.geometry import Assembly
from tools.rooms.lighting import Lamp
from tools.rooms.materials import Rng
from tools.rooms.tracer import Camera, World

KINDS: dict[str, Callable[[Rng], Assembly]] = {
    "vase": small_things.vase,
    "chair": seating.chair,
    "plant": small_things.plant,
    "lamp": small_things.lamp,
    "ball": small_things.ball,
    "bottle": small_things.bottle,
    "stool": seating.stool,
    "teddy": small_things.teddy,
    "box": small_things.parcel,
    "cup": small_things.cup,
    "armchair": lambda rng: seating.sofa(rng, 1),
    "books": small_things.books,
    "bag": small_things.bag,
    "swivel_chair": seating.office_chair,
    "bowl": small_things.bowl,
    "basket": small_things.basket,
}


@dataclass(frozen=True)
class Stage:
    """An object ready to be rendered; the picture is larger than the object by a margin."""

    kind: str
    world: World
    camera: Camera
    lamps: list[Lamp]
    ambient: float
    exposure: float
    width: int
    height: int


def _outline(thing: Assembly) -> np.ndarray:
    """Returns points [N, 3] whose convex hull holds the object: its boxes' corners."""
    signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], np.float64)
    return np.concatenate([p.centre + (signs * p.half) @ p.rotation.T for p in thing.parts])


def draw_foreground(seed: int, height: int, kind: str | None = None) -> Stage:
    """Draws an object, a viewpoint a little above it and two or three lamps.

    Args:
        seed: any non-negative integer.
        height: rough height of the object in pixels.
        kind: one of KINDS; drawn if None.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 2])))
    names = list(KINDS)
    drawn = names[int(rng.integers(0, len(names)))]
    name = drawn if kind is None else kind
    facing = rng.uniform(-0.9, 0.9)
    thing = KINDS[name](rng).placed(0, 0, 0, facing)
    low, high = thing.bounds()
    middle = (low + high) / 2
    size = float(np.linalg.norm(high - low))
    pitch = -float(np.deg2rad(rng.uniform(4, 24)))
    distance = size * rng.uniform(2.2, 4.0)
    position = middle + distance * np.array([0.0, -np.cos(pitch), -np.sin(pitch)])
    camera = Camera(position, 0.0, pitch, 0.0, 1.0)
    seen = (_outline(thing) - position) @ camera.axes().T
    across, down = np.abs(seen[:, 0] / seen[:, 2]).max(), np.abs(seen[:, 1] / seen[:, 2]).max()
    rows = height
    columns = max(4, int(np.ceil(rows * across / down)))
    fov = 2 * float(np.arctan(down * 1.02 * columns / rows))
    camera = Camera(position, 0.0, pitch, 0.0, fov)
    warm = np.array([1.0, rng.uniform(0.86, 1.0), rng.uniform(0.7, 1.0)])
    cool = np.array([rng.uniform(0.8, 1.0), 0.95, 1.0])
    side = rng.choice([-1.0, 1.0])
    key = middle + size * np.array(
        [side * rng.uniform(0.6, 1.8), -rng.uniform(0.6, 1.6), rng.uniform(1.0, 2.2)]
    )
    fill = middle + size * np.array([-side * 1.8, -1.2, rng.uniform(0.2, 1.0)])
    spread = size * np.array([[0.3, 0.0, 0.0], [0.0, 0.0, 0.3]])
    # Small objects have near lamps: the falloff of `_light` has a constant in metres.
    power = size * size + 0.2
    lamps = [
        Lamp(key, spread, warm * 6 * power),
        Lamp(fill, spread, cool * rng.uniform(0.8, 2.5) * power),
    ]
    return Stage(
        name,
        World(None, [thing]),
        camera,
        lamps,
        rng.uniform(0.5, 0.9),
        rng.uniform(0.18, 0.34),
        columns,
        rows,
    )
