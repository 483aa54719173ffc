"""Where the thing in a photo is likely to be: guesses that need no network.

Three guesses that err in different ways; where they agree, a cut-out is likely to be right.

- `background_saliency`: patches are background as far as they hang together with the border
  (Zhu et al., "Saliency Optimization from Robust Background Detection", CVPR 2014). A thing that
  touches one border is still found: what counts is the length of border against the area.
- `barrier_saliency`: how much a path from the border to a pixel must change its colour (minimum
  barrier distance; Zhang et al., "Minimum Barrier Salient Object Detection at 80 FPS", ICCV 2015).
- `border_saliency`: how unlike the border's colours a pixel is, by a few Gaussians.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.cutout.superpixels import Floats, Superpixels, distances, shortest_paths

# Of the paper: spread of places, of boundary connectivity, and weight of background patches.
_SIGMA_PLACE = 0.25
_SIGMA_CONNECTIVITY = 1.0
_BACKGROUND_WEIGHT = 5.0
_SMOOTHNESS = 0.1
_BARRIER_SWEEPS = 2
_BORDER_SHARE = 0.04
_BORDER_COLOURS = 5
_LEAST_CLUSTER = 0.08


def background_saliency(patches: Superpixels) -> NDArray[np.float64]:
    """Saliency 0..1 of each patch, by robust background detection."""
    colour = distances(patches.colours)
    count = len(colour)
    at_border = patches.border > 0
    if count < 3:
        return np.zeros(count)
    linked = patches.neighbours | (at_border[:, None] & at_border[None])
    np.fill_diagonal(linked, False)
    steps = np.where(linked, colour, np.inf)
    # What neighbours differ by anyhow counts as no difference: it would add up along a path.
    nearest = steps.min(axis=1)
    farthest = np.where(patches.neighbours, colour, 0).max(axis=1)
    usual = float(nearest.mean())
    top = float(np.sort(farthest)[-max(1, count // 100) :].mean())
    sigma = max(5.0, min(10.0, 3 * usual, top / 10))
    lengths = np.maximum(steps - usual, 0)
    np.fill_diagonal(lengths, 0)
    same = np.exp(-(shortest_paths(lengths) ** 2) / (2 * sigma**2))
    area = same @ (patches.sizes / patches.sizes.mean())
    length = same @ (at_border.astype(float))
    connectivity = length / np.sqrt(area)
    background = 1 - np.exp(-(connectivity**2) / (2 * _SIGMA_CONNECTIVITY**2))
    background[background < 0.05] = 0
    near = np.exp(-(distances(patches.places) ** 2) / (2 * _SIGMA_PLACE**2))
    contrast = _stretch((colour * near) @ background)
    # Least squares: background patches want 0, contrasting ones 1, neighbours the same.
    two_steps = patches.neighbours | (patches.neighbours.astype(int) @ patches.neighbours > 0)
    np.fill_diagonal(two_steps, False)
    smooth_sigma = max(3.0, min(20.0, 3 * usual, 0.2 * top))
    weights = (np.exp(-(colour**2) / (2 * smooth_sigma**2)) + _SMOOTHNESS) * two_steps
    system = np.diag(weights.sum(axis=1) + _BACKGROUND_WEIGHT * background + contrast) - weights
    system[np.diag_indices(count)] += 1e-6
    return _stretch(np.linalg.solve(system, contrast))


def _stretch(values: NDArray[Any]) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    return (values - low) / max(high - low, 1e-9)


def barrier_saliency(lab: Floats) -> Floats:
    """Minimum barrier distance of each pixel from the border, in Lab units.

    Args:
        lab: float32 [height, width, 3].

    Returns:
        float32 [height, width], summed over the channels.
    """
    total = np.zeros(lab.shape[:2], np.float32)
    for channel in range(3):
        values = np.ascontiguousarray(cv2.medianBlur(lab[..., channel], 5))
        cost = np.full(values.shape, np.inf, np.float32)
        cost[0], cost[-1], cost[:, 0], cost[:, -1] = 0, 0, 0, 0
        state = [values, cost, values.copy(), values.copy()]
        for _ in range(_BARRIER_SWEEPS):
            for turned in (False, True):
                arrays = [a.T for a in state] if turned else state
                _sweep(arrays, range(1, arrays[0].shape[0]), -1)
                _sweep(arrays, range(arrays[0].shape[0] - 2, -1, -1), 1)
        total += cost
    return total


def _sweep(arrays: list[Floats], rows: range, before: int) -> None:
    """Lets paths go on from row to row; all pixels of a row at once."""
    values, cost, high, low = arrays
    for row in rows:
        from_row = row + before
        highest = np.maximum(high[from_row], values[row])
        lowest = np.minimum(low[from_row], values[row])
        candidate = np.where(np.isinf(cost[from_row]), np.inf, highest - lowest)
        better = candidate < cost[row]
        cost[row] = np.where(better, candidate, cost[row])
        high[row] = np.where(better, highest, high[row])
        low[row] = np.where(better, lowest, low[row])


def border_mask(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """True in a frame of a few percent of the shorter side."""
    width = max(2, round(_BORDER_SHARE * min(shape[:2])))
    mask = np.ones(shape[:2], bool)
    mask[width:-width, width:-width] = False
    return mask


def border_saliency(lab: Floats) -> Floats:
    """How unlike the border's colours each pixel is: standard deviations from the nearest cluster.

    Clusters that hold little of the border are left out. float32 [height, width].
    """
    mask = border_mask(lab.shape)
    samples = lab[mask]
    count = min(_BORDER_COLOURS, len(samples))
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    cv2.setRNGSeed(0)
    labels = cv2.kmeans(samples, count, None, criteria, 2, cv2.KMEANS_PP_CENTERS)[1].ravel()
    nearest = np.full(lab.shape[:2], np.inf, np.float32)
    for k in range(count):
        members = samples[labels == k]
        if len(members) < max(4, _LEAST_CLUSTER * len(samples)):
            continue  # a spot at the border, or the thing itself, cut off there
        covariance = np.cov(members.T) + 4.0 * np.eye(3)
        difference = lab - members.mean(axis=0)
        inverse = np.linalg.inv(covariance).astype(np.float32)
        squared = np.einsum("hwi,ij,hwj->hw", difference, inverse, difference)
        np.minimum(nearest, squared, out=nearest)
    return np.sqrt(nearest)
