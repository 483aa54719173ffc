"""Procedural surface patterns, drawn once per process.

A pattern is a float32 image [TILE, TILE, 3] in 0..1 without colours of its own: channel 0 and 1
say how much of a material's second and third colour to mix in, channel 2 is shading (0.5 is
neutral). One pattern serves any number of differently coloured materials.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

TILE = 256
Image = NDArray[np.float32]

_V, _U = np.meshgrid(np.arange(TILE) / TILE, np.arange(TILE) / TILE, indexing="ij")


def _rng(name: str, variant: int) -> np.random.Generator:
    key = [variant, *name.encode()]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def noise(
    rng: np.random.Generator, power: float = 1.0, stretch: float = 1.0, low: float = 1.0
) -> Image:
    """Returns seamless noise [TILE, TILE] with spectrum 1/f**power, mean 0.5, deviation 0.17.

    Args:
        rng: source of randomness.
        power: roughness; 0 is white, 2 is cloudy.
        stretch: > 1 draws the features out along u (the image's x axis).
        low: frequencies (cycles per tile) under this are removed.
    """
    fy = np.fft.fftfreq(TILE)[:, None] * TILE
    fx = np.fft.rfftfreq(TILE)[None, :] * TILE * stretch
    radius = np.hypot(fx, fy)
    gain = np.where(radius >= low, np.maximum(radius, 1.0) ** -power, 0.0)
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE))) * gain
    field = np.fft.irfft2(spectrum, (TILE, TILE))
    field = (field - field.mean()) / max(float(field.std()), 1e-9)
    return np.clip(0.5 + 0.17 * field, 0.0, 1.0).astype(np.float32)


def _stack(first: object, second: object, shade: object) -> Image:
    layers = [np.broadcast_to(np.asarray(c, np.float32), (TILE, TILE)) for c in (first, second)]
    tone = np.broadcast_to(np.asarray(shade, np.float32), (TILE, TILE))
    return np.clip(np.stack([*layers, tone], axis=-1), 0.0, 1.0).astype(np.float32)


def _plain(rng: np.random.Generator, v: int) -> Image:
    return _stack(0.0, 0.0, 0.5 + 0.10 * (noise(rng, 1.2) - 0.5))


def _plaster(rng: np.random.Generator, v: int) -> Image:
    rough = noise(rng, 0.3 + 0.3 * (v % 3), low=12)
    cloud = noise(rng, 1.8)
    return _stack(0.25 * cloud, 0.0, 0.5 + (0.12 + 0.08 * v) * (rough - 0.5) + 0.1 * (cloud - 0.5))


def _concrete(rng: np.random.Generator, v: int) -> Image:
    cloud, rough = noise(rng, 1.6), noise(rng, 0.6, low=8)
    stains = np.clip((noise(rng, 2.0) - 0.6) * 4, 0, 1)
    return _stack(cloud, 0.6 * stains, 0.5 + 0.5 * (cloud - 0.5) + 0.25 * (rough - 0.5))


def _grain(rng: np.random.Generator, strength: float = 1.0) -> tuple[Image, Image]:
    warp = (noise(rng, 2.2, 3.0) - 0.5) * 26
    lines = noise(rng, 0.9, 24.0)
    y = (np.arange(TILE)[:, None] + warp).astype(np.float32)
    x = np.broadcast_to(np.arange(TILE, dtype=np.float32), (TILE, TILE))
    bent = cv2.remap(lines, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    fine = noise(rng, 0.2, 40.0, low=20)
    return bent, (0.5 + strength * (0.30 * (bent - 0.5) + 0.16 * (fine - 0.5))).astype(np.float32)


def _wood(rng: np.random.Generator, v: int) -> Image:
    bent, shade = _grain(rng, 0.7 + 0.2 * v)
    return _stack(np.clip((bent - 0.35) * 1.6, 0, 1), 0.3 * noise(rng, 2.0, 2.0), shade)


def _planks(rng: np.random.Generator, v: int) -> Image:
    rows = (6, 8, 10, 12, 7, 5)[v % 6]
    bent, shade = _grain(rng, 0.8)
    height = TILE / rows
    row = np.floor(np.arange(TILE) / height).astype(int)[:, None]
    shift = rng.random(rows)[row]
    column = np.floor((_U + shift) * (2 if v % 2 else 1)).astype(int)
    tone = rng.random((rows, 4))[row, column % 4]
    gap_v = np.abs(np.arange(TILE)[:, None] % height - height / 2) > height / 2 - 1.0
    along = ((_U + shift) * (2 if v % 2 else 1)) % 1.0
    gap_u = np.minimum(along, 1 - along) * TILE / (2 if v % 2 else 1) < 1.0
    gap = np.clip(gap_v * 0.8 + gap_u * 0.8, 0, 0.8)
    mix = np.clip(tone * 0.8 + (bent - 0.5), 0, 1)
    return _stack(mix, 0.25 * gap, shade + 0.22 * (tone - 0.5) - 0.30 * gap)


def _tiles(rng: np.random.Generator, v: int) -> Image:
    count = (2, 3, 4, 4, 2, 6)[v % 6]
    cell = 1.0 / count
    row, column = (_V / cell).astype(int), (_U / cell).astype(int)
    tone = rng.random((count, count))[row, column]
    edge = np.minimum.reduce([_U % cell, cell - _U % cell, _V % cell, cell - _V % cell]) * TILE
    grout = np.clip(1.8 - edge, 0, 1)
    checker = ((row + column) % 2) * (1.0 if v in (3, 4) else 0.0)
    veins = noise(rng, 1.7)
    mix = np.clip(checker + 0.25 * tone + 0.3 * (veins - 0.3), 0, 1) * (1 - grout)
    return _stack(mix, grout, 0.5 + 0.10 * (tone - 0.5) + 0.2 * (veins - 0.5) - 0.12 * grout)


def _bricks(rng: np.random.Generator, v: int) -> Image:
    rows, columns = ((8, 4), (12, 6), (16, 4), (10, 5))[v % 4]
    row = (_V * rows).astype(int)
    along = _U * columns + 0.5 * (row % 2)
    tone = rng.random((rows, columns))[row, along.astype(int) % columns]
    du = np.minimum(along % 1, 1 - along % 1) * TILE / columns
    dv = np.minimum(_V * rows % 1, 1 - _V * rows % 1) * TILE / rows
    wobble = 1.5 * (noise(rng, 1.0) - 0.5) if v < 3 else 0.0
    mortar = np.clip(2.2 - np.minimum(du, dv) + wobble, 0, 1)
    rough = noise(rng, 0.8)
    shade = 0.5 + 0.25 * (tone - 0.5) + (0.3 if v < 3 else 0.05) * (rough - 0.5) - 0.1 * mortar
    return _stack(tone * (1 - mortar) * 0.8, mortar, shade)


def _carpet(rng: np.random.Generator, v: int) -> Image:
    pile = noise(rng, 0.2, low=20)
    cloud = noise(rng, 1.8)
    dots = np.clip((pile - 0.62) * 5, 0, 1) if v % 3 == 1 else 0.0
    ribs = 0.12 * np.sin(2 * np.pi * _V * 42) if v % 3 == 2 else 0.0
    return _stack(0.4 * cloud, dots, 0.5 + 0.42 * (pile - 0.5) + ribs + 0.12 * (cloud - 0.5))


def _wallpaper(rng: np.random.Generator, v: int) -> Image:
    paper = 0.5 + 0.08 * (noise(rng, 0.5, low=10) - 0.5)
    if v % 5 == 0:
        return _stack((np.sin(2 * np.pi * _U * 8) > 0) * 0.9, 0, paper)
    if v % 5 == 1:
        wide = np.sin(2 * np.pi * _U * 6)
        return _stack(wide > 0.3, np.abs(wide) < 0.12, paper)
    if v % 5 == 2:
        a, b = np.sin(2 * np.pi * _U * 6), np.sin(2 * np.pi * _V * 6)
        return _stack(np.clip((a * b - 0.45) * 6, 0, 1), np.clip((-a * b - 0.6) * 6, 0, 1), paper)
    if v % 5 == 3:
        bend = 0.03 * np.sin(2 * np.pi * _V * 4)
        a, b = np.sin(2 * np.pi * (_U + bend) * 4), np.cos(2 * np.pi * _V * 4)
        return _stack(np.clip((a + b - 0.5) * 3, 0, 1), np.clip((-a - b - 1.0) * 4, 0, 1), paper)
    leaf = np.clip((noise(rng, 1.4, low=5) - 0.56) * 14, 0, 1)
    bloom = np.clip((noise(rng, 1.4, low=5) - 0.66) * 14, 0, 1)
    return _stack(leaf, bloom, paper)


def _fabric(rng: np.random.Generator, v: int) -> Image:
    weave = 0.08 * np.sin(2 * np.pi * _U * 60) * np.sin(2 * np.pi * _V * 60)
    shade = 0.5 + weave + 0.18 * (noise(rng, 0.3, low=16) - 0.5) + 0.22 * (noise(rng, 1.9) - 0.5)
    if v % 6 == 1:
        a = (_U * 6 % 1 < 0.35) * 0.5 + (_V * 6 % 1 < 0.35) * 0.5
        return _stack(
            a, (np.abs(_U * 6 % 1 - 0.7) < 0.04) | (np.abs(_V * 6 % 1 - 0.7) < 0.04), shade
        )
    if v % 6 == 2:
        return _stack(_U * 10 % 1 < 0.5, 0, shade)
    if v % 6 == 3:
        dots = np.hypot(_U * 8 % 1 - 0.5, _V * 8 % 1 - 0.5)
        return _stack(np.clip((0.28 - dots) * 20, 0, 1), 0, shade)
    if v % 6 == 4:
        a = np.clip((noise(rng, 1.5, low=3) - 0.55) * 16, 0, 1)
        return _stack(a, np.clip((noise(rng, 1.5, low=3) - 0.6) * 16, 0, 1), shade)
    return _stack(0.2 * noise(rng, 1.6), 0, shade)


def _fur(rng: np.random.Generator, v: int) -> Image:
    hair = noise(rng, 0.45, 0.35, low=6)
    return _stack(0.7 * hair, 0.3 * noise(rng, 1.5), 0.5 + 0.6 * (hair - 0.5))


def _stone(rng: np.random.Generator, v: int) -> Image:
    if v % 2:
        speck = noise(rng, 0.3, low=6)
        return _stack(
            np.clip((speck - 0.55) * 6, 0, 1),
            np.clip((noise(rng, 0.4, low=8) - 0.7) * 8, 0, 1),
            0.5,
        )
    cloud = noise(rng, 1.7)
    veins = np.clip(1 - np.abs(noise(rng, 1.5) - 0.5) * 22, 0, 1) * noise(rng, 1.6)
    return _stack(np.clip(cloud - 0.3, 0, 1) * 0.6, veins, 0.5 + 0.15 * (cloud - 0.5))


def _metal(rng: np.random.Generator, v: int) -> Image:
    return _stack(0.3 * noise(rng, 1.8), 0, 0.5 + 0.3 * (noise(rng, 0.5, 40.0) - 0.5))


def _folds(rng: np.random.Generator, v: int) -> Image:
    phase = 0.5 * np.sin(2 * np.pi * _U + v) + 0.25 * np.sin(4 * np.pi * _U + 2 * v)
    wave = np.sin(2 * np.pi * (_U * 7 + phase))
    figure = np.clip((noise(rng, 1.5, low=4) - 0.58) * 12, 0, 1) if v % 2 else 0.0
    return _stack(figure, 0, 0.5 + 0.30 * wave + 0.1 * np.sin(2 * np.pi * (_U * 13 + phase)))


def _leaf(rng: np.random.Generator, v: int) -> Image:
    rib = np.clip(1 - np.abs(_U - 0.5) * 30, 0, 1)
    veins = 0.5 + 0.5 * np.sin(2 * np.pi * (_V * 9 + np.abs(_U - 0.5) * 8))
    return _stack(
        np.clip(0.5 * veins + rib, 0, 1), 0.3 * noise(rng, 1.5), 0.5 + 0.15 * (veins - 0.5)
    )


def _bands(rng: np.random.Generator, v: int) -> Image:
    level = np.zeros(TILE)
    other = np.zeros(TILE)
    for _ in range(3 + v):
        at, wide = rng.integers(0, TILE), rng.integers(4, 40)
        (level if rng.random() < 0.6 else other)[at : at + wide] = 1.0
    return _stack(level[:, None], other[:, None], 0.5 + 0.1 * (noise(rng, 1.5) - 0.5))


FAMILIES: dict[str, tuple[Callable[[np.random.Generator, int], Image], int]] = {
    "plain": (_plain, 2),
    "plaster": (_plaster, 4),
    "concrete": (_concrete, 3),
    "wood": (_wood, 6),
    "planks": (_planks, 6),
    "tiles": (_tiles, 6),
    "bricks": (_bricks, 4),
    "carpet": (_carpet, 6),
    "wallpaper": (_wallpaper, 5),
    "fabric": (_fabric, 6),
    "fur": (_fur, 2),
    "stone": (_stone, 4),
    "metal": (_metal, 2),
    "folds": (_folds, 4),
    "leaf": (_leaf, 2),
    "bands": (_bands, 4),
}


def draw(name: str, variant: int) -> Image:
    """Returns pattern `variant` of a repeating family, [TILE, TILE, 3] float32 in 0..1."""
    function, _ = FAMILIES[name]
    return function(_rng(name, variant), variant)
