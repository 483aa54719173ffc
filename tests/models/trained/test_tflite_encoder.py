"""The encoder of a .tflite file: against the network that it was made of, and the interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fgbg.models.trained import encoder_network, tflite_encoder
from fgbg.models.trained.tflite_encoder import EncoderError
from tests.helpers import encoder_file
from tests.helpers.encoder_file import CHANNELS, SIZE

PICTURES = np.random.default_rng(1).random((1, SIZE, SIZE, 3), np.float32)


def features(path: Path, pictures: np.ndarray) -> list[np.ndarray]:
    size = pictures.shape[2], pictures.shape[1]
    network = encoder_network.build(tflite_encoder.read(str(path)), size)
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
    network = encoder_network.build(tflite_encoder.read(str(path)), (SIZE, SIZE))
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


def test_pooling_and_activations_of_their_own_are_taken(tmp_path):
    """As the first layers of a ResNet, and what comes before an addition."""
    import keras
    from keras import layers

    picture = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = layers.Conv2D(6, 3, 2, "same", activation="relu")(picture)
    levels = [x]
    x = layers.MaxPooling2D(3, 2, "same")(x)
    y = layers.Add()([x, layers.Conv2D(6, 1)(x)])
    x = layers.Conv2D(6, 1)(layers.ReLU()(y))
    x = layers.Add()([x, y])
    levels.append(x)
    x = layers.AveragePooling2D(3, 2, "same")(x)
    for stride in (1, 2, 2):
        x = layers.Conv2D(8, 3, stride, "same")(x)
        levels.append(x)
    model = keras.Model(picture, x)
    wanted = keras.Model(picture, levels)(PICTURES)
    found = features(encoder_file.write(tmp_path / "n.tflite", model), PICTURES)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_only_what_leads_to_the_smallest_features_is_taken(tmp_path):
    """Not the convolutions that stand beside, of a detector: the last of their size in the file."""
    import keras
    from keras import layers

    model, levels = encoder_file.chain()
    beside = [layers.Conv2D(5, 1)(level) for level in levels[:4]]
    path = encoder_file.write(tmp_path / "n.tflite", keras.Model(model.input, [*beside, levels[4]]))
    assert [x.shape[3] for x in features(path, PICTURES)] == list(CHANNELS)


@pytest.mark.parametrize("picture", ["uint8", "int8", "float32"])
def test_the_range_it_was_fed_is_the_files(picture, tmp_path):
    import keras

    model, levels = encoder_file.chain()
    path = encoder_file.write(tmp_path / "n.tflite", model, True, (-1, 1), picture)
    found = tflite_encoder.read(str(path)).input_range
    assert found is not None
    np.testing.assert_allclose(found, (-1, 1), atol=0.02)
    wanted = keras.Model(model.input, levels)(2 * PICTURES - 1)
    for ours, theirs in zip(features(path, PICTURES), wanted, strict=True):
        assert np.abs(ours - theirs).mean() < 0.1 * np.std(theirs)


def test_a_file_of_floats_does_not_say_its_range(tmp_path):
    path = encoder_file.write(tmp_path / "n.tflite", encoder_file.chain()[0])
    assert tflite_encoder.read(str(path)).input_range is None


def test_weights_of_16_bits_are_read(tmp_path):
    import keras
    import tensorflow as tf

    model, levels = encoder_file.chain()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    path = tmp_path / "n.tflite"
    path.write_bytes(converter.convert())
    wanted = keras.Model(model.input, levels)(PICTURES)
    for ours, theirs in zip(features(path, PICTURES), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.01 * np.std(theirs))


def test_what_is_not_understood_is_named(tmp_path):
    from keras import layers

    for name, layer in (
        ("LEAKY_RELU", layers.LeakyReLU()),
        ("LOGISTIC", layers.Activation("sigmoid")),
        ("CONV_2D", layers.Conv2D(CHANNELS[1], 3, padding="same", groups=2)),
    ):
        path = encoder_file.write(tmp_path / "n.tflite", encoder_file.chain(layer)[0])
        with pytest.raises(EncoderError, match=rf"1/32 of the picture; {name} \(operation 2\)"):
            tflite_encoder.read(str(path))


def test_halves_without_padding_are_refused(tmp_path):
    import keras
    from keras import layers

    picture = x = keras.Input((128, 128, 3), batch_size=1)
    for channels in CHANNELS:
        x = layers.Conv2D(channels, 3, 2)(x)
    path = encoder_file.write(tmp_path / "n.tflite", keras.Model(picture, x))
    with pytest.raises(EncoderError, match="features at 1/2 are 63x63, not 64x64"):
        encoder_network.build(tflite_encoder.read(str(path)), (128, 128))


def test_a_picture_of_another_kind_is_refused(tmp_path):
    import keras
    from keras import layers

    picture = keras.Input((SIZE, SIZE, 1), batch_size=1)
    model = keras.Model(picture, layers.Conv2D(2, 3)(picture))
    path = encoder_file.write(tmp_path / "n.tflite", model)
    with pytest.raises(EncoderError, match="not one picture of three channels"):
        tflite_encoder.read(str(path))


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
    network = encoder_network.build(tflite_encoder.read(path), (224, 224))
    found = [np.asarray(x) for x in network(picture / np.float32(255))]
    assert [x.shape[3] for x in found] == [56, 120, 256, 328, 512]
    for ours in found:
        errors = []
        for about in made[ours.shape]:
            scale, zero = about["quantization"]
            theirs = (interpreter.get_tensor(about["index"]).astype(np.float64) - zero) * scale
            errors.append(np.abs(ours - theirs).mean() / theirs.std())
        assert min(errors) < 0.06
