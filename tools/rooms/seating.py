"""Chairs, stools, sofas and beds; conventions as in `furniture`."""

from __future__ import annotations

import numpy as np

from tools.rooms import materials as m
from tools.rooms.furniture import add_legs
from tools.rooms.geometry import Assembly, Top, turn
from tools.rooms.materials import Rng


def chair(rng: Rng) -> Assembly:
    """A dining chair with slats, a panel or a rounded back."""
    thing = Assembly("chair")
    w, d = rng.uniform(0.2, 0.24), rng.uniform(0.2, 0.24)
    seat, back = rng.uniform(0.43, 0.48), rng.uniform(0.8, 1.05)
    body = m.wood(rng) if rng.random() < 0.75 else m.metal(rng)
    pad = m.fabric(rng) if rng.random() < 0.5 else body
    t = rng.uniform(0.014, 0.022)
    for x in (-w + t, w - t):
        thing.box((x - t, x + t), (-d, -d + 2 * t), (0, seat - 0.02), body)
        thing.box((x - t, x + t), (d - 2 * t, d), (0, back), body)
    thing.box((-w, w), (-d, d), (seat - 0.03, seat), body)
    if pad is not body:
        thing.box((-w + 0.01, w - 0.01), (-d, d - 2 * t), (seat, seat + 0.04), pad)
    style = int(rng.integers(0, 4))
    y = (d - 2 * t + 0.006, d - 0.006)
    if style == 0:
        for z in np.linspace(seat + 0.14, back - 0.06, int(rng.integers(2, 5))):
            thing.box((-w + 2 * t, w - 2 * t), y, (z, z + 0.055), body)
    elif style == 1:
        thing.box((-w + 2 * t, w - 2 * t), y, (seat + 0.1, back), pad)
    elif style == 2:
        for x in np.linspace(-w + 0.07, w - 0.07, int(rng.integers(3, 6))):
            thing.box((x - 0.01, x + 0.01), y, (seat, back - 0.05), body)
        thing.box((-w, w), y, (back - 0.07, back), body)
    else:
        middle = (0.0, d - t, (seat + back) / 2 + 0.1)
        thing.blob(middle, (w * 1.02, 0.022, (back - seat) / 2), pad)
    if rng.random() < 0.5:
        thing.box((-w + t, w - t), (-d + 0.005, -d + 0.02), (seat - 0.08, seat - 0.03), body)
    return thing


def office_chair(rng: Rng) -> Assembly:
    """A swivel chair."""
    thing = Assembly("chair")
    cloth = m.fabric(rng, plain=True) if rng.random() < 0.8 else m.lacquer(rng)
    black = m.lacquer(rng, m.hsv(0, 0, rng.uniform(0.05, 0.2)))
    seat = rng.uniform(0.44, 0.52)
    for i in range(5):
        a = 2 * np.pi * i / 5
        end = (0.27 * np.cos(a), 0.27 * np.sin(a))
        thing.pole((0, 0, 0.1), (*end, 0.06), 0.022, black, 0.016)
        thing.blob((*end, 0.028), (0.028, 0.028, 0.028), black)
    thing.pole((0, 0, 0.08), (0, 0, seat - 0.06), 0.025, m.metal(rng))
    thing.box((-0.24, 0.24), (-0.24, 0.22), (seat - 0.07, seat), cloth)
    top = seat + rng.uniform(0.4, 0.65)
    thing.box((-0.21, 0.21), (0.22, 0.28), (seat + 0.12, top), cloth)
    thing.box((-0.03, 0.03), (0.23, 0.26), (seat - 0.06, seat + 0.2), black)
    if rng.random() < 0.6:
        for x in (-0.27, 0.27):
            thing.box((x - 0.025, x + 0.025), (-0.14, 0.14), (seat + 0.19, seat + 0.22), black)
            thing.box((x - 0.012, x + 0.012), (0.0, 0.04), (seat - 0.04, seat + 0.2), black)
    return thing


def stool(rng: Rng) -> Assembly:
    """A stool with a round seat and splayed legs."""
    thing = Assembly("stool")
    h, r = rng.uniform(0.42, 0.75), rng.uniform(0.15, 0.2)
    body = m.wood(rng) if rng.random() < 0.7 else m.metal(rng)
    seat = body if rng.random() < 0.5 else m.fabric(rng)
    count = int(rng.choice([3, 4]))
    splay = rng.uniform(1.0, 1.4)
    for i in range(count):
        a = 2 * np.pi * (i + 0.5) / count
        foot = (r * splay * np.cos(a), r * splay * np.sin(a), 0.0)
        thing.pole(foot, (r * 0.6 * np.cos(a), r * 0.6 * np.sin(a), h - 0.03), 0.014, body, 0.018)
        b = 2 * np.pi * (i + 1.5) / count
        q = r * (splay * 0.65 + 0.6 * 0.35)
        a_end = (q * np.cos(a), q * np.sin(a), h * 0.35)
        thing.pole(a_end, (q * np.cos(b), q * np.sin(b), h * 0.35), 0.009, body)
    thing.pole((0, 0, h - 0.035), (0, 0, h), r, seat)
    if seat is not body:
        thing.blob((0, 0, h), (r * 0.97, r * 0.97, 0.035), seat)
    return thing


def sofa(rng: Rng, seats: int) -> Assembly:
    """An armchair (1 seat) or sofa with cushions."""
    thing = Assembly("sofa")
    cloth = m.fabric(rng)
    arm, seat = rng.uniform(0.1, 0.22), rng.uniform(0.38, 0.46)
    each = rng.uniform(0.55, 0.7)
    w, d = each * seats / 2 + arm, rng.uniform(0.4, 0.48)
    back, arm_h = rng.uniform(0.75, 0.95), rng.uniform(0.52, 0.66)
    low = rng.choice([0.02, 0.09])
    thing.box((-w, w), (-d, d), (low, seat - 0.14), cloth)
    thing.box((-w, w), (d - 0.2, d), (low, back), cloth)
    for x in (-w, w - arm):
        thing.box((x, x + arm), (-d, d), (low, arm_h), cloth)
    for i in range(seats):
        x = -w + arm + each * i
        thing.box((x + 0.005, x + each - 0.005), (-d - 0.01, d - 0.2), (seat - 0.14, seat), cloth)
        lean = turn(0, -0.18)
        thing.box(
            (x + 0.01, x + each - 0.01), (d - 0.36, d - 0.2), (seat, back + 0.02), cloth, lean
        )
    if low > 0.05:
        add_legs(thing, rng, w - 0.03, d - 0.03, low, m.wood(rng), 0.02)
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(-w + arm + 0.2, w - arm - 0.2) if seats > 1 else 0.0
        pillow = m.fabric(rng)
        lean = turn(rng.uniform(-0.3, 0.3), -0.4)
        y = d - 0.44
        thing.box((x - 0.2, x + 0.2), (y - 0.06, y + 0.06), (seat, seat + 0.38), pillow, lean)
    thing.tops.append(Top(0, -0.1, seat, w, d, 0.5))
    return thing


def bed(rng: Rng) -> Assembly:
    """A bed with its head at the back."""
    thing = Assembly("bed")
    w, length = rng.choice([0.48, 0.7, 0.85]), rng.uniform(0.98, 1.08)
    frame, sheet = m.wood(rng), m.fabric(rng, m.hsv(rng.random(), rng.uniform(0, 0.2), 0.9), True)
    cover = m.fabric(rng)
    top = rng.uniform(0.42, 0.62)
    thing.box((-w - 0.03, w + 0.03), (-length, length), (0.12, top - 0.2), frame)
    add_legs(thing, rng, w, length, 0.12, frame, 0.03)
    thing.box((-w, w), (-length + 0.02, length - 0.03), (top - 0.2, top), sheet)
    fold = length * rng.uniform(0.1, 0.5)
    hang = rng.uniform(0.1, 0.3)
    thing.box((-w - 0.03, w + 0.03), (-length - 0.02, fold), (top - hang, top + 0.05), cover)
    thing.box((-w - 0.031, w + 0.031), (fold - 0.2, fold + 0.05), (top - hang, top + 0.06), sheet)
    if rng.random() < 0.85:
        high = rng.uniform(0.8, 1.25)
        head = frame if rng.random() < 0.6 else m.fabric(rng)
        thing.box((-w - 0.04, w + 0.04), (length - 0.03, length + 0.03), (0.0, high), head)
    pillow = m.fabric(rng, m.hsv(rng.random(), rng.uniform(0, 0.25), 0.92))
    for x in (-w / 2, w / 2) if w > 0.6 else (0.0,):
        lean = turn(rng.uniform(-0.15, 0.15), 0.25)
        thing.blob((x, length - 0.3, top + 0.08), (0.33, 0.2, 0.1), pillow, lean)
    thing.tops.append(Top(0, -0.3, top + 0.05, w, 0.9, 0.4))
    return thing
