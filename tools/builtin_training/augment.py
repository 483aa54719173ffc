"""Looks of a picture that leave its depth as it is: light, colour, noise, direction."""

from __future__ import annotations

from typing import Any


def augment(pictures: Any, seed: Any) -> tuple[Any, Any]:
    """Draws another look for each picture.

    Args:
        pictures: float32 [batch, h, w, 3], RGB in 0..1.
        seed: int32 [2]; the same seed draws the same.

    Returns:
        Pictures likewise, and which were flipped left-right: bool [batch].
    """
    import tensorflow as tf

    count = tf.shape(pictures)[0]
    seeds = tf.random.split(tf.cast(seed, tf.int32), 8)

    def draw(which: int, least: float, greatest: float, channels: int = 1) -> Any:
        shape = tf.stack([count, 1, 1, channels])
        return tf.random.stateless_uniform(shape, seeds[which], least, greatest)

    flipped = draw(0, 0, 1)[:, 0, 0, 0] < 0.5
    pictures = tf.where(flipped[:, None, None, None], pictures[:, :, ::-1], pictures)
    pictures = tf.pow(tf.maximum(pictures, 1e-4), tf.exp(draw(1, -0.35, 0.35)))
    gain = tf.exp(draw(2, -0.3, 0.3) + draw(3, -0.12, 0.12, 3))
    pictures *= gain
    grey = tf.reduce_mean(pictures, 3, keepdims=True)
    pictures = grey + (pictures - grey) * draw(4, 0.3, 1.3)
    middle = tf.reduce_mean(pictures, (1, 2, 3), keepdims=True)
    pictures = middle + (pictures - middle) * tf.exp(draw(5, -0.3, 0.3))
    noise = tf.random.stateless_normal(tf.shape(pictures), seeds[6])
    pictures += noise * draw(7, 0.0, 0.02)
    return tf.clip_by_value(pictures, 0.0, 1.0), flipped
