"""The DenseDepth network against a second implementation, straight from a file's arrays."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fgbg.models.depth.densedepth import (
    Architecture,
    check_input_size,
    layer_specs,
    multiply_adds,
    parameter_count,
    raw_to_metres,
)
from fgbg.models.depth.densedepth_layers import build_network
from fgbg.models.depth.densedepth_rewrite import relu_as_clip, rewrite
from fgbg.models.depth.densedepth_weights import load
from tests.helpers.densedepth_file import densedepth, write

ROOT = Path(__file__).resolve().parents[3]
TOLERANCE = 1e-4
BLOCKS = {"densenet169": (6, 12, 32, 32), "densenet201": (6, 12, 48, 32)}


@pytest.fixture(scope="session")
def published_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the layout and size of nyu.h5; its arrays do not depend on the activations."""
    return write(densedepth(), tmp_path_factory.mktemp("weights") / "nyu.h5")


@pytest.fixture(scope="session")
def published(published_file: Path):
    return load(published_file)


@pytest.fixture(scope="session")
def networks(published):
    """The network as built by default, for one and for two activations a block."""
    variants = {n: dataclasses.replace(published.architecture, activations=n) for n in (1, 2)}
    return {n: build_network(variant, published.arrays) for n, variant in variants.items()}


def picture(height: int, width: int, batch: int = 1) -> np.ndarray:
    rng = np.random.default_rng(height * 10_000 + width)
    return rng.random((batch, height, width, 3), dtype=np.float32)


def run(network, images: np.ndarray) -> np.ndarray:
    """The network as it is used, traced and compiled; small pictures are faster without."""
    import keras
    import tensorflow as tf

    compiled = images.shape[1] * images.shape[2] > 300 * 300
    return keras.ops.convert_to_numpy((tf.function(network) if compiled else network)(images))


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference, relative to the values' spread: an offset in them makes it no smaller."""
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / wanted.std())


def reference(
    path: Path,
    images: np.ndarray,
    blocks: tuple[int, ...] = (6, 12, 32, 32),
    activations: int = 1,
    final_relu: bool = True,
    half_pixel: bool = False,
) -> np.ndarray:
    """DenseDepth as the authors' code has it, in plain TensorFlow, from the file's arrays."""
    import tensorflow as tf

    with h5py.File(path, "r") as file:

        def array(layer: str, role: str) -> np.ndarray:
            return file[f"model_weights/{layer}/{layer}/{role}:0"][()]

        def conv(x, layer, stride=1, padding="SAME", bias=False):
            y = tf.nn.conv2d(x, array(layer, "kernel"), stride, padding)
            return y + array(layer, "bias") if bias else y

        def norm(x, layer):
            roles = ("moving_mean", "moving_variance", "beta", "gamma")
            return tf.nn.batch_normalization(x, *(array(layer, r) for r in roles), 1.001e-5)

        x = conv(tf.pad(images, [[0, 0], [3, 3], [3, 3], [0, 0]]), "conv1/conv", 2, "VALID")
        x = tf.nn.relu(norm(x, "conv1/bn"))
        skips = [x]
        x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        skips.append(x)
        for block, layers in enumerate(blocks, start=2):
            for i in range(1, layers + 1):
                name = f"conv{block}_block{i}"
                y = conv(tf.nn.relu(norm(x, f"{name}_0_bn")), f"{name}_1_conv")
                y = conv(tf.nn.relu(norm(y, f"{name}_1_bn")), f"{name}_2_conv")
                x = tf.concat([x, y], -1)
            if block < 5:
                x = conv(tf.nn.relu(norm(x, f"pool{block}_bn")), f"pool{block}_conv")
                x = tf.nn.avg_pool2d(x, 2, 2, "VALID")
            if block < 4:
                skips.append(x)
        x = norm(x, "bn")
        x = conv(tf.nn.relu(x) if final_relu else x, "conv2", bias=True)
        for level, skip in enumerate(reversed(skips), start=1):
            size = [2 * x.shape[1], 2 * x.shape[2]]
            if half_pixel:
                x = tf.image.resize(x, size, "bilinear")
            else:
                x = tf.compat.v1.image.resize_bilinear(x, size, align_corners=True)
            x = conv(tf.concat([x, skip], -1), f"up{level}_convA", bias=True)
            x = tf.nn.leaky_relu(x, 0.2) if activations == 2 else x
            x = tf.nn.leaky_relu(conv(x, f"up{level}_convB", bias=True), 0.2)
        return conv(x, "conv3", bias=True).numpy()


@pytest.fixture(scope="session")
def wanted(published_file) -> Callable[..., np.ndarray]:
    """The reference for the published file and `picture`: of a height, width, batch and options.

    Computed once for each of these.
    """

    @functools.cache
    def answer(height: int, width: int, batch: int = 1, **options: Any) -> np.ndarray:
        return reference(published_file, picture(height, width, batch), **options)

    return answer


@pytest.fixture(scope="session")
def found(networks) -> Callable[[int, int, int], np.ndarray]:
    """What one of `networks` gives for `picture`, computed once."""
    return functools.cache(lambda n, height, width: run(networks[n], picture(height, width)))


@pytest.mark.parametrize("activations", [1, 2])
@pytest.mark.parametrize("size", [(480, 640), (448, 448), (224, 320)])
def test_agrees_with_reference(found, wanted, size, activations):
    depth = found(activations, *size)
    assert depth.shape == (1, size[0] // 2, size[1] // 2, 1)
    assert depth.dtype == np.float32
    assert difference(depth, wanted(*size, activations=activations)) < TOLERANCE


@pytest.mark.parametrize("activations", [1, 2])
def test_wrong_variants_differ(found, wanted, activations):
    """The mistakes of today's re-implementations stand out by a hundred times the tolerance."""
    depth = found(activations, 224, 320)
    resized = wanted(224, 320, activations=activations, half_pixel=True)
    assert difference(depth, resized) > 1e-2
    activated = wanted(224, 320, activations=3 - activations)
    assert difference(depth, activated) > 1e-2


@pytest.mark.parametrize("convolve_first", [0, 1, 4])
@pytest.mark.parametrize("fold", [False, True])
def test_every_rewriting_is_exact(published, wanted, fold, convolve_first):
    """Also where the smallest map is one pixel high, and at the borders of every map."""
    network = build_network(
        published.architecture, published.arrays, fold=fold, convolve_first=convolve_first
    )
    assert network.merged == (fold and convolve_first > 0)
    for size in ((32, 96), (96, 64)):
        depth, right = run(network, picture(*size, batch=2)), wanted(*size, batch=2)
        assert difference(depth, right) < TOLERANCE
        for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
            assert difference(depth[edge], right[edge]) < TOLERANCE


@pytest.mark.parametrize(
    ("encoder", "half", "activations", "final_relu"),
    [
        ("densenet169", True, 2, True),
        ("densenet169", False, 1, False),
        ("densenet201", True, 1, True),
        ("densenet201", False, 2, True),
    ],
)
def test_other_architectures(tmp_path, encoder, half, activations, final_relu):
    blocks = BLOCKS[encoder]
    path = write(densedepth(blocks, half, activations, final_relu), tmp_path / "other.h5")
    weights = load(path)
    images = picture(64, 96)
    wanted = reference(path, images, blocks, activations, final_relu)
    choices: list[dict[str, Any]] = [{}, {"fold": False, "convolve_first": 2}]
    for options in choices:
        network = build_network(weights.architecture, weights.arrays, **options)
        assert difference(run(network, images), wanted) < TOLERANCE


@pytest.mark.parametrize("convolve_first", [0, 4])
def test_half_pixel_where_asked_for(published, wanted, convolve_first):
    architecture = dataclasses.replace(published.architecture, resize="half_pixel")
    network = build_network(architecture, published.arrays, convolve_first=convolve_first)
    depth = run(network, picture(64, 160))
    assert difference(depth, wanted(64, 160, half_pixel=True)) < TOLERANCE


def test_pictures_of_a_batch_do_not_mix(networks):
    images = picture(64, 96, batch=3)
    together = run(networks[1], images)
    for i in range(3):
        assert difference(run(networks[1], images[i : i + 1]), together[i : i + 1]) < TOLERANCE


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.1), ("float16", 0.02)])
def test_lower_precision_is_near_and_gives_float32(published, networks, dtype, tolerance):
    images = picture(96, 128)
    wanted = run(networks[1], images)
    network = build_network(published.architecture, published.arrays, dtype=dtype)
    found = run(network, images)
    assert found.dtype == np.float32
    error = np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std()
    assert 1e-5 < error < tolerance  # above zero, or it was computed in float32 after all


_OTHER_BACKEND = """
import sys
import keras, numpy as np
from fgbg.models.depth.densedepth_layers import build_network, metres_from_raw
from fgbg.models.depth.densedepth_weights import load
path, data, out = sys.argv[1:]
weights = load(path)
images = np.load(data)
results = {"backend": keras.backend.backend()}
for name, options in (("fast", {}), ("plain", {"fold": False, "convolve_first": 0})):
    network = build_network(weights.architecture, weights.arrays, **options)
    results[name] = keras.ops.convert_to_numpy(network(images))
    results[name + "_metres"] = keras.ops.convert_to_numpy(metres_from_raw(results[name], 80.0))
np.savez(out, **results)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_other_keras_backends(published_file, tmp_path, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    images = picture(96, 160)
    np.save(tmp_path / "images.npy", images)
    environment = dict(os.environ, KERAS_BACKEND=backend, PYTHONPATH=str(ROOT))
    arguments = [published_file, tmp_path / "images.npy", tmp_path / "out.npz"]
    subprocess.run(
        [sys.executable, "-c", _OTHER_BACKEND, *map(str, arguments)], check=True, env=environment
    )
    found = np.load(tmp_path / "out.npz")
    assert found["backend"] == backend
    wanted = reference(published_file, images)
    for name in ("fast", "plain"):
        assert difference(found[name], wanted) < TOLERANCE
        np.testing.assert_allclose(
            found[f"{name}_metres"], raw_to_metres(found[name], 80.0), rtol=1e-5
        )


def test_size_of_the_published_network():
    assert parameter_count(Architecture()) == 42_816_089
    # About 122 GMAC at 640 x 480; by hand for conv2: 1664 x 1664 on 15 x 20.
    assert 122e9 < multiply_adds(Architecture(), 480, 640) < 123e9
    narrower = multiply_adds(Architecture(decoder_filters=832), 480, 640)
    assert narrower < multiply_adds(Architecture(), 480, 640) / 2
    conv2 = next(spec for spec in layer_specs(Architecture()) if spec.name == "conv2")
    assert conv2.shapes == ((1, 1, 1664, 1664), (1664,)) and conv2.reduction == 32


@pytest.mark.parametrize("size", [(480, 641), (470, 640), (0, 64), (16, 32), (-32, 32)])
def test_sides_are_multiples_of_32(networks, size):
    with pytest.raises(ValueError, match="multiples of 32"):
        check_input_size(*size)
    if min(size) > 0:
        with pytest.raises(ValueError, match="multiples of 32"):
            networks[1](np.zeros((1, *size, 3), np.float32))


def test_wrong_options_are_refused(published):
    for wrong in ({"convolve_first": 5}, {"convolve_first": -1}, {"dtype": "float64"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            build_network(published.architecture, published.arrays, **wrong)
    for wrong in ({"encoder": "vgg16"}, {"activations": 3}, {"resize": "nearest"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Architecture(**wrong)
    arrays = dict(published.arrays)
    arrays["up2_convA"] = published.arrays["up3_convA"]
    with pytest.raises(ValueError, match="up2_convA"):
        rewrite(published.architecture, arrays)


def test_relu_as_clip():
    scale = np.array([2.0, -2.0, 0.0, 0.0, 1e-40, -1e-40, 0.5, -3.0])
    shift = np.array([1.0, 1.0, 0.7, -0.7, 0.3, -0.3, 0.0, -1.0])
    x = np.linspace(-4.0, 4.0, 81)[:, None]
    low, high, factor, offset = relu_as_clip(scale, shift)
    found = factor * np.clip(x, low, high) + offset
    np.testing.assert_allclose(found, np.maximum(scale * x + shift, 0.0), atol=1e-12)
    assert np.isfinite(factor * np.clip(0.0, low, high)).all()
    # A threshold beyond float16 becomes a constant: an infinite one would give inf * 0.
    low, high, factor, _ = relu_as_clip(np.array([1e-6]), np.array([-1.0]), limit=3e4)
    assert factor == 0.0 and low == high == 0.0


@pytest.mark.parametrize("largest", [10.0, 80.0])
def test_raw_to_metres_is_the_authors_formula(largest):
    raw = np.array([[0.5, 1.0, 2.0, 12.5, 100.0, 400.0, 0.0, -5.0]], np.float32)
    found = raw_to_metres(raw, largest)
    assert found.dtype == np.float32 and found.shape == raw.shape
    fractions = np.array([[1.0, 1.0, 0.5, 0.08, 0.01, 0.01, 1.0, 0.01]])
    np.testing.assert_allclose(found, fractions * largest, rtol=1e-6)
    assert raw_to_metres(400.0, 80.0, min_depth_m=1.0) == pytest.approx(1.0)


def test_metres_inside_a_graph_are_the_same():
    import keras

    from fgbg.models.depth.densedepth_layers import metres_from_raw

    raw = np.array([0.5, 1.0, 3.7, 50.0, 400.0, 0.0, -5.0], np.float32)
    for options in ((10.0,), (80.0,), (80.0, 1.0)):
        found = keras.ops.convert_to_numpy(metres_from_raw(raw, *options))
        np.testing.assert_allclose(found, raw_to_metres(raw, *options), rtol=1e-6)


def test_importing_loads_no_network_library():
    code = (
        "import sys\n"
        "from fgbg.models.depth import densedepth, densedepth_rewrite, densedepth_weights\n"
        "print([m for m in ('tensorflow', 'keras', 'torch', 'jax') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
