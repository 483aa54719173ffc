"""The weight file loader: what it reads, and what it says of files that it cannot use."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fgbg.models.depth.densedepth import Architecture, layer_specs, parameter_count
from fgbg.models.depth.densedepth_weights import WeightFileError, load
from tests.helpers.densedepth_file import NORM_ROLES, PUBLISHED_PARAMETERS, densedepth, write


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half width: copying 86 MB for each test to damage takes half the time of 171 MB."""
    return write(densedepth(half=True), tmp_path_factory.mktemp("weights") / "whole.h5")


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(whole, tmp_path / "nyu.h5"))


def refused(path: Path, *words: str) -> None:
    """Loading fails with the file's name and each of the words."""
    with pytest.raises(WeightFileError) as raised:
        load(path)
    message = str(raised.value)
    for word in (str(path), *words):
        assert word in message, f"{word!r} is not in: {message}"


def names_of(group: h5py.Group, attribute: str) -> list[str]:
    return [name.decode() for name in group.attrs[attribute].tolist()]


def edit_config(path: Path, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """Changes the layers of a file's model_config."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config).encode()


def edit_layer(path: Path, name: str, edit: Callable[[dict[str, Any]], None]) -> None:
    edit_config(path, lambda layers: edit(next(x for x in layers if x["config"]["name"] == name)))


@pytest.mark.parametrize("split", [False, True])
def test_every_array_of_the_published_layout_is_read(tmp_path, split):
    file = densedepth()
    weights = load(write(file, tmp_path / "nyu.h5", split=split))
    assert weights.architecture == Architecture()
    assert sum(a.size for arrays in weights.arrays.values() for a in arrays) == PUBLISHED_PARAMETERS
    wanted = {name: arrays for name, arrays in file.weights.items() if arrays}
    assert set(weights.arrays) == set(wanted)
    for name, arrays in wanted.items():
        for found, (_, array) in zip(weights.arrays[name], arrays, strict=True):
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    ("made", "architecture"),
    [
        ({"half": True, "activations": 2}, Architecture("densenet169", 832, 2)),
        ({"half": True, "final_relu": False}, Architecture("densenet169", 832, 1, False)),
        ({"blocks": (6, 12, 48, 32), "half": True}, Architecture("densenet201", 960, 1)),
        ({"blocks": (6, 12, 48, 32), "activations": 2}, Architecture("densenet201", 1920, 2)),
    ],
)
def test_architecture_is_read_from_the_file(tmp_path, made, architecture):
    weights = load(write(densedepth(**made), tmp_path / "other.h5"))
    assert weights.architecture == architecture
    count = sum(a.size for arrays in weights.arrays.values() for a in arrays)
    assert count == parameter_count(architecture)


def test_float16_and_keras_3_names_are_read(copy):
    """Keras 3 writes conv1_conv for conv1/conv, and its graph as dictionaries."""
    with h5py.File(copy, "r+") as file:
        group = file["model_weights"]
        kernel = group["conv1/conv/conv1/conv/kernel:0"][()]
        del group["conv1"]
        group.attrs["layer_names"] = [  # a list: variable-length strings, as newer h5py writes
            {"conv1/conv": "conv1_conv", "conv1/bn": "conv1_bn"}.get(name, name)
            for name in names_of(group, "layer_names")
            if name != "conv1/relu"
        ]
        layer = group.create_group("conv1_conv")
        layer.attrs["weight_names"] = [b"conv1_conv/kernel"]
        layer["conv1_conv/kernel"] = kernel.astype(np.float16)
        layer = group.create_group("conv1_bn")
        layer.attrs["weight_names"] = [f"conv1_bn/{role}".encode() for role in NORM_ROLES]
        for i, role in enumerate(NORM_ROLES):
            layer[f"conv1_bn/{role}"] = np.full(64, i, np.float32)

    def rename(layers):
        for entry in layers:
            entry["config"]["name"] = entry["config"]["name"].replace("conv1/", "conv1_")
            entry["inbound_nodes"] = [
                {
                    "args": [
                        {"config": {"keras_history": [n.replace("conv1/", "conv1_"), 0, 0]}}
                        for n, *_ in node
                    ]
                }
                for node in entry["inbound_nodes"]
            ]

    edit_config(copy, rename)
    weights = load(copy)
    np.testing.assert_array_equal(weights.arrays["conv1/conv"][0], np.float16(kernel))
    assert [a[0] for a in weights.arrays["conv1/bn"]] == [0, 1, 2, 3]


def test_optimizer_state_is_ignored(copy):
    with h5py.File(copy, "r+") as file:
        file.create_group("optimizer_weights")["Adam/m:0"] = np.full(3, np.nan)
        file.attrs["training_config"] = b"not even JSON"
    assert load(copy).architecture == Architecture("densenet169", 832)


# --- files of another kind


def test_no_file_folder_and_empty_file(tmp_path):
    refused(tmp_path / "none.h5", "No such file")
    refused(tmp_path, "folder")
    (tmp_path / "empty.h5").write_bytes(b"")
    refused(tmp_path / "empty.h5", "0 bytes")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\n<!DOCTYPE HTML><html><body>404 Not Found</body></html>", "HTML page"),
        (b"\xef\xbb\xbf<html>", "HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"\x1c\0\0\0TFL3\0\0", "TensorFlow Lite"),
        (pickle.dumps({"a": 1}, protocol=2), "pickle"),
        (b"PK\x03\x04 and no more", "damaged zip"),
        (b"\x89HDF\r\n", "not an HDF5 file"),
        (b"some text", "not an HDF5 file"),
    ],
)
def test_other_kinds_of_file_are_named(tmp_path, head, words):
    path = tmp_path / "nyu.h5"
    path.write_bytes(head)
    refused(path, words)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("nyu/data.pkl", "PyTorch"),
        ("model.weights.h5", "Keras 3 archive"),
        ("a.txt", "zip archive"),
    ],
)
def test_archives_are_named(tmp_path, member, words):
    path = tmp_path / "nyu.h5"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, b"")
    refused(path, words)


@pytest.mark.parametrize("part", [0.0001, 0.5, 0.9999])
def test_truncated_file(copy, part):
    with copy.open("r+b") as file:
        file.truncate(int(copy.stat().st_size * part))
    refused(copy, "cut short")


def test_damaged_inside(copy):
    """Of the right length, so that only reading it through shows the damage."""
    size = copy.stat().st_size
    with copy.open("r+b") as file:
        file.seek(2048)
        file.write(b"\xff" * (size // 4))
    with pytest.raises(WeightFileError):
        load(copy)


def test_hdf5_of_something_else(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)
    refused(path, "not a model saved by Keras")


def test_weights_without_the_network(copy):
    with h5py.File(copy, "r+") as file:
        del file.attrs["model_config"]
    refused(copy, "model_config", "model.save")
    with h5py.File(copy, "w") as file:
        file.attrs["layer_names"] = [b"conv1/conv"]
    refused(copy, "model_config", "model.save")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not as Keras writes it"),
        (b'{"config": {"layers": [{}]}}', "not as Keras writes it"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_model_config_that_is_none(copy, text, words):
    with h5py.File(copy, "r+") as file:
        # Long texts go outside the object header, as model_config does in real files.
        del file.attrs["model_config"]
        file.attrs.create("model_config", text.decode(), dtype=h5py.string_dtype())
    refused(copy, words)


# --- other networks


def test_another_network(copy, tmp_path):
    def vgg(layers):
        layers[:] = [x for x in layers if x["class_name"] in ("InputLayer", "MaxPooling2D")]

    edit_config(copy, vgg)
    refused(copy, "another network", "no DenseNet", "pool1")
    other = write(densedepth(blocks=(6, 12, 24, 16), half=True), tmp_path / "densenet121.h5")
    refused(other, "another network", "[6, 12, 24, 16]")


def test_classifier_without_decoder(copy):
    edit_config(copy, lambda layers: layers.pop([x["name"] for x in layers].index("conv2")))
    refused(copy, "another network")


@pytest.mark.parametrize(
    ("layer", "changes", "words"),
    [
        ("bn", {"epsilon": 1e-3}, "epsilon"),
        ("leaky_re_lu_2", {"alpha": 0.3}, "slope"),
        ("up1_convA", {"activation": "relu"}, "activation"),
    ],
)
def test_settings_that_would_compute_something_else(copy, layer, changes, words):
    edit_layer(copy, layer, lambda entry: entry["config"].update(changes))
    refused(copy, f"layer {layer}", words)


@pytest.mark.parametrize("kind", ["UpSampling2D", "Lambda"])
def test_other_upsampling_is_refused(copy, kind):
    edit_layer(copy, "up3_upsampling2d", lambda entry: entry.update(class_name=kind))
    refused(copy, "layer up3_upsampling2d", kind)


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        ("up1_concat", ["pool3_pool", "up1_upsampling2d"]),
        ("up4_concat", ["up4_upsampling2d", "pool1"]),
        ("up2_upsampling2d", ["up1_convB"]),
        ("up2_convB", ["up2_concat"]),
        ("conv2", ["pool4_pool"]),
        ("conv3", ["up4_convA"]),
    ],
)
def test_layers_joined_otherwise(copy, layer, inputs):
    nodes = [[[name, 0, 0, {}] for name in inputs]]
    edit_layer(copy, layer, lambda entry: entry.update(inbound_nodes=nodes))
    with pytest.raises(WeightFileError, match="layer "):
        load(copy)


def test_mixed_activations(copy):
    """One LeakyReLU after one convA: neither of the two variants."""

    def add(layers):
        node = [[["up1_convA", 0, 0, {}]]]
        new = {"name": "extra", "alpha": 0.2}
        layers.append({"class_name": "LeakyReLU", "config": new, "inbound_nodes": node})
        conv_b = next(x for x in layers if x["config"]["name"] == "up1_convB")
        conv_b["inbound_nodes"] = [[["extra", 0, 0, {}]]]

    edit_config(copy, add)
    refused(copy, "some decoder blocks have one LeakyReLU")


# --- arrays


def array_path(layer: str, role: str) -> str:
    return f"model_weights/{layer}/{layer}/{role}:0"


def replace(path: Path, layer: str, role: str, array: np.ndarray) -> None:
    with h5py.File(path, "r+") as file:
        del file[array_path(layer, role)]
        file[array_path(layer, role)] = array


@pytest.mark.parametrize("layer", ["conv1/conv", "conv4_block32_1_bn", "up4_convB", "conv3"])
def test_missing_layer(copy, layer):
    with h5py.File(copy, "r+") as file:
        group = file["model_weights"]
        names = names_of(group, "layer_names")
        names.remove(layer)
        group.attrs["layer_names"] = names
        del group[layer]
    refused(copy, f"layer {layer} is missing: the file names no such layer")


def test_missing_array(copy):
    with h5py.File(copy, "r+") as file:
        del file[array_path("up2_convA", "bias")]
    refused(copy, "layer up2_convA", "bias:0", "missing")
    with h5py.File(copy, "r+") as file:
        file["model_weights/up2_convA"].attrs["weight_names"] = [b"up2_convA/kernel:0"]
    refused(copy, "layer up2_convA", "bias")


def test_extra_layer_and_extra_array(copy):
    with h5py.File(copy, "r+") as file:
        file["model_weights/conv3/stray:0"] = np.zeros(3, np.float32)
    refused(copy, "1 extra arrays", "model_weights/conv3/stray:0")
    with h5py.File(copy, "r+") as file:
        group = file["model_weights"]
        names = names_of(group, "layer_names")
        group.attrs["layer_names"] = [*names, "up5_convA"]
        layer = group.create_group("up5_convA")
        layer.attrs["weight_names"] = [b"up5_convA/kernel:0"]
        layer["up5_convA/kernel:0"] = np.zeros((3, 3, 4, 4), np.float32)
    refused(copy, "layer up5_convA is extra")
    with h5py.File(copy, "r+") as file:
        file["model_weights"].attrs["layer_names"] = [*names, "conv3"]
    refused(copy, "layer conv3 is there twice")


def test_misshapen_array(copy):
    replace(copy, "conv5_block1_1_conv", "kernel", np.zeros((1, 1, 128, 640), np.float32))
    refused(copy, "layer conv5_block1_1_conv: kernel", "(1, 1, 128, 640)", "(1, 1, 640, 128)")


def test_array_of_another_kind(copy):
    replace(copy, "conv2", "bias", np.zeros(832, np.int32))
    refused(copy, "layer conv2: bias", "floats")


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_not_finite(copy, wrong):
    with h5py.File(copy, "r+") as file:
        file[array_path("pool3_bn", "beta")][7] = wrong
    refused(copy, "layer pool3_bn: beta", "not finite in 1 of 512")


def test_negative_variance(copy):
    with h5py.File(copy, "r+") as file:
        file[array_path("bn", "moving_variance")][0] = -1.0
    refused(copy, "layer bn: moving_variance", "negative")


def test_arrays_in_another_order(copy):
    """gamma, beta, mean and variance have one shape: exchanged, only their names show it."""
    with h5py.File(copy, "r+") as file:
        names = names_of(file["model_weights/bn"], "weight_names")
        file["model_weights/bn"].attrs["weight_names"] = [names[1], names[0], *names[2:]]
    refused(copy, "layer bn", "('beta', 'gamma'")


@pytest.mark.parametrize("link", [h5py.SoftLink("/elsewhere"), h5py.ExternalLink("x.h5", "/a")])
def test_links_are_not_followed(copy, link):
    with h5py.File(copy, "r+") as file:
        path = array_path("conv3", "bias")
        file.move(path, "elsewhere")
        file[path] = link
    refused(copy, "layer conv3", "link")


def test_array_in_another_file(copy, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4))
    with h5py.File(copy, "r+") as file:
        del file[array_path("conv3", "bias")]
        file.create_dataset(
            array_path("conv3", "bias"), (1,), np.float32, external=[(tmp_path / "secret", 0, 4)]
        )
    refused(copy, "layer conv3: bias", "another file")


def test_specs_name_each_layer_once():
    names = [spec.name for spec in layer_specs(Architecture())]
    assert len(names) == len(set(names)) == 2 * 1 + 82 * 4 + 3 * 2 + 1 + 1 + 8 + 1
