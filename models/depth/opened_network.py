"""Depth networks of every kind opened: one function from a batch of pictures to metres."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from fgbg.models import opening
from fgbg.models.depth import builtin, densedepth_weights
from fgbg.models.depth.densedepth import STRIDE
from fgbg.models.depth.depth_card import BUILTIN, DENSEDEPTH, DepthModel, DepthModelError
from fgbg.models.opening import TFLITE


@dataclasses.dataclass(frozen=True)
class OpenedNetwork:
    """A network whose weights are in memory, not yet compiled for a size.

    Attributes:
        path: Where it lies, for messages.
        model: What it is.
        call: From a batch [batch, height, width, 3] of `dtype`, scaled as the card says, to
            float32 metres [batch, h, w]; TensorFlow tensors, or NumPy arrays if `prepare` is set.
        batch: The number of pictures that it takes; None for any.
        size: Width and height that it takes; None for any.
        stride: Its sides are multiples of this.
        dtype: NumPy's type of its input.
        prepare: Of a network that does not run in TensorFlow: see `opening.Opened.prepare`.
    """

    path: str
    model: DepthModel
    call: Callable[[Any], Any]
    batch: int | None
    size: tuple[int, int] | None
    stride: int = 1
    dtype: Any = np.float32
    prepare: Callable[[list[tuple[int, ...]]], None] | None = None


def open_network(tf: Any, path: str, model: DepthModel, threads: int) -> OpenedNetwork:
    """Reads a network's weights.

    Args:
        tf: The module `tensorflow`, as it is to run.
        path: Where the network lies.
        model: What it is.
        threads: CPU threads that it may use.

    Raises:
        DepthModelError: Its inputs or outputs do not fit.
        opening.NetworkError: It cannot be opened.
        densedepth_weights.WeightFileError: It is no usable DenseDepth file.
    """
    if model.kind == DENSEDEPTH:
        return OpenedNetwork(path, model, _densedepth(tf, path, model), None, None, STRIDE)
    if model.kind == BUILTIN:
        network = builtin.load_network()

        def depth(batch: Any) -> Any:
            return network(batch, training=False)["depth"][..., 0]

        return OpenedNetwork(path, model, depth, None, builtin.SIZE)
    opened = opening.open_network(path, threads)
    given = opened.only_input()
    wanted = opened.choose_output(
        model.card.output_name, "say in its card which output_name is the depth"
    )
    _check_shapes(path, given.shape, opened.outputs[wanted].shape)
    batch_size, height, width, _ = given.shape
    size = (width, height) if width and height else None
    if model.kind == TFLITE:  # for single pictures, of any size that its operations take
        batch_size, size = 1, model.card.input_size or size
    traceable = opened if isinstance(opened, opening.Traceable) else None
    call, cast = (traceable.trace, tf.cast) if traceable else (opened.call, np.asarray)
    inverse, unit = model.card.output == "inverse_depth", model.card.metres_per_unit

    def metres(batch: Any) -> Any:
        values = cast(call([batch], [wanted])[0], np.float32)
        values = values[..., 0] if len(values.shape) == 4 else values
        with np.errstate(divide="ignore"):
            return unit / values if inverse else values * unit

    prepare = None if traceable else opened.prepare
    return OpenedNetwork(path, model, metres, batch_size, size, 1, given.dtype, prepare)


def _check_shapes(path: str, given: list[int | None], output: list[int | None]) -> None:
    """Raises DepthModelError unless they are those of a batch of pictures and of depth maps."""
    if len(given) != 4 or given[3] not in (3, None):
        raise DepthModelError(
            f"{path}: its input has shape {given}; [batch, height, width, 3] is expected"
        )
    if not (len(output) == 3 or (len(output) == 4 and output[3] in (1, None))):
        raise DepthModelError(
            f"{path}: its output has shape {output}; [batch, height, width] or "
            "[batch, height, width, 1] is expected"
        )


def _densedepth(tf: Any, path: str, model: DepthModel) -> Callable[[Any], Any]:
    from fgbg.models.depth import densedepth_layers  # which imports Keras

    weights = densedepth_weights.load(path)
    resize: Any = model.card.upsampling
    architecture = dataclasses.replace(weights.architecture, resize=resize)
    network = densedepth_layers.build_network(architecture, weights.arrays, dtype=model.precision)

    def call(batch: Any) -> Any:
        raw = network(batch)[..., 0]
        metres = densedepth_layers.metres_from_raw(raw, model.card.max_depth_m)
        # An overflow to infinity would pass for the nearest depth: 1000 / inf is clipped to it.
        return tf.where(tf.math.is_finite(raw), metres, tf.fill(tf.shape(raw), float("nan")))

    return call
