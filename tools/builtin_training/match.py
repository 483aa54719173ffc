"""Trains a network to answer as the teacher does, on pictures that never come twice.

A patient student that sees what the teacher sees comes nearest to it (arXiv 2106.05237), and a few
photos can be enough to draw from (arXiv 2112.00725). Beside the depth, three levels of the
student's encoder foretell the teacher's features through 1x1 convolutions that are thrown away
(arXiv 1412.6550).
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.models import tensorflow_process
from fgbg.models.trained import compact_network
from tools.builtin_training import stream
from tools.builtin_training.losses import depth_loss
from tools.builtin_training.schedule import Schedule, hold_and_fall
from tools.builtin_training.teacher import HINTS
from tools.builtin_training.views import SIDE


@dataclasses.dataclass(frozen=True)
class MatchSchedule(Schedule):
    """The same, and a precision; the learning rate stays at its height until it falls at the end.

    A training can be made longer so without beginning anew (arXiv 2405.18392).

    Attributes:
        fall: Steps at the end in which the learning rate falls to nothing, along a line.
        policy: Keras' dtype policy; variables, loss and output are float32 in any case.
    """

    steps: int = 8100
    hint_weight: float = 0.4
    fall: int = 1500
    policy: str = "mixed_bfloat16"

    def rate(self) -> Any:
        """The learning rate by step: a keras schedule."""
        return hold_and_fall(self.learning_rate, self.warm_up, self.steps, self.fall)


def match(
    weights: list[NDArray[np.float32]],
    sources: stream.Sources,
    checkpoints: Path,
    schedule: MatchSchedule,
    say: Any = print,
) -> Any:
    """Trains, from the last checkpoint if there is one.

    Args:
        weights: Of fgbg.models.trained.compact_network, that it begins with.
        sources: What the pictures are made from.
        checkpoints: Where to keep the state.
        schedule: How.
        say: Takes lines of progress.

    Returns:
        The network, a keras.Model in float32, with the running mean of its weights.
    """
    tf = tensorflow_process.start(schedule.threads)
    import keras

    from tools.builtin_training.muon import Muon

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(schedule.policy)
    try:
        network = compact_network.build((SIDE, SIDE), seed=schedule.seed)
        hinted = []
        for number, (shape, level) in enumerate(zip(HINTS, _levels(network), strict=True)):
            initial = keras.initializers.GlorotUniform(schedule.seed * 1000 + number)
            layer = keras.layers.Conv2D(
                shape[-1], 1, kernel_initializer=initial, dtype="float32", name=f"hint{number}"
            )
            hinted.append(layer(level))
    finally:
        keras.config.set_dtype_policy(before)
    network.set_weights(weights)
    averaged = compact_network.build((SIDE, SIDE), seed=schedule.seed)
    averaged.set_weights(weights)
    student = keras.Model(network.inputs, [network.outputs[0], *hinted])
    rate = schedule.rate()
    # Kernels by Muon, all else and the last layer by AdamW.
    kernels = [v for v in student.trainable_variables if v.name == "kernel" and "raw" not in v.path]
    chosen = {id(v) for v in kernels}
    others = [v for v in student.trainable_variables if id(v) not in chosen]
    muon = Muon(rate, weight_decay=schedule.weight_decay)
    adam = keras.optimizers.AdamW(rate, weight_decay=0.0, clipnorm=1.0)
    muon.build(kernels)
    adam.build(others)
    sample = stream.make_batch(sources, 0, schedule.batch)
    hints = [_statistics(sample[f"hint{number}"]) for number in range(len(HINTS))]

    @tf.function(jit_compile=False)
    def step(picture: Any, depth: Any, *features: Any) -> Any:
        target = tf.math.log(depth)
        with tf.GradientTape() as tape:
            said, *foretold = student(tf.cast(picture, tf.float32) / 255, training=True)
            loss = depth_loss(tf.math.log(said[..., 0]), target)
            told = tf.add_n(
                [
                    tf.reduce_mean(tf.square(one - (tf.cast(values, tf.float32) - mean) / spread))
                    for one, values, (mean, spread) in zip(foretold, features, hints, strict=True)
                ]
            )
            total = loss + schedule.hint_weight * told
        for_kernels, for_others = tape.gradient(total, (kernels, others))
        muon.apply(for_kernels, kernels)
        adam.apply(for_others, others)
        schedule.follow(averaged, network, adam.iterations)
        return loss, told, tf.reduce_mean(tf.abs(said[..., 0] - depth) / depth)

    state = tf.train.Checkpoint(student=student, averaged=averaged, muon=muon, adam=adam)
    manager = tf.train.CheckpointManager(state, str(checkpoints), max_to_keep=1)
    state.restore(manager.latest_checkpoint)
    start = int(adam.iterations.numpy())
    began = time.monotonic()
    sums = np.zeros(3)
    made = stream.batches(sources, start, schedule.steps, schedule.batch, schedule.threads)
    for done, batch in enumerate(made, start + 1):
        values = step(*(batch[n] for n in ("picture", "depth", "hint0", "hint1", "hint2")))
        sums += [float(value) for value in values]
        if done % 100 == 0:
            speed = (done - start) * schedule.batch / (time.monotonic() - began)
            loss, told, off = sums / 100
            say(
                f"step {done} of {schedule.steps}: loss {loss:.4f}, abs_rel to the teacher "
                f"{off:.4f}, hints {told:.4f}, {speed:.0f} pictures/s"
            )
            sums[:] = 0
        if done % 500 == 0 or done == schedule.steps:
            manager.save()
    return averaged


def _levels(network: Any) -> list[Any]:
    """Outputs of the student's encoder of the sizes that HINTS have."""
    found = []
    bottom = network.get_layer(compact_network.BOTTOM)
    encoder = network.layers[: network.layers.index(bottom)]
    for side, _, _ in HINTS[:-1]:
        of_size = [x for x in encoder if getattr(x.output, "shape", (0, 0))[1] == side]
        found.append(of_size[-1].output)
    return [*found, bottom.output]


def _statistics(features: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of every channel of one batch."""
    values = features.astype(np.float32)
    # Plus a step of their quantisation: some channels never change.
    return values.mean((0, 1, 2)), values.std((0, 1, 2)) + np.float32(1)
