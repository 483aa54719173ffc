"""Small pictures, drawn."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def encoded(picture: np.ndarray | Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    """A picture's file, as Pillow writes it."""
    buffer = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def off(found: np.ndarray, expected: np.ndarray) -> int:
    """The most that any value differs by."""
    return int(np.abs(found.astype(int) - expected).max())


def photo(seed: int, width: int = 96, height: int = 80) -> np.ndarray:
    """A smooth random photo: uint8 RGB [height, width, 3]."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def disc(seed: int, width: int = 90, height: int = 120, soft: float = 4.0) -> np.ndarray:
    """A cut-out with a soft edge: uint8 RGBA [height, width, 4]."""
    colour = photo(1000 + seed, width, height)
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot((x - width / 2 + 0.5) / width, (y - height / 2 + 0.5) / height) * 2
    alpha = np.clip((1 - radius) * min(width, height) / 2 / soft + 0.5, 0, 1)
    return np.dstack((colour, np.rint(alpha * 255).astype(np.uint8)))


def sieve(seed: int) -> np.ndarray:
    """A cut-out of single pixels, which are lost where it is made smaller: its masks are empty."""
    rgba = disc(seed)
    kept = np.zeros(rgba.shape[:2], bool)
    kept[::5, ::5] = True
    rgba[~kept, 3] = 0
    return rgba
