"""Writes DenseDepth weight files with random weights, as Keras 2.2.4 laid out the published ones.

Names and graph are spelt out here once more rather than taken from `depth.densedepth`: a file
written from the very table that reads it could not show an error in that table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

PUBLISHED_PARAMETERS = 42_816_089
NORM_ROLES = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclass
class KerasFile:
    """The layers of a model in order: what model_config says of them, and their arrays."""

    rng: np.random.Generator
    config: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, list[tuple[str, np.ndarray]]] = field(default_factory=dict)

    def layer(self, kind: str, name: str, inputs: list[str], **settings: Any) -> str:
        nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
        self.config.append(
            {
                "name": name,
                "class_name": kind,
                "config": {"name": name, **settings},
                "inbound_nodes": nodes,
            }
        )
        self.weights[name] = []
        return name

    def conv(self, name: str, source: str, size: int, shape: tuple[int, int], bias: bool) -> str:
        self.layer("Conv2D", name, [source], filters=shape[1], activation="linear", use_bias=bias)
        # He's initialisation keeps the maps' scale from layer to layer.
        deviation = (2.0 / (size * size * shape[0])) ** 0.5
        kernel = self.rng.standard_normal((size, size, *shape), dtype=np.float32) * deviation
        self.weights[name] = [("kernel", kernel.astype(np.float32))]
        if bias:
            self.weights[name].append(("bias", self._normal(shape[1])))
        return name

    def norm(self, name: str, source: str, channels: int) -> str:
        self.layer("BatchNormalization", name, [source], epsilon=1.001e-05, axis=3)
        # One scale in eight is negative and one zero in sixteen: trained networks have both.
        gamma = self.rng.uniform(0.7, 1.3, channels) * self.rng.choice(
            [-1, 1], channels, p=[1 / 8, 7 / 8]
        )
        gamma[self.rng.random(channels) < 1 / 16] = 0.0
        values = (
            gamma,
            self._normal(channels),
            self._normal(channels),
            self.rng.uniform(0.5, 1.5, channels),
        )
        self.weights[name] = [
            (role, value.astype(np.float32)) for role, value in zip(NORM_ROLES, values, strict=True)
        ]
        return name

    def _normal(self, size: int) -> np.ndarray:
        return self.rng.normal(0.0, 0.1, size).astype(np.float32)


def densedepth(
    blocks: tuple[int, ...] = (6, 12, 32, 32),
    half: bool = False,
    activations: int = 1,
    final_relu: bool = True,
    seed: int = 0,
) -> KerasFile:
    """A DenseDepth network with random weights, as a list of Keras layers."""
    file = KerasFile(np.random.default_rng(seed))
    x = file.layer("InputLayer", "input_1", [], batch_input_shape=[None, None, None, 3])
    x = file.layer("ZeroPadding2D", "zero_padding2d_1", [x])
    x = file.conv("conv1/conv", x, 7, (3, 64), bias=False)
    x = file.norm("conv1/bn", x, 64)
    x = file.layer("Activation", "conv1/relu", [x], activation="relu")
    x = file.layer("ZeroPadding2D", "zero_padding2d_2", [x])
    x = file.layer("MaxPooling2D", "pool1", [x])
    channels = 64
    for block, layers in enumerate(blocks, start=2):
        for number in range(1, layers + 1):
            name = f"conv{block}_block{number}"
            y = file.norm(f"{name}_0_bn", x, channels)
            y = file.layer("Activation", f"{name}_0_relu", [y], activation="relu")
            y = file.conv(f"{name}_1_conv", y, 1, (channels, 128), bias=False)
            y = file.norm(f"{name}_1_bn", y, 128)
            y = file.layer("Activation", f"{name}_1_relu", [y], activation="relu")
            y = file.conv(f"{name}_2_conv", y, 3, (128, 32), bias=False)
            x = file.layer("Concatenate", f"{name}_concat", [x, y], axis=3)
            channels += 32
        if block < 5:
            x = file.norm(f"pool{block}_bn", x, channels)
            x = file.layer("Activation", f"pool{block}_relu", [x], activation="relu")
            x = file.conv(f"pool{block}_conv", x, 1, (channels, channels // 2), bias=False)
            x = file.layer("AveragePooling2D", f"pool{block}_pool", [x])
            channels //= 2
    x = file.norm("bn", x, channels)
    if final_relu:
        x = file.layer("Activation", "relu", [x], activation="relu")
    filters = channels // 2 if half else channels
    x = file.conv("conv2", x, 1, (channels, filters), bias=True)
    leaky = 0
    skips = [("pool3_pool", 256), ("pool2_pool", 128), ("pool1", 64), ("conv1/relu", 64)]
    for level, (skip, skip_channels) in enumerate(skips, start=1):
        after = (channels // 2 if half else channels) // 2**level
        x = file.layer("BilinearUpSampling2D", f"up{level}_upsampling2d", [x], size=[2, 2])
        x = file.layer("Concatenate", f"up{level}_concat", [x, skip], axis=-1)
        x = file.conv(f"up{level}_convA", x, 3, (filters + skip_channels, after), bias=True)
        if activations == 2:
            leaky += 1
            x = file.layer("LeakyReLU", f"leaky_re_lu_{leaky}", [x], alpha=0.20000000298023224)
        x = file.conv(f"up{level}_convB", x, 3, (after, after), bias=True)
        leaky += 1
        x = file.layer("LeakyReLU", f"leaky_re_lu_{leaky}", [x], alpha=0.20000000298023224)
        filters = after
    file.conv("conv3", x, 3, (filters, 1), bias=True)
    return file


def write(file: KerasFile, path: Path, split: bool = False) -> Path:
    """Writes the layers as Keras 2.2.4's model.save does, without optimizer."""
    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": file.config,
            "input_layers": [["input_1", 0, 0]],
            "output_layers": [["conv3", 0, 0]],
        },
    }
    with h5py.File(path, "w") as out:
        out.attrs["keras_version"] = b"2.2.4"
        out.attrs["backend"] = b"tensorflow"
        out.attrs["model_config"] = json.dumps(config).encode()
        group = out.create_group("model_weights")
        # As NumPy arrays, for fixed-length strings: lists would become variable-length ones.
        names = np.array([name.encode() for name in file.weights])
        if split:
            for part, start in enumerate(range(0, len(names), 200)):
                group.attrs[f"layer_names{part}"] = names[start : start + 200]
        else:
            group.attrs["layer_names"] = names
        for name, arrays in file.weights.items():
            layer = group.create_group(name)
            layer.attrs["weight_names"] = np.array(
                [f"{name}/{role}:0".encode() for role, _ in arrays]
            )
            for role, array in arrays:
                layer.create_dataset(f"{name}/{role}:0", data=array)
    return path
