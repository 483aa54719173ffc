"""A soft edge for a hard mask: how much of each pixel at the edge is the thing.

Closed-form matting (Levin, Lischinski, Weiss, "A Closed-Form Solution to Natural Image Matting",
TPAMI 2008): in every window of 3x3 pixels alpha is a linear function of the colours. Only windows
along the edge are looked at, and their system is solved by conjugate gradients window by window:
no sparse matrix, no library for one. The mask is a weak prior: where colours say nothing, it
stands.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.cutout.parts import Mask

Floats = NDArray[np.float32]

# Variance of colours (0..1) that counts as noise: that of a JPEG file.
_EPSILON = 1e-5
_SURE, _PRIOR = 100.0, 0.05
_ITERATIONS = 80
_TOLERANCE = 1e-3
# The undecided band to each side of the mask's edge, as a share of the root of its area.
_BAND_SHARE = 0.03
# Alpha nearer to 0 or 1 than this is noise of the solver.
_NOISE = 0.03


def trimap(mask: Mask, band: int) -> NDArray[np.uint8]:
    """0 and 255 where a mask is sure, 128 in a band along its edge.

    Parts thinner than the band keep their middle line as sure: else they might dissolve.
    """
    inside = cv2.distanceTransform(_framed(mask), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform(_framed(~mask), cv2.DIST_L2, 5)[1:-1, 1:-1]
    size = 2 * band + 1
    thickness = cv2.dilate(inside, np.ones((size, size), np.uint8))
    sure = mask & (inside > np.minimum(band, 0.75 * thickness))
    result = np.full(mask.shape, 128, np.uint8)
    result[outside > band] = 0
    result[sure] = 255
    return result


def _framed(mask: Mask) -> NDArray[np.uint8]:
    """With the border repeated: a mask has no edge where the picture ends."""
    return cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)


def band_width(mask: Mask) -> int:
    """Pixels to each side of a mask's edge in which matting decides."""
    return int(np.clip(round(_BAND_SHARE * np.sqrt(float(mask.sum()))), 3, 24))


def soft_alpha(bgr: NDArray[np.uint8], mask: Mask) -> Floats:
    """Alpha 0..1 [height, width] of a mask, by closed-form matting along its edge.

    Args:
        bgr: uint8 [height, width, 3].
        mask: bool [height, width].
    """
    if not mask.any() or mask.all():
        return mask.astype(np.float32)
    zones = trimap(mask, band_width(mask))
    known = zones != 128
    prior = mask.astype(np.float32)
    weights = np.where(known, np.float32(_SURE), np.float32(_PRIOR))
    start = cv2.GaussianBlur(prior, (0, 0), 1.5)
    start[known] = prior[known]
    alpha = start.copy()
    windows = _windows(~known)
    if len(windows):
        picture = bgr.astype(np.float32) / np.float32(255)
        pixels, places = np.unique(windows, return_inverse=True)
        alpha.ravel()[pixels] = _solve(
            _affinities(picture, windows),
            places.reshape(windows.shape),
            weights.ravel()[pixels],
            prior.ravel()[pixels],
            start.ravel()[pixels],
        )
    alpha[known] = prior[known]
    alpha = np.clip((alpha - _NOISE) / (1 - 2 * _NOISE), 0, 1)
    return _without_specks(alpha.astype(np.float32), mask)


def _windows(band: Mask) -> NDArray[np.int64]:
    """The windows of 3x3 pixels, wholly inside the picture, that have a pixel in a band.

    Args:
        band: bool [height, width].

    Returns:
        Flat numbers of their pixels, [windows, 9].
    """
    height, width = band.shape
    touched = cv2.dilate(band.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    y, x = np.nonzero(touched[1 : height - 1, 1 : width - 1])
    offsets = np.add.outer(np.arange(3) * width, np.arange(3)).ravel()
    return (y * width + x)[:, None] + offsets


def _affinities(picture: Floats, windows: NDArray[np.int64]) -> Floats:
    """The part of the matting Laplacian that each window adds: float32 [windows, 9, 9]."""
    colours = picture.reshape(-1, 3)[windows]
    centred = colours - colours.mean(axis=1, keepdims=True)
    covariance = np.einsum("wki,wkj->wij", centred, centred) / np.float32(9)
    covariance += np.float32(_EPSILON) * np.eye(3, dtype=np.float32)
    solved = np.linalg.solve(covariance.astype(np.float64), centred.transpose(0, 2, 1))
    shared = (1 + np.matmul(centred, solved)) / 9
    return (np.eye(9) - shared).astype(np.float32)


def _solve(
    affinities: Floats,
    places: NDArray[np.int64],
    weights: Floats,
    wanted: Floats,
    start: Floats,
) -> Floats:
    """Minimises x' L x + sum of weights (x - wanted)^2 by preconditioned conjugate gradients.

    Args:
        affinities: [windows, 9, 9], the windows' parts of L.
        places: [windows, 9], which unknowns a window holds.
        weights: [unknowns].
        wanted: [unknowns].
        start: [unknowns].
    """
    flat = places.ravel()
    count = len(weights)

    def product(x: Floats) -> Floats:
        parts = np.matmul(affinities, x[places][..., None])
        return (np.bincount(flat, parts.ravel(), count) + weights * x).astype(np.float32)

    own = np.diagonal(affinities, axis1=1, axis2=2)
    diagonal = (np.bincount(flat, own.ravel(), count) + weights).astype(np.float32)
    x = start.copy()
    residual = weights * wanted - product(x)
    scaled = residual / diagonal
    direction = scaled.copy()
    rho = first = float(residual @ scaled)
    for _ in range(_ITERATIONS):
        if rho <= _TOLERANCE**2 * first or rho <= 0:
            break
        image = product(direction)
        step = np.float32(rho / float(direction @ image))
        x += step * direction
        residual -= step * image
        scaled = residual / diagonal
        before, rho = rho, float(residual @ scaled)
        direction = scaled + np.float32(rho / before) * direction
    return x


def _without_specks(alpha: Floats, mask: Mask) -> Floats:
    """Without what does not hang together with the mask: colours of the thing by chance."""
    labels = cv2.connectedComponents((alpha > 0.05).astype(np.uint8), connectivity=8)[1]
    kept = np.unique(labels[mask & (alpha >= 0.5)])
    return np.where(np.isin(labels, kept[kept > 0]), alpha, 0).astype(np.float32)
