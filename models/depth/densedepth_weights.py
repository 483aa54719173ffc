"""Reads DenseDepth weights from the HDF5 files that Keras 2 wrote: nyu.h5, kitti.h5 and later ones.

Such a file has, as attribute `model_config`, the network as JSON, and the arrays under the group
`model_weights`: its attribute `layer_names` names the layers, each layer's group names its arrays
in order in `weight_names`. Names have slashes, so that groups nest: the kernel of `conv1/conv` is
`model_weights/conv1/conv/conv1/conv/kernel:0`. An attribute that would exceed 64 KiB is split into
`layer_names0`, `layer_names1` and so on.

The architecture is read from `model_config` and every array is used exactly once: matching by name
alone, as Keras does, leaves layers at random weights without a word. Only h5py and json read the
file: nothing in it is unpickled, imported or run, and links out of the file are refused.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fgbg.files.file_kind import what_instead
from fgbg.models.depth.densedepth import (
    BATCH_NORM_EPSILON,
    ENCODER_BLOCKS,
    LEAKY_SLOPE,
    LEVELS,
    Architecture,
    LayerSpec,
    layer_specs,
)

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SKIPS = ("pool3_pool", "pool2_pool", "pool1", "conv1/relu")
# Keras 3 forbids slashes in layer names and writes underscores instead.
_UNSLASHED = {name.replace("/", "_"): name for name in ("conv1/conv", "conv1/bn", "conv1/relu")}


class WeightFileError(ValueError):
    """A weight file that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class DenseDepthWeights:
    """What a weight file holds.

    Attributes:
      path: the file.
      architecture: which of the networks, read from the file.
      arrays: each layer's float32 arrays under its published name, in the file's order.
    """

    path: str
    architecture: Architecture
    arrays: dict[str, tuple[NDArray[np.float32], ...]] = field(repr=False)


def load(path: str | os.PathLike[str]) -> DenseDepthWeights:
    """Reads architecture and arrays of a Keras 2 DenseDepth file.

    Raises:
      WeightFileError: the file is missing, cut short, of another kind or network, or a layer is
        missing, extra, misshapen or not finite.
    """
    with _opened(path) as (file, architecture):
        arrays = _read_arrays(path, file["model_weights"], architecture)
        return DenseDepthWeights(os.fspath(path), architecture, arrays)


def inspect(path: str | os.PathLike[str]) -> Architecture:
    """Which network a file holds, from its header alone: quick, the arrays are not read.

    Raises:
      WeightFileError: as `load`, as far as it shows without the arrays.
    """
    with _opened(path) as (_, architecture):
        return architecture


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[h5py.File, Architecture]]:
    """The file and its architecture; what h5py finds wrong becomes a WeightFileError."""
    _check_is_hdf5(Path(path))
    try:
        with h5py.File(path, "r") as file:
            yield file, read_architecture(path, _model_config(path, file))
    except WeightFileError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        # h5py has no error classes of its own: what libhdf5 says is all there is to tell by.
        if "truncated" in str(error):
            raise _error(path, f"cut short: download it again ({error})") from error
        raise _error(path, f"damaged, download it again ({error})") from error


def _error(path: str | os.PathLike[str], what: str) -> WeightFileError:
    return WeightFileError(f"weight file {os.fspath(path)}: {what}")


def _check_is_hdf5(path: Path) -> None:
    """Raises, with what the file is instead, unless it begins like an HDF5 file."""
    if path.is_dir():
        raise _error(path, "a folder, not an HDF5 file")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror or error}") from error
    if not head.startswith(_HDF5_SIGNATURE):
        raise _error(path, what_instead(path, head))


def _model_config(path: str | os.PathLike[str], file: h5py.File) -> dict[str, Any]:
    """The network's JSON, having checked that this is a whole Keras 2 model."""
    weights_only = "model_weights" not in file
    if weights_only and "layer_names" not in file.attrs and "layer_names0" not in file.attrs:
        raise _error(path, "HDF5, but not a model saved by Keras (it has no group model_weights)")
    if weights_only or "model_config" not in file.attrs:
        raise _error(
            path,
            "weights without the network's description (attribute model_config): which variant"
            " they are for cannot be known; save the whole model with model.save('NAME.h5')",
        )
    if not isinstance(file.get("model_weights", getlink=True), h5py.HardLink):
        raise _error(path, "model_weights is a link, which is not followed")
    text = file.attrs["model_config"]
    try:
        config = json.loads(text.decode() if isinstance(text, bytes) else text)
    except (ValueError, TypeError, RecursionError) as error:
        raise _error(path, f"its model_config is not JSON: {error}") from error
    return config


@dataclass(frozen=True)
class _Layer:
    """A layer of model_config: its class, settings and the layers it is given."""

    kind: str
    config: dict[str, Any]
    inputs: tuple[str, ...]


def read_architecture(path: str | os.PathLike[str], config: dict[str, Any]) -> Architecture:
    """Reads encoder, decoder width and activations from a Keras model_config.

    Args:
      path: the file's name, for messages.
      config: the parsed JSON.

    Raises:
      WeightFileError: it describes another network, or a part that DenseDepth has otherwise.
    """
    try:
        layers = {
            _published(entry["config"]["name"]): _Layer(
                entry["class_name"].split(">")[-1],
                entry["config"],
                tuple(_published(name) for name in _inputs(entry.get("inbound_nodes", []))),
            )
            for entry in config["config"]["layers"]
        }
        return _Graph(path, layers).architecture()
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise _error(path, f"its model_config is not as Keras writes it ({error!r})") from error


def _published(name: str) -> str:
    return _UNSLASHED.get(name, name)


def _inputs(node: Any) -> Iterator[str]:
    """Names of the layers a layer is given: every [name, number, number, ...] in its nodes."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _inputs(value)
    elif isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int):
            yield node[0]
        else:
            for value in node:
                yield from _inputs(value)


class _Graph:
    """The layers of a model_config, asked what DenseDepth variants differ in."""

    def __init__(self, path: str | os.PathLike[str], layers: dict[str, _Layer]) -> None:
        self.path = path
        self.layers = layers

    def architecture(self) -> Architecture:
        blocks = [0, 0, 0, 0]
        for name in self.layers:
            if match := re.fullmatch(r"conv([2-5])_block\d+_1_conv", name):
                blocks[int(match[1]) - 2] += 1
        encoders = [encoder for encoder, counts in ENCODER_BLOCKS.items() if counts == (*blocks,)]
        if not encoders or "conv2" not in self.layers or "conv3" not in self.layers:
            kind = f"a DenseNet with blocks of {blocks}" if any(blocks) else "no DenseNet"
            some = ", ".join(list(self.layers)[:4])
            raise _error(
                self.path,
                f"another network, not DenseDepth: {kind} among its {len(self.layers)} layers"
                f" ({some}, ...); DenseDepth is DenseNet-169 or -201 with layers conv2 to conv3",
            )
        for name, layer in self.layers.items():
            self._check_layer(name, layer)
        final_relu = self._input("conv2") != "bn"
        if final_relu:
            self._expect(self._input("conv2"), ("bn",))
        return Architecture(
            encoder=encoders[0],
            decoder_filters=int(self.layers["conv2"].config["filters"]),
            activations=self._activations(),
            final_relu=final_relu,
        )

    def _activations(self) -> int:
        """LeakyReLUs a decoder block, having followed the decoder from conv2 to conv3."""
        found = set()
        before = "conv2"
        for level, skip in enumerate(_SKIPS, start=1):
            up, join = f"up{level}_upsampling2d", f"up{level}_concat"
            self._expect(up, (before,))
            self._expect(join, (up, skip))
            self._expect(f"up{level}_convA", (join,))
            between = self._input(f"up{level}_convB")
            if between == f"up{level}_convA":
                found.add(1)
            else:
                self._expect_leaky(between, f"up{level}_convA")
                found.add(2)
            before = self._input(f"up{level + 1}_upsampling2d" if level < LEVELS else "conv3")
            self._expect_leaky(before, f"up{level}_convB")
        if len(found) > 1:
            raise _error(self.path, "some decoder blocks have one LeakyReLU, others two")
        return found.pop()

    def _layer(self, name: str) -> _Layer:
        if name not in self.layers:
            raise _error(self.path, f"layer {name} is missing from its model_config")
        return self.layers[name]

    def _input(self, name: str) -> str:
        inputs = self._layer(name).inputs
        if len(inputs) != 1:
            raise _error(self.path, f"layer {name} has inputs {inputs}, DenseDepth's has one")
        return inputs[0]

    def _expect(self, name: str, inputs: tuple[str, ...]) -> None:
        found = self._layer(name).inputs
        if found != inputs:
            raise _error(self.path, f"layer {name} has inputs {found}, DenseDepth's has {inputs}")

    def _expect_leaky(self, name: str, before: str) -> None:
        kind = self._layer(name).kind
        if kind != "LeakyReLU":
            raise _error(self.path, f"layer {name} is {kind}, DenseDepth has LeakyReLU there")
        self._expect(name, (before,))

    def _check_layer(self, name: str, layer: _Layer) -> None:
        """Raises where a layer's settings would make it compute something else."""
        if layer.kind == "Lambda":
            raise _error(self.path, f"layer {name} is a Lambda, code that is not run")
        if layer.kind == "BatchNormalization":
            epsilon = float(layer.config["epsilon"])
            if not np.isclose(epsilon, BATCH_NORM_EPSILON, rtol=1e-3):
                raise _error(
                    self.path, f"layer {name} has epsilon {epsilon}, not {BATCH_NORM_EPSILON}"
                )
        if layer.kind == "LeakyReLU":
            slope = layer.config.get("alpha", layer.config.get("negative_slope", 0.0))
            slope = slope["value"] if isinstance(slope, dict) else slope  # a numpy scalar's JSON
            if not np.isclose(float(slope), LEAKY_SLOPE, rtol=1e-3):
                raise _error(self.path, f"layer {name} has slope {slope}, not {LEAKY_SLOPE}")
        if layer.kind == "Conv2D" and layer.config.get("activation", "linear") != "linear":
            activation = layer.config["activation"]
            raise _error(self.path, f"layer {name} has activation {activation}, not linear")
        if name.endswith("_upsampling2d") and layer.kind != "BilinearUpSampling2D":
            raise _error(self.path, f"layer {name} is {layer.kind}, not BilinearUpSampling2D")


def _read_arrays(
    path: str | os.PathLike[str], weights: h5py.Group, architecture: Architecture
) -> dict[str, tuple[NDArray[np.float32], ...]]:
    """Every layer's arrays; each of the file's is used once, none is left and none is missing."""
    specs = {spec.name: spec for spec in layer_specs(architecture)}
    arrays: dict[str, tuple[NDArray[np.float32], ...]] = {}
    used: set[str] = set()
    for layer_name in _names(weights, "layer_names"):
        name = _published(layer_name)
        group = _member(path, name, weights, layer_name)
        names = _names(group, "weight_names") if isinstance(group, h5py.Group) else []
        if not names:
            continue
        if name not in specs:
            raise _error(path, f"layer {name} is extra: {architecture.encoder} has none so named")
        if name in arrays:
            raise _error(path, f"layer {name} is there twice")
        datasets = [_member(path, name, group, weight) for weight in names]
        used.update(dataset.name for dataset in datasets)
        arrays[name] = _read_layer(path, specs[name], names, datasets)
    for name in specs:
        if name not in arrays:
            raise _error(path, f"layer {name} is missing: the file names no such layer")
    left = sorted(set(_dataset_names(weights)) - used)
    if left:
        raise _error(path, f"{len(left)} extra arrays that no layer names, the first {left[0]}")
    return {name: arrays[name] for name in specs}


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names, whole or split into attribute0, attribute1, ..."""
    parts = [attribute]
    if attribute not in group.attrs:
        numbered = (f"{attribute}{part}" for part in itertools.count())
        parts = list(itertools.takewhile(lambda part: part in group.attrs, numbered))
    return [
        name.decode() if isinstance(name, bytes) else str(name)
        for part in parts
        for name in np.atleast_1d(group.attrs[part])
    ]


def _member(path: str | os.PathLike[str], layer: str, group: h5py.Group, name: str) -> Any:
    """What lies under `name`, however nested; links are not followed."""
    steps = name.split("/")
    for step in steps:
        link = group.get(step, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            raise _error(path, f"layer {layer} is missing its array or group {name}")
        if not isinstance(link, h5py.HardLink):
            raise _error(path, f"layer {layer}: {name} is a link, which is not followed")
        group = group[step]
    return group


def _dataset_names(group: h5py.Group) -> list[str]:
    found: list[str] = []

    def visit(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(item.name)

    group.visititems(visit)
    return found


def _read_layer(
    path: str | os.PathLike[str], spec: LayerSpec, names: list[str], datasets: list[Any]
) -> tuple[NDArray[np.float32], ...]:
    # The role is the last part of "conv1/bn/gamma:0"; gamma, beta, mean and variance have one
    # shape, so that only their names tell them apart.
    roles = tuple(name.split("/")[-1].split(":")[0] for name in names)
    if roles != spec.roles:
        raise _error(path, f"layer {spec.name} has arrays {roles}, DenseDepth's has {spec.roles}")
    arrays = []
    for role, shape, dataset in zip(spec.roles, spec.shapes, datasets, strict=True):
        what = f"layer {spec.name}: {role}"
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
            raise _error(path, f"{what} is not an array of floats")
        if dataset.external or dataset.is_virtual:
            raise _error(path, f"{what} lies in another file, which is not read")
        if dataset.shape != shape:
            raise _error(path, f"{what} has shape {dataset.shape}, not {shape}")
        try:
            array = np.asarray(dataset[()], dtype=np.float32)
        except (OSError, RuntimeError) as error:
            raise _error(path, f"{what} cannot be read, the file is damaged ({error})") from error
        if not np.isfinite(array).all():
            count = array.size - int(np.isfinite(array).sum())
            raise _error(path, f"{what} is not finite in {count} of {array.size} numbers")
        if role == "moving_variance" and (array < 0).any():
            raise _error(path, f"{what} is negative in places")
        arrays.append(array)
    return tuple(arrays)
