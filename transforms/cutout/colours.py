"""The thing's own colours at its soft edge, without the old background mixed in.

A pixel there is C = alpha F + (1 - alpha) B. F is found on pictures of growing size, smooth where
C leaves it open (Germer, Uelwer, Conrad, Harmeling, "Fast Multi-Level Foreground Estimation",
ICPR 2020), here with Jacobi's instead of Gauss and Seidel's rounds, which NumPy does at once.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Of the paper: how smooth F and B are, everywhere and where alpha changes.
_REGULARISATION = 1e-5
_GRADIENT_WEIGHT = 1.0
_SMALL_SIDE, _SMALL_ROUNDS, _BIG_ROUNDS = 32, 10, 3


def foreground_colours(bgr: NDArray[np.uint8], alpha: Floats) -> NDArray[np.uint8]:
    """Colours of the thing.

    Args:
        bgr: uint8 [height, width, 3].
        alpha: float32 0..1 [height, width].

    Returns:
        uint8 [height, width, 3]; where alpha is 1 the photo's own.
    """
    height, width = alpha.shape
    picture = bgr.astype(np.float32) / np.float32(255)
    opaque, clear = alpha > 0.9, alpha < 0.1
    front = np.broadcast_to(_mean(picture, opaque), (1, 1, 3)).copy()
    back = np.broadcast_to(_mean(picture, clear), (1, 1, 3)).copy()
    levels = max(1, int(np.ceil(np.log2(max(height, width)))))
    for level in range(levels + 1):
        size = (
            max(1, round(width ** (level / levels))),
            max(1, round(height ** (level / levels))),
        )
        c = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST).reshape(*size[::-1], 3)
        a = cv2.resize(alpha, size, interpolation=cv2.INTER_NEAREST).reshape(size[::-1])
        front = cv2.resize(front, size, interpolation=cv2.INTER_NEAREST).reshape(c.shape)
        back = cv2.resize(back, size, interpolation=cv2.INTER_NEAREST).reshape(c.shape)
        rounds = _SMALL_ROUNDS if max(size) <= _SMALL_SIDE else _BIG_ROUNDS
        front, back = _relax(c, a, front, back, rounds)
    estimated = np.rint(front * 255).astype(np.uint8)
    return np.where((alpha >= 1)[..., None], bgr, estimated)


def _mean(picture: Floats, where: NDArray[np.bool_]) -> Floats:
    chosen = picture[where] if where.any() else picture.reshape(-1, 3)
    return chosen.mean(axis=0)


def _relax(c: Floats, a: Floats, front: Floats, back: Floats, rounds: int) -> tuple[Floats, Floats]:
    """Rounds of the least-squares solution at each pixel given its neighbours."""
    padded = cv2.copyMakeBorder(a, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    height, width = a.shape
    shifts = [(0, 1), (2, 1), (1, 0), (1, 2)]
    weights = [
        _REGULARISATION
        + _GRADIENT_WEIGHT * np.abs(a - padded[y : y + height, x : x + width])[..., None]
        for y, x in shifts
    ]
    total = sum(weights)
    a1 = a[..., None]
    b1 = 1 - a1
    # The 2x2 system of each pixel: [[a a + w, a b], [a b, b b + w]], w the weights' sum.
    m00, m01, m11 = a1 * a1 + total, a1 * b1, b1 * b1 + total
    inverse = 1 / (m00 * m11 - m01 * m01)
    for _ in range(rounds):
        right = []
        for values, share in ((front, a1), (back, b1)):
            around = cv2.copyMakeBorder(values, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
            neighbours = sum(
                w * around[y : y + height, x : x + width]
                for w, (y, x) in zip(weights, shifts, strict=True)
            )
            right.append(share * c + neighbours)
        front = np.clip((m11 * right[0] - m01 * right[1]) * inverse, 0, 1).astype(np.float32)
        back = np.clip((m00 * right[1] - m01 * right[0]) * inverse, 0, 1).astype(np.float32)
    return front, back
