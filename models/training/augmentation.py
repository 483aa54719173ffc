"""Varied training pictures: what stays true of mask and depth when the picture changes.

As DenseDepth augments (arXiv 1812.11941, section 4): mirrored left-right with probability 0.5,
never up-down, and colour channels in another order with probability 0.5; besides, light: gamma,
contrast and brightness. A pair's background changes exactly as its overlay does.
"""

from __future__ import annotations

import itertools
from typing import Any

from fgbg.models.trained.compact_network import BACKGROUND, DEPTH, MASK, OVERLAY

# Random numbers that a sample needs.
DRAWS = 5
_GAMMA, _CONTRAST, _BRIGHTNESS = 0.25, 0.25, 0.1


def draws(seed: int, epoch: Any, key: Any) -> Any:
    """The random numbers of a sample in an epoch.

    They hang on the sample's name and not on its place, so that a resumed training, or one from
    the other form of the data set, varies it in the same way.

    Args:
        seed: Of the training.
        epoch: int64 scalar tensor.
        key: string scalar tensor.

    Returns:
        float32 [DRAWS] in 0..1.
    """
    import tensorflow as tf

    # 2^40 names: collisions only mean that two samples are varied alike.
    name = tf.strings.to_hash_bucket_fast(key, 2**40)
    return tf.random.stateless_uniform([DRAWS], tf.stack([name, seed * 1_000_003 + epoch]))


def vary(sample: dict[str, Any], numbers: Any) -> dict[str, Any]:
    """Mirrors a sample and changes its light; its colours are left to `permute_colours`.

    Args:
        sample: "overlay" and "background": uint8 [height, width, 3]; "mask" and "depth": [height,
            width, 1]; others are handed on.
        numbers: float32 [DRAWS] from `draws`.
    """
    import tensorflow as tf

    varied = dict(sample)
    # A table of the 256 values: a power of each pixel would cost several times as much.
    levels = tf.maximum(tf.range(256, dtype=tf.float32) / 255, 1e-3)
    gamma, contrast, brightness = (
        (2 * numbers[2 + i] - 1) * most for i, most in enumerate((_GAMMA, _CONTRAST, _BRIGHTNESS))
    )
    table = (levels ** tf.exp(gamma) - 0.5) * tf.exp(contrast) + 0.5 + brightness
    table = tf.cast(tf.round(tf.clip_by_value(table, 0.0, 1.0) * 255), tf.uint8)
    for name in (OVERLAY, BACKGROUND, MASK, DEPTH):
        if name in varied:
            value = varied[name]
            if name in (OVERLAY, BACKGROUND):
                value = tf.gather(table, tf.cast(value, tf.int32))
            varied[name] = tf.cond(
                numbers[0] < 0.5, lambda v=value: tf.reverse(v, [1]), lambda v=value: v
            )
    return varied


def permute_colours(batch: dict[str, Any], numbers: Any) -> dict[str, Any]:
    """Puts the colour channels of a batch's pictures in another order.

    Args:
        batch: "overlay" and "background": float32 [batch, height, width, 3]; others are handed on.
        numbers: float32 [batch, DRAWS] from `draws`.
    """
    import tensorflow as tf

    permuted = dict(batch)
    orders = tf.constant(list(itertools.permutations(range(3))))  # the first changes nothing
    # Below 0.5 the order stays; above, each of the six is equally likely.
    which = tf.cast(tf.maximum(numbers[:, 1] - 0.5, 0.0) * 12, tf.int32)
    order = tf.one_hot(tf.gather(orders, tf.minimum(which, 5)), 3, axis=1)
    for name in (OVERLAY, BACKGROUND):
        if name in permuted:
            shape = tf.shape(permuted[name])
            flat = tf.reshape(permuted[name], [shape[0], -1, 3])
            permuted[name] = tf.reshape(tf.matmul(flat, order), shape)
    return permuted
