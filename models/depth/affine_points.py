"""Depth of a map of points that is right up to a shift along the optical axis.

MoGe (Wang et al., "MoGe: Unlocking Accurate Monocular Geometry Estimation for Open-Domain Images
with Optimal Training Supervision", CVPR 2025) gives for each pixel a point x, y, z. A pinhole
camera of focal length f sees it at f * (x, y) / (z + shift): the shift is the one by which all
points are seen nearest to where their pixels are, in the sense of least squares, with the best f.
Coordinates of pixels are measured in halves of the picture's diagonal, from its middle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_SAMPLES = 64  # points a side that the shift is found from
_STEPS = 40
_TOLERANCE = 1e-6


def depth_of_points(points: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Depth in the unit of the points.

    Args:
        points: [height, width, 3]: x, y, z.
        valid: [height, width]: where there are points at all.

    Returns:
        [height, width]; of no meaning where there are no points.
    """
    height, width = valid.shape
    rows, columns = (
        np.linspace(0, n - 1, min(n, _SAMPLES)).round().astype(int) for n in (height, width)
    )
    seen = np.ix_(rows, columns)
    diagonal = float(np.hypot(width, height))
    u, v = np.meshgrid((2 * columns + 1 - width) / diagonal, (2 * rows + 1 - height) / diagonal)
    kept = valid[seen] & np.isfinite(points[seen]).all(axis=-1)
    sample = points[seen][kept].astype(np.float64)
    if len(sample) < 2:
        return points[..., 2].copy()
    at = np.stack((u[kept], v[kept]), axis=1)
    return points[..., 2] + np.float32(_shift(sample, at))


def _residual(
    points: NDArray[np.float64], at: NDArray[np.float64], shift: float
) -> NDArray[np.float64]:
    """How far from their pixels points are seen, with the best focal length for a shift."""
    seen = points[:, :2] / (points[:, 2:] + shift)
    square = float((seen * seen).sum())
    focal = float((seen * at).sum()) / square if square > 0 else 0.0
    return (focal * seen - at).ravel()


def _shift(points: NDArray[np.float64], at: NDArray[np.float64]) -> float:
    """Levenberg and Marquardt's method for the one unknown; the focal length goes by itself."""
    nearest = float(points[:, 2].min())
    size = max(float(np.abs(points[:, 2]).mean()), 1e-6)
    # All points are to be before the camera.
    least = -nearest + 1e-3 * size
    shift = max(0.0, least)
    residual = _residual(points, at, shift)
    error, damping = float(residual @ residual), 1e-3
    for _ in range(_STEPS):
        step = 1e-4 * size
        slope = (_residual(points, at, shift + step) - residual) / step
        curvature = float(slope @ slope)
        if curvature == 0:
            break
        move = -float(slope @ residual) / (curvature * (1 + damping))
        candidate = max(shift + move, least)
        tried = _residual(points, at, candidate)
        if float(tried @ tried) < error:
            done = abs(candidate - shift) < _TOLERANCE * size
            shift, residual, error = candidate, tried, float(tried @ tried)
            damping = max(damping / 10, 1e-9)
            if done:
                break
        elif damping > 1e6 or abs(move) < _TOLERANCE * size:
            break
        else:
            damping *= 10
    return shift
