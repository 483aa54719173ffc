"""Photos, cut-outs and rooms from their files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def decode(path: Path) -> NDArray[np.uint8]:
    """A picture in colour: uint8 RGB [h, w, 3], or RGBA [h, w, 4].

    Raises:
        ValueError: It cannot be read as one.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3:
        raise ValueError(f"{path}: cannot be read as a picture in colour")
    order = [2, 1, 0, 3] if image.shape[2] == 4 else [2, 1, 0]
    return np.ascontiguousarray(image[..., order])


@lru_cache(maxsize=256)
def read(path: str) -> NDArray[np.uint8]:
    """The same, kept: photos and cut-outs are used again and again."""
    return decode(Path(path))


def any_of(paths: tuple[str, ...], random: np.random.Generator) -> NDArray[np.uint8]:
    """One of some pictures."""
    return read(paths[int(random.integers(len(paths)))])


def room_depth(path: Path) -> NDArray[np.float32]:
    """Depth of a rendered room: float32 [h, w], metres."""
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return np.asarray(depth, np.float32) / np.float32(1000)
