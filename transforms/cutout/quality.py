"""How far a mask can be believed, from the photo alone; and which of several masks to take.

Five things speak for or against a mask. `choose` weighs those that tell masks of one photo apart;
`confidence` is a straight line through all five, fitted by least squares to the intersection over
union of 140 masks whose true alpha is known: cut-outs composed on photos and on studio
backgrounds. The weights are rounded: they are no finer than that.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.cutout.candidates import Guesses
from fgbg.transforms.cutout.parts import Mask
from fgbg.transforms.cutout.superpixels import Floats

# Weights in `confidence`, and its constant.
_CONFIDENCE = {
    "agreement": 0.63,
    "saliency": 0.56,
    "edges": 0.37,
    "same_colours": -0.27,
    "border": -0.58,
}
_CONSTANT = -0.42
# Cells of the colour histogram along L, a, b.
_CELLS = (10, 14, 14)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What speaks for a mask; each from 0 to 1, saliency from -1.

    Attributes:
        agreement: Mean intersection over union with the masks of the other seeds.
        saliency: Mean saliency inside less that outside.
        edges: Mean rank, among all pixels, of the colour gradient along the mask's edge: 1 where
            it runs along the picture's strongest edges.
        same_colours: Bhattacharyya coefficient of the colours inside and outside: 1 if equal.
        border: Share of the picture's border that the mask covers.
    """

    agreement: float
    saliency: float
    edges: float
    same_colours: float
    border: float

    @property
    def confidence(self) -> float:
        """The intersection over union to be expected, 0..1."""
        value = _CONSTANT + sum(w * getattr(self, name) for name, w in _CONFIDENCE.items())
        return float(np.clip(value, 0, 1))

    @property
    def preference(self) -> float:
        """By which masks of the same photo are compared."""
        return self.agreement + 5 * self.edges - 0.5 * self.same_colours


def overlap(a: Mask, b: Mask) -> float:
    """Intersection over union; 1 for two empty masks."""
    union = int((a | b).sum())
    return float((a & b).sum()) / union if union else 1.0


def gradient(lab: Floats) -> Floats:
    """Strength of the nearest colour edge at each pixel: float32 [height, width]."""
    smooth = cv2.GaussianBlur(lab, (0, 0), 0.8)
    strongest = np.zeros(lab.shape[:2], np.float32)
    for channel in range(3):
        x = cv2.Sobel(smooth[..., channel], cv2.CV_32F, 1, 0)
        y = cv2.Sobel(smooth[..., channel], cv2.CV_32F, 0, 1)
        strongest = np.maximum(strongest, np.hypot(x, y))
    return cv2.dilate(strongest, np.ones((3, 3), np.uint8))


def weigh(mask: Mask, guesses: Guesses, edges: Floats, others: list[Mask]) -> Evidence:
    """Weighs a mask.

    Args:
        mask: bool [height, width], at working size; neither empty nor full.
        guesses: Of its photo.
        edges: `gradient` of the photo.
        others: Masks of the other seeds.
    """
    inner = edge_of(mask)
    ranks = np.searchsorted(np.sort(edges.ravel()), edges[inner]) / edges.size
    agreement = [overlap(mask, other) for other in others]
    border = np.concatenate((mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]))
    mixed = guesses.mixed
    inside, outside = _histogram(guesses.lab[mask]), _histogram(guesses.lab[~mask])
    return Evidence(
        float(np.mean(agreement)) if agreement else 0.5,
        float(mixed[mask].mean() - mixed[~mask].mean()),
        float(ranks.mean()) if ranks.size else 0.0,
        float(np.sqrt(inside * outside).sum()),
        float(border.mean()),
    )


def edge_of(mask: Mask) -> Mask:
    """The mask's own pixels along its edge, without those where the picture ends."""
    ring = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return mask & (cv2.erode(mask.astype(np.uint8), ring, borderValue=1) == 0)


def _histogram(lab: Floats) -> NDArray[np.float64]:
    """Smoothed shares of colours [cells of L, of a, of b]."""
    cells = np.array(_CELLS)
    scaled = (lab + np.array((0, 60, 60))) / (100, 120, 120) * cells
    place = np.clip(scaled.astype(int), 0, cells - 1)
    flat = np.ravel_multi_index(tuple(place.T), _CELLS)
    counts = np.bincount(flat, minlength=int(np.prod(_CELLS))).reshape(_CELLS).astype(float)
    for axis in range(3):
        counts = (np.roll(counts, 1, axis) + 2 * counts + np.roll(counts, -1, axis)) / 4
    return counts / max(counts.sum(), 1)
