"""Patterns that fill one face once: pictures, rugs, book spines, doors, screens, window views.

Same channels as in `patterns` (two colour weights and a shade), but not seamless.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from tools.rooms.patterns import TILE, Image, noise

_V, _U = np.meshgrid(np.arange(TILE) / TILE, np.arange(TILE) / TILE, indexing="ij")


def _canvas() -> Image:
    image = np.zeros((TILE, TILE, 3), np.float32)
    image[..., 2] = 0.5
    return image


def _rect(image: Image, box: tuple[float, float, float, float], value: tuple[float, ...]) -> None:
    """Fills u0, v0, u1, v1 (fractions) with (first, second, shade)."""
    u0, v0, u1, v1 = (round(c * TILE) for c in box)
    image[v0:v1, u0:u1] = value


def _bevelled(image: Image, box: tuple[float, float, float, float], depth: float) -> None:
    """Shades a recessed panel: dark upper left edge, bright lower right edge."""
    u0, v0, u1, v1 = (round(c * TILE) for c in box)
    for i in range(4):
        image[v0 + i, u0:u1, 2] -= depth
        image[v0:v1, u0 + i, 2] -= depth
        image[v1 - 1 - i, u0:u1, 2] += depth * 0.7
        image[v0:v1, u1 - 1 - i, 2] += depth * 0.7


def _picture(rng: np.random.Generator, v: int) -> Image:
    image = _canvas()
    if v % 4 == 0:  # hills under a sky
        horizon = 0.45 + 0.2 * rng.random()
        line = horizon + 0.25 * (noise(rng, 1.8)[0] - 0.5)[None, :]
        image[..., 0] = line < _V
        image[..., 1] = np.clip((noise(rng, 1.5) - 0.5) * 4, 0, 1) * (line + 0.1 < _V)
        image[..., 2] = 0.5 + 0.5 * (noise(rng, 1.3) - 0.5) + 0.25 * (0.5 - _V)
    elif v % 4 == 1:  # blocks of colour
        for _ in range(9):
            u, w = rng.random() * 0.8, 0.1 + 0.3 * rng.random()
            t, h = rng.random() * 0.8, 0.1 + 0.3 * rng.random()
            value = (float(rng.random() < 0.5), float(rng.random() < 0.4), 0.2 + 0.6 * rng.random())
            _rect(image, (u, t, min(u + w, 1), min(t + h, 1)), value)
    elif v % 4 == 2:  # a head and shoulders
        head = np.hypot((_U - 0.5) / 0.17, (_V - 0.38) / 0.22) < 1
        body = np.hypot((_U - 0.5) / 0.4, (_V - 1.0) / 0.42) < 1
        image[..., 0] = np.where(head, 0.9, 0.0)
        image[..., 1] = np.where(body & ~head, 1.0, 0.15 * noise(rng, 1.6))
        image[..., 2] = 0.45 + 0.5 * (noise(rng, 1.6) - 0.5) + 0.15 * (_U - 0.5)
    else:  # brush strokes
        image[..., 0] = np.clip((noise(rng, 1.6, 3.0) - 0.45) * 6, 0, 1)
        image[..., 1] = np.clip((noise(rng, 1.6, 0.4) - 0.55) * 6, 0, 1)
        image[..., 2] = 0.5 + 0.4 * (noise(rng, 0.8, 6.0) - 0.5)
    if v >= 4:  # a mount of the third colour
        edge = np.minimum.reduce([_U, 1 - _U, _V, 1 - _V]) < 0.14
        image[edge] = (0.0, 1.0, 0.62)
    return image


def _print(rng: np.random.Generator, v: int) -> Image:
    """A page, poster or book cover: title, picture, lines of text."""
    image = _canvas()
    y = 0.06
    if v % 3 != 0:
        _rect(image, (0.1, y, 0.55 + 0.35 * rng.random(), y + 0.08), (1, 0, 0.5))
        y += 0.14
    if v % 2:
        height = 0.25 + 0.3 * rng.random()
        _rect(image, (0.08, y, 0.92, y + height), (0, 1, 0.5))
        top, bottom = round(y * TILE), round((y + height) * TILE)
        image[top:bottom, 20:236, 2] = 0.3 + 0.5 * noise(rng, 1.4)[top:bottom, 20:236]
        y += height + 0.06
    while y < 0.92:
        _rect(image, (0.1, y, 0.5 + 0.42 * rng.random(), y + 0.018), (0.8, 0, 0.5))
        y += 0.036 + (0.04 if rng.random() < 0.12 else 0)
    return image


def _spines(rng: np.random.Generator, v: int) -> Image:
    image = _canvas()
    image[..., 2] = 0.08
    at = 0
    while at < TILE - 4:
        width = int(rng.integers(8, 26))
        height = int(TILE * (0.05 + 0.3 * rng.random() ** 1.5))
        mix = rng.dirichlet((0.7, 0.7, 0.7))
        image[height:, at : at + width - 1] = (mix[0], mix[1], 0.3 + 0.45 * rng.random())
        band = height + int(rng.integers(10, 60))
        image[band : band + int(rng.integers(4, 40)), at + 2 : at + width - 3, 2] += 0.25
        image[height:, at : at + 1, 2] -= 0.2
        at += width
    return image


def _rug(rng: np.random.Generator, v: int) -> Image:
    image = _canvas()
    a, b = np.abs(_U - 0.5) * 2, np.abs(_V - 0.5) * 2
    edge = np.maximum(a, b)
    if v % 3 == 0:
        image[..., 0] = (edge > 0.72) & (edge < 0.9)
        waves = np.sin(a * 19 + np.cos(b * 13) * 2) * np.sin(b * 17 + np.cos(a * 11))
        image[..., 1] = np.clip((waves - 0.25) * 5, 0, 1)
        medallion = np.hypot(a, b)
        image[..., 0] = np.maximum(image[..., 0], (medallion < 0.42) & (np.sin(medallion * 40) > 0))
    elif v % 3 == 1:
        image[..., 0] = np.floor(_V * (6 + v)) % 2
        image[..., 1] = np.floor(_V * (6 + v)) % 5 == 3
    else:
        zigzag = np.abs((_U * 8) % 1 - 0.5) * 0.25
        image[..., 0] = ((_V + zigzag) * 7 % 1) < 0.4
        image[..., 1] = ((_V + zigzag) * 7 % 1) > 0.85
    image[..., 2] += 0.3 * (noise(rng, 0.3, low=16) - 0.5)
    return image


def _door(rng: np.random.Generator, v: int) -> Image:
    image = _canvas()
    image[..., 2] += 0.12 * (noise(rng, 1.0, 0.05) - 0.5)
    if v % 4 == 0:
        panels = [
            (u, t, u + 0.3, t + h) for u in (0.14, 0.56) for t, h in ((0.07, 0.36), (0.52, 0.4))
        ]
    elif v % 4 == 1:
        panels = [(0.14, t, 0.86, t + 0.22) for t in (0.06, 0.37, 0.68)]
    elif v % 4 == 2:
        panels = [(0.14, 0.06, 0.86, 0.5), (0.14, 0.56, 0.86, 0.94)]
    else:
        panels = []
    for box in panels:
        _bevelled(image, box, 0.16)
    return image


def _fronts(rng: np.random.Generator, v: int) -> Image:
    """Cupboard doors and drawers with gaps and handles."""
    image = _canvas()
    image[..., 2] += 0.15 * (noise(rng, 1.0, 0.06) - 0.5)
    columns, rows = ((2, 1), (1, 3), (2, 2), (1, 1), (3, 1), (2, 4))[v % 6]
    for i in range(columns):
        for j in range(rows):
            box = (i / columns, j / rows, (i + 1) / columns, (j + 1) / rows)
            _bevelled(image, box, 0.28)
            if v >= 6:
                w, h = 0.14 / columns, 0.12 / rows
                _bevelled(image, (box[0] + w, box[1] + h, box[2] - w, box[3] - h), 0.14)
            if rows > columns or rows > 1:
                u, t = (i + 0.5) / columns, (j + 0.22) / rows
                grip = (u - 0.06, t, u + 0.06, t + 0.025)
            else:
                u = (i + (0.88 if i % 2 == 0 else 0.12)) / columns
                grip = (u - 0.012, 0.40, u + 0.012, 0.54)
            _rect(image, grip, (0, 1, 0.6))
    return image


def _view(rng: np.random.Generator, v: int) -> Image:
    """What is seen through a window: sky, trees, houses."""
    image = _canvas()
    image[..., 2] = 0.75 + 0.15 * (noise(rng, 1.8) - 0.5) - 0.1 * _V
    crown = np.clip((noise(rng, 1.3) - 0.62 + 0.55 * (_V - 0.25)) * 9, 0, 1)
    if v % 3 != 1:
        image[..., 0] = crown
        image[..., 2] -= crown * (0.22 + 0.6 * (noise(rng, 0.9) - 0.5))
    if v % 3 != 0:
        at = 0
        while at < TILE:
            width = int(rng.integers(30, 80))
            top = int(TILE * (0.3 + 0.4 * rng.random()))
            image[top:, at : at + width] = (0, 1, 0.4 + 0.2 * rng.random())
            for y in range(top + 10, TILE - 12, 26):
                for x in range(at + 8, min(at + width - 8, TILE - 8), 18):
                    image[y : y + 12, x : x + 8, 2] -= 0.25
            at += width + int(rng.integers(0, 20))
    return cv2.GaussianBlur(image, (0, 0), 1.5 + v % 2)


def _blinds(rng: np.random.Generator, v: int) -> Image:
    image = _canvas()
    slat = (_V * (18 + 6 * (v % 2))) % 1
    image[..., 2] = 0.45 + 0.35 * np.sin(slat * np.pi)
    image[..., 0] = slat > 0.88
    return image


def _screen(rng: np.random.Generator, v: int) -> Image:
    image = _canvas()
    image[..., 2] = 0.4 - 0.15 * (_U + _V) / 2
    if v % 2:
        _rect(image, (0.0, 0.0, 1.0, 0.07), (0, 1, 0.5))
        for y in np.arange(0.14, 0.9, 0.05):
            _rect(image, (0.08, y, 0.2 + 0.6 * rng.random(), y + 0.02), (1, 0, 0.5))
        _rect(image, (0.68, 0.2, 0.95, 0.6), (0.3, 0.7, 0.6))
    return image


def _keys(rng: np.random.Generator, v: int) -> Image:
    image = _canvas()
    cell_u, cell_v = (_U * 15 + 0.3 * np.floor(_V * 5)) % 1, (_V * 5) % 1
    image[..., 0] = (cell_u > 0.14) & (cell_v > 0.14)
    image[..., 2] += 0.1 * (cell_v - 0.5)
    return image


def _dial(rng: np.random.Generator, v: int) -> Image:
    """A clock face."""
    image = _canvas()
    radius, angle = np.hypot(_U - 0.5, _V - 0.5), np.arctan2(_V - 0.5, _U - 0.5)
    ticks = (np.abs(np.sin(angle * 6)) < 0.12) & (radius > 0.36) & (radius < 0.45)
    image[..., 0] = ticks
    for _ in range(2):
        turn, reach = rng.random() * 2 * np.pi, 0.2 + 0.15 * rng.random()
        end = (
            round((0.5 + reach * np.cos(turn)) * TILE),
            round((0.5 + reach * np.sin(turn)) * TILE),
        )
        layer = np.ascontiguousarray(image[..., 0])
        cv2.line(layer, (TILE // 2, TILE // 2), end, 1.0, 5)
        image[..., 0] = layer
    return image


FAMILIES: dict[str, tuple[Callable[[np.random.Generator, int], Image], int]] = {
    "picture": (_picture, 8),
    "print": (_print, 6),
    "spines": (_spines, 5),
    "rug": (_rug, 6),
    "door": (_door, 4),
    "fronts": (_fronts, 12),
    "view": (_view, 6),
    "blinds": (_blinds, 2),
    "screen": (_screen, 4),
    "keys": (_keys, 1),
    "dial": (_dial, 2),
}


def draw(name: str, variant: int) -> Image:
    """Returns drawing `variant` of a family, [TILE, TILE, 3] float32 in 0..1, v downwards."""
    key = [variant, 77, *name.encode()]
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
    return np.clip(FAMILIES[name][0](rng, variant), 0.0, 1.0)
