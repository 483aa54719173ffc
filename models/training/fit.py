"""The loop of training: steps, validation, a checkpoint after each epoch, early stopping.

A training that is interrupted at any moment and started again ends with the same bits as one that
was not: everything that an epoch depends on is in the checkpoint (weights, optimizer, counts) or a
function of (seed, epoch), and only deterministic operations are used.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

from fgbg.models.trained.compact_network import DEPTH, MASK
from fgbg.models.training import checkpoint, input_pipeline, losses
from fgbg.models.training.checkpoint import State
from fgbg.models.training.samples import (
    TRAIN,
    VALIDATION,
    DataSet,
    Settings,
    TrainingError,
    steps_of_epoch,
)

# Share of all steps over which the learning rate rises, and where it ends, of the greatest.
_WARM_UP, _LAST_RATE = 0.04, 0.01
# Adam's steps hardly depend on the size of gradients; this is for single ones out of all measure.
_LARGEST_GRADIENT = 10.0

StepDone = Callable[[int, int, float], object]
EpochDone = Callable[[State], object]


class DamagedRecordsError(TrainingError):
    """A TFRecord file is damaged; TensorFlow does not say which, nor where."""


def make_optimizer(settings: Settings, steps: int) -> Any:
    """AdamW (arXiv 1711.05101) under a cosine schedule with a linear rise.

    Args:
        settings: Of the training.
        steps: Of all epochs.
    """
    import keras

    rise = max(1, round(_WARM_UP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate * _LAST_RATE,
        max(1, steps - rise),
        alpha=_LAST_RATE,
        warmup_target=settings.learning_rate,
        warmup_steps=rise,
    )
    optimizer = keras.optimizers.AdamW(
        rate, settings.weight_decay, global_clipnorm=_LARGEST_GRADIENT
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if settings.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def inputs_of(network: Any, batch: dict[str, Any], settings: Settings) -> Any:
    """What the network is called with, of a batch."""
    names = settings.input_names
    return {name: batch[name] for name in names} if len(names) > 1 else batch[names[0]]


def train_step(network: Any, optimizer: Any, settings: Settings, max_depth_m: float) -> Any:
    """The compiled step: from a batch to its losses by name."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def step(batch: dict[str, Any]) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            outputs = network(inputs_of(network, batch, settings), training=True)
            found = losses.terms(batch, outputs, max_depth_m)
            scaled = optimizer.scale_loss(found["loss"])
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(scaled, variables), variables)
        return found

    return step


def _validation_step(network: Any, settings: Settings, max_depth_m: float) -> Any:
    """The compiled step: from a batch to its losses and its counts of right pixels."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def step(batch: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        outputs = network(inputs_of(network, batch, settings), training=False)
        true, said = batch[MASK] > 0.5, outputs[MASK] > 0.5
        counts = {"both": true & said, "either": true | said}
        if DEPTH in outputs:
            depth, known = batch[DEPTH], batch[DEPTH] > 0
            ratio = tf.maximum(outputs[DEPTH] / tf.maximum(depth, 1e-6), depth / outputs[DEPTH])
            counts |= {"known": known, "near": known & (ratio < 1.25)}
        sums = {name: tf.reduce_sum(tf.cast(c, tf.int64)) for name, c in counts.items()}
        return losses.terms(batch, outputs, max_depth_m), sums

    return step


def fit(
    data: DataSet,
    settings: Settings,
    network: Any,
    path: str,
    threads: int,
    step_done: StepDone,
    epoch_done: EpochDone,
) -> State:
    """Trains, or goes on training.

    Args:
        data: The data set.
        settings: Of the training.
        network: New; its weights become those of the checkpoint, and at the end the best ones.
        path: Of the checkpoint.
        threads: Of decoding.
        step_done: Called with the epoch, the samples of it that were seen, and the loss.
        epoch_done: Called with the state after each epoch that was saved.

    Returns:
        The last state.

    Raises:
        TrainingError: A loss that is not finite, or a sample that cannot be read.
    """
    steps, _ = steps_of_epoch(data, settings)
    optimizer = make_optimizer(settings, steps * settings.epochs)
    optimizer.build(network.trainable_variables)
    state = checkpoint.load(path)
    if state is None:
        state = State()
    else:
        _restore(path, network, optimizer, state)
    first = len(state.history)
    if not state.stopped and first < settings.epochs:
        run_step = train_step(network, optimizer, settings, data.depth_range_m)
        validate = _validation_step(network, settings, data.depth_range_m)
        stream = iter(input_pipeline.training_batches(data, settings, threads, first))
        for epoch in range(first, settings.epochs):
            begun = time.monotonic()
            row = {"epoch": float(epoch)}
            row |= _train_epoch(data, settings, stream, run_step, epoch, step_done)
            row["learning_rate"] = _rate(optimizer)
            row |= _validate(data, settings, validate, threads)
            row["seconds"] = time.monotonic() - begun
            _note(state, row, network, optimizer, settings)
            checkpoint.save(path, state)
            epoch_done(state)
            if state.stopped:
                break
    network.set_weights(state.best)
    return state


def _restore(path: str, network: Any, optimizer: Any, state: State) -> None:
    variables = [tuple(v.shape) for v in optimizer.variables]
    wanted = [tuple(v.shape) for v in network.variables]
    if [a.shape for a in state.optimizer] != variables or [
        a.shape for a in state.weights
    ] != wanted:
        raise TrainingError(f"{path}: the checkpoint of another network")
    network.set_weights(state.weights)
    for variable, array in zip(optimizer.variables, state.optimizer, strict=True):
        variable.assign(array)


def _note(
    state: State, row: dict[str, float], network: Any, optimizer: Any, settings: Settings
) -> None:
    """Takes an epoch into the state."""
    import numpy as np

    epoch = len(state.history)
    state.history.append(row)
    state.weights = network.get_weights()
    state.optimizer = [np.asarray(v) for v in optimizer.variables]
    best = state.history[state.best_epoch]["val_loss"] if state.best_epoch >= 0 else math.inf
    if row["val_loss"] < best:
        state.best_epoch, state.best = epoch, state.weights
    state.stopped = epoch - state.best_epoch >= settings.patience


def _rate(optimizer: Any) -> float:
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return float(inner.learning_rate)


def _train_epoch(
    data: DataSet,
    settings: Settings,
    stream: Any,
    run_step: Any,
    epoch: int,
    step_done: StepDone,
) -> dict[str, float]:
    """One epoch; the means of its losses."""
    steps, batch_size = steps_of_epoch(data, settings)
    sums: dict[str, float] = {}
    for step in range(steps):
        batch = next_batch(stream, data, settings, TRAIN, epoch, step * batch_size, batch_size)
        found = {name: float(value) for name, value in run_step(batch).items()}
        _check_finite(found, batch, f"epoch {epoch + 1}, step {step + 1}")
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value
        step_done(epoch, (step + 1) * batch_size, found["loss"])
    return {name: value / steps for name, value in sums.items()}


def _validate(data: DataSet, settings: Settings, validate: Any, threads: int) -> dict[str, float]:
    """Losses and measures of the validation split, by names that begin with val_."""
    stream = iter(input_pipeline.ordered_batches(data, VALIDATION, settings, threads))
    samples = len(data.splits[VALIDATION].keys)
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for first in range(0, samples, settings.batch_size):
        batch = next_batch(stream, data, settings, VALIDATION, None, first, settings.batch_size)
        found, right = validate(batch)
        size = len(batch[MASK])
        numbers = {name: float(value) for name, value in found.items()}
        _check_finite(numbers, batch, "validation")
        for name, value in numbers.items():
            sums[name] = sums.get(name, 0.0) + value * size
        for name, value in right.items():
            counts[name] = counts.get(name, 0) + int(value)
    row = {f"val_{name}": value / samples for name, value in sums.items()}
    row["val_iou"] = counts["both"] / counts["either"] if counts["either"] else 1.0
    if counts.get("known"):
        row["val_delta1"] = counts["near"] / counts["known"]
    return row


def _check_finite(found: dict[str, float], batch: dict[str, Any], where: str) -> None:
    wrong = [f"{name} is {value}" for name, value in found.items() if not math.isfinite(value)]
    if wrong:
        keys = ", ".join(key.decode() for key in batch[input_pipeline.KEY].numpy())
        raise TrainingError(
            f"{where}: {', '.join(wrong)}. A lower --learning_rate may help; else look at these "
            f"samples: {keys}"
        )


def next_batch(
    stream: Any,
    data: DataSet,
    settings: Settings,
    split: str,
    epoch: int | None,
    first: int,
    count: int,
) -> dict[str, Any]:
    """The next batch of a stream; says which sample of it cannot be loaded."""
    import tensorflow as tf

    try:
        return next(stream)
    except StopIteration:
        raise TrainingError(
            f"split {split} ended after {first} samples of {len(data.splits[split].keys)}: its "
            "TFRecord files hold fewer than the manifest says"
        ) from None
    except tf.errors.DataLossError as error:
        raise DamagedRecordsError(f"split {split}: {_first_line(error)}") from error
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        name, reason = _culprit(data, settings, split, epoch, first, count)
        raise TrainingError(
            f"split {split}: sample {name} cannot be read: {reason or _first_line(error)}"
        ) from error


def _culprit(
    data: DataSet, settings: Settings, split: str, epoch: int | None, first: int, count: int
) -> tuple[str, str]:
    """The first sample of a batch that cannot be loaded, and why."""
    import tensorflow as tf

    number = None if epoch is None else tf.constant(epoch, tf.int64)
    given = input_pipeline.elements(data, settings, number, split).skip(first)
    for element in itertools.islice(given, count):
        try:
            input_pipeline.load_one(data, settings, split, element)
        except (ValueError, tf.errors.OpError) as error:
            return input_pipeline.key_of(data, split, element), _first_line(error)
    return "unknown", ""


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", error)).strip().splitlines()[0]
    return text.removeprefix("{{").partition("}} ")[2] or text
