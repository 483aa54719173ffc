"""The network that is trained: made anew or of another one's weights, and exported."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fgbg.files.in_place import in_place
from fgbg.models.trained import compact_network, transfer_network
from fgbg.models.trained.tflite_encoder import Encoder
from fgbg.models.training.samples import Settings, TrainingError

_HEAD, _COLOURS = "_raw", 3
# What a new depth head's kernel is scaled by, so that it begins almost flat.
_QUIET = 0.1
_BATCH_NORMALIZATION = "BatchNormalization"


def build(
    settings: Settings,
    heads: tuple[str, ...],
    max_depth_m: float,
    precision: str,
    steps: int,
    encoder: Encoder | None = None,
) -> Any:
    """A network with new weights, or new ones behind a trained encoder.

    Args:
        settings: Of the training.
        heads: Its outputs.
        max_depth_m: The range of its depth.
        precision: What it computes in, a dtype policy of Keras; its variables are float32.
        steps: How many it will be trained for.
        encoder: What it begins with; None: the encoder is the compact network's.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        shape: dict[str, Any] = {
            "pair": settings.pair,
            "max_depth_m": max_depth_m,
            "widths": settings.widths,
            "seed": settings.seed,
        }
        if encoder is None:
            blocks = settings.blocks
            network = compact_network.build(settings.size, heads, blocks=blocks, **shape)
        else:
            network = transfer_network.build(settings.size, encoder, heads, **shape)
            network.get_layer(transfer_network.ENCODER).trainable = not settings.freeze_encoder
    finally:
        keras.config.set_dtype_policy(before)
    for layer in network.layers:
        if type(layer).__name__ == _BATCH_NORMALIZATION:
            # Running means have to forget where they began, in a short training too.
            layer.momentum = min(0.99, max(0.5, 1 - 20 / max(steps, 1)))
    return network


def begin_at(network: Any, depth_m: float, max_depth_m: float) -> None:
    """Lets a new network say about the same depth everywhere.

    From any other start the loss pulls a new network to the far end first: what it cannot say yet
    has the least gradients there, and the way back is long (measured: three times the steps).

    Args:
        network: New; one without a depth head is left as it is.
        depth_m: A usual depth of its data.
        max_depth_m: The range of its depth.
    """
    raw = f"{compact_network.DEPTH}{_HEAD}"
    if raw not in {layer.name for layer in network.layers}:
        return
    # Depth is max_depth_m * exp(-log(SPAN) * sigmoid(raw)).
    share = math.log(max_depth_m / depth_m) / math.log(compact_network.SPAN)
    share = min(max(share, 0.05), 0.95)
    layer = network.get_layer(raw)
    kernel, _ = layer.get_weights()
    bias = np.array([math.log(share / (1 - share))], np.float32)
    layer.set_weights([kernel * np.float32(_QUIET), bias])


def transfer(source: Any, target: Any) -> int:
    """Copies weights between two compact networks; heads by name, all else by order.

    A network that is shown pairs takes those of one that is shown overlays: what it sees of the
    background counts nothing at first.

    Args:
        source: A keras.Model of fgbg.models.trained.compact_network.
        target: Likewise; its heads that the source does not have keep their weights.

    Returns:
        The number of arrays copied.

    Raises:
        TrainingError: The source is of another shape, or has a weight that is not finite.
    """
    given, taken = _bodies(source), _bodies(target)
    if len(given) != len(taken):
        raise TrainingError(
            f"it is of another shape: it has {len(given)} layers with weights besides its heads, "
            f"here there are {len(taken)}"
        )
    heads = {layer.name: layer for layer in source.layers if layer.name.endswith(_HEAD)}
    pairs = list(zip(given, taken, strict=True))
    pairs += [(heads[layer.name], layer) for layer in target.layers if layer.name in heads]
    copied = 0
    for old, new in pairs:
        weights, shapes = old.get_weights(), [tuple(w.shape) for w in new.weights]
        if not all(np.isfinite(array).all() for array in weights):
            raise TrainingError(f"its layer {old.name} has weights that are not finite")
        kernel = weights[0]
        if old is given[0] and shapes[0] == (*kernel.shape[:2], 2 * _COLOURS, *kernel.shape[3:]):
            weights[0] = np.concatenate((kernel, np.zeros_like(kernel)), axis=2)
        if [w.shape for w in weights] != shapes:
            raise TrainingError(
                f"it is of another shape: its layer {old.name} has weights "
                f"{[w.shape for w in weights]}, here they are {shapes}"
            )
        new.set_weights(weights)
        copied += len(weights)
    return copied


def _bodies(network: Any) -> list[Any]:
    return [x for x in network.layers if x.weights and not x.name.endswith(_HEAD)]


def export(network: Any, keras_path: str, saved_model_path: str) -> None:
    """Writes a network as a .keras file and as a SavedModel, each appearing whole.

    Args:
        network: In float32.
        keras_path: The file.
        saved_model_path: The folder.
    """
    with in_place(saved_model_path) as unfinished:
        network.export(unfinished, verbose=False)
    # Keras insists on the ending.
    with in_place(keras_path, f"{keras_path.removesuffix('.keras')}.part.keras") as unfinished:
        network.save(unfinished)
