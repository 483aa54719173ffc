"""Things of a desk; conventions as in `small_things`."""

from __future__ import annotations

from tools.rooms import materials as m
from tools.rooms.geometry import Assembly, turn
from tools.rooms.materials import Rng


def monitor(rng: Rng) -> Assembly:
    """A computer screen on a foot."""
    thing = Assembly("monitor")
    w, h = rng.uniform(0.2, 0.32), rng.uniform(0.26, 0.38)
    case = m.lacquer(rng, m.hsv(0, 0, rng.choice([0.06, 0.15, 0.75])))
    thing.box((-w, w), (-0.025, 0.025), (0.1, 0.1 + h), case)
    dark = ((0.02, 0.02, 0.025), (0.7, 0.7, 0.72), (0.1, 0.25, 0.5))
    on = rng.random() < 0.4
    light = ((0.85, 0.87, 0.9), (0.15, 0.15, 0.2), (0.2, 0.4, 0.7))
    glass = m.drawing(rng, "screen", light if on else dark, 1.2 if on else 0.0, 0.6, True)
    thing.box((-w + 0.015, w - 0.015), (-0.028, 0), (0.12, 0.085 + h), glass)
    thing.box((-0.03, 0.03), (0.0, 0.03), (0.01, 0.14), case)
    thing.box((-0.11, 0.11), (-0.08, 0.09), (0, 0.015), case)
    return thing


def keyboard(rng: Rng) -> Assembly:
    """A keyboard and a mouse."""
    thing = Assembly("keyboard")
    v = rng.choice([0.1, 0.8])
    keys = m.drawing(rng, "keys", (m.hsv(0, 0, v * 0.6), m.hsv(0, 0, v), m.hsv(0, 0, v)))
    thing.box((-0.22, 0.22), (-0.07, 0.07), (0, 0.02), keys)
    thing.blob((0.3, -0.02, 0.0), (0.03, 0.05, 0.03), m.lacquer(rng, m.hsv(0, 0, v)))
    return thing


def papers(rng: Rng) -> Assembly:
    """Loose sheets and a magazine."""
    thing = Assembly("papers")
    white = ((0.93, 0.93, 0.91), (0.15, 0.15, 0.18), (0.5, 0.5, 0.55))
    for i in range(int(rng.integers(1, 4))):
        sheet = Assembly()
        page = m.drawing(rng, "print", white if rng.random() < 0.7 else None)
        sheet.box((-0.105, 0.105), (-0.148, 0.148), (0.003 * i, 0.003 * (i + 1)), page)
        thing.add(
            sheet, rng.uniform(-0.08, 0.08), rng.uniform(-0.05, 0.05), 0, rng.uniform(-0.8, 0.8)
        )
    return thing


def frame(rng: Rng) -> Assembly:
    """A photograph in a standing frame."""
    thing = Assembly("frame")
    w, h = rng.uniform(0.06, 0.11), rng.uniform(0.16, 0.26)
    thing.box((-w, w), (-0.01, 0.01), (0, h), m.wood(rng))
    thing.box((-w + 0.015, w - 0.015), (-0.012, 0), (0.015, h - 0.015), m.drawing(rng, "picture"))
    return thing.placed(0, 0.02, 0.0, 0, 1, turn(rng.uniform(-0.4, 0.4), -0.12))
