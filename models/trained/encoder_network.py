"""The encoder of a TensorFlow Lite file as a Keras network that can be trained."""

from __future__ import annotations

from typing import Any

from fgbg.models.trained.tflite_encoder import Encoder, EncoderError, Layer


def build(encoder: Encoder, size: tuple[int, int], name: str = "encoder") -> Any:
    """The encoder as a network, with the file's weights.

    Args:
        encoder: Of `read`.
        size: Width and height of its pictures, multiples of 32.
        name: Of the network.

    Returns:
        A keras.Model from RGB in 0..1, [batch, height, width, 3], to the list of its features at
        1/2 to 1/32.

    Raises:
        EncoderError: Its features are not of halves of the size, for it does not pad.
    """
    import keras
    from keras import layers

    picture = keras.Input((size[1], size[0], 3))
    low, high = encoder.input_range or (0.0, 1.0)
    tensors = {0: layers.Rescaling(high - low, low)(picture)}
    for layer in encoder.layers:
        tensors[layer.output] = _built(layer, [tensors[n] for n in layer.inputs])
    levels = [tensors[n] for n in encoder.levels]
    for scale, level in enumerate(levels, 1):
        wanted = size[1] >> scale, size[0] >> scale
        if tuple(level.shape[1:3]) != wanted:
            raise EncoderError(
                f"of pictures of {size[0]}x{size[1]} its features at 1/{2**scale} are "
                f"{level.shape[2]}x{level.shape[1]}, not {wanted[1]}x{wanted[0]}: it does not pad"
            )
    return keras.Model(picture, levels, name=name)


def _built(layer: Layer, given: list[Any]) -> Any:
    """A layer on Keras tensors."""
    from keras import layers

    padding = "same" if layer.same else "valid"
    if layer.kind == "pad":
        x = layers.ZeroPadding2D(layer.padding)(given[0])
    elif layer.kind == "add":
        x = layers.Add()(given)
    elif layer.kind == "max_pool":
        x = layers.MaxPooling2D(layer.window, layer.stride, padding)(given[0])
    elif layer.kind == "average_pool":
        x = layers.AveragePooling2D(layer.window, layer.stride, padding)(given[0])
    elif layer.kind == "rectify":
        x = given[0]
    else:
        kernel, bias = layer.arrays
        if layer.kind == "conv":
            made = layers.Conv2D(kernel.shape[3], kernel.shape[:2], layer.stride, padding)
        else:
            made = layers.DepthwiseConv2D(
                kernel.shape[:2], layer.stride, padding, depth_multiplier=kernel.shape[3]
            )
        x = made(given[0])
        made.set_weights([kernel, bias])
    return layers.ReLU(layer.greatest)(x) if layer.rectified else x
