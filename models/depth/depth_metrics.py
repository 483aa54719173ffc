"""How right depth is: the usual measures of monocular depth, and their means over data sets.

Definitions as in D. Eigen, C. Puhrsch and R. Fergus, arXiv 1406.2283, section 4. No crop and no
range limit: every pixel with a measured depth counts. Published tables often crop.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEAREST_M = 1e-3
"""Predictions below this count as this: their logarithm has to exist."""


class Metrics(NamedTuple):
    """Measures of one picture, or their means over several.

    Attributes:
        abs_rel: Mean of |p - t| / t.
        rmse: Root of the mean of (p - t)^2, in metres.
        log10: Mean of |log10 p - log10 t|.
        delta1: Share of pixels with max(p / t, t / p) < 1.25.
        delta2: Likewise below 1.25^2.
        delta3: Likewise below 1.25^3.
    """

    abs_rel: float
    rmse: float
    log10: float
    delta1: float
    delta2: float
    delta3: float


def measure(
    predicted: NDArray[np.floating], true: NDArray[np.floating], median_scaling: bool = False
) -> Metrics:
    """Measures one picture.

    Args:
        predicted: Metres [height, width].
        true: Metres [height, width]; 0 where there is no measurement.
        median_scaling: Whether to scale the prediction so that its median over the measured
            pixels is the true one: how right it is up to scale.

    Raises:
        ValueError: The shapes differ, or nothing was measured.
    """
    if predicted.shape != true.shape:
        raise ValueError(f"predicted depth of shape {predicted.shape}, true of {true.shape}")
    known = true > 0
    if not known.any():
        raise ValueError("no pixel has a true depth")
    t = true[known].astype(np.float64)
    p = np.maximum(predicted[known].astype(np.float64), NEAREST_M)
    if median_scaling:
        p = p * (np.median(t) / np.median(p))
    ratio = np.maximum(p / t, t / p)
    return Metrics(
        float(np.mean(np.abs(p - t) / t)),
        float(np.sqrt(np.mean((p - t) ** 2))),
        float(np.mean(np.abs(np.log10(p / t)))),
        *(float(np.mean(ratio < 1.25**power)) for power in (1, 2, 3)),
    )


def mean(measures: Iterable[Metrics]) -> Metrics:
    """The mean of each measure over pictures, each counting the same."""
    return Metrics(*(float(np.mean(values)) for values in zip(*measures, strict=True)))
