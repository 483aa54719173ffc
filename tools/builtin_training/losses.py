"""What the built-in network learns to say, and the measure of how far off it is."""

from __future__ import annotations

from typing import Any

# The share of the teacher's scale, against the rendered one, in a rendered room's target.
TEACHERS_SCALE = 0.7
_EDGE_WEIGHT = 0.5
_SCALES = 3


def target_logs(teacher: Any, truth: Any) -> Any:
    """What the network is to say.

    Args:
        teacher: float32 [batch, h, w]: the teacher's metres.
        truth: float32 [batch, h, w]: true metres; NaN where they are not known.

    Returns:
        float32 [batch, h, w]: logarithms of metres: where the truth is known its own, moved by a
        share of what the teacher's logarithms exceed it by in the mean of the picture.
    """
    import tensorflow as tf

    taught = tf.math.log(teacher)
    known = tf.math.is_finite(truth)
    true = tf.math.log(tf.where(known, truth, tf.ones_like(truth)))
    weight = tf.cast(known, tf.float32)
    excess = tf.reduce_sum((taught - true) * weight, (1, 2), keepdims=True)
    excess /= tf.maximum(tf.reduce_sum(weight, (1, 2), keepdims=True), 1.0)
    return tf.where(known, true + TEACHERS_SCALE * excess, taught)


def depth_loss(said: Any, target: Any) -> Any:
    """Mean absolute difference of logarithms, and of their steps to the next pixel.

    The steps are compared at several scales (arXiv 1804.00607, equation 5), which makes edges
    sharp and planes smooth.

    Args:
        said: float32 [batch, h, w]: logarithms of metres.
        target: Likewise.

    Returns:
        A scalar.
    """
    import tensorflow as tf

    difference = said - target
    loss = tf.reduce_mean(tf.abs(difference))
    for _ in range(_SCALES):
        across = tf.abs(difference[:, :, 1:] - difference[:, :, :-1])
        down = tf.abs(difference[:, 1:] - difference[:, :-1])
        loss += _EDGE_WEIGHT * (tf.reduce_mean(across) + tf.reduce_mean(down))
        difference = difference[:, ::2, ::2]
    return loss
