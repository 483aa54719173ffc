"""Draws materials: which pattern in which colours."""

from __future__ import annotations

import colorsys

import numpy as np

from tools.rooms.geometry import Colour, Material

Rng = np.random.Generator


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Converts hue (turns), saturation and value to sRGB."""
    return colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))


def shift(colour: Colour, gain: float, tint: float = 0.0) -> Colour:
    """Brightens by a factor and warms by `tint`."""
    r, g, b = (c * gain for c in colour)
    return (min(max(r + tint, 0), 1), min(max(g, 0), 1), min(max(b - tint, 0), 1))


def _hue(rng: Rng) -> float:
    """Draws a hue: reds, ochres and blues are commoner in homes than greens and violets."""
    return float(
        rng.choice([0.0, 0.07, 0.11, 0.14, 0.57, 0.62, 0.33, 0.5, 0.85]) + rng.normal(0, 0.04)
    )


def any_colour(rng: Rng, vivid: float = 0.5) -> Colour:
    """Draws a colour as household things have it; vivid 0..1 raises the saturation."""
    pick = rng.random()
    if pick < 0.36:
        return hsv(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.05, 0.95))
    if pick < 0.58:
        return hsv(rng.uniform(0.02, 0.13), rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.85))
    return hsv(_hue(rng), rng.uniform(0.12, 0.35 + 0.5 * vivid), rng.uniform(0.12, 0.85))


def wood_colour(rng: Rng) -> Colour:
    """Draws a wood tone from pale birch to dark walnut."""
    depth = rng.beta(1.3, 1.3)
    value = 0.82 - 0.60 * depth
    return hsv(rng.uniform(0.055, 0.105), 0.30 + 0.35 * depth + rng.uniform(-0.08, 0.1), value)


def wall_colour(rng: Rng) -> Colour:
    """Draws a wall paint, mostly pale."""
    pick = rng.random()
    if pick < 0.45:
        return hsv(rng.uniform(0.05, 0.18), rng.uniform(0.0, 0.14), rng.uniform(0.75, 0.95))
    if pick < 0.75:
        return hsv(_hue(rng), rng.uniform(0.05, 0.25), rng.uniform(0.6, 0.92))
    if pick < 0.94:
        return hsv(_hue(rng), rng.uniform(0.1, 0.35), rng.uniform(0.4, 0.8))
    return hsv(_hue(rng), rng.uniform(0.3, 0.6), rng.uniform(0.25, 0.7))


def _trio(colour: Colour, rng: Rng, spread: float = 0.25) -> tuple[Colour, Colour, Colour]:
    dark = shift(colour, 1 - spread * rng.uniform(0.5, 1.5))
    return colour, dark, shift(colour, 1 + spread * rng.uniform(-1, 0.6), 0.02)


def _variant(rng: Rng) -> int:
    return int(rng.integers(0, 720))


def wood(rng: Rng, colour: Colour | None = None, gloss: float | None = None) -> Material:
    """Solid or veneered wood."""
    base = wood_colour(rng) if colour is None else colour
    shine = rng.uniform(0.05, 0.4) if gloss is None else gloss
    scale = rng.uniform(0.5, 1.1)
    return Material(
        "wood",
        _variant(rng),
        _trio(base, rng, 0.3),
        scale,
        gloss=shine,
        contrast=rng.uniform(0.5, 1),
    )


def lacquer(rng: Rng, colour: Colour | None = None) -> Material:
    """Painted or laminated board, plastic."""
    base = any_colour(rng) if colour is None else colour
    return Material(
        "plain", _variant(rng), _trio(base, rng, 0.05), 1.0, gloss=rng.uniform(0.05, 0.5)
    )


def metal(rng: Rng, colour: Colour | None = None) -> Material:
    """Brushed or painted metal."""
    grey = hsv(rng.uniform(0.05, 0.6), rng.uniform(0, 0.08), rng.choice([0.12, 0.35, 0.55, 0.75]))
    base = grey if colour is None else colour
    return Material(
        "metal", _variant(rng), _trio(base, rng, 0.15), 0.4, gloss=rng.uniform(0.4, 0.9)
    )


def fabric(rng: Rng, colour: Colour | None = None, plain: bool = False) -> Material:
    """Upholstery, bedding, clothes."""
    base = any_colour(rng, 0.3) if colour is None else colour
    kind = 0 if plain or rng.random() < 0.55 else _variant(rng)
    colours = (base, shift(any_colour(rng, 0.3), 1.0), any_colour(rng, 0.3))
    if kind % 6 in (0, 5):
        colours = _trio(base, rng, 0.2)
    return Material(
        "fabric", kind, colours, rng.uniform(0.25, 0.7), gloss=0.02, bevel=0.05, contrast=0.9
    )


def fur(rng: Rng, colour: Colour) -> Material:
    """Plush and long pile."""
    return Material("fur", _variant(rng), _trio(colour, rng, 0.4), 0.22, gloss=0.0, bevel=0.03)


def ceramic(rng: Rng, colour: Colour | None = None) -> Material:
    """Glazed clay or china, sometimes banded."""
    base = any_colour(rng, 0.7) if colour is None else colour
    name = str(rng.choice(["plain", "bands", "stone", "fabric"], p=[0.6, 0.2, 0.1, 0.1]))
    colours = (
        _trio(base, rng, 0.05) if name == "plain" else (base, any_colour(rng), any_colour(rng))
    )
    return Material(
        name, _variant(rng), colours, 0.35, unit=name == "bands", gloss=rng.uniform(0.3, 1.0)
    )


def stone(rng: Rng, colour: Colour | None = None) -> Material:
    """Marble or granite, polished."""
    base = hsv(rng.uniform(0, 0.15), rng.uniform(0, 0.15), rng.uniform(0.12, 0.9))
    base = base if colour is None else colour
    colours = (base, shift(base, 0.6), hsv(0.1, 0.05, 0.9 if sum(base) < 1.5 else 0.4))
    return Material("stone", _variant(rng), colours, rng.uniform(0.5, 1.2), gloss=0.5)


def floor(rng: Rng, style: str) -> Material:
    """Floor covering for a style of room."""
    choice = {
        "kitchen": (0.25, 0.65, 0.0, 0.1),
        "storage": (0.15, 0.15, 0.1, 0.6),
        "office": (0.25, 0.15, 0.5, 0.1),
    }.get(style, (0.52, 0.15, 0.28, 0.05))
    name = str(rng.choice(["planks", "tiles", "carpet", "concrete"], p=choice))
    if name == "planks":
        return Material(
            "planks",
            _variant(rng),
            _trio(wood_colour(rng), rng, 0.35),
            rng.uniform(0.8, 1.9),
            gloss=rng.uniform(0.05, 0.6),
            contrast=rng.uniform(0.6, 1.1),
        )
    if name == "tiles":
        base = hsv(rng.uniform(0, 0.15), rng.uniform(0, 0.35), rng.uniform(0.25, 0.92))
        other = shift(base, rng.uniform(0.3, 0.9))
        grout = hsv(0.1, 0.1, rng.uniform(0.3, 0.8))
        size = rng.uniform(0.7, 1.6)
        return Material(
            "tiles", _variant(rng), (base, other, grout), size, gloss=rng.uniform(0.2, 0.8)
        )
    if name == "carpet":
        base = hsv(_hue(rng), rng.beta(1.2, 3) * 0.7, rng.uniform(0.2, 0.75))
        return Material(
            "carpet",
            _variant(rng),
            (base, shift(base, 0.8), any_colour(rng)),
            rng.uniform(0.5, 1.0),
            gloss=0.0,
        )
    base = hsv(0.1, rng.uniform(0, 0.12), rng.uniform(0.3, 0.7))
    return Material(
        "concrete", _variant(rng), _trio(base, rng, 0.3), 2.5, gloss=rng.uniform(0.05, 0.3)
    )


def wall(rng: Rng, style: str, colour: Colour | None = None) -> Material:
    """Wall finish for a style of room."""
    base = wall_colour(rng) if colour is None else colour
    odds = {
        "kitchen": (0.55, 0.1, 0.05, 0.25, 0.05),
        "storage": (0.3, 0.0, 0.4, 0.1, 0.2),
    }.get(style, (0.72, 0.16, 0.05, 0.02, 0.05))
    name = str(rng.choice(["plaster", "wallpaper", "bricks", "tiles", "concrete"], p=odds))
    if name == "wallpaper":
        accent = shift(base, rng.uniform(0.7, 1.15), rng.uniform(-0.05, 0.05))
        second = shift(base, rng.uniform(0.6, 1.2))
        return Material("wallpaper", _variant(rng), (base, accent, second), rng.uniform(0.5, 1.4))
    if name == "bricks":
        clay = hsv(rng.uniform(0.0, 0.07), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.75))
        body = base if rng.random() < 0.4 else clay
        mortar = hsv(0.1, 0.06, rng.uniform(0.5, 0.85))
        return Material(
            "bricks", _variant(rng), (body, shift(body, 0.7), mortar), rng.uniform(0.7, 1.1)
        )
    if name == "tiles":
        grout = hsv(0.1, 0.04, rng.uniform(0.5, 0.9))
        return Material(
            "tiles",
            _variant(rng),
            (base, shift(base, 0.93), grout),
            rng.uniform(0.4, 0.9),
            gloss=0.6,
        )
    if name == "concrete":
        return Material("concrete", _variant(rng), _trio(shift(base, 0.85), rng, 0.2), 2.5)
    return Material(
        "plaster",
        _variant(rng),
        _trio(base, rng, 0.04),
        rng.uniform(0.8, 2),
        contrast=rng.beta(1, 3),
    )


def paint(colour: Colour, gloss: float = 0.15) -> Material:
    """One even colour."""
    return Material("plain", 0, (colour, colour, colour), gloss=gloss)


def drawing(
    rng: Rng,
    name: str,
    colours: tuple[Colour, Colour, Colour] | None = None,
    emission: float = 0.0,
    gloss: float = 0.05,
    front_only: bool = False,
) -> Material:
    """A face filled by a drawing from `drawings`."""
    vivid = rng.random()
    mixed = colours or (any_colour(rng), any_colour(rng, vivid), any_colour(rng, vivid))
    return Material(
        name,
        _variant(rng),
        mixed,
        unit=True,
        front_only=front_only,
        gloss=gloss,
        emission=emission,
        contrast=1.3,
    )


def glowing(colour: Colour, strength: float) -> Material:
    """A luminous surface."""
    return Material("plain", 0, (colour, colour, colour), emission=strength, contrast=0.3)
