"""Draws a furnished, lit room and a camera in it from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.rooms import fittings
from tools.rooms import materials as m
from tools.rooms.foregrounds import KINDS
from tools.rooms.furnishing import decorate, furnish_middle, furnish_walls
from tools.rooms.geometry import Material
from tools.rooms.lighting import Lamp
from tools.rooms.materials import Rng
from tools.rooms.plan import Plan
from tools.rooms.structure import add_structure, cut_openings, draw_next_room
from tools.rooms.tracer import Camera, Shell, World
from tools.rooms.viewpoint import draw_camera

STYLES = ("living", "bedroom", "kitchen", "office", "dining", "storage", "corridor")
_ODDS = (0.22, 0.16, 0.17, 0.17, 0.12, 0.09, 0.07)


@dataclass(frozen=True)
class Scene:
    """What is rendered.

    Attributes:
        world: the surfaces.
        camera: the viewpoint.
        lamps: lights, the strongest first.
        ambient: share of the mean direct light that arrives from everywhere.
        style: one of STYLES.
    """

    world: World
    camera: Camera
    lamps: list[Lamp]
    ambient: float
    style: str


def _size(rng: Rng, style: str) -> tuple[float, float, float]:
    if style == "corridor":
        return rng.uniform(1.2, 2.2), rng.uniform(4.0, 9.0), rng.uniform(2.3, 2.9)
    large = {"living": 1.1, "dining": 1.0, "office": 1.05, "storage": 1.1}.get(style, 0.9)
    a = np.clip(rng.normal(4.8, 1.6) * large, 2.6, 9.0)
    b = np.clip(rng.normal(4.0, 1.2) * large, 2.5, 7.5)
    return float(a), float(b), rng.uniform(2.3, 3.1)


def _ceiling_lights(rng: Rng, plan: Plan, on: float) -> list[Lamp]:
    rows = 1 if plan.length < 3.5 else int(rng.integers(1, 3))
    columns = 1 if plan.depth < 3.5 else int(rng.integers(1, 3))
    tint = np.array(m.hsv(rng.uniform(0.07, 0.15), rng.uniform(0.02, 0.35), 1.0))
    seed = int(rng.integers(0, 2**31))
    lamps = []
    for i in range(rows):
        for j in range(columns):
            one = np.random.Generator(np.random.Philox(seed))
            thing, z = fittings.ceiling_lamp(one, plan.height, on * 2.5)
            x, y = plan.length * (i + 0.5) / rows, plan.depth * (j + 0.5) / columns
            plan.groups.append(thing.placed(x, y, 0))
            if on > 0:
                spread = np.array([[0.2, 0.0, 0.0], [0.0, 0.2, 0.0]])
                lamps.append(
                    Lamp(np.array([x, y, z]), spread, tint * on * 5.0 / (rows * columns) ** 0.6)
                )
    return lamps


def _glowing_things(rng: Rng, plan: Plan) -> list[Lamp]:
    lamps = []
    for group in plan.groups:
        if group.name not in ("lamp", "floor lamp"):
            continue
        for part in group.parts:
            if part.material.emission > 0:
                spread = np.array([[0.05, 0.0, 0.0], [0.0, 0.05, 0.0]])
                lamps.append(
                    Lamp(part.centre, spread, np.array([1.0, 0.8, 0.55]) * rng.uniform(0.4, 1.2))
                )
    return lamps


def _add_subjects(rng: Rng, plan: Plan, camera: Camera) -> bool:
    """Stands one or two things on the floor before the camera, as people photograph things."""
    names = list(KINDS)
    wanted, added = int(rng.choice([0, 1, 2], p=[0.5, 0.35, 0.15])), 0
    for _ in range(10 * wanted):
        if added == wanted:
            break
        thing = KINDS[names[int(rng.integers(0, len(names)))]](rng)
        low, high = thing.bounds()
        tall = float(high[2])
        # Small things are blown up: a knee-high vase or toy is not rare on a floor.
        scale = rng.uniform(1.0, 2.5) if tall < 0.5 else rng.uniform(0.9, 1.1)
        distance, off = rng.uniform(0.8, 2.6), rng.uniform(-0.4, 0.4) * camera.fov
        heading = camera.yaw + off
        x = camera.position[0] - np.sin(heading) * distance
        y = camera.position[1] + np.cos(heading) * distance
        reach = float(np.abs([low[:2], high[:2]]).max()) * scale
        if distance < reach * 1.5 + 0.45:
            continue
        copy = thing.placed(0, 0, 0, 0, scale)
        added += plan.stand(copy, x, y, rng.uniform(0, 2 * np.pi), 0.0) is not None
    return added > 0


def draw_scene(seed: int) -> Scene:
    """Draws a scene; the same for the same seed."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 1])))
    style = str(rng.choice(STYLES, p=_ODDS))
    plan = Plan(*_size(rng, style))
    day = rng.random() < 0.72
    daylight = rng.uniform(1.5, 5.0) if day else 0.0
    lit = 0.0 if day and rng.random() < 0.45 else rng.uniform(0.5, 1.3)
    trim = m.paint(m.hsv(0.1, 0.04, 0.9), 0.25) if rng.random() < 0.6 else m.wood(rng)
    base = m.wall(rng, style)
    faces = [base] * 4
    if rng.random() < 0.25:
        faces[int(rng.integers(0, 4))] = m.wall(rng, style)
    white = m.hsv(0.1, rng.uniform(0, 0.06), rng.uniform(0.8, 0.95))
    ceiling = Material("plaster", int(rng.integers(0, 4)), (white,) * 3, 1.5, contrast=0.4)
    if rng.random() < 0.1:
        ceiling = m.wood(rng)
    faces = [*faces, m.floor(rng, style), ceiling]
    opening, lamps = cut_openings(rng, plan, style, trim, daylight)
    if not lamps and lit == 0.0:
        lit = rng.uniform(0.6, 1.2)
    add_structure(rng, plan, style, base)
    furnish_walls(rng, plan, style)
    furnish_middle(rng, plan, style)
    decorate(rng, plan, style)
    fixed = (plan.length, plan.depth)
    if style != "storage" and rng.random() < 0.85:
        gap = (2 * opening.axis + opening.side, opening.start, opening.end) if opening else None
        plan.groups.append(fittings.skirting(*fixed, rng.uniform(0.06, 0.13), trim, gap))
    if rng.random() < 0.25:
        plan.groups.append(fittings.cornice(*fixed, plan.height, rng.uniform(0.05, 0.1), trim))
    lamps += _ceiling_lights(rng, plan, lit) + _glowing_things(rng, plan)
    lamps.sort(key=lambda lamp: -float(lamp.colour.sum()))
    shell = Shell(np.zeros(3), np.array([plan.length, plan.depth, plan.height]), faces, opening)
    if opening is not None:
        shell.beyond, more, light = draw_next_room(rng, plan, opening, style)
        plan.groups.extend(more)
        lamps = [*lamps, light]
    world = World(shell, plan.groups)
    camera = draw_camera(rng, world, style)
    if _add_subjects(rng, plan, camera):
        world = World(shell, plan.groups)
    return Scene(
        world,
        camera,
        lamps[:6] if opening is None else [*lamps[:5], lamps[-1]],
        rng.uniform(0.35, 0.8),
        style,
    )
