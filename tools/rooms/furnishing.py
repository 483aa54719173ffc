"""Furnishes a room: along the walls, in the middle, on the walls and on the furniture."""

from __future__ import annotations

import numpy as np

from tools.rooms import fittings, seating
from tools.rooms import furniture as f
from tools.rooms import materials as m
from tools.rooms.geometry import Assembly, turn
from tools.rooms.materials import Rng
from tools.rooms.plan import WALL_YAW, Plan
from tools.rooms.small_things import FLOOR_THINGS


def wall_item(rng: Rng, style: str, plan: Plan) -> Assembly:
    """Draws furniture that stands with its back to a wall."""

    def desk() -> Assembly:
        return f.table(rng, rng.uniform(1.1, 1.8), rng.uniform(0.55, 0.8), rng.uniform(0.7, 0.78))

    def low() -> Assembly:
        return f.cupboard(
            rng, rng.uniform(0.5, 1.8), rng.uniform(0.35, 0.55), rng.uniform(0.45, 1.0)
        )

    def tall() -> Assembly:
        return f.cupboard(
            rng, rng.uniform(0.6, 1.9), rng.uniform(0.4, 0.62), rng.uniform(1.4, 2.15)
        )

    def books() -> Assembly:
        return f.shelf(rng, rng.uniform(0.5, 1.6), rng.uniform(0.8, 2.1))

    def seat() -> Assembly:
        return seating.sofa(rng, int(rng.choice([1, 2, 3])))

    choices = {
        "living": (
            [seat, low, books, tall, lambda: f.floor_lamp(rng)],
            (0.35, 0.25, 0.22, 0.08, 0.1),
        ),
        "bedroom": ([low, tall, books, desk, seat], (0.35, 0.35, 0.12, 0.1, 0.08)),
        "kitchen": (
            [lambda: f.counter(rng, rng.uniform(1.0, 2.8)), lambda: f.appliance(rng), tall, low],
            (0.55, 0.25, 0.1, 0.1),
        ),
        "office": ([desk, books, low, tall], (0.5, 0.28, 0.14, 0.08)),
        "dining": ([low, tall, books, lambda: f.floor_lamp(rng)], (0.45, 0.2, 0.2, 0.15)),
        "storage": (
            [lambda: f.heap(rng), books, tall, lambda: f.appliance(rng), desk],
            (0.35, 0.3, 0.1, 0.15, 0.1),
        ),
        "corridor": ([low, books, lambda: seating.chair(rng)], (0.5, 0.2, 0.3)),
    }
    builders, odds = choices[style]
    return builders[int(rng.choice(len(builders), p=odds))]()


def furnish_walls(rng: Rng, plan: Plan, style: str) -> None:
    fullness = rng.uniform(0.55, 1.0) if style != "corridor" else rng.uniform(0.1, 0.4)
    if style == "bedroom":
        for _ in range(6):
            wall = int(rng.integers(0, 4))
            if plan.stand_at_wall(
                seating.bed(rng), wall, rng.uniform(0.5, plan.wall_length(wall) - 0.5), 0.03
            ):
                break
    for wall in rng.permutation(4):
        wall = int(wall)
        along = rng.uniform(0.0, 0.8)
        tries = 0
        while along < plan.wall_length(wall) and tries < 14:
            tries += 1
            if rng.random() > fullness:
                along += rng.uniform(0.3, 1.2)
                continue
            item = wall_item(rng, style, plan)
            low, high = item.bounds()
            half = max(-low[0], high[0])
            gap = rng.uniform(0.0, 0.06)
            placed = plan.stand_at_wall(item, wall, along + half + 0.03, gap)
            if placed is None:
                along += rng.uniform(0.15, 0.4)
                continue
            desk = item.name == "table"
            density = 8.0 if item.name != "counter" else 10.0
            for top in placed.tops:
                if item.name in ("sofa", "bed"):
                    continue
                plan.dress(rng, top, density * rng.uniform(0.3, 1.6), desk, WALL_YAW[wall])
            if item.name == "counter" and rng.random() < 0.75:
                units = f.hanging_units(rng, high[0] - low[0] - 0.05)
                deep = f.hanging_units(rng, 1.0).bounds()[1][1]
                plan.hang(
                    units.placed(0, -deep, 0), wall, along + half + 0.03, rng.uniform(1.35, 1.5)
                )
            if desk and rng.random() < 0.8:
                seat = seating.office_chair(rng) if rng.random() < 0.6 else seating.chair(rng)
                out = gap + (high[1] - low[1]) + rng.uniform(0.05, 0.4)
                x, y = plan.on_wall(wall, along + half + rng.uniform(-0.2, 0.2), out + 0.2)
                yaw = WALL_YAW[wall] + np.pi + rng.uniform(-0.6, 0.6)
                plan.stand(seat, x, y, yaw, 0.0)
            along += 2 * half + rng.choice([0.0, 0.05, 0.3, 0.7])


def decorate(rng: Rng, plan: Plan, style: str) -> None:
    for wall in range(4):
        for _ in range(int(rng.poisson(2.4))):
            along = rng.uniform(0.2, plan.wall_length(wall) - 0.2)
            if rng.random() < 0.15:
                plan.hang(fittings.radiator(rng), wall, along, 0.0)
            elif rng.random() < 0.2:
                plan.hang(
                    fittings.wall_shelf(rng, rng.uniform(0.3, 0.8)),
                    wall,
                    along,
                    rng.uniform(1.2, 1.7),
                )
            else:
                w, h = rng.uniform(0.12, 0.55), rng.uniform(0.12, 0.5)
                plan.hang(fittings.picture(rng, w, h), wall, along, rng.uniform(1.4, 1.75))


def furnish_middle(rng: Rng, plan: Plan, style: str) -> None:
    cx, cy = plan.length * rng.uniform(0.35, 0.65), plan.depth * rng.uniform(0.35, 0.65)
    yaw = WALL_YAW[int(rng.integers(0, 4))]
    if rng.random() < {"living": 0.7, "bedroom": 0.5, "dining": 0.5}.get(style, 0.15):
        rug = Assembly("rug")
        w, d = rng.uniform(0.6, 1.5), rng.uniform(0.5, 1.1)
        cloth = m.drawing(rng, "rug")
        rug.box((-w, w), (-d, d), (0, 0.012), cloth)
        low, high = rug.placed(cx, cy, 0, yaw).bounds()
        if (low[:2] > 0).all() and high[0] < plan.length and high[1] < plan.depth:
            plan.groups.append(rug.placed(cx, cy, 0, yaw))
    wants_table = {"dining": 1.0, "kitchen": 0.6, "office": 0.35, "living": 0.7, "storage": 0.2}
    if rng.random() < wants_table.get(style, 0.0):
        if style == "living":
            size = (rng.uniform(0.7, 1.3), rng.uniform(0.5, 0.8), rng.uniform(0.36, 0.48))
        else:
            size = (rng.uniform(0.9, 2.2), rng.uniform(0.75, 1.0), rng.uniform(0.71, 0.78))
        table = plan.stand(f.table(rng, *size), cx, cy, yaw)
        if table is not None:
            for top in table.tops:
                plan.dress(rng, top, rng.uniform(1.0, 12.0), style == "office")
            if style != "living":
                _chairs_round(rng, plan, cx, cy, yaw, size[0], size[1])
    loose = {"storage": 9, "living": 5, "office": 5, "corridor": 1}.get(style, 4)
    for _ in range(int(rng.poisson(loose))):
        pick = rng.random()
        if pick < 0.2:
            thing = seating.chair(rng)
        elif pick < 0.3:
            thing = seating.stool(rng)
        elif pick < 0.4 and style == "living":
            thing = seating.sofa(rng, 1)
        elif pick < 0.5 and style == "storage":
            thing = f.heap(rng)
        else:
            names = list(FLOOR_THINGS)
            thing = FLOOR_THINGS[names[int(rng.integers(0, len(names)))]](rng)
        x, y = rng.uniform(0.2, plan.length - 0.2), rng.uniform(0.2, plan.depth - 0.2)
        plan.stand(thing, x, y, rng.uniform(0, 2 * np.pi))


def _chairs_round(
    rng: Rng, plan: Plan, cx: float, cy: float, yaw: float, w: float, d: float
) -> None:
    frame = turn(yaw)
    seed = int(rng.integers(0, 2**31))
    places = []
    for x in np.linspace(-w / 2, w / 2, max(2, int(w / 0.55) + 1) + 1)[1:-1]:
        places += [(x, -d / 2, np.pi), (x, d / 2, 0.0)]
    if rng.random() < 0.6:
        places += [(-w / 2, 0.0, np.pi / 2), (w / 2, 0.0, -np.pi / 2)]
    for x, y, facing in places:
        if rng.random() < 0.2:
            continue
        # The same seed for each: the chairs of a table belong together.
        chair = seating.chair(np.random.Generator(np.random.Philox(seed)))
        away = turn(facing) @ np.array([0.0, rng.uniform(0.02, 0.3), 0.0])
        spot = frame @ (np.array([x, y, 0.0]) + away)
        turned = chair.placed(cx + spot[0], cy + spot[1], 0, yaw + facing + rng.normal(0, 0.12))
        low, high = turned.bounds()
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        own = plan.taken[:]
        # A chair may be pushed under its table, but not into anything else.
        plan.taken = [t for t in own if not (t[0] <= cx <= t[2] and t[1] <= cy <= t[3])]
        free = plan.is_free(box, 0.01)
        plan.taken = own
        if free:
            plan.taken.append(box)
            plan.groups.append(turned)
