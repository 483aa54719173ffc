"""The losses: DenseDepth's for depth, cross-entropy and Dice for the mask. TensorFlow tensors.

I. Alhashim and P. Wonka, "High Quality Monocular Depth Estimation via Transfer Learning",
arXiv 1812.11941, section 3.2, with y = m / d for a depth of d metres and a range of m metres:

    L       = 0.1 L_depth + L_grad + L_SSIM              (1)
    L_depth = mean |y - y'|                              (2)
    L_grad  = mean (|dx y - dx y'| + |dy y - dy y'|)     (3)
    L_SSIM  = (1 - SSIM(y, y')) / 2                      (4)

The scale is that of the authors' code: y is 1 at the range's end and 100 at a hundredth of it, d
is clipped to that, the gradients are differences of neighbouring pixels, and SSIM (Wang et al.
2004: Gaussian window of 11 pixels, sigma 1.5, K1 0.01, K2 0.03) takes 100 for the largest value.
Pixels without a depth (0) count in no term: a difference of pixels needs both, a window of SSIM
its centre, and other unknown pixels in a window count as right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.models.trained.compact_network import DEPTH, MASK, SPAN
from fgbg.models.training.samples import nearest_m

POINTWISE_WEIGHT = 0.1
WINDOW, SIGMA = 11, 1.5
# (K1 L)^2 and (K2 L)^2 with L = SPAN, the largest y.
_C1, _C2 = (0.01 * SPAN) ** 2, (0.03 * SPAN) ** 2
# Keeps logarithms finite; Dice of two empty masks is then a perfect one.
_LEAST_PROBABILITY, _DICE_SMOOTHING = 1e-7, 1.0


def depth_loss(true_m: Any, predicted_m: Any, max_depth_m: float) -> Any:
    """DenseDepth's loss, equation (1).

    Args:
        true_m: float32 [batch, height, width, 1], metres; 0 where it is not known.
        predicted_m: Likewise, positive.
        max_depth_m: m of the equations.

    Returns:
        A scalar; 0 where no depth is known.
    """
    import tensorflow as tf

    known = true_m > 0
    true = max_depth_m / tf.clip_by_value(true_m, nearest_m(max_depth_m), max_depth_m)
    true = tf.where(known, true, tf.ones_like(true))[..., 0]
    predicted = (max_depth_m / predicted_m)[..., 0]
    known = known[..., 0]
    predicted = tf.where(known, predicted, true)
    weight = tf.cast(known, tf.float32)
    count = tf.maximum(tf.reduce_sum(weight), 1.0)
    error = predicted - true
    pointwise = tf.reduce_sum(tf.abs(error)) / count
    down = tf.abs(error[:, 1:] - error[:, :-1]) * weight[:, 1:] * weight[:, :-1]
    across = tf.abs(error[:, :, 1:] - error[:, :, :-1]) * weight[:, :, 1:] * weight[:, :, :-1]
    gradient = (tf.reduce_sum(down) + tf.reduce_sum(across)) / count
    margin = WINDOW // 2
    centres = weight[:, margin:-margin, margin:-margin]
    dissimilarity = tf.reduce_sum((1 - ssim_map(true, predicted)) / 2 * centres)
    dissimilarity /= tf.maximum(tf.reduce_sum(centres), 1.0)
    return POINTWISE_WEIGHT * pointwise + gradient + dissimilarity


def ssim_map(a: Any, b: Any) -> Any:
    """Structural similarity around each pixel whose window lies inside.

    The Gaussian is separable: two matrix products instead of a convolution, which is several times
    faster on a CPU, and the same on all devices.

    Args:
        a: float32 [batch, height, width].
        b: Likewise.

    Returns:
        float32 [batch, height - 10, width - 10].
    """
    import tensorflow as tf

    height, width = a.shape[1:3]
    rows, columns = tf.constant(window_matrix(height)), tf.constant(window_matrix(width).T)

    def mean(x: Any) -> Any:
        return tf.matmul(rows, tf.matmul(x, columns))

    mean_a, mean_b = mean(a), mean(b)
    product, squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    covariance, variances = mean(a * b) - product, mean(a * a + b * b) - squares
    luminance = (2 * product + _C1) / (squares + _C1)
    return luminance * (2 * covariance + _C2) / (variances + _C2)


def window_matrix(length: int) -> NDArray[np.float32]:
    """Gaussian means along one side: float32 [length - 10, length]."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    matrix = np.zeros((length - WINDOW + 1, length), np.float32)
    for row in range(len(matrix)):
        matrix[row, row : row + WINDOW] = weights / weights.sum()
    return matrix


def mask_loss(true: Any, predicted: Any) -> tuple[Any, Any]:
    """Binary cross-entropy, mean over pixels, and Dice loss, mean over samples.

    Dice (Milletari et al., arXiv 1606.04797, without the squares of its denominator) is
    1 - (2 sum(t p) + 1) / (sum(t) + sum(p) + 1).

    Args:
        true: float32 [batch, height, width, 1], 0 or 1.
        predicted: Likewise, probabilities.

    Returns:
        Two scalars.
    """
    import tensorflow as tf

    p = tf.clip_by_value(predicted, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    entropy = -tf.reduce_mean(true * tf.math.log(p) + (1 - true) * tf.math.log(1 - p))
    both = tf.reduce_sum(true * predicted, (1, 2, 3))
    either = tf.reduce_sum(true + predicted, (1, 2, 3))
    dice = (2 * both + _DICE_SMOOTHING) / (either + _DICE_SMOOTHING)
    return entropy, 1 - tf.reduce_mean(dice)


def terms(truth: dict[str, Any], outputs: dict[str, Any], max_depth_m: float) -> dict[str, Any]:
    """All losses by name, and their sum under "loss".

    Args:
        truth: "mask", and "depth" if it is learned; [batch, height, width, 1].
        outputs: What the network gave, likewise.
        max_depth_m: The range of depth.
    """
    entropy, dice = mask_loss(truth[MASK], outputs[MASK])
    found = {"mask_bce": entropy, "mask_dice": dice}
    if DEPTH in outputs:
        found["depth_loss"] = depth_loss(truth[DEPTH], outputs[DEPTH], max_depth_m)
    return {"loss": sum(found.values()), **found}
