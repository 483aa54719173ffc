"""Depth by ONNX networks against NumPy: what they are fed, and every kind of output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from fgbg.models import opening
from fgbg.models.depth import affine_points, depth_card, depth_network
from fgbg.models.depth.depth_card import DepthModelError
from fgbg.models.opening import NetworkError
from fgbg.models.tflite_network import TfliteNetwork
from tests.helpers.onnx_networks import depth_network as onnx_depth
from tests.helpers.onnx_networks import points_network
from tests.helpers.small_networks import oracle

SIZE = (28, 14)


def pictures(count: int = 3, size: tuple[int, int] = SIZE) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)


def rgb01(bgr: np.ndarray) -> np.ndarray:
    return bgr[..., ::-1].astype(np.float64) / 255


def predict(path: Path, bgr: np.ndarray, card: dict | None = None, **settings) -> np.ndarray:
    model = depth_card.inspect(str(path), card, **settings)
    size = bgr.shape[2], bgr.shape[1]
    return depth_network.load(str(path), model, size, 1).predict(bgr)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_depth(tmp_path_factory.mktemp("onnx") / "net.onnx")


IMAGENET = {"input_mean": [0.485, 0.456, 0.406], "input_std": [0.229, 0.224, 0.225]}


@pytest.mark.parametrize(
    "card, feed",
    [
        ({}, rgb01),
        ({"input_range": [0, 255]}, lambda bgr: 255 * rgb01(bgr)),
        (IMAGENET, lambda bgr: (rgb01(bgr) - IMAGENET["input_mean"]) / IMAGENET["input_std"]),
        ({"input_channels": "bgr"}, lambda bgr: rgb01(bgr)[..., ::-1]),
    ],
)
def test_input_and_padded_batches(net, card, feed):
    bgr = pictures(5)
    wanted = oracle(feed(bgr))
    found = predict(net, bgr, card, batch_size=3)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    np.testing.assert_array_equal(found, predict(net, bgr, card, batch_size=3))


def test_what_it_gives_is_what_onnxruntime_gives_by_itself(net):
    bgr = pictures(1)
    session = onnxruntime.InferenceSession(str(net), providers=["CPUExecutionProvider"])
    fed = np.ascontiguousarray(rgb01(bgr).astype(np.float32).transpose(0, 3, 1, 2))
    (plain,) = session.run(None, {"picture": fed})
    np.testing.assert_allclose(predict(net, bgr), plain[:, 0], atol=1e-6)


def test_every_kind_of_output(net):
    bgr, plain = pictures(), oracle(rgb01(pictures()))
    unit = {"metres_per_unit": 2.5}
    np.testing.assert_allclose(predict(net, bgr, unit), 2.5 * plain, rtol=1e-5)
    found = predict(net, bgr, {**unit, "output": "inverse_depth"})
    np.testing.assert_allclose(found, 2.5 / plain, rtol=1e-5)
    found = predict(net, bgr, {"output": "relative_inverse_depth"})
    np.testing.assert_allclose(found, plain, rtol=1e-5)
    card = {"output": "depth_by_focal", "canonical_focal": 500, "field_of_view": 90}
    # At 90 degrees the focal length is half the width: of the 14 columns of the map, 7.
    np.testing.assert_allclose(predict(net, bgr, card), plain * 7 / 500, rtol=1e-5)


def test_sides_are_multiples_of_what_the_card_says(net):
    for size, fed in (((30, 31), (28, 28)), ((40, 20), (42, 14))):
        found = predict(net, pictures(1, size), {"input_multiple": 14})
        assert found.shape == (1, fed[1] // 2, fed[0] // 2)
    with pytest.raises(DepthModelError, match=r"input_size is \[20, 28\], not multiples of 14"):
        depth_card.inspect(str(net), {"input_multiple": 14, "input_size": [20, 28]})


def test_pictures_are_resized_by_the_filter_of_the_card(net):
    bgr = pictures(1, (4 * SIZE[0], 4 * SIZE[1]))
    card = {"input_size": list(SIZE)}
    area = predict(net, bgr, card)
    means = bgr.reshape(1, SIZE[1], 4, SIZE[0], 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(area, oracle(rgb01(means)), atol=5.7 / 255)
    for way in ("linear", "cubic", "lanczos"):
        assert np.abs(predict(net, bgr, {**card, "input_filter": way}) - area).max() > 0.05
    with pytest.raises(DepthModelError, match=r'input_filter is .nearest., not one of "area"'):
        depth_card.inspect(str(net), {"input_filter": "nearest"})


def scene(width: int, height: int) -> tuple[np.ndarray, float]:
    """Depth of a slanted wall with a box before it, and a focal length in half diagonals."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    depth = 1.5 + x + 0.4 * y
    depth[height // 4 : height // 2, width // 4 : width // 2] = 1.1
    return depth, 1.3


@pytest.mark.parametrize("shift", [-0.6, 0.0, 0.9])
@pytest.mark.parametrize("size", [(60, 40), (300, 410)])
def test_points_say_their_depth_once_their_shift_is_found(shift, size):
    width, height = size
    depth, focal = scene(width, height)
    diagonal = np.hypot(width, height)
    u, v = np.meshgrid(
        (2 * np.arange(width) + 1 - width) / diagonal,
        (2 * np.arange(height) + 1 - height) / diagonal,
    )
    points = np.stack((u * depth / focal, v * depth / focal, depth - shift), axis=-1)
    valid = np.ones(depth.shape, bool)
    valid[:5] = False
    points[:5] = 1e6  # what is no point has no say
    found = affine_points.depth_of_points(points.astype(np.float32), valid)
    np.testing.assert_allclose(found[5:], depth[5:], rtol=1e-3)


def test_a_network_of_points_with_a_mask_a_scale_and_a_second_input(tmp_path):
    path = points_network(tmp_path / "moge.onnx")
    size = (64, 48)
    depth, focal = scene(*size)
    depth /= depth.max() + 0.1
    diagonal = np.hypot(*size)
    u, v = np.meshgrid(
        (2 * np.arange(size[0]) + 1 - size[0]) / diagonal,
        (2 * np.arange(size[1]) + 1 - size[1]) / diagonal,
    )
    # Red and green hold x and y, which this scene has to the right of and under the middle only.
    rgb = np.stack((u * depth / focal, v * depth / focal, depth), axis=-1)
    bgr = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)[None, ..., ::-1]
    there = bgr[0, ..., 2] > 25.5
    card = {
        **{"output": "affine_points", "output_name": "points", "mask_output": "mask"},
        **{"scale_output": "metric_scale", "input_constants": {"num_tokens": 1800}},
    }
    found = predict(path, np.ascontiguousarray(bgr), {**card, "max_depth_m": 20})[0]
    assert (found[~there] == 20).all() and there.sum() > 500
    reference = affine_points.depth_of_points((bgr[0, ..., ::-1] / 255).astype(np.float32), there)
    np.testing.assert_allclose(found[there], 2.5 * reference[there], rtol=1e-4)
    with pytest.raises(NetworkError, match=r"it has 2 inputs.*input_constants.*image, num_tokens"):
        opening_of(path, {**card, "input_constants": {}})
    with pytest.raises(NetworkError, match="no input 'tokens'"):
        opening_of(path, {**card, "input_constants": {"tokens": 1}})
    with pytest.raises(NetworkError, match=r"an output that it has not.*points, normal, mask"):
        opening_of(path, {**card, "mask_output": "sky"})


def opening_of(path: Path, card: dict) -> None:
    try:
        predict(path, pictures(1), card)
    except DepthModelError as error:
        raise NetworkError(str(error)) from error


@pytest.mark.parametrize(
    "card, words",
    [
        ({"output": "metres"}, '"relative_inverse_depth"'),
        ({"output": "affine_points"}, "scale_output"),
        ({"scale_output": "scale"}, "scale_output"),
        ({"input_layout": "chw"}, '"nhwc", "nchw"'),
        ({"input_multiple": 0}, "input_multiple is 0"),
        ({"input_constants": {"a": "b"}}, "input_constants"),
        ({"field_of_view": 180}, "field_of_view"),
        ({"licence": 3}, "licence is 3, not a text"),
    ],
)
def test_a_wrong_card_is_told(tmp_path, card, words):
    path = onnx_depth(tmp_path / "net.onnx", SIZE)
    (tmp_path / "net.json").write_text(json.dumps(card))
    with pytest.raises(DepthModelError, match=words) as raised:
        depth_card.inspect(str(path))
    assert str(tmp_path / "net.json") in str(raised.value)


def test_a_layout_that_does_not_fit_is_told(tmp_path):
    path = onnx_depth(tmp_path / "net.onnx", SIZE)
    with pytest.raises(DepthModelError, match=r"\[batch, height, width, 3\] is expected"):
        predict(path, pictures(1), {"input_layout": "nhwc"})


def test_cards_of_before_are_stored_as_before(tmp_path):
    """A job's bytes, and the names of its units, are made of the card."""
    model = depth_card.inspect(str(onnx_depth(tmp_path / "net.onnx", SIZE)))
    assert set(model.to_dict()) == {
        *("kind", "file", "sha256", "card", "precision", "batch_size", "address"),
    }
    assert set(model.to_dict()["card"]) == {
        *("input_range", "input_mean", "input_std", "input_channels", "input_size", "output"),
        *("output_name", "metres_per_unit", "max_depth_m", "upsampling"),
    }
    (tmp_path / "net.json").write_text(json.dumps({"licence": "MIT", "input_multiple": 14}))
    said = depth_card.inspect(str(tmp_path / "net.onnx"))
    content = json.loads(json.dumps(said.to_dict()))
    assert (content["licence"], content["card"]["input_multiple"]) == ("MIT", 14)
    assert depth_card.DepthModel.from_dict(content) == said
    assert said.identity().licence == ""


def test_onnx_depth_does_without_tensorflow(net):
    code = (
        "import sys\nfrom fgbg.models.depth import depth_card, depth_network\nimport numpy as np\n"
        f"model = depth_card.inspect({str(net)!r})\n"
        f"network = depth_network.load({str(net)!r}, model, (28, 14), 1)\n"
        "network.predict(np.zeros((1, 14, 28, 3), np.uint8))\nprint('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_fastdepth_converted_says_what_tflite_says(shared_data, tmp_path):
    pytest.importorskip("tf2onnx")
    source = shared_data / "weights" / "fastdepth_nyu_224_uint8.tflite"
    path = tmp_path / "fastdepth.onnx"
    command = [sys.executable, "-m", "tf2onnx.convert", "--opset", "15", "--tflite", str(source)]
    subprocess.run([*command, "--output", str(path)], check=True, capture_output=True)
    bgr = np.stack([pictures(1, (9, 9))[0].repeat(25, 0).repeat(25, 1)[:224, :224]])
    tflite = predict(source, bgr)
    opened = opening.open_network(str(source), 1)
    assert isinstance(opened, TfliteNetwork)
    scale = opened._outputs[0]["quantization"][0]
    found = predict(path, bgr, {"input_range": [0, 255], "metres_per_unit": float(scale)})
    # Rounding inside of a quantised network differs by a level of 0.07 m here and there.
    assert np.abs(found - tflite).max() <= 3 * scale and np.abs(found - tflite).mean() < scale / 4
