"""How both stages learn: how long, how fast, and what is kept of the weights."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long and how fast the network learns.

    Attributes:
        steps: Batches in all.
        batch: Pictures in one.
        learning_rate: At its height, after `warm_up`.
        warm_up: Steps until then.
        weight_decay: Of the kernels' optimizer.
        hint_weight: Of the teacher's features, for each level, beside the depth.
        averaging: Share of the past in the running mean of the weights.
        seed: Of new weights, and of batches where they are drawn.
        threads: CPU threads, and processes that make pictures.
    """

    steps: int = 4000
    batch: int = 32
    learning_rate: float = 2e-3
    warm_up: int = 200
    weight_decay: float = 1e-2
    hint_weight: float = 0.2
    averaging: float = 0.999
    seed: int = 0
    threads: int = 2

    def rate(self) -> Any:
        """The learning rate by step, a keras schedule: it falls to nothing along a cosine."""
        import keras

        return keras.optimizers.schedules.CosineDecay(
            0.0,
            max(1, self.steps - self.warm_up),
            warmup_target=self.learning_rate,
            warmup_steps=self.warm_up,
        )

    def follow(self, averaged: Any, network: Any, done: Any) -> None:
        """Moves the running mean of the weights on by one step.

        Args:
            averaged: The network that holds it.
            network: The one that learns.
            done: Steps so far.
        """
        import tensorflow as tf

        # It follows faster at the start, when the weights are still far from any use.
        steps = tf.cast(done, tf.float32)
        keep = tf.minimum(self.averaging, (1 + steps) / (10 + steps))
        for slow, fast in zip(averaged.variables, network.variables, strict=True):
            slow.assign(keep * slow + (1 - keep) * fast)


def hold_and_fall(height: float, warm_up: int, steps: int, fall: int) -> Any:
    """A learning rate that rises along a line, stays, and falls to nothing along a line.

    Args:
        height: Where it stays.
        warm_up: Steps until then.
        steps: All of them.
        fall: Those at the end in which it falls.

    Returns:
        A keras schedule.
    """
    import keras
    from keras import ops

    class HoldAndFall(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            step = ops.cast(step, "float32")
            risen, left = (step + 1) / max(1, warm_up), (steps - step) / max(1, fall)
            return height * ops.clip(ops.minimum(risen, left), 0.0, 1.0)

        def get_config(self) -> dict[str, Any]:
            return {"height": height, "warm_up": warm_up, "steps": steps, "fall": fall}

    return HoldAndFall()
