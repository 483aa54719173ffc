"""A small convolutional network as a .tflite file, and in Keras to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SIZE = 64
# Channels at 1/2, .. 1/32.
CHANNELS = (6, 8, 10, 12, 16)


def network(separable: bool = True, halvings: int = 5) -> tuple[Any, list[Any]]:
    """A network with everything that an encoder may have, and its features.

    At each scale: a 3x3 convolution by 2 (a depthwise one with a multiplier, if separable) behind a
    padding of its own or padded as "same", batch normalisation, ReLU6 or ReLU, and a residual
    block without activation at its end. Then a depthwise convolution, and a decoder.

    Returns:
        The network from a picture to one channel at 1/16, and its tensors at 1/2 to 1/32.
    """
    import keras
    from keras import layers

    def normalise(x: Any) -> Any:
        made = layers.BatchNormalization()
        x, rng = made(x), np.random.default_rng(x.shape[-1])
        made.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in made.get_weights()])
        return x

    picture = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x, levels = picture, []
    for scale, channels in enumerate(CHANNELS[:halvings]):
        if scale % 2:
            x = layers.ZeroPadding2D(((1, 1), (1, 1)))(x)
        padding = "valid" if scale % 2 else "same"
        if separable and scale:
            x = layers.DepthwiseConv2D(3, 2, padding, depth_multiplier=1 + scale % 2)(x)
            x = layers.ReLU(6.0)(normalise(x))
            x = layers.Conv2D(channels, 1, use_bias=False)(x)
        else:
            x = layers.Conv2D(channels, 3, 2, padding)(x)
        x = layers.ReLU()(normalise(x))
        y = layers.Conv2D(channels, 3, padding="same")(x)
        x = layers.Add()([x, normalise(y)])
        levels.append(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.ReLU()(layers.Conv2D(4, 1)(x))
    x = layers.UpSampling2D(2, interpolation="nearest")(x)
    return keras.Model(picture, layers.Conv2D(1, 1)(x)), levels


def chain(*between: Any) -> tuple[Any, list[Any]]:
    """Five 3x3 convolutions by 2, and other layers after the second; and its features."""
    import keras
    from keras import layers

    picture = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x, levels = picture, []
    for scale, channels in enumerate(CHANNELS):
        x = layers.Conv2D(channels, 3, 2, "same", activation="relu")(x)
        for layer in between if scale == 1 else ():
            x = layer(x)
        levels.append(x)
    return keras.Model(picture, x), levels


def write(
    path: Path,
    model: Any,
    quantised: bool = False,
    fed: tuple[float, float] = (0, 1),
    picture: str = "uint8",
) -> Path:
    """A .tflite file of a network.

    Args:
        path: The file.
        model: The network.
        quantised: Whether it has 8 bits inside.
        fed: What it is fed for black and white, if quantised.
        picture: Numbers of the picture, if quantised.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantised:
        pictures = np.random.default_rng(0).random((20, 1, SIZE, SIZE, 3), np.float32)
        pictures[0], pictures[1] = 0, 1
        pictures = pictures * (fed[1] - fed[0]) + fed[0]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([picture] for picture in pictures)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.dtypes.as_dtype(picture)
        converter.inference_output_type = converter.inference_input_type
    path.write_bytes(converter.convert())
    return path
