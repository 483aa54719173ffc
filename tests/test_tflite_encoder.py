"""The encoder of a .tflite file: against the network that it was made of, and the interpreter."""

from __future__ import annotations

from pathlib import Path

import encoder_file
import numpy as np
import pytest
from encoder_file import CHANNELS, SIZE

from models import tflite_encoder
from models.tflite_encoder import EncoderError

PICTURES = np.random.default_rng(1).random((1, SIZE, SIZE, 3), np.float32)


def features(path: Path, pictures: np.ndarray) -> list[np.ndarray]:
    size = pictures.shape[2], pictures.shape[1]
    network = tflite_encoder.build(tflite_encoder.read(str(path)), size)
    return [np.asarray(level) for level in network(pictures)]


@pytest.mark.parametrize("separable", [True, False])
def test_features_are_those_of_the_network(separable, tmp_path):
    import keras

    model, levels = encoder_file.network(separable)
    wanted = keras.Model(model.input, levels)(PICTURES)
    found = features(encoder_file.write(tmp_path / "n.tflite", model), PICTURES)
    assert [level.shape[3] for level in found] == list(CHANNELS)
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.abs(theirs).std() > 0.01
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_quantised_features_are_near_those_of_the_network(tmp_path):
    import keras

    model, levels = encoder_file.network()
    wanted = keras.Model(model.input, levels)(PICTURES)
    found = features(encoder_file.write(tmp_path / "n.tflite", model, True), PICTURES)
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.abs(ours - theirs).mean() < 0.05 * np.std(theirs)


def test_a_rectifier_ends_where_the_files_range_ends(tmp_path):
    """It was quantised for colours of 0..1: what ten times as bright ones give is cut off."""
    model, _ = encoder_file.network()
    path = encoder_file.write(tmp_path / "n.tflite", model, quantised=True)
    rectified = [x for x in tflite_encoder.read(str(path)).layers if x.rectified]
    assert len(rectified) == 9 and all(x.greatest is not None for x in rectified)
    assert min(x.greatest for x in rectified) > 0
    network = tflite_encoder.build(tflite_encoder.read(str(path)), (SIZE, SIZE))
    import keras

    inner = [x.output for x in network.layers if type(x).__name__ == "ReLU"]
    for layer, values in zip(
        rectified, keras.Model(network.input, inner)(10 * PICTURES), strict=True
    ):
        assert np.min(values) >= 0 and np.max(values) <= layer.greatest * 1.0001


def test_other_sizes_are_taken(tmp_path):
    path = encoder_file.write(tmp_path / "n.tflite", encoder_file.network()[0])
    found = features(path, np.zeros((2, 64, 96, 3), np.float32))
    assert [level.shape[:3] for level in found] == [
        (2, 64 >> n, 96 >> n) for n in range(1, len(CHANNELS) + 1)
    ]


def test_files_that_cannot_be_used_are_told(tmp_path):
    shallow = encoder_file.write(tmp_path / "shallow.tflite", encoder_file.network(halvings=4)[0])
    whole = encoder_file.write(tmp_path / "whole.tflite", encoder_file.network()[0]).read_bytes()
    cases = {
        "missing": (None, "cannot be read: No such file"),
        "text": (b"not a network at all", "not a TensorFlow Lite file"),
        "cut": (whole[: len(whole) // 2], "not a TensorFlow Lite file"),
        "shallow": (shallow.read_bytes(), "no features at 1/32"),
    }
    for name, (data, words) in cases.items():
        path = tmp_path / f"{name}.tflite"
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(EncoderError, match=words) as told:
            tflite_encoder.read(str(path))
        assert str(path) in str(told.value)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model, _ = encoder_file.network()
    spoilt = model.layers[1].get_weights()
    spoilt[0][0, 0, 0, 0] = np.nan
    model.layers[1].set_weights(spoilt)
    path = encoder_file.write(tmp_path / "n.tflite", model)
    with pytest.raises(EncoderError, match="not finite"):
        tflite_encoder.read(str(path))


def test_features_of_a_real_network_are_those_of_its_interpreter(shared_data):
    """FastDepth in 8 bits: the same but for the rounding of activations."""
    import tensorflow as tf

    path = str(shared_data / "weights" / "fastdepth_nyu_224_uint8.tflite")
    picture = tf.image.decode_jpeg((shared_data / "bg" / "bg_075.jpg").read_bytes())
    picture = tf.cast(tf.image.resize(picture, (224, 224)), tf.uint8)[None].numpy()
    interpreter = tf.lite.Interpreter(path, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    made = {tuple(d["shape"]): [] for d in interpreter.get_tensor_details()}
    for about in interpreter.get_tensor_details():
        made[tuple(about["shape"])].append(about)
    network = tflite_encoder.build(tflite_encoder.read(path), (224, 224))
    found = [np.asarray(x) for x in network(picture / np.float32(255))]
    assert [x.shape[3] for x in found] == [56, 120, 256, 328, 512]
    for ours in found:
        errors = []
        for about in made[ours.shape]:
            scale, zero = about["quantization"]
            theirs = (interpreter.get_tensor(about["index"]).astype(np.float64) - zero) * scale
            errors.append(np.abs(ours - theirs).mean() / theirs.std())
        assert min(errors) < 0.06
