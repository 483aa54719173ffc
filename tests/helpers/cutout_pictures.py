"""Photos drawn for the tests of cutting out: a thing with known alpha before a background."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SHAPE = (240, 320)
RED = (60, 50, 200)  # BGR, as all here


def plain(colour: tuple[int, int, int] = (205, 215, 200)) -> np.ndarray:
    """A studio background: one colour, light falling off, noise. float32 [height, width, 3]."""
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]].astype(np.float32)
    light = 1 - 0.2 * ((x / SHAPE[1] - 0.5) ** 2 + (y / SHAPE[0] - 0.5) ** 2)
    noise = np.random.default_rng(0).normal(0, 2, (*SHAPE, 3))
    return (np.array(colour, np.float32) * light[..., None] + noise).astype(np.float32)


def textured() -> np.ndarray:
    """A background like foliage: blotches of two greens at every size."""
    rng = np.random.default_rng(1)
    blotches = np.zeros(SHAPE, np.float32)
    for size in (4, 8, 20):
        noise = rng.normal(0, 1, (SHAPE[0] // size + 2, SHAPE[1] // size + 2)).astype(np.float32)
        blotches += cv2.resize(noise, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    share = np.clip(blotches / 4 + 0.5, 0, 1)[..., None]
    light, dark = (np.array(green, np.float32) for green in ((60, 130, 70), (40, 80, 40)))
    return share * light + (1 - share) * dark


def _smooth(alpha: np.ndarray, soft: float) -> np.ndarray:
    return cv2.GaussianBlur(alpha.astype(np.float32), (0, 0), soft) if soft else alpha


def disc(x: int = 160, y: int = 120, radius: int = 60, soft: float = 0.7) -> np.ndarray:
    """float32 alpha [height, width]."""
    alpha = np.zeros(SHAPE, np.float32)
    cv2.circle(alpha, (x, y), radius, 1.0, -1)
    return _smooth(alpha, soft)


def ring() -> np.ndarray:
    """A disc with a hole that a person would see through."""
    return np.clip(disc(radius=75) - disc(radius=38), 0, 1)


def animal() -> np.ndarray:
    """A body on four thin legs."""
    alpha = np.zeros(SHAPE, np.float32)
    cv2.ellipse(alpha, (160, 100), (80, 38), 0, 0, 360, 1.0, -1)
    for x in (105, 130, 190, 215):
        cv2.rectangle(alpha, (x - 4, 110), (x + 4, 200), 1.0, -1)
    return _smooth(alpha, 0.7)


def person() -> np.ndarray:
    """A head and shoulders that the lower border cuts off."""
    alpha = np.zeros(SHAPE, np.float32)
    cv2.circle(alpha, (160, 105), 36, 1.0, -1)
    cv2.ellipse(alpha, (160, 240), (80, 110), 0, 0, 360, 1.0, -1)
    return _smooth(alpha, 0.7)


def composed(alpha: np.ndarray, back: np.ndarray, colour: tuple[int, int, int] = RED) -> np.ndarray:
    """uint8 BGR [height, width, 3]: a slightly shaded thing of a colour on a background."""
    y = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]][0].astype(np.float32)
    thing = np.array(colour, np.float32) * (1.1 - 0.3 * y / SHAPE[0])[..., None]
    share = alpha[..., None]
    return np.clip(np.rint(thing * share + back * (1 - share)), 0, 255).astype(np.uint8)


def save(bgr: np.ndarray, path: Path) -> Path:
    """Writes a photo, by the ending of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(bgr[..., ::-1])).save(path, quality=95)
    return path


def iou(alpha: np.ndarray, true: np.ndarray) -> float:
    """Of alpha uint8 against float32, both at half."""
    a, b = alpha >= 128, true >= 0.5
    return float((a & b).sum() / (a | b).sum())
