"""The mask of the thing in a photo, found without anybody's help: `--method grabcut`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.cutout import candidates, holes, parts, quality
from fgbg.transforms.cutout.found import Found, Rejected
from fgbg.transforms.cutout.parts import Mask
from fgbg.transforms.cutout.superpixels import to_lab

# The longer side at which the mask is refined; beyond it matting alone follows the edge.
_REFINED_SIDE = 640
# The band in which refining may move the edge, as a share of the root of the mask's area.
_BAND_SHARE = 0.06
_ROUNDS = 2
# A refined mask that agrees less with the one before has lost its way.
_LEAST_AGREEMENT = 0.8
_LEAST_SIDE = 16
# Spread of lightness and colour, in Lab units, of a picture that shows nothing.
_BLANK_SPREAD = 1.5


def find(bgr: NDArray[np.uint8]) -> Found:
    """Finds the thing in a photo.

    Args:
        bgr: uint8 [height, width, 3].

    Returns:
        Its mask, of the photo's size, and how sure that is.

    Raises:
        Rejected: The picture is blank or too small, or nothing is found in it.
    """
    height, width = bgr.shape[:2]
    if min(height, width) < _LEAST_SIDE:
        raise Rejected(f"too small: {width}x{height} pixels; {_LEAST_SIDE} each way at least")
    small = shrunk(bgr, candidates.WORKING_SIDE)
    guesses = candidates.guess(small)
    if float(guesses.lab.reshape(-1, 3).std(axis=0).max()) < _BLANK_SPREAD:
        raise Rejected("blank: the whole picture has one colour")
    found = candidates.candidates(guesses)
    edges = quality.gradient(guesses.lab)
    best: tuple[quality.Evidence, Mask] | None = None
    for k, mask in enumerate(found):
        others = [other for j, other in enumerate(found) if j != k]
        for variant in candidates.variants(mask):
            if variant.all() or not variant.any():
                continue
            evidence = quality.weigh(variant, guesses, edges, others)
            if best is None or evidence.preference > best[0].preference:
                best = evidence, variant
    if best is None:
        raise Rejected("nothing found: no seed gives a part that stands out from the border")
    evidence, mask = best
    return Found(refined(bgr, mask).astype(np.float32), evidence.confidence)


def shrunk(bgr: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scaled down so that the longer side is at most `side`."""
    height, width = bgr.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)


def enlarged(values: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Scaled to the height and width of a shape, smoothly."""
    return cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def refined(bgr: NDArray[np.uint8], mask: Mask, band: float | None = None) -> Mask:
    """A coarse mask at the photo's size, its edge found again with more pixels.

    Args:
        bgr: uint8 [height, width, 3], the photo.
        mask: bool, of any size.
        band: How far the edge may move, in pixels of the photo; None: by the mask's size.
    """
    picture = shrunk(bgr, _REFINED_SIDE)
    coarse = enlarged(mask.astype(np.float32), picture.shape) >= 0.5
    if band is None:
        width = _BAND_SHARE * np.sqrt(float(coarse.sum()))
    else:
        width = band * picture.shape[1] / bgr.shape[1]
    reach = max(3, round(width))
    x, y, w, h = cv2.boundingRect(coarse.astype(np.uint8))
    # Colours far away say nothing of the edge.
    margin = max(8 * reach, (w + h) // 4)
    rows = slice(max(0, y - margin), y + h + margin)
    columns = slice(max(0, x - margin), x + w + margin)
    close = picture[rows, columns].copy()
    see_through = holes.see_through(to_lab(close), coarse[rows, columns])
    coarse[rows, columns] &= ~see_through
    near = coarse[rows, columns]
    inside = cv2.distanceTransform(near.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~near).astype(np.uint8), cv2.DIST_L2, 5)
    seeds = np.where(near, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[inside > reach] = cv2.GC_FGD
    seeds[outside > reach] = cv2.GC_BGD
    # A narrow hole has no pixel that far from the mask.
    seeds[see_through & (outside > 2)] = cv2.GC_BGD
    found = np.zeros_like(coarse)
    found[rows, columns] = candidates.grab_cut(close, seeds, _ROUNDS)
    found = parts.fill_holes(parts.largest_parts(found))
    if quality.overlap(found, coarse) < _LEAST_AGREEMENT:
        found = coarse
    return enlarged(found.astype(np.float32), bgr.shape) >= 0.5
