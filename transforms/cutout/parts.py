"""Which parts of a mask are the thing: the largest, without strands, with or without holes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

# A part smaller than this share of the largest is left out.
KEPT_SHARE = 0.15
# Holes under this share of the mask are filled; larger ones stay (a handle, a ring).
_FILLED_SHARE = 0.004


def largest_parts(mask: Mask, share: float = KEPT_SHARE) -> Mask:
    """The connected parts that have at least a share of the largest one's area."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    if count < 3:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return (areas >= share * areas.max())[labels]


def fill_holes(mask: Mask, share: float = _FILLED_SHARE) -> Mask:
    """Fills holes that are small against the mask; those at the picture's border are none."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (~mask).astype(np.uint8), connectivity=4
    )
    height, width = mask.shape
    filled = mask.copy()
    area = int(mask.sum())
    for k in range(1, count):
        x, y, w, h, size = stats[k]
        inside = x > 0 and y > 0 and x + w < width and y + h < height
        if inside and size < share * area:
            filled |= labels == k
    return filled


def without_strands(mask: Mask) -> Mask:
    """The largest part after thin bridges are cut; parts thinner than the bridge come back.

    Opened by a disc, the largest part kept, then grown back inside the mask: a leg grows back
    whole, a mountain behind the thing that hung on it by a strand does not.
    """
    area = int(mask.sum())
    radius = max(1, round(0.06 * np.sqrt(area)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    body = cv2.morphologyEx(_padded(mask, radius), cv2.MORPH_OPEN, disc)
    body = body[radius:-radius, radius:-radius]
    if not body.any():
        return largest_parts(mask, 1.0)
    bodies = body > 0
    kept = largest_parts(bodies, 1.0)
    others = bodies & ~kept
    # Grown from all bodies at once: each pixel goes to the one that reaches it first.
    seeds = np.zeros(mask.shape, np.int32)
    seeds[kept], seeds[others] = 1, 2
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    while True:
        free = mask & (seeds == 0)
        near = cv2.dilate(seeds.astype(np.uint8), cross)
        grown = free & (near > 0)
        if not grown.any():
            break
        seeds[grown] = near[grown]
    return seeds == 1


def _padded(mask: Mask, width: int) -> NDArray[np.uint8]:
    """The mask with its border repeated: what is cut off there is not thin there."""
    return cv2.copyMakeBorder(
        mask.astype(np.uint8), width, width, width, width, cv2.BORDER_REPLICATE
    )
