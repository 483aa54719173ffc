"""Trains the built-in network from a pool of labelled pictures.

Targets are logarithms of depth. Where the truth is known it gives the shape, and the teacher most
of the scale: the teacher knows how large real rooms are, rendered ones only resemble them. Where
it is not known, the teacher gives both. Beside its depth the network's encoder learns to
foretell the teacher's features, through a 1x1 convolution that is thrown away afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.models import tensorflow_process
from fgbg.models.trained import compact_network
from tools.builtin_training.augment import augment
from tools.builtin_training.losses import depth_loss, target_logs
from tools.builtin_training.pool import decode_log, open_pool
from tools.builtin_training.schedule import Schedule
from tools.builtin_training.views import SIDE

_NAMES = ("picture", "teacher", "truth", "features")
# Pictures that the mean and deviation of the teacher's features are taken from.
_SAMPLED = 400


def train(
    pool: Path, checkpoints: Path, schedule: Schedule, metres: NDArray[np.float32], say: Any = print
) -> Any:
    """Trains, from the last checkpoint if there is one.

    Args:
        pool: The folder of the pool.
        checkpoints: Where to keep the state.
        schedule: How.
        metres: float32 [256]: what the teacher's output values stand for.
        say: Takes lines of progress.

    Returns:
        The network, a keras.Model, with the running mean of its weights.
    """
    tf = tensorflow_process.start(schedule.threads)
    import keras

    arrays = open_pool(pool)
    network = compact_network.build((SIDE, SIDE), seed=schedule.seed)
    bottom = network.get_layer(compact_network.BOTTOM).output
    hint = keras.layers.Conv2D(arrays["features"].shape[-1], 1, name="hint")(bottom)
    student = keras.Model(network.inputs, [network.outputs[0], hint])
    averaged = compact_network.build((SIDE, SIDE), seed=schedule.seed)
    rate = schedule.rate()
    optimizer = keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(student.trainable_variables)
    mean, deviation = _statistics(arrays["features"])
    known, taught = tf.constant(decode_log()), tf.constant(np.maximum(metres, 0.1))

    @tf.function(jit_compile=False)
    def step(picture: Any, teacher: Any, truth: Any, features: Any, seed: Any) -> Any:
        pictures, flipped = augment(tf.cast(picture, tf.float32) / 255, seed)
        target = target_logs(
            tf.gather(taught, tf.cast(teacher, tf.int32)),
            tf.gather(known, tf.cast(truth, tf.int32)),
        )
        target = tf.where(flipped[:, None, None], target[:, :, ::-1], target)
        wanted = (tf.cast(features, tf.float32) - mean) / deviation
        wanted = tf.where(flipped[:, None, None, None], wanted[:, :, ::-1], wanted)
        with tf.GradientTape() as tape:
            depth, hinted = student(pictures, training=True)
            loss = depth_loss(tf.math.log(depth[..., 0]), target)
            told = tf.reduce_mean(tf.square(hinted - wanted))
            total = loss + schedule.hint_weight * told
        gradients = tape.gradient(total, student.trainable_variables)
        optimizer.apply_gradients(zip(gradients, student.trainable_variables))
        schedule.follow(averaged, network, optimizer.iterations)
        return loss, told

    state = tf.train.Checkpoint(student=student, averaged=averaged, optimizer=optimizer)
    manager = tf.train.CheckpointManager(state, str(checkpoints), max_to_keep=1)
    state.restore(manager.latest_checkpoint)
    start = int(optimizer.iterations.numpy())
    began = time.monotonic()
    sums = np.zeros(2)
    for number, batch in enumerate(_batches(arrays, schedule, start), start):
        loss, told = step(*batch, tf.constant([schedule.seed, number]))
        sums += float(loss), float(told)
        if (number + 1) % 100 == 0:
            speed = (number + 1 - start) * schedule.batch / (time.monotonic() - began)
            say(
                f"step {number + 1} of {schedule.steps}: depth {sums[0] / 100:.4f}, "
                f"hints {sums[1] / 100:.4f}, {speed:.0f} pictures/s"
            )
            sums[:] = 0
        if (number + 1) % 500 == 0 or number + 1 == schedule.steps:
            manager.save()
    return averaged


def _statistics(
    features: NDArray[np.int8],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of every channel, from rows spread over the pool."""
    rows = np.linspace(0, len(features) - 1, _SAMPLED).astype(int)
    sample = features[rows].astype(np.float32)
    # Plus a step of their quantisation: some channels never change.
    return sample.mean((0, 1, 2)), sample.std((0, 1, 2)) + np.float32(1)


def _batches(arrays: dict[str, Any], schedule: Schedule, start: int) -> Iterator[tuple[Any, ...]]:
    """Batches from number `start` on: every picture once in an epoch, in an order of its own."""
    import tensorflow as tf

    rows = len(arrays["picture"])
    in_epoch = rows // schedule.batch

    def read() -> Iterator[tuple[Any, ...]]:
        order, epoch = np.empty(0, int), -1
        for number in range(start, schedule.steps):
            if number // in_epoch != epoch:
                epoch = number // in_epoch
                order = np.random.default_rng((schedule.seed, epoch)).permutation(rows)
            first = number % in_epoch * schedule.batch
            chosen = np.sort(order[first : first + schedule.batch])
            yield tuple(arrays[name][chosen] for name in _NAMES)

    signature = tuple(
        tf.TensorSpec((schedule.batch, *arrays[name].shape[1:]), arrays[name].dtype)
        for name in _NAMES
    )
    yield from tf.data.Dataset.from_generator(read, output_signature=signature).prefetch(3)
