"""Things that stand on tables, shelves and floors, and serve as foregrounds.

Each builder returns an Assembly standing on z = 0, centred on the origin, in metres.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tools.rooms import materials as m
from tools.rooms.desk_things import frame, keyboard, monitor, papers
from tools.rooms.geometry import Assembly, turn
from tools.rooms.materials import Rng


def _profile(
    rng: Rng, radii: list[float], height: float, count: int = 14
) -> list[tuple[float, float]]:
    """Interpolates radii (evenly spread over the height) smoothly into (radius, z) pairs."""
    at = np.linspace(0, 1, len(radii))
    t = np.linspace(0, 1, count)
    values = np.interp(t, at, radii)
    for _ in range(2):
        values[1:-1] = (values[:-2] + 2 * values[1:-1] + values[2:]) / 4
    return [(float(r), float(z) * height) for r, z in zip(values, t, strict=True)]


def vase(rng: Rng) -> Assembly:
    """A turned vase, sometimes with stems in it."""
    thing = Assembly("vase")
    height = rng.uniform(0.18, 0.42)
    belly, neck = rng.uniform(0.2, 0.36) * height, rng.uniform(0.07, 0.17) * height
    foot, rim = belly * rng.uniform(0.45, 0.8), neck * rng.uniform(1.1, 1.9)
    shapes = [
        [foot, belly * 0.85, belly, belly * 0.8, neck, neck, rim],
        [foot, foot * 0.9, belly * 0.7, belly, belly * 0.75, neck, rim],
        [belly * 0.7, belly * 0.8, belly * 0.85, belly * 0.9, belly],
    ]
    thing.lathe(_profile(rng, shapes[int(rng.integers(0, 3))], height), m.ceramic(rng))
    inside = thing.parts[-1].radii[1] * 0.85
    thing.pole((0, 0, height), (0, 0, height + 1e-3), inside, m.paint((0.05, 0.05, 0.05), 0))
    if rng.random() < 0.5:
        _stems(rng, thing, height, rng.uniform(0.5, 1.0) * height)
    return thing


def _stems(rng: Rng, thing: Assembly, z: float, length: float) -> None:
    green = m.paint(m.hsv(rng.uniform(0.22, 0.36), 0.6, rng.uniform(0.25, 0.5)), 0.05)
    petal = m.paint(m.any_colour(rng, 1.0), 0.02)
    for _ in range(int(rng.integers(4, 10))):
        turn_by, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.5)
        reach = length * rng.uniform(0.6, 1.0)
        tip = (reach * lean * np.cos(turn_by), reach * lean * np.sin(turn_by), z + reach)
        thing.pole((0, 0, z - 0.02), tip, 0.003, green)
        size = length * rng.uniform(0.08, 0.16)
        thing.blob(tip, (size, size, size * 0.6), petal, turn(turn_by, lean))


def plant(rng: Rng) -> Assembly:
    """A potted plant with broad or narrow leaves."""
    thing = Assembly("plant")
    pot_h, pot_r = rng.uniform(0.14, 0.3), rng.uniform(0.09, 0.17)
    clay = m.ceramic(rng, m.hsv(0.04, 0.6, 0.6)) if rng.random() < 0.5 else m.ceramic(rng)
    thing.pole((0, 0, 0), (0, 0, pot_h), pot_r * 0.72, clay, pot_r)
    thing.pole((0, 0, pot_h - 0.03), (0, 0, pot_h), pot_r * 1.08, clay)
    thing.pole((0, 0, pot_h), (0, 0, pot_h + 1e-3), pot_r * 0.95, m.paint((0.12, 0.08, 0.05), 0))
    green = m.hsv(rng.uniform(0.2, 0.38), rng.uniform(0.35, 0.75), rng.uniform(0.25, 0.6))
    tall = rng.uniform(0.3, 1.0)
    narrow = rng.random() < 0.5
    for i in range(int(rng.integers(16, 34))):
        leaf = m.Material(
            "leaf", i, (m.shift(green, rng.uniform(0.7, 1.2)), m.shift(green, 1.4), green)
        )
        yaw = rng.uniform(0, 2 * np.pi)
        lean = rng.uniform(0.1, 1.25)
        length = tall * rng.uniform(0.45, 1.0) * (0.35 if not narrow else 0.5)
        width = length * (rng.uniform(0.06, 0.1) if narrow else rng.uniform(0.3, 0.45))
        stem = 0.0 if narrow else tall * rng.uniform(0.2, 0.75)
        out = np.array([np.sin(lean) * np.cos(yaw), np.sin(lean) * np.sin(yaw), np.cos(lean)])
        foot = np.array([0, 0, pot_h - 0.01])
        knee = foot + out * stem * np.array([0.6, 0.6, 1.0])
        if stem:
            thing.pole(tuple(foot), tuple(knee), 0.004, m.paint(m.shift(green, 0.7)))
        frame = turn(yaw + np.pi / 2, 0, 0) @ turn(0, lean)
        middle = knee + out * length * 0.9
        middle[2] = max(middle[2], 0.05 + length * 0.3)
        # Local z runs along the leaf, y is its thickness.
        thing.blob(middle, (width, 0.004 + 0.02 * width, length), leaf, frame)
    return thing


def lamp(rng: Rng) -> Assembly:
    """A table lamp with a shade."""
    thing = Assembly("lamp")
    height, radius = rng.uniform(0.3, 0.6), rng.uniform(0.1, 0.2)
    body = m.ceramic(rng) if rng.random() < 0.5 else m.metal(rng)
    foot = radius * rng.uniform(0.5, 0.75)
    if rng.random() < 0.5:
        shape = [foot, foot * 0.9, foot * 0.3, foot * 0.6, foot * 0.7, foot * 0.25, 0.012]
        thing.lathe(_profile(rng, shape, height * 0.62), body)
    else:
        thing.pole((0, 0, 0), (0, 0, 0.02), foot, body)
        thing.pole((0, 0, 0.02), (0, 0, height * 0.62), 0.01, body)
    shade = m.hsv(rng.uniform(0.07, 0.14), rng.uniform(0.1, 0.4), rng.uniform(0.85, 1.0))
    glow = (
        m.glowing(shade, rng.uniform(1.0, 3.0))
        if rng.random() < 0.5
        else m.fabric(rng, shade, True)
    )
    top = radius * rng.uniform(0.5, 0.95)
    thing.pole((0, 0, height * 0.6), (0, 0, height), radius, glow, top)
    return thing


def ball(rng: Rng) -> Assembly:
    """A ball or globe."""
    thing = Assembly("ball")
    r = rng.uniform(0.04, 0.12)
    name = str(rng.choice(["bands", "fabric", "plain", "wallpaper"]))
    colours = (m.any_colour(rng, 1), m.any_colour(rng, 1), m.any_colour(rng, 1))
    skin = m.Material(name, int(rng.integers(0, 60)), colours, r * 2.5, name == "bands", gloss=0.35)
    thing.blob((0, 0, r), (r, r, r), skin, turn(rng.uniform(0, 6), rng.uniform(-1, 1), 0.4))
    return thing


def bottle(rng: Rng) -> Assembly:
    """A bottle with a label and a cap."""
    thing = Assembly("bottle")
    h, r = rng.uniform(0.2, 0.33), rng.uniform(0.03, 0.045)
    neck = r * rng.uniform(0.28, 0.45)
    glass = m.lacquer(rng, m.any_colour(rng, 0.9))
    thing.lathe(_profile(rng, [r * 0.95, r, r, r, r, r, r * 0.9, neck, neck, neck], h, 20), glass)
    label = m.drawing(rng, "print", gloss=0.1)
    thing.pole((0, 0, h * 0.18), (0, 0, h * 0.48), r * 1.02, label)
    thing.pole((0, 0, h), (0, 0, h + 0.018), neck * 1.25, m.lacquer(rng))
    return thing


def cup(rng: Rng) -> Assembly:
    """A mug with a handle."""
    thing = Assembly("cup")
    h, r = rng.uniform(0.07, 0.11), rng.uniform(0.035, 0.05)
    glaze = m.ceramic(rng)
    plain = m.lacquer(rng, glaze.colours[0])
    thing.pole((0, 0, 0), (0, 0, h), r * rng.uniform(0.75, 1.0), glaze, r)
    thing.pole((0, 0, h), (0, 0, h + 5e-4), r * 0.88, m.paint((0.13, 0.07, 0.04), 0.4))
    for i in range(10):
        a, b = np.pi * (i / 10 - 0.5), np.pi * ((i + 1.15) / 10 - 0.5)
        start = (r * 0.9 + 0.028 * np.cos(a), 0.0, h * 0.52 + h * 0.3 * np.sin(a))
        end = (r * 0.9 + 0.028 * np.cos(b), 0.0, h * 0.52 + h * 0.3 * np.sin(b))
        thing.pole(start, end, 0.006, plain, smooth=1)
    return thing.placed(0, 0, 0, rng.uniform(0, 6.28))


def books(rng: Rng) -> Assembly:
    """A pile of books."""
    thing = Assembly("books")
    z = 0.0
    for _ in range(int(rng.integers(1, 6))):
        w, d, h = rng.uniform(0.07, 0.12), rng.uniform(0.09, 0.15), rng.uniform(0.015, 0.045)
        pile = Assembly()
        cover = m.drawing(rng, "print", gloss=0.2)
        pile.box((-w, w), (-d, d), (0, 0.004), cover)
        pile.box(
            (-w, w - 0.004), (-d + 0.004, d - 0.004), (0.004, h - 0.004), m.paint((0.9, 0.88, 0.8))
        )
        pile.box((-w, w), (-d, d), (h - 0.004, h), cover)
        thing.add(
            pile, rng.uniform(-0.02, 0.02), rng.uniform(-0.02, 0.02), z, rng.uniform(-0.5, 0.5)
        )
        z += h
    return thing


def parcel(rng: Rng) -> Assembly:
    """A cardboard box with tape, or a gift."""
    thing = Assembly("box")
    w, d, h = rng.uniform(0.1, 0.28), rng.uniform(0.1, 0.22), rng.uniform(0.1, 0.32)
    gift = rng.random() < 0.3
    card = m.fabric(rng) if gift else m.lacquer(rng, m.hsv(0.09, 0.42, rng.uniform(0.5, 0.75)))
    tape = m.lacquer(rng) if gift else m.paint(m.hsv(0.1, 0.4, 0.5), 0.3)
    thing.box((-w, w), (-d, d), (0, h), card)
    thing.box((-0.025, 0.025), (-d - 0.001, d + 0.001), (-0.0, h + 0.001), tape)
    if gift:
        thing.box((-w - 0.001, w + 0.001), (-0.025, 0.025), (0, h + 0.001), tape)
        thing.blob((0.05, 0, h + 0.03), (0.05, 0.02, 0.03), tape, turn(0.4, 0, 0.3))
        thing.blob((-0.05, 0, h + 0.03), (0.05, 0.02, 0.03), tape, turn(-0.4, 0, -0.3))
    else:
        label = m.drawing(rng, "print", ((0.9, 0.9, 0.88), (0.1, 0.1, 0.1), (0.3, 0.3, 0.3)))
        thing.box((0.04, w - 0.02), (-d - 0.002, -d), (h * 0.4, h * 0.8), label)
    return thing


def teddy(rng: Rng) -> Assembly:
    """A sitting plush bear."""
    thing = Assembly("teddy")
    s = rng.uniform(0.7, 1.3)
    coat = m.fur(
        rng, m.hsv(rng.uniform(0.03, 0.12), rng.uniform(0.2, 0.7), rng.uniform(0.35, 0.85))
    )
    pale = m.fur(rng, m.hsv(0.1, 0.3, 0.85))
    black = m.paint((0.03, 0.025, 0.02), 0.8)
    thing.blob((0, 0, 0.13), (0.105, 0.09, 0.13), coat)
    thing.blob((0, -0.035, 0.12), (0.07, 0.065, 0.09), pale)
    thing.blob((0, -0.01, 0.31), (0.088, 0.08, 0.08), coat)
    thing.blob((0, -0.075, 0.29), (0.04, 0.035, 0.032), pale)
    thing.blob((0, -0.108, 0.303), (0.014, 0.009, 0.01), black)
    for side in (-1, 1):
        thing.blob((0.033 * side, -0.077, 0.335), (0.010, 0.008, 0.011), black)
        thing.blob((0.072 * side, 0.0, 0.375), (0.034, 0.018, 0.034), coat)
        thing.blob((0.072 * side, -0.012, 0.375), (0.022, 0.012, 0.022), pale)
        thing.blob(
            (0.115 * side, -0.03, 0.175), (0.04, 0.042, 0.085), coat, turn(0, 0.5, -0.5 * side)
        )
        thing.blob((0.085 * side, -0.11, 0.05), (0.045, 0.105, 0.048), coat, turn(0.35 * side))
        thing.blob((0.12 * side, -0.2, 0.06), (0.036, 0.018, 0.042), pale, turn(0.35 * side))
    return thing.placed(0, 0, 0, 0, s)


def bowl(rng: Rng) -> Assembly:
    """A bowl of fruit."""
    thing = Assembly("bowl")
    r, h = rng.uniform(0.09, 0.16), rng.uniform(0.05, 0.09)
    thing.lathe(_profile(rng, [r * 0.4, r * 0.7, r * 0.9, r], h, 7), m.ceramic(rng))
    thing.pole((0, 0, h), (0, 0, h + 5e-4), r * 0.95, m.paint((0.1, 0.09, 0.08), 0))
    peel = m.hsv(rng.choice([0.0, 0.07, 0.13, 0.25]), 0.8, 0.75)
    for _ in range(int(rng.integers(3, 7))):
        a, q = rng.uniform(0, 6.28), rng.uniform(0, r * 0.55)
        size = rng.uniform(0.028, 0.042)
        fruit = m.lacquer(rng, m.shift(peel, rng.uniform(0.8, 1.15)))
        thing.blob((q * np.cos(a), q * np.sin(a), h + size * 0.3), (size, size, size * 0.92), fruit)
    return thing


def basket(rng: Rng) -> Assembly:
    """A waste bin or basket."""
    thing = Assembly("basket")
    h, r = rng.uniform(0.25, 0.4), rng.uniform(0.11, 0.18)
    weave = m.fabric(rng, m.any_colour(rng, 0.4))
    thing.pole((0, 0, 0), (0, 0, h), r * 0.8, weave, r)
    thing.pole((0, 0, h), (0, 0, h + 1e-3), r * 0.93, m.paint((0.04, 0.04, 0.04), 0))
    return thing


def can(rng: Rng) -> Assembly:
    """A tin or jar."""
    thing = Assembly("can")
    h, r = rng.uniform(0.09, 0.16), rng.uniform(0.03, 0.05)
    thing.pole((0, 0, 0), (0, 0, h), r, m.drawing(rng, "print", gloss=0.5))
    thing.pole((0, 0, h), (0, 0, h + 0.008), r * 0.95, m.metal(rng))
    return thing.placed(0, 0, 0, rng.uniform(0, 6.28))


def bag(rng: Rng) -> Assembly:
    """A rucksack."""
    thing = Assembly("bag")
    cloth = replace(m.fabric(rng, m.any_colour(rng, 0.5), True), bevel=0.07)
    w, d, h = rng.uniform(0.13, 0.18), rng.uniform(0.07, 0.1), rng.uniform(0.36, 0.48)
    lean = turn(0, -0.1)
    thing.box((-w, w), (-d, d), (0.0, h), cloth)
    thing.blob((0, 0, h), (w * 0.94, d * 0.92, 0.06), cloth)
    pocket = (-w * 0.75, w * 0.75), (-d - 0.05, -d + 0.02), (0.03, h * 0.5)
    thing.box(*pocket, cloth, lean)
    zip_tape = m.paint((0.08, 0.08, 0.08), 0.2)
    thing.box((-w * 0.6, w * 0.6), (-d - 0.004, -d), (h * 0.72, h * 0.735), zip_tape)
    strap = m.lacquer(rng, m.shift(cloth.colours[0], 0.6))
    for side in (-1, 1):
        top = (side * w * 0.45, d * 0.6, h + 0.03)
        thing.pole(top, (side * w * 0.6, d + 0.05, h * 0.6), 0.016, strap)
        thing.pole((side * w * 0.6, d + 0.05, h * 0.6), (side * w * 0.7, d, 0.08), 0.014, strap)
    loop = [(-0.04, 0, h + 0.05), (-0.025, 0, h + 0.1), (0.025, 0, h + 0.1), (0.04, 0, h + 0.05)]
    for start, end in itertools.pairwise(loop):
        thing.pole(start, end, 0.009, strap)
    return thing.placed(0, 0, 0, rng.uniform(-1, 1))


TABLE_THINGS: dict[str, Callable[[Rng], Assembly]] = {
    "vase": vase,
    "lamp": lamp,
    "bottle": bottle,
    "cup": cup,
    "books": books,
    "bowl": bowl,
    "papers": papers,
    "frame": frame,
    "can": can,
    "plant": plant,
    "box": parcel,
    "teddy": teddy,
    "ball": ball,
}
DESK_THINGS: dict[str, Callable[[Rng], Assembly]] = {
    "monitor": monitor,
    "keyboard": keyboard,
    "papers": papers,
    "books": books,
    "cup": cup,
    "lamp": lamp,
    "can": can,
    "frame": frame,
    "plant": plant,
}
FLOOR_THINGS: dict[str, Callable[[Rng], Assembly]] = {
    "plant": plant,
    "box": parcel,
    "basket": basket,
    "bag": bag,
    "ball": ball,
    "teddy": teddy,
    "books": books,
    "vase": vase,
}
