"""The records through other people's code: tf.data, TensorFlow Datasets, tfx-bsl, Model Garden.

What docs/tfrecord.md tells people to write is taken from there and run.
"""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.transforms.pixels import codec, coding
from fgbg.transforms.records import example as tf_example
from fgbg.transforms.records import record as records
from fgbg.transforms.records.description import keys_of
from fgbg.transforms.records.record import Record
from tests.helpers.data_sets import ROOT, make_in_process
from tests.helpers.small_networks import keras_file
from tests.helpers.tfrecord_sets import (
    inputs_with_a_ghost,
    read_shard,
    records_by_name,
    rows,
    shard_files,
)

DOC = ROOT / "docs" / "tfrecord.md"
SIZE = ("--size", "40x24")


@pytest.fixture(scope="module")
def data_set(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("readers")
    inputs = inputs_with_a_ghost(folder / "in")
    network = keras_file(folder / "network.keras")
    more = ("--format", "tfrecord", "--splits", "train=0.5,test=0.5", "--shards", "5", *SIZE)
    return make_in_process(inputs, folder / "OUT", *more, "--depth_model", str(network))


@pytest.fixture(scope="module")
def without_depth(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("readers")
    inputs = inputs_with_a_ghost(folder / "in")
    return make_in_process(inputs, folder / "OUT", "--format", "tfrecord", *SIZE)


@pytest.fixture(scope="module")
def by_id(data_set) -> dict[int, Record]:
    return {record.id: record for record in records_by_name(data_set).values()}


def from_the_doc(heading: str, data_set: Path) -> dict:
    """What the code under a heading of the doc defines, run in the data set's parent."""
    section = re.split(r"^### ", DOC.read_text(), flags=re.M)
    (text,) = [part for part in section if part.startswith(heading)]
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    names: dict = {}
    exec(code.replace('"OUT/', f'"{data_set}/'), names)
    return names


def pictures(record: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlay in RGB, mask 0 and 1, depth in millimetres."""
    overlay = cv2.imdecode(np.frombuffer(record.overlay, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    mask = coding.decode_mask(record.mask_png) // 255
    return overlay, mask, codec.decode(record.depth_png, "depth")


def assert_alike(decoded: np.ndarray, overlay: np.ndarray) -> None:
    """TensorFlow decodes JPEG with another, quicker transform than OpenCV does."""
    assert decoded.dtype == np.uint8 and decoded.shape == overlay.shape
    assert np.abs(decoded.astype(int) - overlay).mean() < 2.5


def test_tf_data_by_the_docs_parse_function(data_set, by_id):
    import tensorflow as tf

    names = from_the_doc("tf.data", data_set)
    (batch,) = names["data"].take(1)
    assert batch["overlay"].shape == (24, 24, 40, 3) and batch["overlay"].dtype == tf.uint8
    assert batch["mask"].shape == batch["depth_m"].shape == (24, 24, 40, 1)
    seen = 0
    for path in shard_files(data_set):
        for data in read_shard(path):
            record = records.of_record(data)
            parsed = names["parse"](data)
            overlay, mask, depth = pictures(record)
            np.testing.assert_array_equal(parsed["overlay"].numpy(), overlay)
            np.testing.assert_array_equal(parsed["mask"].numpy()[..., 0], mask)
            np.testing.assert_allclose(parsed["depth_m"].numpy()[..., 0], depth / 1000, rtol=1e-6)
            seen += 1
    assert seen == len(by_id) == 48


def test_tensorflow_datasets(data_set, by_id):
    pytest.importorskip("tensorflow_datasets")
    names = from_the_doc("TensorFlow Datasets", data_set)
    assert names["depth_mm"].dtype == "uint16" and names["overlay"].dtype == "uint8"
    builder = names["builder"]
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        "train": 24, "test": 24
    }  # fmt: skip
    half = builder.as_dataset(split="train[:50%]")
    assert len(list(half)) == 12
    seen = set()
    empty = 0
    for split in ("train", "test"):
        for sample in builder.as_dataset(split=split).as_numpy_iterator():
            record = by_id[int(sample["image"]["source_id"])]
            overlay, mask, depth = pictures(record)
            assert_alike(sample["image"]["encoded"], overlay)
            np.testing.assert_array_equal(sample["depth"]["encoded"][..., 0], depth)
            assert sample["depth"]["encoded"].dtype == np.uint16
            masks = sample["image"]["object"]["mask"]
            assert masks.shape == (int(record.mask_area > 0), 24, 40, 1)
            empty += not len(masks)
            np.testing.assert_array_equal(
                masks.sum(axis=0)[..., 0] if len(masks) else 0 * mask, mask
            )
            assert sample["image"]["key"]["sha256"].decode() == record.overlay_sha256
            assert sample["placement"]["x"] == record.canvas_x
            assert sample["background"]["id"] == record.bg
            seen.add(record.id)
    assert seen == set(by_id) and empty


def test_what_tensorflow_datasets_would_have_written(data_set, without_depth):
    tfds = pytest.importorskip("tensorflow_datasets")
    for output in (data_set, without_depth):
        written = json.loads((output / "tfrecord" / "features.json").read_text())
        builder = tfds.builder_from_directory(str(output / "tfrecord"))
        assert builder.info.features.to_json() == written
        assert len(list(builder.as_dataset(split="train"))) > 0
        assert ("depth" in builder.info.features) == (output == data_set)


def test_tfx_bsl(data_set, by_id, tmp_path):
    import apache_beam as beam
    import tensorflow as tf

    pytest.importorskip("tfx_bsl")
    names = from_the_doc("tfx-bsl", data_set)
    in_train = {row["key"] for row in rows(data_set) if row["split"] == "train"}
    train = {i: record for i, record in by_id.items() if record.key in in_train}
    seen = set()
    for batch in names["data"]:
        masks = tf.sparse.to_dense(batch["image/object/mask"], "").numpy()
        for i, source_id in enumerate(batch["image/source_id"].numpy()):
            record = train[int(source_id)]
            assert batch["image/encoded"].numpy()[i] == record.overlay
            assert batch["depth/encoded"].numpy()[i] == record.depth_png
            stored = [m for m in masks[i] if m]
            assert stored == ([record.mask_png] if record.mask_area else [])
            seen.add(record.id)
    assert seen == set(train)

    def keep(batch, folder: Path) -> None:
        for row in batch.to_pylist():
            name = row["image/source_id"][0].decode()
            (folder / name).write_bytes(pickle.dumps(row))

    with beam.Pipeline("FnApiRunner") as root:
        root | names["source"] | beam.Map(keep, tmp_path)
    found = {int(path.name): pickle.loads(path.read_bytes()) for path in tmp_path.iterdir()}
    assert set(found) == set(train)
    for i, row in found.items():
        assert row.keys() == keys_of(_job(data_set)).keys()
        assert row["depth/encoded"] == [train[i].depth_png]
        assert row["placement/number"] == [train[i].number]
        assert row["image/object/area"] == ([train[i].mask_area] if train[i].mask_area else [])


def _job(output: Path):
    from fgbg.transforms.job import job as jobs

    return jobs.read(str(output))


@pytest.mark.slow
def test_the_model_gardens_decoder(data_set, by_id):
    decoder = pytest.importorskip("official.vision.dataloaders.tf_example_decoder")
    loaders = pytest.importorskip("official.vision.dataloaders.utils")
    decode = decoder.TfExampleDecoder(include_mask=True).decode
    for path in shard_files(data_set):
        for data in read_shard(path):
            found = decode(data)
            record = by_id[int(found["source_id"].numpy())]
            # As its Mask R-CNN's input does.
            assert loaders.process_source_id(found["source_id"]).numpy() == record.id
            overlay, mask, _ = pictures(record)
            assert_alike(found["image"].numpy(), overlay)
            count = int(record.mask_area > 0)
            masks = found["groundtruth_instance_masks"].numpy()
            assert masks.shape == (count, 24, 40) and masks.dtype == np.float32
            assert found["groundtruth_classes"].numpy().tolist() == [1] * count
            assert found["groundtruth_is_crowd"].numpy().tolist() == [False] * count
            assert found["groundtruth_area"].numpy().tolist() == [record.mask_area] * count
            boxes = found["groundtruth_boxes"].numpy()
            assert boxes.shape == (count, 4)
            if count:
                np.testing.assert_array_equal(masks[0], mask)
                y, x = np.nonzero(mask)
                tight = [y.min() / 24, x.min() / 40, (y.max() + 1) / 24, (x.max() + 1) / 40]
                np.testing.assert_allclose(boxes[0], tight, rtol=1e-6)


def test_the_docs_table_is_what_records_hold(data_set):
    table = re.findall(r"^\| (\S+/\S+) \| (\w+) \| ([\w ]+) \|", DOC.read_text(), flags=re.M)
    documented = {name: (kind, shape) for name, kind, shape in table}
    keys = keys_of(_job(data_set))
    assert documented == {
        name: (key.kind, "per object" if key.listed else "one") for name, key in keys.items()
    }
    for data in read_shard(shard_files(data_set)[0]):
        features = tf_example.decode(data)
        assert features.keys() == keys.keys()
        for name, key in keys.items():
            kinds = {tf_example.BYTES: bytes, tf_example.FLOAT: float, tf_example.INT64: int}
            assert all(type(value) is kinds[key.kind] for value in features[name])
            assert len(features[name]) in ((0, 1) if key.listed else (1,))
