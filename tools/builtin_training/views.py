"""Training pictures: views of rendered rooms and of photos, with cut-outs pasted in.

All pictures are uint8 RGB of SIDE x SIDE, as the network is shown them: whole pictures are squeezed
to a square, like a photo given to `fgbg depth`; crops stand for a photo on a square canvas.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models.resizing import resize

SIDE = 224
Picture = NDArray[np.uint8]
Depth = NDArray[np.float32]
Random = np.random.Generator


def room_view(rgb: Picture, depth: Depth, whole: bool, random: Random) -> tuple[Picture, Depth]:
    """A view of a rendered room.

    Args:
        rgb: uint8 [h, w, 3].
        depth: float32 [h, w], metres.
        whole: Whether all of it is shown, or a crop.
        random: Draws the crop and the direction.

    Returns:
        uint8 [SIDE, SIDE, 3] and float32 [SIDE, SIDE], metres.
    """
    if not whole:
        top, left, height, width = _crop(rgb.shape[:2], 0.7, random)
        rgb = rgb[top : top + height, left : left + width]
        depth = depth[top : top + height, left : left + width]
    if random.random() < 0.5:
        rgb, depth = rgb[:, ::-1], depth[:, ::-1]
    near = cv2.resize(depth, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return _squeeze(rgb), near.astype(np.float32)


def photo_view(rgb: Picture, random: Random) -> Picture:
    """A view of a photo: now and then all of it, else a crop of any place and size, at any tilt.

    Args:
        rgb: uint8 [h, w, 3].
        random: Draws the view.
    """
    if random.random() < 0.3:
        angle = float(random.uniform(-15, 15))
        middle = (rgb.shape[1] / 2, rgb.shape[0] / 2)
        turn = cv2.getRotationMatrix2D(middle, angle, 1.25)
        rgb = cv2.warpAffine(rgb, turn, rgb.shape[1::-1], borderMode=cv2.BORDER_REFLECT).astype(
            np.uint8
        )
    if random.random() < 0.85:
        top, left, height, width = _crop(rgb.shape[:2], 0.3, random)
        rgb = rgb[top : top + height, left : left + width]
    if random.random() < 0.5:
        rgb = rgb[:, ::-1]
    return _squeeze(rgb)


def paste(picture: Picture, cutout: Picture, random: Random) -> tuple[Picture, NDArray[np.bool_]]:
    """A picture with a cut-out somewhere on it.

    Args:
        picture: uint8 RGB [SIDE, SIDE, 3].
        cutout: uint8 RGBA [h, w, 4].
        random: Draws size, direction and place.

    Returns:
        The picture, and where it was changed: bool [SIDE, SIDE].
    """
    share = random.uniform(0.2, 0.75)
    scale = share * SIDE / max(cutout.shape[:2])
    width, height = (max(4, round(side * scale)) for side in cutout.shape[1::-1])
    small = cv2.resize(cutout, (width, height), interpolation=cv2.INTER_AREA)
    if random.random() < 0.5:
        small = small[:, ::-1]
    left = int(random.integers(0, SIDE - width + 1))
    top = int(random.integers(0, SIDE - height + 1))
    alpha = small[..., 3:].astype(np.float32) / 255
    made = picture.copy()
    under = made[top : top + height, left : left + width]
    under[:] = np.rint(small[..., :3] * alpha + under * (1 - alpha))
    changed = np.zeros((SIDE, SIDE), bool)
    changed[top : top + height, left : left + width] = alpha[..., 0] > 0.02
    return made, changed


def blend(first: Picture, second: Picture, random: Random) -> Picture:
    """Two pictures shining through each other: looks that neither photos nor rooms have."""
    share = np.float32(random.uniform(0.15, 0.5))
    return np.rint(first * (1 - share) + second * share).astype(np.uint8)


def _crop(shape: tuple[int, ...], least: float, random: Random) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random part, nearly square."""
    height = random.uniform(least, 1) * shape[0]
    width = min(shape[1], height * np.exp(random.uniform(-0.15, 0.3)))
    h, w = int(height), int(width)
    top = int(random.integers(0, shape[0] - h + 1))
    return top, int(random.integers(0, shape[1] - w + 1)), h, w


def _squeeze(rgb: Picture) -> Picture:
    return resize(np.ascontiguousarray(rgb), (SIDE, SIDE)).astype(np.uint8)
