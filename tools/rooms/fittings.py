"""What belongs to the room itself: doors, windows, curtains, skirting, pictures, ceiling lamps.

Things for a wall are built flat against the plane y = 0 (the wall is at y > 0, the room at y < 0),
standing on z = 0 and centred on x = 0, in metres.
"""

from __future__ import annotations

import numpy as np

from tools.rooms import materials as m
from tools.rooms.geometry import Assembly, Colour, Material
from tools.rooms.materials import Rng


def _casing(
    thing: Assembly, w: float, z: tuple[float, float], wide: float, wood: Material, out: float
) -> None:
    """A frame round an opening 2w wide."""
    thing.box((-w - wide, -w), (-out, 0), (z[0], z[1] + wide), wood)
    thing.box((w, w + wide), (-out, 0), (z[0], z[1] + wide), wood)
    thing.box((-w, w), (-out, 0), (z[1], z[1] + wide), wood)


def door(rng: Rng, wood: Material) -> Assembly:
    """A closed door in its frame, about 0.95 m wide."""
    thing = Assembly("door")
    w, h = rng.uniform(0.37, 0.45), rng.uniform(1.95, 2.1)
    _casing(thing, w, (0, h), rng.uniform(0.05, 0.1), wood, 0.04)
    base = wood.colours if rng.random() < 0.6 else m.wood(rng).colours
    leaf = Material(
        "door", int(rng.integers(0, 4)), (base[0], base[0], base[1]), unit=True, gloss=0.2
    )
    thing.box((-w, w), (-0.015, 0), (0.005, h), leaf)
    steel = m.metal(rng)
    x = w - 0.07
    thing.pole((x, -0.06, 1.02), (x, 0, 1.02), 0.01, steel)
    thing.box((x - 0.12, x + 0.01), (-0.07, -0.05), (1.01, 1.03), steel)
    return thing


def doorway(w: float, h: float, wood: Material) -> Assembly:
    """The frame of an opening to the next room, 2w wide, reaching through the wall."""
    thing = Assembly("doorway")
    _casing(thing, w, (0, h), 0.07, wood, 0.025)
    thing.box((-w, -w + 0.02), (0, 0.14), (0, h), wood)
    thing.box((w - 0.02, w), (0, 0.14), (0, h), wood)
    thing.box((-w, w), (0, 0.14), (h - 0.02, h), wood)
    return thing


def open_leaf(rng: Rng, w: float, h: float, wood: Material) -> Assembly:
    """A door standing open into the room, its hinge at x = -w."""
    thing = Assembly("leaf")
    leaf = Material("door", int(rng.integers(0, 4)), (wood.colours[0],) * 3, unit=True, gloss=0.2)
    one = Assembly()
    one.box((0, 2 * w), (-0.02, 0.02), (0.01, h - 0.01), leaf)
    one.pole((2 * w - 0.08, -0.07, 1.02), (2 * w - 0.08, 0.07, 1.02), 0.014, m.metal(rng))
    thing.add(one, -w, -0.04, 0, -rng.uniform(1.2, 2.6))
    return thing


def window(rng: Rng, w: float, z: tuple[float, float], daylight: float) -> Assembly:
    """A window 2w wide between two heights, with a view and often curtains or a blind."""
    thing = Assembly("window")
    white = m.paint(m.hsv(0.1, 0.03, 0.92)) if rng.random() < 0.7 else m.wood(rng)
    sky = m.hsv(rng.uniform(0.53, 0.62), rng.uniform(0.02, 0.3), 0.98)
    green, house = m.hsv(rng.uniform(0.2, 0.35), 0.45, 0.45), m.any_colour(rng, 0.2)
    if daylight <= 0:
        sky, green, house = (0.02, 0.025, 0.05), (0.01, 0.01, 0.02), (0.03, 0.03, 0.03)
    pane = m.drawing(rng, "view", (sky, green, house), max(daylight, 0.15), 0.4)
    thing.box((-w, w), (-0.01, 0), z, pane)
    thing.box((-w - 0.06, w + 0.06), (-0.04, 0), (z[1], z[1] + 0.06), white)
    thing.box((-w - 0.06, w + 0.06), (-rng.uniform(0.06, 0.16), 0), (z[0] - 0.04, z[0]), white)
    for x in (-w - 0.03, w + 0.03):
        thing.box((x - 0.03, x + 0.03), (-0.04, 0), z, white)
    for x in np.linspace(-w, w, int(rng.integers(2, 5)))[1:-1]:
        thing.box((x - 0.02, x + 0.02), (-0.03, 0), z, white)
    if rng.random() < 0.5:
        at = z[0] + (z[1] - z[0]) * rng.choice([0.5, 0.7])
        thing.box((-w, w), (-0.028, 0), (at - 0.015, at + 0.015), white)
    dressing = rng.random()
    if dressing < 0.5:
        _curtains(rng, thing, w, z)
    elif dressing < 0.7:
        drop = z[1] - (z[1] - z[0]) * rng.uniform(0.25, 1.0)
        shade = m.hsv(0.1, rng.uniform(0, 0.2), 0.9)
        slats = m.drawing(
            rng, "blinds", (shade, m.shift(shade, 0.5), shade), max(daylight, 0) * 0.25
        )
        thing.box((-w, w), (-0.05, -0.04), (drop, z[1]), slats)
    return thing


def _curtains(rng: Rng, thing: Assembly, w: float, z: tuple[float, float]) -> None:
    cloth: Colour = m.any_colour(rng, 0.4) if rng.random() < 0.7 else m.hsv(0.1, 0.05, 0.92)
    folds = Material(
        "folds",
        int(rng.integers(0, 4)),
        (cloth, m.any_colour(rng, 0.4), cloth),
        rng.uniform(0.5, 1.0),
        gloss=0.02,
        bevel=0.03,
    )
    low = 0.03 if rng.random() < 0.6 else max(z[0] - 0.15, 0.03)
    top = z[1] + 0.16
    reach = w * rng.uniform(0.15, 0.7)
    thing.pole((-w - 0.35, -0.1, top), (w + 0.35, -0.1, top), 0.014, m.metal(rng))
    sides = (-1, 1) if rng.random() < 0.85 else (1,)
    for side in sides:
        x0, x1 = sorted((side * (w + 0.22), side * (w - reach)))
        thing.box((x0, x1), (-0.13, -0.07), (low, top), folds)


def picture(rng: Rng, w: float, h: float) -> Assembly:
    """A framed picture, poster, mirror or clock, its middle at z = 0."""
    thing = Assembly("picture")
    kind = rng.random()
    if kind < 0.6:
        rim = rng.uniform(0.015, 0.05)
        thing.box(
            (-w, w), (-0.025, 0), (-h, h), m.wood(rng) if rng.random() < 0.6 else m.metal(rng)
        )
        thing.box(
            (-w + rim, w - rim),
            (-0.028, 0),
            (-h + rim, h - rim),
            m.drawing(rng, "picture", gloss=0.2),
        )
    elif kind < 0.85:
        thing.box((-w, w), (-0.004, 0), (-h, h), m.drawing(rng, "print"))
    else:
        r = min(w, h)
        face = (m.hsv(0.1, 0.03, 0.95), (0.05, 0.05, 0.05), (0.5, 0.1, 0.1))
        thing.pole((0, 0, 0), (0, -0.03, 0), r, m.lacquer(rng))
        thing.pole((0, 0, 0), (0, -0.032, 0), r * 0.9, m.drawing(rng, "dial", face, gloss=0.3))
    return thing


def radiator(rng: Rng) -> Assembly:
    """A panel radiator."""
    thing = Assembly("radiator")
    w, h = rng.uniform(0.35, 0.8), rng.uniform(0.4, 0.6)
    white = m.hsv(0.1, 0.03, 0.9)
    ribs = Material("folds", 0, (white, white, white), 0.35, gloss=0.2, contrast=0.8)
    thing.box((-w, w), (-0.1, -0.03), (0.12, 0.12 + h), ribs)
    thing.pole((w, -0.06, 0.0), (w, -0.06, 0.2), 0.011, m.paint(white))
    return thing


def wall_shelf(rng: Rng, w: float) -> Assembly:
    """A board on the wall with books and things (its z is where it hangs)."""
    thing = Assembly("board")
    wood = m.wood(rng)
    d = rng.uniform(0.18, 0.28)
    thing.box((-w, w), (-d, 0), (0, 0.025), wood)
    x = -w + 0.03
    while x < w - 0.12:
        run = min(rng.uniform(0.08, 0.35), w - 0.02 - x)
        if rng.random() < 0.5:
            high = rng.uniform(0.17, 0.28)
            spines = m.drawing(rng, "spines", front_only=True)
            thing.box((x, x + run), (-d + 0.02, -0.01), (0.025, 0.025 + high), spines)
        elif rng.random() < 0.5:
            size = min(run, 0.14)
            item = m.lacquer(rng)
            thing.box((x, x + size), (-d + 0.03, -0.04), (0.025, rng.uniform(0.08, 0.28)), item)
        x += run + rng.uniform(0.0, 0.2)
    return thing


def skirting(
    length: float,
    depth: float,
    high: float,
    material: Material,
    gap: tuple[int, float, float] | None = None,
) -> Assembly:
    """Strips along the foot of the four walls of a room.

    Args:
        length, depth: the room's size along x and y, metres.
        high: height of the strips, metres.
        material: of the strips.
        gap: wall (0..3 for x-, x+, y-, y+) and stretch to leave out, for a doorway.
    """
    thing = Assembly("skirting")
    out = 0.012  # thinner than a door leaf, which hides it
    for wall in range(4):
        total = depth if wall < 2 else length
        runs = [(0.0, total)]
        if gap is not None and gap[0] == wall:
            runs = [(0.0, gap[1]), (gap[2], total)]
        across = (length - out, length) if wall == 1 else (depth - out, depth)
        if wall in (0, 2):
            across = (0.0, out)
        for run in runs:
            x, y = (across, run) if wall < 2 else (run, across)
            thing.box(x, y, (0, high), material)
    return thing


def cornice(
    length: float, depth: float, height: float, high: float, material: Material
) -> Assembly:
    """Mouldings along the top of the four walls."""
    return skirting(length, depth, high, material).placed(0, 0, height - high)


def ceiling_lamp(rng: Rng, height: float, on: float) -> tuple[Assembly, float]:
    """A lamp under the ceiling (at z = height); returns it with the z of its light."""
    thing = Assembly("ceiling lamp")
    warm = m.hsv(rng.uniform(0.08, 0.14), rng.uniform(0.02, 0.2), 1.0)
    glow = m.glowing(warm, on) if on > 0 else m.paint((0.85, 0.83, 0.8), 0.3)
    style = int(rng.integers(0, 4))
    if style == 0:
        r = rng.uniform(0.13, 0.22)
        thing.pole((0, 0, height - 0.09), (0, 0, height), r, glow, r * 1.08)
        return thing, height - 0.15
    if style == 1:
        drop, r = rng.uniform(0.3, 0.75), rng.uniform(0.12, 0.25)
        thing.pole((0, 0, height - drop), (0, 0, height), 0.006, m.paint((0.1, 0.1, 0.1)))
        shade = m.metal(rng) if rng.random() < 0.4 else glow
        thing.pole((0, 0, height - drop - 0.2), (0, 0, height - drop), r, shade, r * 0.45)
        thing.blob((0, 0, height - drop - 0.17), (0.06, 0.06, 0.06), glow)
        return thing, height - drop - 0.25
    if style == 2:
        w = rng.uniform(0.5, 0.65)
        thing.box((-w, w), (-0.12, 0.12), (height - 0.07, height), glow)
        return thing, height - 0.12
    drop = rng.uniform(0.25, 0.5)
    steel = m.metal(rng)
    thing.pole((0, 0, height - drop), (0, 0, height), 0.012, steel)
    arms = int(rng.integers(3, 7))
    for i in range(arms):
        a = 2 * np.pi * i / arms
        x, y = 0.3 * np.cos(a), 0.3 * np.sin(a)
        thing.pole((0, 0, height - drop), (x, y, height - drop), 0.009, steel)
        thing.blob((x, y, height - drop + 0.06), (0.055, 0.055, 0.07), glow)
    return thing, height - drop - 0.08
