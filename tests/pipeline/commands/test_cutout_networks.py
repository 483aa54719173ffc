"""Cutting out by networks: small ones, built here, whose answer is known."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fgbg.models.opening import NetworkError
from fgbg.models.segmentation.segmentation import MaskModel, MaskNetwork
from fgbg.models.segmentation.segmentation_detection import (
    COCO_NAMES,
    Detection,
    DetectionNetwork,
    class_number,
    paste,
)
from fgbg.pipeline.__main__ import main
from fgbg.transforms.cutout import method
from fgbg.transforms.cutout.found import Rejected
from fgbg.transforms.cutout.method import MASKRCNN, MODEL, Method
from tests.helpers import cutout_pictures as draw
from tests.helpers.data_sets import fgbg, without_workers


def mask_network(size: int | None = 64, logits: bool = False) -> Any:
    """Keras: how much redder than green a pixel is, steeply around 0.2."""
    import keras

    given = keras.Input(batch_shape=(1, size, size, 3))
    layer = keras.layers.Conv2D(1, 1, activation=None if logits else "sigmoid")
    network = keras.Model(given, layer(given))
    kernel = np.array([40.0, -40.0, 0.0], np.float32).reshape(1, 1, 3, 1)
    layer.set_weights([kernel, np.array([-8.0], np.float32)])
    return network


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same network in each kind of file."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("networks")
    fixed, free = mask_network(), mask_network(None)
    fixed.save(folder / "mask.keras")
    free.export(folder / "mask", verbose=False)
    (folder / "mask.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(fixed).convert())
    mask_network(None, logits=True).save(folder / "logits.keras")
    names = ("mask.keras", "mask", "mask.tflite", "logits.keras")
    return {name: str(folder / name) for name in names}


def detection_model(folder: Path, less: tuple[str, ...] = ()) -> str:
    """A SavedModel as Mask R-CNN is published: whatever is shown, four detections.

    A cat (17) of 0.9 in the left half, a dog (18) of 0.8 in the right, a cat of 0.3, and one past
    num_detections. Masks are discs of 28x28 in their boxes. Where the picture is black, nothing.
    """
    import tensorflow as tf

    y, x = np.mgrid[0:28, 0:28]
    disc = (np.hypot(x - 13.5, y - 13.5) < 13).astype(np.float32)
    boxes = np.array(
        [[0.25, 0.1, 0.75, 0.475], [0.25, 0.5, 0.75, 0.875], [0, 0, 0.2, 0.2], [0, 0, 1, 1]],
        np.float32,
    )

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
        def detect(self, input_tensor: Any) -> dict[str, Any]:
            some = tf.cast(tf.reduce_max(input_tensor) > 0, tf.float32)
            outputs = {
                "detection_boxes": tf.constant(boxes[None]),
                "detection_scores": tf.constant([[0.9, 0.8, 0.3, 0.99]]),
                "detection_classes": tf.constant([[17.0, 18.0, 17.0, 1.0]]),
                "detection_masks": tf.constant(np.stack([disc] * 4)[None]),
                "num_detections": tf.reshape(3 * some, [1]),
            }
            return {name: value for name, value in outputs.items() if name not in less}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures=model.detect)
    return str(folder)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> str:
    return detection_model(tmp_path_factory.mktemp("detector") / "model")


def two_discs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo, and the alpha of the disc in the left and in the right box of the detector."""
    left, right = draw.disc(92, 120, 56), draw.disc(220, 120, 56)
    return draw.composed(np.maximum(left, right), draw.plain()), left, right


@pytest.mark.parametrize("name", ["mask.keras", "mask", "mask.tflite"])
def test_mask_networks_of_every_kind(networks: dict[str, str], name: str) -> None:
    true = draw.disc()
    bgr = draw.composed(true, draw.plain())
    how = Method(MODEL, MaskModel(networks[name], input_size=None))
    network = method.open_network(how, 1)
    found = method.find(bgr, how, network)
    assert found.share.shape == draw.SHAPE
    assert draw.iou(np.rint(found.share * 255), true) > 0.95
    assert found.confidence > 0.7


def test_channels_range_and_size_are_as_asked(networks: dict[str, str]) -> None:
    bgr = draw.composed(draw.disc(), draw.plain())
    path = networks["mask"]
    assert MaskNetwork(MaskModel(path, input_size=(96, 64)), 1).size == (96, 64)
    assert MaskNetwork(MaskModel(path, input_channels="bgr"), 1).predict(bgr).max() < 0.1
    halved = MaskNetwork(MaskModel(path, input_range=(0.0, 0.1)), 1).predict(bgr)
    assert halved.max() < 0.1
    shifted = MaskModel(path, input_mean=(0.5, 0, 0), input_std=(0.5, 0.5, 0.5))
    assert MaskNetwork(shifted, 1).predict(bgr)[120, 160] < 0.5


def test_logits_want_a_sigmoid(networks: dict[str, str]) -> None:
    bgr = draw.composed(draw.disc(), draw.plain())
    with pytest.raises(NetworkError, match="--output_activation sigmoid"):
        MaskNetwork(MaskModel(networks["logits.keras"]), 1).predict(bgr)
    mask = MaskNetwork(MaskModel(networks["logits.keras"], activation="sigmoid"), 1).predict(bgr)
    assert mask[120, 160] > 0.9 and mask[5, 5] < 0.1


def test_an_unsure_mask_says_so() -> None:
    sure = draw.disc(soft=0)
    assert method.from_mask(sure).confidence == 1
    assert method.from_mask(np.clip(sure, 0.4, 0.6).astype(np.float32)).confidence == 0
    with pytest.raises(Rejected, match="nothing found"):
        method.from_mask(sure * np.float32(0.3))


def test_networks_that_do_not_fit(networks: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.keras").write_bytes(b"no network")
    zipfile.ZipFile(tmp_path / "odd.keras", "w").close()
    (tmp_path / "empty").mkdir()
    for path, words in (
        (tmp_path / "absent", "no such"),
        (tmp_path / "bad.keras", "not a Keras 3 file"),
        (tmp_path / "odd.keras", "cannot be loaded"),
        (tmp_path / "empty", "without saved_model"),
        (__file__, "of unknown kind"),
    ):
        with pytest.raises(NetworkError, match=words):
            MaskNetwork(MaskModel(str(path)), 1)
    with pytest.raises(NetworkError, match="it takes 64x64"):
        MaskNetwork(MaskModel(networks["mask.keras"], input_size=(32, 32)), 1)
    with pytest.raises(NetworkError, match="wants a SavedModel folder"):
        DetectionNetwork(networks["mask.keras"], 1)
    with pytest.raises(NetworkError, match="detection_boxes"):
        DetectionNetwork(networks["mask"], 1)
    without = detection_model(tmp_path / "boxes", less=("detection_masks",))
    with pytest.raises(NetworkError, match="detection_masks"):
        DetectionNetwork(without, 1)


def test_detections_are_read(detector: str) -> None:
    bgr, _, _ = two_discs()
    found = DetectionNetwork(detector, 1).detect(bgr)
    assert [(d.name, round(d.score, 2)) for d in found] == [
        ("cat", 0.9),
        ("dog", 0.8),
        ("cat", 0.3),
    ]
    assert found[0].box == pytest.approx((32, 60, 152, 180), abs=1e-3)
    assert DetectionNetwork(detector, 1).detect(np.zeros_like(bgr)) == []


@pytest.mark.parametrize(
    ("settings", "side", "what"),
    [
        ({}, "left", "cat"),
        ({"classes": (18,)}, "right", "dog"),
        ({"instances": "all"}, "both", "cat dog"),
        ({"classes": (17,), "instances": "all"}, "left", "cat"),
    ],
)
def test_class_and_score_choose(
    detector: str, settings: dict[str, Any], side: str, what: str
) -> None:
    bgr, left, right = two_discs()
    how = Method(MASKRCNN, MaskModel(detector), **settings)
    found = method.find(bgr, how, method.open_network(how, 1))
    true = {"left": left, "right": right, "both": np.maximum(left, right)}[side]
    # The masks' discs are a little larger than the photo's: refined, they are right.
    assert draw.iou(found.share * 255, true) > 0.97
    assert found.what == what
    assert found.confidence == pytest.approx(0.8 if "dog" in what else 0.9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_score": 0.95}, "cat at 0.90"),
        ({"classes": (1,)}, "no person; the network sees cat 0.90"),
    ],
)
def test_what_is_not_there_is_rejected(detector: str, settings: dict[str, Any], words: str) -> None:
    how = Method(MASKRCNN, MaskModel(detector), **settings)
    with pytest.raises(Rejected, match=words):
        method.find(two_discs()[0], how, method.open_network(how, 1))


def test_a_mask_is_pasted_where_its_box_is() -> None:
    ramp = np.tile(np.arange(4, dtype=np.float32) / np.float32(3), (4, 1))
    pasted = paste(Detection((10.0, 20.0, 18.0, 28.0), 1.0, 1, ramp), (60, 50))
    assert pasted[:20].max() == 0 and pasted[28:].max() == 0 and pasted[:, :10].max() == 0
    # Two pixels a cell: values between cell centres are on the line through them.
    assert pasted[24, 11:17] == pytest.approx((np.arange(1, 7) * 0.5 - 0.25) / 3, abs=1e-5)
    beyond = paste(Detection((-4.0, -4.0, 4.0, 4.0), 1.0, 1, np.ones((4, 4), np.float32)), (8, 8))
    assert beyond[:4, :4].min() == 1 and beyond.sum() == 16


def test_names_of_classes() -> None:
    assert len(COCO_NAMES) == 91 and sum(map(bool, COCO_NAMES)) == 80
    assert (class_number("person"), class_number("90"), class_number("Dining_Table")) == (1, 90, 67)
    with pytest.raises(ValueError, match="did you mean 'giraffe'"):
        class_number("girafe")
    with pytest.raises(ValueError):
        class_number("")


def test_the_fingerprint_knows_the_networks_bytes(networks: dict[str, str], tmp_path: Path) -> None:
    copy = tmp_path / "copy.keras"
    copy.write_bytes(Path(networks["mask.keras"]).read_bytes())
    one = Method(MODEL, MaskModel(networks["mask.keras"])).fingerprint()
    assert Method(MODEL, MaskModel(str(copy))).fingerprint() == one
    copy.write_bytes(b"other")
    assert Method(MODEL, MaskModel(str(copy))).fingerprint() != one
    assert Method(min_confidence=0.4).fingerprint() != Method().fingerprint()


def test_networks_run_in_the_graph(
    detector: str, networks: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The whole command, with RunInference: a detector, a mask, and a network that does not fit."""
    bgr, left, _ = two_discs()
    photos = tmp_path / "photos"
    draw.save(bgr, photos / "two.png")
    draw.save(np.zeros_like(bgr), photos / "black.png")
    command = ["cutout", str(photos), "--workers", "1", "--method"]
    first = [*command, "maskrcnn", "--model", detector, "--class", "cat", "--min_score", "0.5"]
    done = fgbg(*first, "--output", str(tmp_path / "cats"))
    assert done.returncode == 1, done.stderr
    assert "black.png: nothing found: no cat" in done.stdout
    table = (tmp_path / "cats" / "cutouts.csv").read_text()
    assert "maskrcnn,cat,0.9" in table
    alpha = np.asarray(Image.open(tmp_path / "cats" / "two.png"))[..., 3]
    assert int((alpha >= 128).sum()) == pytest.approx((left >= 0.5).sum(), rel=0.03)
    second = [*command, "model", "--model", networks["mask.tflite"], "--edges", "keep"]
    with without_workers():
        assert main([*second, "--output", str(tmp_path / "red")]) == 1
        assert "1 of 2 photos cut out" in capsys.readouterr().out
        wrong = [*command, "maskrcnn", "--model", networks["mask"]]
        assert main([*wrong, "--output", str(tmp_path / "x")]) == 2
        assert "detection_boxes" in capsys.readouterr().err
