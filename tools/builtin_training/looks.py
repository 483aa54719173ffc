"""Pictures made out of pictures: other cameras, collages, worse light and worse sensors.

The teacher is asked about the result, so nothing here has to leave the depth as it was. All
pictures are uint8 RGB of SIDE x SIDE unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.builtin_training.views import SIDE, Depth, Picture, Random

_AREA = (SIDE - 1.0) * np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)


def other_camera(
    rgb: Picture, least: float, random: Random, depth: Depth | None = None
) -> tuple[Picture, Depth | None]:
    """A photo as another camera at the same place would have it: turned, tilted, zoomed.

    Args:
        rgb: uint8 [h, w, 3].
        least: The smallest share of its height that is looked at.
        random: Draws the part, its tilt and its perspective.
        depth: float32 [h, w], metres, if known.

    Returns:
        The picture, and its depth, float32 [SIDE, SIDE], as it was measured along the first
        camera's axis.
    """
    size = np.array(rgb.shape[1::-1], np.float32)
    share = random.uniform(least, 1.0)
    # The four corners of what is seen, about the middle; never outside the photo.
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) / 2
    corners = corners * (1 + random.uniform(-0.12, 0.12, (4, 2)))
    angle = np.radians(random.normal(0, 4))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = (corners * size * share) @ turn.T
    span = np.ptp(corners, axis=0)
    corners *= min(1.0, float(((size - 1) / span).min()))
    low, high = corners.min(0), corners.max(0)
    middle = -low + random.random(2) * np.maximum(size - 1 - (high - low), 0)
    seen = (corners + middle).astype(np.float32)
    if depth is not None:
        matrix = cv2.getPerspectiveTransform(seen, _AREA)
        depth = cv2.warpPerspective(
            depth, matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
    # From the nearest of a few sizes, so that shrinking does not alias.
    while np.linalg.norm(seen[1] - seen[0]) > 1.6 * SIDE and min(rgb.shape[:2]) > SIDE:
        rgb = cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8)
        seen = seen / 2
    matrix = cv2.getPerspectiveTransform(seen, _AREA)
    made = cv2.warpPerspective(rgb, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return made.astype(np.uint8), depth


def collage(under: Picture, over: Picture, random: Random) -> Picture:
    """A picture with part of another stuck on it: along an edge, or as a quadrilateral."""
    mask = np.zeros((SIDE, SIDE), np.float32)
    if random.random() < 0.5:
        # One side of a line through the picture.
        angle, middle = random.uniform(0, np.pi), random.uniform(0.25, 0.75, 2) * SIDE
        rows, columns = np.mgrid[:SIDE, :SIDE]
        side = (columns - middle[0]) * np.cos(angle) + (rows - middle[1]) * np.sin(angle)
        mask[side > 0] = 1
    else:
        corners = random.uniform(0, SIDE, 2) + (
            np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * random.uniform(0.15, 0.7) * SIDE / 2
        ) * random.uniform(0.6, 1.4, (4, 2))
        cv2.fillConvexPoly(mask, corners.astype(np.int32), 1.0)
    if random.random() < 0.3:
        mask = cv2.GaussianBlur(mask, None, float(random.uniform(1, 12))).astype(np.float32)
    mask = mask[..., None]
    return np.rint(under * (1 - mask) + over * mask).astype(np.uint8)


def worse(picture: Picture, random: Random) -> Picture:
    """Other light, colours, sharpness and noise, and sometimes the marks of a JPEG file."""
    x: NDArray[Any] = picture.astype(np.float32) / 255
    x = np.maximum(x, np.float32(1e-4)) ** np.float32(np.exp(random.uniform(-0.35, 0.5)))
    tint = np.exp(random.uniform(-0.4, 0.25) + random.uniform(-0.12, 0.12, 3))
    x *= tint.astype(np.float32)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * np.float32(random.uniform(0.4, 1.3))
    x = x.mean() + (x - x.mean()) * np.float32(np.exp(random.uniform(-0.3, 0.25)))
    if random.random() < 0.3:
        x = cv2.GaussianBlur(x, None, float(random.uniform(0.4, 1.4))).astype(np.float32)
    if random.random() < 0.5:
        noise = random.standard_normal(x.shape, np.float32)
        x += noise * np.float32(random.uniform(0, 0.04))
    made = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)
    if random.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 95))]
        coded = cv2.imencode(".jpg", made, quality)[1]
        made = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return made
