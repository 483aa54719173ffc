"""fgbg.load and fgbg.torch_dataset: the values in a training program are those that are stored."""

from __future__ import annotations

import io
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import fgbg
from fgbg.transforms.job import job as jobs
from tests.helpers.data_sets import ROOT, make_in_process
from tests.helpers.small_networks import keras_file
from tests.helpers.tfrecord_sets import inputs_with_a_ghost

FORMS = {
    "jpg": (),
    "png": ("--mask_format", "png", "--depth_format", "png16"),
    "tfrecord": ("--format", "tfrecord", "--shards", "5"),
}
RANGE_M = 7.0
MORE = ("--splits", "train=0.5,test=0.5", "--size", "40x24", "--depth_range", f"{RANGE_M:g}")


@pytest.fixture(scope="module", params=FORMS)
def data_set(request, tmp_path_factory) -> Path:
    """With samples whose mask is empty: records hold none for them."""
    folder = tmp_path_factory.mktemp("loading")
    inputs = inputs_with_a_ghost(folder / "in")
    network = keras_file(folder / "network.keras")
    options = (*FORMS[request.param], *MORE, "--depth_model", str(network))
    return make_in_process(inputs, folder / "OUT", *options)


@pytest.fixture
def stand_in(monkeypatch) -> Iterator[None]:
    """PyTorch, where it is not installed."""
    try:
        import torch.utils.data  # noqa: F401
    except ImportError:
        monkeypatch.syspath_prepend(str(ROOT / "tests" / "helpers" / "stand_ins"))
        for name in ("torch", "torch.utils", "torch.utils.data"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        yield
        for name in ("torch", "torch.utils", "torch.utils.data"):
            sys.modules.pop(name, None)
    else:
        yield


def stored(output: Path, split: str) -> dict[str, dict[str, np.ndarray]]:
    """The pictures of a split by key, read by Pillow and OpenCV, of records by TensorFlow's API."""
    table = pq.read_table(output / "manifest.parquet", filters=[("split", "=", split)])
    found = {}
    for row in table.to_pylist():
        if "#" in row["overlay"]:
            files = in_record(output, row["overlay"])
            scale = 1
        else:
            files = {
                kind: (output / row[kind]).read_bytes() for kind in ("overlay", "mask", "depth")
            }
            scale = 128
        found[row["key"]] = {
            "overlay": np.array(Image.open(io.BytesIO(files["overlay"]))),
            "mask": (
                np.array(Image.open(io.BytesIO(files["mask"]))) // scale
                if files["mask"]
                else np.zeros((24, 40), np.uint8)
            ),
            "depth": in_metres(files["depth"]),
        }
    return found


def in_record(output: Path, place: str) -> dict[str, bytes]:
    import tensorflow as tf

    shard, _, number = place.partition("#")
    (data,) = tf.data.TFRecordDataset(str(output / shard)).skip(int(number)).take(1)
    feature = tf.train.Example.FromString(data.numpy()).features.feature
    names = {"overlay": "image/encoded", "mask": "image/object/mask", "depth": "depth/encoded"}
    values = {kind: feature[name].bytes_list.value for kind, name in names.items()}
    return {kind: value[0] if value else b"" for kind, value in values.items()}


def in_metres(file: bytes) -> np.ndarray:
    depth = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    return depth / 1000 if depth.dtype == np.uint16 else depth * (RANGE_M / 255)


def assert_equal(key: str, loaded: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    """Values of [height, width, channels]."""
    assert loaded["overlay"].dtype == loaded["mask"].dtype == np.uint8
    assert loaded["depth"].dtype == np.float32
    np.testing.assert_array_equal(loaded["overlay"], want["overlay"], key)
    np.testing.assert_array_equal(loaded["mask"], want["mask"][..., None], key)
    np.testing.assert_allclose(loaded["depth"], want["depth"][..., None], rtol=1e-6, err_msg=key)


@pytest.mark.parametrize("seed", [None, 3])
def test_tensorflow_gets_what_is_stored(data_set, seed):
    data = fgbg.load(data_set, "train", seed)
    assert data.element_spec["overlay"].shape == (24, 40, 3)
    want = stored(data_set, "train")
    loaded = {sample.pop("key").decode(): sample for sample in data.as_numpy_iterator()}
    assert set(loaded) == set(want) and len(want) == 24
    assert {int(sample["mask"].max()) for sample in loaded.values()} == {0, 1}
    for key, sample in loaded.items():
        assert_equal(key, sample, want[key])


def test_pytorch_gets_what_is_stored(data_set, stand_in):
    import torch.utils.data

    samples = fgbg.torch_dataset(str(data_set), "test")
    assert isinstance(samples, torch.utils.data.Dataset)
    want = stored(data_set, "test")
    assert len(samples) == len(want) == 24
    for i, key in enumerate(want):
        sample = samples[i]
        assert sample.pop("key") == key, "the manifest's order"
        last = {name: np.asarray(value).transpose(1, 2, 0) for name, value in sample.items()}
        assert_equal(key, last, want[key])
    assert samples[-1]["key"] == list(want)[-1]
    with pytest.raises(IndexError):
        samples[24]


def test_pytorchs_spawned_workers_open_the_data_set_anew(data_set, stand_in):
    samples = fgbg.torch_dataset(data_set, "train")
    again = pickle.loads(pickle.dumps(samples))
    assert len(again) == len(samples)
    np.testing.assert_array_equal(again[5]["overlay"], samples[5]["overlay"])


def test_a_seed_mixes_the_backgrounds_and_is_repeatable(small_inputs, tmp_path):
    output = make_in_process(small_inputs, tmp_path / "set", "--splits", "all=1")

    def keys(seed: int | None) -> list[str]:
        return [s["key"].decode() for s in fgbg.load(output, "all", seed).as_numpy_iterator()]

    in_order = pq.read_table(output / "manifest.parquet", columns=["key"])["key"].to_pylist()
    assert keys(None) == in_order
    assert keys(1) == keys(1) != keys(2)
    assert sorted(keys(1)) == sorted(in_order) != keys(1)


def test_a_data_set_without_depth_loads_none(small_inputs, tmp_path, stand_in):
    output = make_in_process(small_inputs, tmp_path / "set", "--splits", "all=1")
    assert set(fgbg.load(output, "all").element_spec) == {"overlay", "mask", "key"}
    assert set(fgbg.torch_dataset(output, "all")[0]) == {"overlay", "mask", "key"}


@pytest.mark.parametrize("open_split", ["load", "torch_dataset"])
def test_what_cannot_be_loaded_says_why(open_split, small_data_set, tmp_path, stand_in):
    opened = getattr(fgbg, open_split)
    with pytest.raises(ValueError, match=r"no data set of fgbg \(no "):
        opened(tmp_path, "train")
    with pytest.raises(
        ValueError, match=r"no sample in split 'tset'; it has test, train, validation$"
    ):
        opened(small_data_set, "tset")
    begun = tmp_path / "begun"
    (begun / jobs.JOB_FILE).parent.mkdir(parents=True)
    shutil.copy(small_data_set / jobs.JOB_FILE, begun / jobs.JOB_FILE)
    with pytest.raises(ValueError, match=r"not finished; run fgbg generate again"):
        opened(begun, "train")
    with pytest.raises(ValueError, match=r"copy it to a local disk: gcloud storage cp -r gs://b/f"):
        opened("gs://b/f", "train")


def test_importing_fgbg_imports_no_library():
    code = (
        "import sys, fgbg\n"
        "assert {'load', 'torch_dataset'} <= set(fgbg.__all__)\n"
        "heavy = {'tensorflow', 'keras', 'apache_beam', 'torch', 'numpy', 'cv2', 'pyarrow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "fgbg.load, fgbg.torch_dataset\n"
        "heavy = {'tensorflow', 'keras', 'apache_beam', 'torch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_there_is_nothing_else_in_fgbg():
    with pytest.raises(AttributeError, match="no attribute 'open_set'"):
        fgbg.open_set  # noqa: B018
