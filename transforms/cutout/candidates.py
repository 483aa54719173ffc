"""Masks of the thing in a photo, by GrabCut from several seeds.

GrabCut (Rother, Kolmogorov, Blake, "GrabCut: Interactive foreground extraction using iterated
graph cuts", SIGGRAPH 2004) wants a person's rectangle. Here guesses of saliency stand in for it.
No guess is right for every photo, so each gives a mask, and `quality` says which to believe.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.cutout import parts, saliency
from fgbg.transforms.cutout.parts import Mask
from fgbg.transforms.cutout.superpixels import Floats, superpixels, to_lab

# The longer side of what is segmented, in pixels: enough for a mask that matting will refine.
WORKING_SIDE = 280
ROUNDS = 4
_SURE_BACKGROUND, _SURE_FOREGROUND = 0.3, 1.6


@dataclasses.dataclass(frozen=True)
class Guesses:
    """What is known of a photo before it is segmented.

    Attributes:
        bgr: uint8 [height, width, 3], at working size.
        lab: float32 of the same.
        patches: float32 0..1 [height, width]: saliency by robust background detection.
        barrier: float32 0..1: by minimum barrier distance.
        border: float32 0..1: by the colours of the border.
    """

    bgr: NDArray[np.uint8]
    lab: Floats
    patches: Floats
    barrier: Floats
    border: Floats

    @property
    def mixed(self) -> Floats:
        """The guesses together."""
        return stretched(0.6 * self.patches + 0.4 * self.barrier)


def guess(bgr: NDArray[np.uint8]) -> Guesses:
    """Makes all guesses of a photo at working size."""
    lab = to_lab(bgr)
    cut = superpixels(lab)
    patches = cut.paint(saliency.background_saliency(cut))
    barrier = stretched(saliency.barrier_saliency(lab))
    border = np.clip(saliency.border_saliency(lab) / 8, 0, 1).astype(np.float32)
    return Guesses(bgr, lab, patches, barrier, border)


def stretched(values: Floats) -> Floats:
    """Scaled so that the greatest percent of the values are 1."""
    top = max(float(np.percentile(values, 99)), 1e-6)
    return np.clip(values / top, 0, 1).astype(np.float32)


def candidates(guesses: Guesses) -> list[Mask]:
    """Masks from every seed, unequal to each other; may be empty."""
    found: list[Mask] = []
    mixed = guesses.mixed
    near = stretched(mixed * _around(mixed))
    all_three = stretched(0.5 * guesses.patches + 0.25 * guesses.barrier + 0.25 * guesses.border)
    placed = _with_saliency(guesses.lab, guesses.patches)
    placed_near = _with_saliency(guesses.lab, near)
    for picture, guessed, hard in (
        (guesses.bgr, guesses.patches, True),
        (guesses.bgr, guesses.patches, False),
        (guesses.bgr, guesses.barrier, True),
        (guesses.bgr, mixed, True),
        (guesses.bgr, all_three, True),
        (guesses.bgr, near, True),
        (placed, guesses.patches, True),
        (placed_near, near, True),
    ):
        found.append(grab_cut(picture, _trimap(guessed, hard)))
    return found


def _around(values: Floats) -> Floats:
    """A Gaussian around where most of the saliency is."""
    height, width = values.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    centred = np.exp(-((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) / (2 * 0.3**2))
    weights = (values * centred) ** 2
    total = max(float(weights.sum()), 1e-6)
    cx, cy = float((weights * x).sum()) / total, float((weights * y).sum()) / total
    sx = max(float(np.sqrt((weights * (x - cx) ** 2).sum() / total)), 0.05 * width)
    sy = max(float(np.sqrt((weights * (y - cy) ** 2).sum() / total)), 0.05 * height)
    return np.exp(-((x - cx) ** 2 / sx**2 + (y - cy) ** 2 / sy**2) / (2 * 2.0**2))


def _with_saliency(lab: Floats, guessed: Floats) -> NDArray[np.uint8]:
    """A picture whose third channel is saliency, so that GrabCut's colours know of places."""
    flat = lab.reshape(-1, 3) - lab.reshape(-1, 3).mean(axis=0)
    axes = np.linalg.eigh(np.cov(flat.T))[1][:, ::-1][:, :2]
    colours = (flat @ axes).reshape(*lab.shape[:2], 2) * 2 + 128
    smooth = cv2.GaussianBlur(guessed, (0, 0), 2) * 255
    return np.clip(np.dstack((colours, smooth)), 0, 255).astype(np.uint8)


def _trimap(guessed: Floats, hard: bool) -> NDArray[np.uint8]:
    """Seeds of GrabCut: probable by Otsu's threshold; sure far from it, if `hard`."""
    levels = np.rint(guessed * 255).astype(np.uint8)
    threshold = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[0] / 255
    seeds = np.where(guessed > threshold, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[guessed < threshold * (_SURE_BACKGROUND if hard else 0.1)] = cv2.GC_BGD
    if hard:
        seeds[guessed > min(0.95, threshold * _SURE_FOREGROUND)] = cv2.GC_FGD
    return seeds


def grab_cut(bgr: NDArray[np.uint8], seeds: NDArray[np.uint8], rounds: int = ROUNDS) -> Mask:
    """Runs GrabCut from seeds; where they leave nothing to decide, they are the answer."""
    mask = seeds.copy()
    foreground = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))
    # OpenCV fits 5 Gaussians to each side, and fails with fewer samples.
    if min(int(foreground.sum()), int((~foreground).sum())) < 5:
        return foreground
    cv2.setRNGSeed(0)  # its k-means draws: the same photo gives the same cut-out
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(bgr, mask, None, *models, rounds, cv2.GC_INIT_WITH_MASK)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))


def variants(mask: Mask) -> list[Mask]:
    """What a mask may mean: its largest parts, or its body without what hangs on by strands."""
    if not mask.any():
        return []
    whole = parts.fill_holes(parts.largest_parts(mask))
    return [whole, parts.fill_holes(parts.without_strands(whole))]
