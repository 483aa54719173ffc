"""Depth networks that are small enough to be computed again by NumPy, in every file format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.helpers.densedepth_file import densedepth, write

# Depth is the mean over 2x2 pixels of a weighted sum of the channels, all of them different.
WEIGHTS = np.array([0.7, 1.9, 3.1], np.float32)
BIAS = np.float32(0.5)


def oracle(fed: np.ndarray) -> np.ndarray:
    """What the networks give for [count, height, width, 3], as fed."""
    values = (fed.astype(np.float64) * WEIGHTS).sum(axis=-1) + BIAS
    count, height, width = values.shape
    return values.reshape(count, height // 2, 2, width // 2, 2).mean(axis=(2, 4))


def network(
    size: tuple[int, int] | None = None, batch: int | None = None, channels: int = 1
) -> Any:
    """The network in Keras, for pictures of a width and height, or of any."""
    import keras

    width, height = size or (None, None)
    given = keras.Input(batch_shape=(batch, height, width, 3))
    convolution = keras.layers.Conv2D(channels, 1, name="weigh")
    depth = keras.layers.AveragePooling2D(2, name="depth")(convolution(given))
    model = keras.Model(given, depth)
    kernel = np.repeat(WEIGHTS[:, None], channels, 1)[None, None]
    convolution.set_weights([kernel, np.full(channels, BIAS)])
    return model


def keras_file(path: Path, **settings: Any) -> Path:
    network(**settings).save(path)
    return path


def blind_in_the_dark(path: Path) -> Path:
    """A network whose output is no number where a picture is dark (the oracle's value below 2)."""
    import keras

    seeing = network()
    keras.Model(seeing.input, keras.ops.sqrt(seeing.output - 2.0)).save(path)
    return path


def saved_model(path: Path, **settings: Any) -> Path:
    network(**settings).export(path, verbose=False)
    return path


def tflite_file(path: Path, size: tuple[int, int], quantised: bool = False) -> Path:
    """A .tflite file; quantised: uint8 in (0..1 over 0..255) and uint8 out."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(network(size, batch=1))
    if quantised:
        rng = np.random.default_rng(0)
        pictures = rng.random((20, 1, size[1], size[0], 3), dtype=np.float32)
        pictures[0], pictures[1] = 0, 1
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([picture] for picture in pictures)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    path.write_bytes(converter.convert())
    return path


def densedepth_h5(path: Path) -> Path:
    """A DenseDepth file with random weights whose depth is 1 to 6 m of 10, nowhere clipped."""
    write(densedepth(half=True), path)
    with h5py.File(path, "r+") as file:
        # Raw values are 0.7 +- 1.2 as written; a depth of m metres is 10 / m.
        file["model_weights/conv3/conv3/bias:0"][...] = 4.5
    return path
