"""Networks of the kinds that TensorFlow compiles, opened: one function from a batch to depth.

A .keras file, a SavedModel and DenseDepth weights differ in how they are read and in what they
give; behind `open_network` they are the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from fgbg.models.depth import builtin, densedepth, densedepth_weights
from fgbg.models.depth.densedepth import STRIDE
from fgbg.models.depth.depth_card import BUILTIN, DENSEDEPTH, KERAS, DepthModel, DepthModelError


@dataclasses.dataclass(frozen=True)
class OpenedNetwork:
    """A network whose weights are in memory, not yet compiled for a size.

    Attributes:
        path: Where it lies, for messages.
        model: What it is.
        call: From a batch [batch, height, width, 3] of `dtype`, scaled as the card says, to
            float32 metres [batch, h, w]; TensorFlow tensors.
        batch: The number of pictures that it takes; None for any.
        size: Width and height that it takes; None for any.
        stride: Its sides are multiples of this.
        dtype: Of its input, a TensorFlow dtype.
    """

    path: str
    model: DepthModel
    call: Callable[[Any], Any]
    batch: int | None
    size: tuple[int, int] | None
    stride: int
    dtype: Any


def open_network(tf: Any, path: str, model: DepthModel) -> OpenedNetwork:
    """Reads a network's weights.

    Args:
        tf: The module `tensorflow`, as it is to run.
        path: Where the network lies.
        model: What it is: any kind but "tflite".

    Raises:
        DepthModelError: Its inputs or outputs do not fit.
        densedepth_weights.WeightFileError: It is no usable DenseDepth file.
    """
    if model.kind == DENSEDEPTH:
        call = _densedepth(tf, path, model)
        return OpenedNetwork(path, model, call, None, None, STRIDE, tf.float32)
    if model.kind == BUILTIN:
        network = builtin.load_network()
        return OpenedNetwork(
            path,
            model,
            lambda batch: network(batch, training=False)["depth"][..., 0],
            None,
            builtin.SIZE,
            1,
            tf.float32,
        )
    read = _keras if model.kind == KERAS else _saved_model
    raw, shape, dtype = read(tf, path, model)
    check_input(path, shape)
    card = model.card

    def metres(batch: Any) -> Any:
        output = raw(batch)
        check_output(path, output.shape.as_list())
        values = tf.cast(output, tf.float32)
        values = values[..., 0] if len(values.shape) == 4 else values
        if card.output == "inverse_depth":
            return card.metres_per_unit / values
        return values * card.metres_per_unit

    batch_size, height, width, _ = shape
    size = (width, height) if width and height else None
    return OpenedNetwork(path, model, metres, batch_size, size, 1, dtype)


def check_input(path: str, shape: list[Any]) -> None:
    """Raises DepthModelError unless an input's shape is that of a batch of pictures."""
    if len(shape) != 4 or shape[3] not in (3, None):
        raise DepthModelError(
            f"{path}: its input has shape {shape}; [batch, height, width, 3] is expected"
        )


def check_output(path: str, shape: list[Any]) -> None:
    """Raises DepthModelError unless an output's shape is that of a batch of depth maps."""
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, None))):
        raise DepthModelError(
            f"{path}: its output has shape {shape}; [batch, height, width] or "
            "[batch, height, width, 1] is expected"
        )


def choose_output(path: str, model: DepthModel, names: list[str]) -> int:
    """The index of the output that the card names, or of the only one."""
    wanted = model.card.output_name
    if wanted is None and len(names) == 1:
        return 0
    if wanted not in names:
        raise DepthModelError(
            f"{path}: say in its card which output_name is the depth: {', '.join(names)}"
        )
    return names.index(wanted)


def _densedepth(tf: Any, path: str, model: DepthModel) -> Callable[[Any], Any]:
    weights = densedepth_weights.load(path)
    resize: Any = model.card.upsampling
    architecture = dataclasses.replace(weights.architecture, resize=resize)
    network = densedepth.build_network(architecture, weights.arrays, dtype=model.precision)
    from fgbg.models.depth.densedepth_layers import metres_from_raw

    def call(batch: Any) -> Any:
        raw = network(batch)[..., 0]
        metres = metres_from_raw(raw, model.card.max_depth_m)
        # An overflow to infinity would pass for the nearest depth: 1000 / inf is clipped to it.
        return tf.where(tf.math.is_finite(raw), metres, tf.fill(tf.shape(raw), float("nan")))

    return call


def _keras(tf: Any, path: str, model: DepthModel) -> tuple[Callable[[Any], Any], list[Any], Any]:
    import keras

    network = keras.saving.load_model(path, compile=False, safe_mode=True)
    if len(network.inputs) != 1:
        raise DepthModelError(f"{path}: it has {len(network.inputs)} inputs, not one")
    names = list(getattr(network, "output_names", ["output"]))
    index = choose_output(path, model, names)
    spec = network.inputs[0]

    def call(batch: Any) -> Any:
        return tf.nest.flatten(network(batch, training=False))[index]

    return call, list(spec.shape), tf.as_dtype(spec.dtype)


def _saved_model(
    tf: Any, path: str, model: DepthModel
) -> tuple[Callable[[Any], Any], list[Any], Any]:
    loaded = tf.saved_model.load(path)
    signatures = loaded.signatures
    if not signatures:
        raise DepthModelError(f"{path}: a SavedModel without signatures")
    signature = signatures.get("serving_default") or next(iter(signatures.values()))
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise DepthModelError(f"{path}: its signature takes {sorted(inputs)}, not one picture")
    (argument, spec), *_ = inputs.items()
    names = sorted(signature.structured_outputs)
    chosen = names[choose_output(path, model, names)]

    def call(batch: Any) -> Any:
        # `loaded` is named so that it lives as long as its functions.
        return (loaded and signature)(**{argument: batch})[chosen]

    return call, spec.shape.as_list(), spec.dtype
