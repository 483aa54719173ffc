"""Where one sees the background through the thing: handles, rings, between an arm and a body.

No seed of saliency finds these: what the thing surrounds stands out from the border as it does.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.cutout.parts import Mask

Floats = NDArray[np.float32]

# How far around the thing the background is looked at, as a share of the root of its area.
_REACH_SHARE = 0.3
_COLOURS = 4
_SAMPLES = 4000
# In standard deviations a pixel, and in Lab units the mean of a hole, may differ from it. The
# latter is strict: a white belly before a white wall is not quite as white as the wall.
_PIXEL_DISTANCE, _MEAN_DISTANCE = 3.0, 3.0
_SPREAD = 1.4
_LEAST_SHARE = 0.004
_NOISE_VARIANCE = 1.0


def see_through(lab: Floats, mask: Mask) -> Mask:
    """The parts of a mask that look just as the background close by.

    Args:
        lab: float32 [height, width, 3], CIE Lab (L 0..100).
        mask: bool [height, width].
    """
    nothing = np.zeros_like(mask)
    area = int(mask.sum())
    reach = max(4, round(_REACH_SHARE * np.sqrt(float(area))))
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    around = lab[(distance > 3) & (distance <= reach)]
    if len(around) < 10 * _COLOURS:
        return nothing
    samples = np.ascontiguousarray(around[:: max(1, len(around) // _SAMPLES)])
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    cv2.setRNGSeed(0)
    labels = cv2.kmeans(samples, _COLOURS, None, criteria, 2, cv2.KMEANS_PP_CENTERS)[1].ravel()
    alike = nothing.copy()
    clusters = []
    for k in range(_COLOURS):
        members = samples[labels == k]
        if len(members) < 0.05 * len(samples):
            continue
        covariance = np.cov(members.T) + _NOISE_VARIANCE * np.eye(3)
        difference = lab - members.mean(axis=0)
        inverse = np.linalg.inv(covariance).astype(np.float32)
        squared = np.einsum("hwi,ij,hwj->hw", difference, inverse, difference)
        alike |= squared < _PIXEL_DISTANCE**2
        clusters.append(members)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = cv2.morphologyEx((alike & mask).astype(np.uint8), cv2.MORPH_OPEN, disc)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    holes = nothing.copy()
    for k in range(1, count):
        if stats[k, cv2.CC_STAT_AREA] >= max(30, _LEAST_SHARE * area):
            part = parts == k
            if _is_background(lab[part], clusters, samples):
                holes |= part
    return holes


def _is_background(hole: Floats, clusters: list[Floats], samples: Floats) -> bool:
    """Whether a region has the mean and the spread of the background, or of a part of it."""
    mean, spread = hole.mean(axis=0), hole.std(axis=0)
    for other in (samples, *clusters):
        near = float(np.linalg.norm(mean - other.mean(axis=0))) < _MEAN_DISTANCE
        if near and (spread < _SPREAD * other.std(axis=0) + 0.5).all():
            return True
    return False
