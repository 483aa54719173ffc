"""Depth networks of every kind against NumPy: what they are fed, what their output means."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbg.models.depth import densedepth_weights, depth_card, depth_network
from fgbg.models.depth.densedepth import raw_to_metres
from fgbg.models.depth.depth_card import DepthModelError
from fgbg.models.depth.micro_batches import MicroBatches, even_batch
from tests.helpers.small_networks import (
    blind_in_the_dark,
    densedepth_h5,
    keras_file,
    network,
    oracle,
    saved_model,
    tflite_file,
)

SIZE = (24, 16)
TOLERANCE = 1e-5


def pictures(count: int = 3, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """uint8 BGR, no two channels alike."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)


def rgb01(bgr: np.ndarray) -> np.ndarray:
    return bgr[..., ::-1].astype(np.float64) / 255


def predict(path: Path, bgr: np.ndarray, card: dict | None = None, **settings) -> np.ndarray:
    model = depth_card.inspect(str(path), card, **settings)
    size = bgr.shape[2], bgr.shape[1]
    return depth_network.load(str(path), model, size, 1).predict(bgr)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("networks")
    return {
        "keras": keras_file(folder / "any.keras"),
        "keras_fixed": keras_file(folder / "fixed.keras", size=SIZE),
        "saved_model": saved_model(folder / "saved", size=SIZE),
        "tflite": tflite_file(folder / "float.tflite", SIZE),
        "quantised": tflite_file(folder / "uint8.tflite", SIZE, quantised=True),
        "densedepth": densedepth_h5(folder / "random.h5"),
    }


KINDS = ("keras", "keras_fixed", "saved_model", "tflite")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "card, feed",
    [
        ({}, rgb01),
        ({"input_range": [-1, 1]}, lambda bgr: 2 * rgb01(bgr) - 1),
        ({"input_range": [0, 255]}, lambda bgr: 255 * rgb01(bgr)),
        (
            {"input_mean": [0.485, 0.456, 0.406], "input_std": [0.229, 0.224, 0.225]},
            lambda bgr: (rgb01(bgr) - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225),
        ),
        ({"input_channels": "bgr"}, lambda bgr: rgb01(bgr)[..., ::-1]),
    ],
    ids=["0..1", "-1..1", "0..255", "mean and std", "bgr"],
)
def test_input_scaling(kind, card, feed, files):
    bgr = pictures()
    wanted = oracle(feed(bgr))
    found = predict(files[kind], bgr, card)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE * wanted.max())


@pytest.mark.parametrize("kind", KINDS)
def test_output_units(kind, files):
    bgr = pictures()
    plain = oracle(rgb01(bgr))
    found = predict(files[kind], bgr, {"metres_per_unit": 2.5})
    np.testing.assert_allclose(found, 2.5 * plain, rtol=TOLERANCE)
    found = predict(files[kind], bgr, {"metres_per_unit": 2.5, "output": "inverse_depth"})
    np.testing.assert_allclose(found, 2.5 / plain, rtol=TOLERANCE)


def test_a_quantised_file_says_its_own_scaling(files):
    bgr = pictures()
    wanted = oracle(rgb01(bgr))
    found = predict(files["quantised"], bgr)
    # A level of the output is a 255th of its range (0.5 to 6.2); two more for rounding inside.
    np.testing.assert_allclose(found, wanted, atol=3 * 5.7 / 255)
    assert np.abs(found - wanted).max() > TOLERANCE


def half_pixel_bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear enlarging with half-pixel centres, as a sum over two axes of hat functions."""
    out = image.astype(np.float64)
    for axis, length in ((0, size[1]), (1, size[0])):
        before = out.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * before / length - 0.5, 0, before - 1)
        weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(before)))
        out = np.moveaxis(np.tensordot(weights, out, (1, axis)), 0, axis)
    return out


@pytest.mark.parametrize("kind", ["keras_fixed", "saved_model", "tflite"])
def test_the_input_is_resized_by_the_filter_that_fits(kind, files):
    level = 5.7 / 255  # resized pictures are rounded to whole levels
    large = pictures(2, (3 * SIZE[0], 3 * SIZE[1]))
    means = large.reshape(2, SIZE[1], 3, SIZE[0], 3, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(predict(files[kind], large), oracle(rgb01(means)), atol=level)
    small = pictures(2, (10, 12))
    linear = np.stack([half_pixel_bilinear(picture, SIZE) for picture in small])
    np.testing.assert_allclose(predict(files[kind], small), oracle(rgb01(linear)), atol=level)


def test_a_card_may_ask_for_a_size(files):
    bgr = pictures(2, (48, 32))
    found = predict(files["keras"], bgr, {"input_size": [24, 16]})
    assert found.shape == (2, 8, 12)
    with pytest.raises(DepthModelError, match="its input is 24x16, its card says 32x32"):
        predict(files["keras_fixed"], bgr, {"input_size": [32, 32]})


@pytest.mark.parametrize("kind", [*KINDS, "densedepth"])
def test_padded_batches_give_what_single_pictures_give(kind, files):
    bgr = pictures(5, (32, 32) if kind == "densedepth" else SIZE)
    batches: dict[str, Any] = {} if kind == "tflite" else {"batch_size": 4}
    together = predict(files[kind], bgr, **batches)
    if kind != "tflite":
        batches = {"batch_size": 1}
    alone = np.concatenate([predict(files[kind], bgr[i : i + 1], **batches) for i in range(5)])
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    assert np.abs(together[3] - together[4]).max() > 0.01 * together.mean()


def test_batches_are_even():
    assert [even_batch(4, n) for n in (None, 1, 3, 4, 5, 20)] == [4, 1, 3, 4, 3, 4]
    assert [even_batch(32, n) for n in (20, 33, 64)] == [20, 17, 32]


def above(limit: int, seen: list[int]):
    """Compiles a fake network whose memory holds `limit` pictures: depth is the first pixel."""
    import tensorflow as tf

    def compile_for(size: int):
        def run(batch: np.ndarray) -> np.ndarray:
            assert len(batch) == size
            seen.append(size)
            if size > limit:
                raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
            return batch[:, :1, :1, 0].astype(np.float32)

        return run

    return compile_for, tf.errors.ResourceExhaustedError


def test_out_of_memory_halves_the_batch_with_a_warning(caplog):
    compile_for, error = above(3, seen := [])
    bgr = pictures(10)
    batches = MicroBatches(compile_for, 8, error)
    with caplog.at_level(logging.WARNING):
        found = batches(bgr)
    np.testing.assert_array_equal(found[:, 0, 0], bgr[:, 0, 0, 0])
    assert seen == [8, 4, 2, 2, 2, 2, 2]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "going on with 2" in caplog.text
    batches(bgr[:2])
    assert batches.size == seen[-1] == 2  # from then on


def test_out_of_memory_that_smaller_batches_do_not_help_is_an_error():
    compile_for, error = above(0, seen := [])
    with pytest.raises(error):
        MicroBatches(compile_for, 4, error)(pictures(4))
    assert seen == [4, 2, 1]
    compile_for, error = above(3, seen := [])
    with pytest.raises(error):
        MicroBatches(compile_for, 4, error, fixed=True)(pictures(4))
    assert seen == [4]


def test_a_loaded_network_halves_its_batch(files, monkeypatch, caplog):
    compile_for, _ = above(2, seen := [])
    monkeypatch.setattr(depth_network, "_compile", lambda tf, net, batch, size: compile_for(batch))
    model = depth_card.inspect(str(files["keras"]), {"max_depth_m": 9}, batch_size=5)
    loaded = depth_network.load(str(files["keras"]), model, SIZE, 1)
    assert len(loaded.predict(pictures(5))) == 5
    assert seen == [5, 2, 2, 2]
    assert "out of memory with 5 pictures" in caplog.text


def two_outputs(path: Path) -> Path:
    import keras

    first = network()
    twice = keras.layers.Rescaling(2.0, name="twice")(first.output)
    keras.Model(first.input, [first.output, twice]).save(path)
    return path


def test_of_several_outputs_the_card_names_one(tmp_path):
    path, bgr = two_outputs(tmp_path / "two.keras"), pictures()
    with pytest.raises(DepthModelError, match=r"two\.keras.*output_name.*depth, twice"):
        predict(path, bgr)
    for name, factor in (("depth", 1), ("twice", 2)):
        (tmp_path / "two.json").write_text(json.dumps({"output_name": name}))
        np.testing.assert_allclose(predict(path, bgr), factor * oracle(rgb01(bgr)), rtol=TOLERANCE)


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "Expecting property name"),
        ("[1]", "not a JSON object"),
        ('{"input_rang": [0, 1]}', "unknown input_rang; known are canonical_focal, field_of_view"),
        ('{"input_range": [0]}', "input_range"),
        ('{"input_std": [1, 0, 1]}', "input_std has a zero"),
        ('{"input_channels": "gbr"}', "input_channels is 'gbr'"),
        ('{"output": "disparity"}', "output is 'disparity'"),
        ('{"metres_per_unit": 0}', "metres_per_unit is 0, not a positive number"),
        ('{"input_size": [0, 24]}', "sides must be positive"),
        ('{"upsampling": "nearest"}', "upsampling is 'nearest'"),
    ],
)
def test_a_wrong_card_is_told(text, words, files, tmp_path):
    path = tmp_path / "net.keras"
    path.write_bytes(files["keras"].read_bytes())
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(DepthModelError) as raised:
        depth_card.inspect(str(path))
    assert str(tmp_path / "net.json") in str(raised.value) and words in str(raised.value)


def test_a_saved_models_card_lies_in_its_folder(tmp_path):
    path = saved_model(tmp_path / "saved", size=SIZE)
    before = depth_card.inspect(str(path))
    (path / "depth_model.json").write_text('{"metres_per_unit": 3}')
    after = depth_card.inspect(str(path))
    assert (before.card.metres_per_unit, after.card.metres_per_unit) == (1, 3)
    bgr = pictures()
    np.testing.assert_allclose(predict(path, bgr), 3 * oracle(rgb01(bgr)), rtol=TOLERANCE)


def odd_network(what: str):
    import keras

    given = keras.Input((16, 24, 1 if what == "grey" else 3))
    if what == "channels":
        return keras.Model(given, keras.layers.Conv2D(2, 1)(given))
    if what == "vector":
        return keras.Model(given, keras.layers.GlobalAveragePooling2D()(given))
    if what == "two inputs":
        other = keras.Input((16, 24, 3))
        return keras.Model([given, other], keras.layers.Add()([given, other]))
    return keras.Model(given, keras.layers.Conv2D(1, 1)(given))


@pytest.mark.parametrize(
    "what, words",
    [
        ("channels", r"its output has shape \[.*2\]; \[batch, height, width\]"),
        ("vector", r"its output has shape \[.*3\]"),
        ("two inputs", "it has 2 inputs, not one"),
        ("grey", r"its input has shape \[None, 16, 24, 1\]"),
    ],
)
def test_networks_that_do_not_fit_are_told(what, words, tmp_path):
    path = tmp_path / "odd.keras"
    odd_network(what).save(path)
    with pytest.raises(DepthModelError, match=words) as raised:
        predict(path, pictures())
    assert str(path) in str(raised.value)


def test_what_a_file_cannot_do_is_told(files, tmp_path):
    with pytest.raises(DepthModelError, match="only DenseDepth files can be computed in bfloat16"):
        depth_card.inspect(str(files["keras"]), precision="bfloat16")
    with pytest.raises(DepthModelError, match="picture by picture"):
        depth_card.inspect(str(files["tflite"]), batch_size=2)
    with pytest.raises(DepthModelError, match="only max_depth_m"):
        depth_card.inspect(str(files["densedepth"]), {"metres_per_unit": 2.0})
    with pytest.raises(DepthModelError, match="not multiples of 32"):
        depth_card.inspect(str(files["densedepth"]), {"input_size": (48, 64)})
    fixed = keras_file(tmp_path / "two.keras", size=SIZE, batch=2)
    assert predict(fixed, pictures(3)).shape == (3, 8, 12)
    with pytest.raises(DepthModelError, match="batches of 2, not --depth_batch_size 4"):
        predict(fixed, pictures(3), batch_size=4)


def test_values_that_are_not_finite_are_an_error(files, tmp_path):
    path = blind_in_the_dark(tmp_path / "blind.keras")
    bgr = pictures()
    assert np.isfinite(predict(path, bgr // 4 + 191)).all()
    with pytest.raises(ValueError, match="not finite"):
        predict(path, np.concatenate((bgr // 4 + 191, bgr[:1] // 32)))


@pytest.mark.parametrize(("upsampling", "far"), [("align_corners", 80.0), ("half_pixel", 10.0)])
def test_densedepth_is_its_network_in_metres(upsampling, far, files):
    import dataclasses

    from fgbg.models.depth.densedepth_layers import build_network

    bgr = pictures(2, (64, 96))
    weights = densedepth_weights.load(files["densedepth"])
    architecture = dataclasses.replace(weights.architecture, resize=upsampling)
    plain = build_network(architecture, weights.arrays, fold=False, convolve_first=0)
    raw = np.asarray(plain(rgb01(bgr).astype(np.float32)))[..., 0]
    found = predict(files["densedepth"], bgr, {"max_depth_m": far, "upsampling": upsampling})
    assert found.shape == (2, 48, 32)
    wanted = raw_to_metres(raw, far)
    assert wanted.std() > 0.02 * far
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_densedepths_range_is_told_by_name_card_and_flag(files, tmp_path):
    link = tmp_path / "my_KITTI_run.h5"
    link.symlink_to(files["densedepth"])
    assert depth_card.inspect(str(files["densedepth"])).card.max_depth_m == 10
    assert depth_card.inspect(str(link)).card.max_depth_m == 80
    assert depth_card.inspect(str(link), published="nyu").card.max_depth_m == 10
    (tmp_path / "my_KITTI_run.json").write_text('{"max_depth_m": 60}')
    assert depth_card.inspect(str(link)).card.max_depth_m == 60
    assert depth_card.inspect(str(link), {"max_depth_m": 50}).card.max_depth_m == 50


def test_infinite_raw_values_do_not_pass_for_near(files, monkeypatch):
    import tensorflow as tf

    from fgbg.models.depth import densedepth_layers as module

    def overflowing(*arguments, **settings):
        return lambda batch: tf.fill((*batch.shape[:1], 16, 16, 1), float("inf"))

    monkeypatch.setattr(module, "build_network", overflowing)
    with pytest.raises(ValueError, match="not finite"):
        predict(files["densedepth"], pictures(1, (32, 32)), {"max_depth_m": 11})


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_is_near_and_not_the_same(precision, files):
    bgr = pictures(1, (64, 64))
    full = predict(files["densedepth"], bgr)
    lower = predict(files["densedepth"], bgr, precision=precision)
    largest = np.abs(lower - full).max() / full.std()
    assert 1e-4 < largest < {"bfloat16": 0.3, "float16": 0.03}[precision]


def test_fastdepth_against_a_direct_interpreter(shared_data):
    import tensorflow as tf

    path = shared_data / "weights" / "fastdepth_nyu_224_uint8.tflite"
    interpreter = tf.lite.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    bgr = pictures(2, (224, 224))
    wanted = []
    for picture in bgr:
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], picture[None, ..., ::-1]
        )
        interpreter.invoke()
        output = interpreter.get_output_details()[0]
        quantum, zero = output["quantization"]
        wanted.append((interpreter.get_tensor(output["index"])[0, ..., 0] - float(zero)) * quantum)
    np.testing.assert_allclose(predict(path, bgr), wanted, rtol=1e-6)
    np.testing.assert_allclose(quantum, 0.0717, atol=1e-3)
