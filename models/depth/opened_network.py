"""Depth networks of every kind opened: one function from a batch of pictures to metres."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from fgbg.models import opening, tensorflow_process
from fgbg.models.depth import builtin, densedepth_weights, outputs
from fgbg.models.depth.densedepth import STRIDE
from fgbg.models.depth.depth_card import BUILTIN, DENSEDEPTH, DepthModel, DepthModelError
from fgbg.models.opening import TFLITE
from fgbg.models.picture_input import picture_input


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
        prepare: Of a network that does not run in TensorFlow: allocates what a batch of a size
            needs, as `opening.Opened.prepare`.
        gpu: Of such a network: whether it runs on a GPU.
    """

    path: str
    model: DepthModel
    call: Callable[[Any], Any]
    batch: int | None
    size: tuple[int, int] | None
    stride: int = 1
    dtype: Any = np.float32
    prepare: Callable[[int, tuple[int, int]], None] | None = None
    gpu: bool = False


def open_network(path: str, model: DepthModel, threads: int) -> OpenedNetwork:
    """Reads a network's weights.

    Args:
        path: Where the network lies.
        model: What it is.
        threads: CPU threads that it may use.

    Raises:
        DepthModelError: Its inputs or outputs do not fit.
        opening.NetworkError: It cannot be opened.
        densedepth_weights.WeightFileError: It is no usable DenseDepth file.
    """
    if model.kind == DENSEDEPTH:
        tf = tensorflow_process.start(threads)
        return OpenedNetwork(path, model, _densedepth(tf, path, model), None, None, STRIDE)
    if model.kind == BUILTIN:
        tensorflow_process.start(threads)
        network = builtin.load_network()

        def depth(batch: Any) -> Any:
            return network(batch, training=False)["depth"][..., 0]

        return OpenedNetwork(path, model, depth, None, builtin.SIZE)
    card = model.card
    opened = opening.open_network(path, threads)
    given = picture_input(opened, card.input_layout, card.input_constants)
    batch_size, size = given.batch, given.size
    if model.kind == TFLITE:  # for single pictures, of any size that its operations take
        batch_size, size = 1, card.input_size or size
    read = outputs.reader(opened, card)
    if isinstance(opened, opening.Traceable):
        if read.needs_numpy:
            raise DepthModelError(
                f"{path}: its card's output is known of .onnx and .tflite files only"
            )
        tf = tensorflow_process.start(threads)
        trace = opened.trace

        def traced(batch: Any) -> Any:
            return read.metres(trace(given.given(batch, tf.transpose), read.wanted), tf.cast)

        return OpenedNetwork(
            path, model, traced, batch_size, size, card.input_multiple, given.port.dtype
        )

    def metres(batch: Any) -> Any:
        return read.metres(opened.call(given.given(batch), read.wanted), np.asarray)

    def prepare(count: int, fed: tuple[int, int]) -> None:
        opened.prepare([given.shape(count, fed) if c is None else c.shape for c in given.constants])

    return OpenedNetwork(
        *(path, model, metres, batch_size, size, card.input_multiple, given.port.dtype, prepare),
        gpu=bool(getattr(opened, "gpu", False)),
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
