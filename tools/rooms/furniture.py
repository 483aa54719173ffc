"""Furniture from boxes, poles and blobs.

Each builder returns an Assembly standing on z = 0, centred on the origin, its back towards +y and
its front towards -y, in metres. `tops` says where small things may stand.
"""

from __future__ import annotations

from tools.rooms import materials as m
from tools.rooms.geometry import Assembly, Material, Top
from tools.rooms.materials import Rng


def add_legs(
    thing: Assembly,
    rng: Rng,
    w: float,
    d: float,
    h: float,
    material: Material,
    thick: float = 0.025,
) -> None:
    """Adds four legs under a rectangle of half sides w and d, h high."""
    round_legs = rng.random() < 0.35
    taper = rng.uniform(0.6, 1.0)
    for x in (-w + thick, w - thick):
        for y in (-d + thick, d - thick):
            if round_legs:
                thing.pole((x, y, 0), (x, y, h), thick * taper, material, thick)
            else:
                thing.box((x - thick, x + thick), (y - thick, y + thick), (0, h), material)


def table(rng: Rng, w: float, d: float, h: float) -> Assembly:
    """A table w x d, h high; rectangular or round."""
    thing = Assembly("table")
    pick = rng.random()
    pale = m.hsv(0.1, rng.uniform(0, 0.15), rng.uniform(0.1, 0.95))
    top = m.wood(rng) if pick < 0.7 else m.lacquer(rng, pale) if pick < 0.88 else m.stone(rng)
    legs = top if rng.random() < 0.6 else m.metal(rng)
    thick = rng.uniform(0.02, 0.045)
    if rng.random() < 0.2 and abs(w - d) < 0.5:
        r = min(w, d) / 2
        thing.pole((0, 0, h - thick), (0, 0, h), r, top)
        thing.pole((0, 0, 0.03), (0, 0, h - thick), 0.05, legs)
        thing.pole((0, 0, 0), (0, 0, 0.03), r * 0.5, legs)
        thing.tops.append(Top(0, 0, h, r * 1.2, r * 1.2))
        return thing
    thing.box((-w / 2, w / 2), (-d / 2, d / 2), (h - thick, h), top)
    inset = rng.uniform(0.0, 0.08)
    size = rng.uniform(0.018, 0.04)
    add_legs(thing, rng, w / 2 - inset, d / 2 - inset, h - thick, legs, size)
    if rng.random() < 0.6:
        apron = (h - thick - rng.uniform(0.05, 0.1), h - thick)
        for y in (-d / 2 + inset + size, d / 2 - inset - size):
            thing.box(
                (-w / 2 + inset + size, w / 2 - inset - size), (y - 0.01, y + 0.01), apron, legs
            )
        for x in (-w / 2 + inset + size, w / 2 - inset - size):
            thing.box(
                (x - 0.01, x + 0.01), (-d / 2 + inset + size, d / 2 - inset - size), apron, legs
            )
    if rng.random() < 0.15:
        cloth = m.fabric(rng)
        over = (w / 2 + 0.006, d / 2 + 0.006)
        thing.box((-over[0], over[0]), (-over[1], over[1]), (h - 0.18, h + 0.004), cloth)
        h += 0.004
    thing.tops.append(Top(0, 0, h, w, d))
    return thing


def cupboard(rng: Rng, w: float, d: float, h: float) -> Assembly:
    """A cupboard, wardrobe, sideboard or chest of drawers."""
    thing = Assembly("cupboard")
    body = m.wood(rng) if rng.random() < 0.65 else m.lacquer(rng, m.wall_colour(rng))
    knob = m.hsv(0.1, rng.uniform(0, 0.5), rng.uniform(0.1, 0.8))
    face = Material(
        "fronts",
        int(rng.integers(0, 60)),
        (body.colours[0], body.colours[0], knob),
        unit=True,
        front_only=True,
        gloss=body.gloss,
    )
    foot = rng.choice([0.0, 0.05, 0.12])
    thing.box((-w / 2, w / 2), (-d / 2 + 0.02, d / 2), (foot, h - 0.02), body)
    thing.box((-w / 2 + 0.01, w / 2 - 0.01), (-d / 2, -d / 2 + 0.02), (foot + 0.03, h - 0.03), face)
    thing.box((-w / 2 - 0.01, w / 2 + 0.01), (-d / 2 - 0.01, d / 2), (h - 0.02, h), body)
    if foot > 0:
        add_legs(thing, rng, w / 2, d / 2, foot, body, 0.022)
    thing.tops.append(Top(0, 0, h, w, d, 0.8))
    return thing


def shelf(rng: Rng, w: float, h: float, fill: bool = True) -> Assembly:
    """An open bookcase with books and things on its boards."""
    thing = Assembly("shelf")
    d = rng.uniform(0.24, 0.36)
    body = m.wood(rng) if rng.random() < 0.7 else m.metal(rng)
    t = 0.01 if body.texture == "metal" else 0.015
    thing.box((-w / 2, -w / 2 + 2 * t), (-d / 2, d / 2), (0, h), body)
    thing.box((w / 2 - 2 * t, w / 2), (-d / 2, d / 2), (0, h), body)
    if rng.random() < 0.7:
        thing.box((-w / 2, w / 2), (d / 2 - 0.01, d / 2), (0, h), body)
    rows = max(2, round(h / rng.uniform(0.3, 0.42)))
    gap = (h - 0.05) / rows
    for i in range(rows + 1):
        z = 0.05 + i * gap - 2 * t if i else 0.03
        thing.box((-w / 2 + 2 * t, w / 2 - 2 * t), (-d / 2, d / 2), (z, z + 2 * t), body)
        if i == rows or not fill:
            continue
        x, base, room = -w / 2 + 0.04, z + 2 * t, gap - 2 * t
        while x < w / 2 - 0.12:
            run = min(rng.uniform(0.1, 0.5), w / 2 - 0.04 - x)
            kind = rng.random()
            y = -d / 2 + rng.uniform(0.01, 0.07)
            if kind < 0.5:
                high = room * rng.uniform(0.6, 0.92)
                spines = m.drawing(rng, "spines", front_only=True)
                thing.box((x, x + run), (y, d / 2 - 0.03), (base, base + high), spines)
            elif kind < 0.8:
                size = min(run, rng.uniform(0.08, 0.3))
                high = room * rng.uniform(0.3, 0.9)
                item = m.lacquer(rng) if rng.random() < 0.5 else m.drawing(rng, "print")
                thing.box((x, x + size), (y, y + min(size, d * 0.6)), (base, base + high), item)
                run = size
            x += run + rng.uniform(0.0, 0.15)
    thing.tops.append(Top(0, 0, 0.05 + rows * gap, w, d, 0.4))
    return thing


def counter(rng: Rng, w: float) -> Assembly:
    """A run of kitchen units with a worktop, w wide."""
    thing = Assembly("counter")
    d, h = 0.6, rng.uniform(0.86, 0.94)
    colour = m.wall_colour(rng) if rng.random() < 0.7 else m.any_colour(rng, 0.2)
    paint = m.wood(rng) if rng.random() < 0.4 else m.lacquer(rng, colour)
    knob = m.hsv(0.1, 0.05, rng.uniform(0.3, 0.85))
    count = max(1, round(w / 0.6))
    each = w / count
    thing.box((-w / 2, w / 2), (-d / 2 + 0.08, d / 2), (0, 0.1), m.paint((0.08, 0.08, 0.08)))
    thing.box((-w / 2, w / 2), (-d / 2 + 0.02, d / 2), (0.1, h - 0.04), paint)
    variant = int(rng.integers(0, 60))
    oven = int(rng.integers(0, count + 2))
    for i in range(count):
        x = -w / 2 + each * i
        face = Material(
            "fronts",
            variant + (3 if i % 2 else 0),
            (paint.colours[0], paint.colours[0], knob),
            unit=True,
            front_only=True,
            gloss=0.25,
        )
        if i == oven:
            dark = ((0.05, 0.05, 0.06), (0.7, 0.7, 0.7), (0.6, 0.6, 0.62))
            face = Material("screen", 0, dark, unit=True, front_only=True, gloss=0.7)
        thing.box((x + 0.004, x + each - 0.004), (-d / 2, -d / 2 + 0.02), (0.105, h - 0.045), face)
    top = m.stone(rng) if rng.random() < 0.6 else m.wood(rng)
    thing.box((-w / 2, w / 2), (-d / 2 - 0.02, d / 2), (h - 0.04, h), top)
    if rng.random() < 0.6:
        steel = m.metal(rng)
        x = rng.uniform(-w / 2 + 0.3, w / 2 - 0.3) if w > 0.7 else 0.0
        thing.box(
            (x - 0.22, x + 0.22), (-0.18, 0.16), (h, h + 0.004), m.paint((0.25, 0.25, 0.26), 0.8)
        )
        thing.pole((x, 0.2, h), (x, 0.2, h + 0.25), 0.014, steel)
        thing.pole((x, 0.2, h + 0.25), (x, 0.02, h + 0.22), 0.012, steel)
    thing.tops.append(Top(0, 0.02, h, w, d - 0.08, 0.5))
    return thing


def hanging_units(rng: Rng, w: float) -> Assembly:
    """Wall cupboards (their z is where they hang)."""
    thing = Assembly("hanging")
    d, h = 0.33, rng.uniform(0.55, 0.85)
    paint = m.wood(rng) if rng.random() < 0.4 else m.lacquer(rng, m.wall_colour(rng))
    knob = m.hsv(0.1, 0.05, 0.6)
    count = max(1, round(w / 0.55))
    thing.box((-w / 2, w / 2), (-d / 2 + 0.02, d / 2), (0, h), paint)
    variant = int(rng.choice([0, 3, 6, 9]))
    for i in range(count):
        x = -w / 2 + w / count * i
        face = Material(
            "fronts",
            variant,
            (paint.colours[0], paint.colours[0], knob),
            unit=True,
            front_only=True,
            gloss=0.25,
        )
        thing.box((x + 0.003, x + w / count - 0.003), (-d / 2, -d / 2 + 0.02), (0.0, h), face)
    return thing


def appliance(rng: Rng) -> Assembly:
    """A fridge or a washing machine."""
    thing = Assembly("appliance")
    body = m.lacquer(rng, m.hsv(0.1, 0.02, rng.choice([0.1, 0.65, 0.93, 0.93])))
    steel = m.metal(rng)
    if rng.random() < 0.6:
        w, d, h = 0.31, 0.32, rng.uniform(1.5, 1.95)
        split = h * rng.choice([0.35, 0.68])
        thing.box((-w, w), (-d + 0.04, d), (0.03, h), body)
        for low, high in ((0.06, split), (split + 0.01, h)):
            thing.box((-w, w), (-d, -d + 0.05), (low, high), body)
            middle = (low + high) / 2
            thing.box(
                (w - 0.07, w - 0.045), (-d - 0.04, -d - 0.02), (middle - 0.15, middle + 0.15), steel
            )
    else:
        w, d, h = 0.3, 0.3, 0.85
        thing.box((-w, w), (-d, d), (0.0, h), body)
        thing.pole((0, -d - 0.02, 0.42), (0, -d, 0.42), 0.19, steel)
        thing.pole((0, -d - 0.03, 0.42), (0, -d, 0.42), 0.15, m.paint((0.05, 0.05, 0.07), 0.9))
        thing.box((-w, w), (-d - 0.005, -d), (h - 0.12, h - 0.02), m.paint((0.6, 0.6, 0.62), 0.3))
    thing.tops.append(Top(0, 0, h, 2 * w, 2 * d, 0.5))
    return thing


def floor_lamp(rng: Rng) -> Assembly:
    """A standard lamp."""
    thing = Assembly("floor lamp")
    h, steel = rng.uniform(1.4, 1.8), m.metal(rng)
    thing.pole((0, 0, 0), (0, 0, 0.025), 0.14, steel)
    thing.pole((0, 0, 0), (0, 0, h - 0.1), 0.012, steel)
    shade = m.hsv(0.1, rng.uniform(0.05, 0.3), 0.95)
    glow = (
        m.glowing(shade, rng.uniform(1.5, 4)) if rng.random() < 0.6 else m.fabric(rng, shade, True)
    )
    thing.pole((0, 0, h - 0.3), (0, 0, h), rng.uniform(0.16, 0.24), glow, rng.uniform(0.1, 0.16))
    return thing


def heap(rng: Rng) -> Assembly:
    """Stacked cartons and plastic boxes."""
    thing = Assembly("heap")
    z, w, d = 0.0, rng.uniform(0.25, 0.4), rng.uniform(0.2, 0.3)
    for _ in range(int(rng.integers(1, 5))):
        h = rng.uniform(0.15, 0.4)
        stuff = m.lacquer(rng, m.hsv(0.09, 0.42, 0.65)) if rng.random() < 0.5 else m.lacquer(rng)
        if rng.random() < 0.3:
            stuff = m.drawing(rng, "print")
        one = Assembly()
        one.box((-w, w), (-d, d), (0, h - 0.02), stuff)
        one.box((-w - 0.01, w + 0.01), (-d - 0.01, d + 0.01), (h - 0.03, h), stuff)
        thing.add(
            one, rng.uniform(-0.04, 0.04), rng.uniform(-0.03, 0.03), z, rng.uniform(-0.2, 0.2)
        )
        z += h
        w, d = w * rng.uniform(0.75, 1.0), d * rng.uniform(0.75, 1.0)
    return thing
