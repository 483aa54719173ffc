"""The building: doors, the room next door, windows and sun, pillars, beams, sloping ceilings."""

from __future__ import annotations

import numpy as np

from tools.rooms import fittings
from tools.rooms import materials as m
from tools.rooms.furnishing import wall_item
from tools.rooms.geometry import Assembly, Material, turn
from tools.rooms.lighting import Beam, Lamp
from tools.rooms.materials import Rng
from tools.rooms.plan import WALL_YAW, Plan, Slot
from tools.rooms.tracer import Opening, Shell

NEXT_STYLES = ("living", "bedroom", "kitchen", "office", "dining")


def cut_openings(
    rng: Rng, plan: Plan, style: str, trim: Material, daylight: float
) -> tuple[Opening | None, list[Lamp]]:
    """Adds doors, at most one doorway, and windows; returns the doorway and the windows' light."""
    opening = None
    if rng.random() < (0.6 if style == "corridor" else 0.33):
        wall = int(rng.choice([2, 3])) if style == "corridor" else int(rng.integers(0, 4))
        w = min(rng.choice([0.42, 0.5, 0.85, 1.2]), plan.wall_length(wall) / 2 - 0.25)
        h = rng.uniform(2.0, 2.2)
        along = rng.uniform(w + 0.1, plan.wall_length(wall) - w - 0.1)
        if plan.hang(fittings.doorway(w, h, trim), wall, along, 0.0):
            opening = Opening(wall // 2, wall % 2, along - w, along + w, 0.0, h)
            _keep_clear(plan, wall, along, w)
            if rng.random() < 0.3 and w < 0.6:
                x, y = plan.on_wall(wall, along, 0.0)
                leaf = fittings.open_leaf(rng, w, h, trim).placed(x, y, 0, WALL_YAW[wall])
                low, high = leaf.bounds()
                if (low[:2] > 0).all() and high[0] < plan.length and high[1] < plan.depth:
                    plan.groups.append(leaf)
                    plan.taken.append((*low[:2], *high[:2]))
    for _ in range(5 if style == "corridor" else int(rng.integers(1, 3))):
        wall = int(rng.integers(0, 4))
        along = rng.uniform(0.6, max(plan.wall_length(wall) - 0.6, 0.61))
        if plan.hang(fittings.door(rng, trim), wall, along, 0.0):
            _keep_clear(plan, wall, along, 0.45)
    lamps = []
    count = int(rng.choice([0, 1, 2, 3], p=[0.2, 0.4, 0.28, 0.12]))
    sill, head = rng.choice([0.4, 0.85, 0.95, 1.1]), min(rng.uniform(1.95, 2.3), plan.height - 0.25)
    sunny = int(rng.integers(0, 4))
    for _ in range(count):
        wall = sunny if rng.random() < 0.7 else int(rng.integers(0, 4))
        w = rng.uniform(0.4, 1.3)
        if plan.wall_length(wall) < 2 * w + 0.7:
            continue
        along = rng.uniform(w + 0.3, plan.wall_length(wall) - w - 0.3)
        pane = fittings.window(rng, w, (sill, head), daylight)
        if not plan.hang(pane, wall, along, 0.0):
            continue
        # Curtains reach the floor, yet furniture may stand before them: keep the glass only.
        plan.slots[wall][-1] = Slot(along - w, along + w, sill, head)
        if daylight <= 0:
            continue
        if rng.random() < 0.35:
            lamps.append(_sun(rng, plan, wall, (along - w, along + w), (sill, head), daylight))
        x, y = plan.on_wall(wall, along, 0.15)
        across = np.array([0.0, w, 0.0]) if wall < 2 else np.array([w, 0.0, 0.0])
        up = np.array([0.0, 0.0, (head - sill) / 2])
        inward = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)][wall], np.float64)
        tint = np.array(m.hsv(rng.uniform(0.55, 0.62), rng.uniform(0, 0.15), 1.0))
        power = daylight * 2.2 * w * (head - sill)
        lamps.append(
            Lamp(np.array([x, y, (sill + head) / 2]), np.stack([across, up]), tint * power, inward)
        )
    return opening, lamps


def _sun(
    rng: Rng,
    plan: Plan,
    wall: int,
    along: tuple[float, float],
    height: tuple[float, float],
    daylight: float,
) -> Lamp:
    """Sunlight through a window."""
    axis, side = divmod(wall, 2)
    lift, sideways = np.deg2rad(rng.uniform(20, 55)), rng.uniform(-0.8, 0.8)
    towards = np.zeros(3)
    towards[axis] = (1 if side else -1) * np.cos(lift)
    towards[1 - axis] = sideways
    towards[2] = np.sin(lift)
    towards /= np.linalg.norm(towards)
    plane = (plan.length if axis == 0 else plan.depth) if side else 0.0
    beam = Beam(axis, plane, np.array([along[0], height[0]]), np.array([along[1], height[1]]))
    spread = np.array([[0.012, 0.0, 0.0], [0.0, 0.012, 0.012]])
    return Lamp(towards, spread, np.array([1.0, 0.92, 0.78]) * daylight * 0.9, beam=beam)


def _keep_clear(plan: Plan, wall: int, along: float, w: float) -> None:
    ends = [plan.on_wall(wall, along - w, 0.0), plan.on_wall(wall, along + w, 0.75)]
    (a, b), (c, d) = ends
    plan.taken.append((min(a, c), min(b, d), max(a, c), max(b, d)))


def add_structure(rng: Rng, plan: Plan, style: str, wall: Material) -> None:
    """Adds chimney breasts, pillars, beams, sloping ceilings and pipes."""
    if rng.random() < 0.22:
        block = Assembly("breast")
        w, d = rng.uniform(0.2, 0.9), rng.uniform(0.15, 0.5)
        block.box((-w, w), (-d, d), (0, plan.height - 0.021), wall)
        side = int(rng.integers(0, 4))
        plan.stand_at_wall(block, side, rng.uniform(0, plan.wall_length(side)), 0.0)
    if rng.random() < 0.08:
        post = Assembly("pillar")
        r = rng.uniform(0.06, 0.2)
        if rng.random() < 0.5:
            post.box((-r, r), (-r, r), (0, plan.height - 0.021), m.wood(rng))
        else:
            post.pole((0, 0, 0), (0, 0, plan.height - 0.021), r * 0.6, m.metal(rng))
        plan.stand(
            post, plan.length * rng.uniform(0.25, 0.75), plan.depth * rng.uniform(0.25, 0.75), 0.0
        )
    if rng.random() < 0.1:
        beams, wood = Assembly("beams"), m.wood(rng)
        for x in np.arange(0.4, plan.length, rng.uniform(0.6, 1.3)):
            beams.box(
                (x - 0.06, x + 0.06), (0, plan.depth), (plan.height - 0.16, plan.height), wood
            )
        plan.groups.append(beams)
    elif rng.random() < 0.08 and style in ("bedroom", "living", "office"):
        slope = Assembly("slope")
        slope.box((0, plan.length), (-2, 2), (-0.02, 0.02), wall)
        # From knee height at wall y+ up to the ceiling.
        tilt = turn(0, -rng.uniform(0.6, 0.95))
        knee = rng.uniform(1.1, 1.6)
        edge = tilt @ np.array([0.0, 2.0, -0.02])
        plan.groups.append(slope.placed(0, plan.depth - edge[1], knee - edge[2], 0, 1, tilt))
        plan.slots[3].append(Slot(0, plan.length, knee - 0.3, plan.height))
        reach = (plan.height - knee) / np.tan(0.6)
        plan.taken.append((0.0, plan.depth - reach * 0.45, plan.length, plan.depth))
    if style == "storage" and rng.random() < 0.6:
        pipes = Assembly("pipes")
        for _ in range(int(rng.integers(1, 4))):
            r, z = rng.uniform(0.02, 0.09), plan.height - rng.uniform(0.12, 0.3)
            y = rng.uniform(0.1, plan.depth - 0.1)
            pipes.pole((0, y, z), (plan.length, y, z), r, m.metal(rng))
        plan.groups.append(pipes)


def draw_next_room(
    rng: Rng, plan: Plan, opening: Opening, style: str
) -> tuple[Shell, list[Assembly], Lamp]:
    """Draws the room behind the doorway with a few things in it."""
    axis, side = opening.axis, opening.side
    low, high = np.zeros(3), np.array([plan.length, plan.depth, plan.height])
    other = 1 - axis
    reach = rng.uniform(1.3, 5.5)
    middle = (opening.start + opening.end) / 2
    low[other], high[other] = middle - rng.uniform(0.9, 2.5), middle + rng.uniform(0.9, 2.5)
    if side:
        low[axis], high[axis] = high[axis], high[axis] + reach
    else:
        low[axis], high[axis] = -reach, 0.0
    walls = m.wall(rng, style)
    faces = [walls] * 4 + [m.floor(rng, style), m.wall(rng, "living", m.hsv(0.1, 0.03, 0.9))]
    shell = Shell(low, high, faces)
    inner = Plan(float(high[0] - low[0]), float(high[1] - low[1]), plan.height)
    far = 2 * axis + side
    for wall in range(4):
        if wall // 2 != axis or wall == far:
            item = wall_item(rng, str(rng.choice(NEXT_STYLES)), inner)
            inner.stand_at_wall(item, wall, rng.uniform(0.3, inner.wall_length(wall)), 0.02)
            inner.hang(fittings.picture(rng, 0.3, 0.3), wall, inner.wall_length(wall) / 2, 1.6)
    groups = [g.placed(low[0], low[1], 0) for g in inner.groups]
    spot = (low + high) / 2
    spot[2] = plan.height - 0.25
    spread = np.array([[0.2, 0.0, 0.0], [0.0, 0.2, 0.0]])
    power = rng.choice([0.3, 1.0, 4.0, 7.0])
    return shell, groups, Lamp(spot, spread, np.array([1.0, 0.93, 0.82]) * power, None, 1)
