"""Opened network files: the same network in every kind of file, called with NumPy arrays."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fgbg.models import opening, tflite_network
from fgbg.models.opening import NetworkError
from tests.helpers.data_sets import ROOT
from tests.helpers.small_networks import keras_file, oracle, saved_model, tflite_file

SIZE = (24, 16)
KINDS = ("net.keras", "saved", "net.tflite")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("opening")
    keras_file(folder / "net.keras", size=SIZE)
    saved_model(folder / "saved", size=SIZE)
    tflite_file(folder / "net.tflite", SIZE)
    tflite_file(folder / "uint8.tflite", SIZE, quantised=True)
    return {name: folder / name for name in (*KINDS, "uint8.tflite")}


def batch(count: int = 1, size: tuple[int, int] = SIZE) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.random((count, size[1], size[0], 3), dtype=np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_its_shapes_and_gives_the_same(files, name):
    opened = opening.open_network(str(files[name]), 1)
    given, (output,) = opened.only_input(), opened.outputs
    assert given.shape == [1 if name == "net.tflite" else None, 16, 24, 3]
    assert output.shape == [given.shape[0], 8, 12, 1]
    assert given.dtype == output.dtype == np.float32
    opened.prepare([(1, 16, 24, 3)])
    (found,) = opened.call([batch()], [0])
    np.testing.assert_allclose(found[..., 0], oracle(batch()), rtol=1e-5)


def test_quantised_values_are_floats_outside(files):
    opened = opening.open_network(str(files["uint8.tflite"]), 1)
    assert opened.only_input().dtype == opened.outputs[0].dtype == np.float32
    (found,) = opened.call([batch()], [0])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 0], oracle(batch()), atol=3 * 5.7 / 255)
    beyond, most = (opened.call([batch() * 0 + n], [0])[0] for n in (9.0, 1.0))
    np.testing.assert_array_equal(beyond, most)  # clipped, not wrapped around


def test_integers_stand_for_floats_by_scale_and_zero():
    detail = {"dtype": np.uint8, "quantization": (0.5, 10)}
    np.testing.assert_array_equal(
        tflite_network.dequantised(np.array([0, 10, 14], np.uint8), detail), [-5, 0, 2]
    )
    plain = np.array([0, 200], np.uint8)
    assert tflite_network.dequantised(plain, {"dtype": np.uint8, "quantization": (0.0, 0)}) is plain


def several(path: Path) -> Path:
    """Two inputs in a dictionary, two outputs; `b` counts ten times in their sum."""
    import keras

    inputs = {name: keras.Input((2,), name=name) for name in ("b", "a")}
    total = keras.layers.Identity(name="sum")(inputs["a"] + 10 * inputs["b"])
    negative = keras.layers.Rescaling(-1.0, name="negative")(total)
    model = keras.Model(inputs, {"sum": total, "negative": negative})
    model.save(path) if path.suffix else model.export(path, verbose=False)
    return path


@pytest.mark.parametrize("name", ["several.keras", "several"])
def test_inputs_and_outputs_are_told_apart_by_name(tmp_path, name):
    opened = opening.open_network(str(several(tmp_path / name)), 1)
    assert sorted(port.name for port in opened.inputs) == ["a", "b"]
    values = {"a": np.array([[1, 2]], np.float32), "b": np.array([[3, 4]], np.float32)}
    fed = [values[port.name] for port in opened.inputs]
    wanted = [opened.choose_output(output, "name it") for output in ("sum", "negative")]
    total, negative = opened.call(fed, wanted)
    np.testing.assert_array_equal(total, [[31, 42]])
    np.testing.assert_array_equal(negative, [[-31, -42]])
    np.testing.assert_array_equal(opened.call(fed, wanted[1:])[0], negative)
    with pytest.raises(NetworkError, match=rf"{name}: it has 2 inputs, not one"):
        opened.only_input()
    for absent in (None, "depth"):
        with pytest.raises(NetworkError, match=rf"{name}: name it: negative, sum"):
            opened.choose_output(absent, "name it")


def test_a_tflite_network_of_any_size_takes_one_after_the_other(tmp_path):
    import tensorflow as tf

    from tests.helpers.small_networks import network

    converter = tf.lite.TFLiteConverter.from_keras_model(network(None, batch=1))
    (tmp_path / "any.tflite").write_bytes(converter.convert())
    opened = opening.open_network(str(tmp_path / "any.tflite"), 1)
    assert opened.only_input().shape == [1, None, None, 3]
    for size in ((8, 6), (12, 10), (8, 6)):
        (found,) = opened.call([batch(1, size)], [0])
        np.testing.assert_allclose(found[..., 0], oracle(batch(1, size)), rtol=1e-5)


def test_a_shape_that_does_not_fit_is_told_before_the_first_call(files):
    opened = opening.open_network(str(files["net.tflite"]), 1)
    with pytest.raises(NetworkError, match=r"net\.tflite cannot be loaded"):
        opened.prepare([(1, 16, 24, 2)])


@pytest.mark.parametrize("name", KINDS[:2])
def test_networks_of_tensorflow_can_be_part_of_a_function(files, name):
    import tensorflow as tf

    opened = opening.open_network(str(files[name]), 1)
    assert isinstance(opened, opening.Traceable)
    doubled = tf.function(lambda given: 2 * opened.trace([given], [0])[0])
    found = doubled(tf.constant(batch(3))).numpy()
    np.testing.assert_allclose(found[..., 0], 2 * oracle(batch(3)), rtol=1e-5)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("absent.keras", None, "no such file or folder"),
        ("folder", {}, "a folder without saved_model.pb"),
        ("net.pt", b"", "of unknown kind; a SavedModel folder or a .keras, .tflite or .onnx file"),
        ("net.onnx", b"", "an empty file, not an ONNX file"),
        ("net.tflite", b"not a network", "not a TensorFlow Lite file"),
        ("net.keras", b"not a network", "not a Keras 3 file"),
        ("other.keras", {"readme.txt"}, "cannot be loaded"),
        ("cut.tflite", b"....TFL3", "cannot be loaded"),
    ],
)
def test_files_that_are_no_networks_are_told(tmp_path, name, content, words):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == {}:
        path.mkdir()
    elif content:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
    with pytest.raises(NetworkError, match=words) as raised:
        opening.open_network(str(path), 1)
    assert str(raised.value).startswith(str(path))


def test_importing_loads_no_network_library():
    code = (
        "import sys\n"
        "from fgbg.models import opening, network_files\n"
        "from fgbg.models.depth import depth_network\n"
        "from fgbg.models.segmentation import segmentation_detection\n"
        "from fgbg.models.trained import trained_network\n"
        "print([m for m in ('tensorflow', 'keras', 'torch', 'jax') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def both(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What a .tflite file gives by LiteRT's interpreter, and by TensorFlow's."""
    given = np.random.default_rng(2)
    found = []
    for module in ("ai_edge_litert.interpreter", None):
        if module is None:
            monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        opened = opening.open_network(str(path), 1)
        assert isinstance(opened, tflite_network.TfliteNetwork)
        assert type(opened._interpreter).__module__.startswith(module or "tensorflow")
        port = opened.only_input()
        rng = np.random.default_rng(given.integers(1) + 2)
        pictures = rng.random([size or 1 for size in port.shape])
        scale = 255 if port.dtype == np.uint8 else 1
        (value,) = opened.call([(pictures * scale).astype(port.dtype)], [0])
        found.append(value)
    return found


@pytest.mark.parametrize("name", ["net.tflite", "uint8.tflite"])
def test_litert_gives_the_bits_of_tensorflow(files, name, monkeypatch):
    ours, before = both(files[name], monkeypatch)
    np.testing.assert_array_equal(ours, before)


@pytest.mark.parametrize("name", ["fastdepth_nyu_224_uint8.tflite", "efficientnet_lite0.tflite"])
def test_litert_gives_the_bits_of_tensorflow_for_published_networks(shared_data, name, monkeypatch):
    ours, before = both(shared_data / "weights" / name, monkeypatch)
    assert ours.std() > 0
    np.testing.assert_array_equal(ours, before)


def test_a_tflite_network_is_opened_without_tensorflow(files):
    code = (
        "import sys\nfrom fgbg.models import opening\n"
        f"opening.open_network({str(files['net.tflite'])!r}, 1)\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
