"""DenseDepth as a Keras model: the only module here that needs Keras.

Only `keras.ops` is used, so the model runs on TensorFlow, JAX and PyTorch. Maps are
(batch, height, width, channels) on all of them.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from fgbg.models.depth.densedepth import (
    LEAKY_SLOPE,
    LEVELS,
    Architecture,
    Arrays,
    Resize,
    check_input_size,
)
from fgbg.models.depth.densedepth_rewrite import Plan, rewrite

Tensor = Any

BLOCK = 40
"""Output rows of one product in `banded_matmul`; 40 was the fastest of 40, 56, 80, 112 and all."""


@functools.lru_cache(maxsize=64)
def interpolation_matrix(size: int, resize: Resize = "align_corners") -> NDArray[np.float32]:
    """The (2 size, size) matrix of bilinear up-sampling by two along one axis.

    Output i lies at input position p_i, i (size - 1) / (2 size - 1) with aligned corners and
    clip((i + 0.5) / 2 - 0.5, 0, size - 1) with half-pixel centres; input j has the weight
    max(0, 1 - |p_i - j|). Computed in float64, exact to float32.
    """
    step = np.arange(2 * size, dtype=np.float64)
    if resize == "align_corners":
        position = step * (size - 1) / (2 * size - 1)
    else:
        position = np.clip((step + 0.5) / 2 - 0.5, 0, size - 1)
    weight = np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(size)))
    return weight.astype(np.float32)


@functools.lru_cache(maxsize=64)
def tap_matrix(size: int, resize: Resize = "align_corners") -> NDArray[np.float32]:
    """The (2 size, 3 size) matrix that up-samples three taps, shifts them and adds them up.

    Column 3 j + t holds what tap t (-1, 0, +1 for t = 0, 1, 2) of input j gives each output: the
    interpolation matrix's row i + t - 1, or nothing where that row lies outside, which is the zero
    padding of a 3-wide convolution.
    """
    up = interpolation_matrix(size, resize)
    taps = np.zeros((2 * size, size, 3), np.float32)
    taps[1:, :, 0] = up[:-1]
    taps[:, :, 1] = up
    taps[:-1, :, 2] = up[1:]
    return taps.reshape(2 * size, 3 * size)


def banded_matmul(matrix: NDArray[np.float32], x: Tensor) -> Tensor:
    """Multiplies x (..., columns, channels) from the left by a banded matrix (rows, columns).

    The interpolation matrices have at most two (`tap_matrix`: six) numbers in a row, near the
    diagonal. Taking the rows in blocks and of x only what a block needs leaves out most of the
    zeros: half the time at 240 and 320 rows, and the same numbers to the last bit.
    """
    products = []
    for start in range(0, matrix.shape[0], BLOCK):
        rows = matrix[start : start + BLOCK]
        used = np.flatnonzero(rows.any(axis=0))
        first, last = int(used[0]), int(used[-1]) + 1
        block = ops.convert_to_tensor(rows[:, first:last], dtype=x.dtype)
        products.append(ops.matmul(block, x[..., first:last, :]))
    return products[0] if len(products) == 1 else ops.concatenate(products, axis=-2)


def upsample(x: Tensor, resize: Resize = "align_corners") -> Tensor:
    """Up-samples (batch, height, width, channels) by two, bilinearly, as two matrix products."""
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height, width * channels))
    x = banded_matmul(interpolation_matrix(height, resize), x)
    x = ops.reshape(x, (-1, 2 * height, width, channels))
    return banded_matmul(interpolation_matrix(width, resize), x)


def spread_taps(rows: list[Tensor], resize: Resize = "align_corners") -> Tensor:
    """Up-samples the nine taps of a 3x3 convolution by two, shifts them and adds them up.

    Args:
      rows: for each row of the kernel the small map's 1x1 convolution by that row's three taps:
        (batch, height, width, 3 channels), the columns' taps one after the other.
      resize: how to up-sample.

    Returns:
      (batch, 2 height, 2 width, channels): the zero-padded 3x3 convolution of the up-sampled map.
    """
    _, height, width, channels = rows[0].shape
    channels //= 3
    across, down = tap_matrix(width, resize), tap_matrix(height, resize)
    # Width first: that is on the small height, and leaves a third of the channels for the second.
    wide = [banded_matmul(across, ops.reshape(r, (-1, height, 3 * width, channels))) for r in rows]
    tall = ops.reshape(ops.stack(wide, axis=2), (-1, 3 * height, 2 * width * channels))
    return ops.reshape(banded_matmul(down, tall), (-1, 2 * height, 2 * width, channels))


def metres_from_raw(raw: Tensor, max_depth_m: float, min_depth_m: float | None = None) -> Tensor:
    """`densedepth.raw_to_metres` inside a graph: float32 metres of raw's shape."""
    nearest = 10.0 if min_depth_m is None else 1000.0 * min_depth_m / max_depth_m
    raw = ops.cast(raw, "float32")
    return ops.clip(1000.0 / raw, nearest, 1000.0) * (max_depth_m / 1000.0)


class DenseDepthNetwork(keras.Model):
    """The network: RGB pictures in 0..1 to raw values, 1000 / depth (`raw_to_metres`).

    Input (batch, height, width, 3), any float dtype, sides multiples of 32 and known when the
    call is traced; output (batch, height / 2, width / 2, 1) float32. For inference only: the batch
    norms' statistics are constants.
    """

    def __init__(self, plan: Plan, dtype: str = "float32", name: str = "densedepth") -> None:
        super().__init__(dtype=dtype, name=name)
        self.architecture = plan.architecture
        self.plan_folded = plan.folded
        self.convolve_first = plan.convolve_first
        self.merged = plan.merged
        self._tensors: dict[str, keras.Variable] = {}
        for key, array in plan.tensors.items():
            variable = self.add_weight(
                name=key.replace("/", "_"),
                shape=array.shape,
                initializer="zeros",
                trainable=False,
                dtype="float32" if key.startswith("conv3/") else dtype,
            )
            variable.assign(array)
            self._tensors[key] = variable
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Computes the raw values; `training` changes nothing."""
        del training
        height, width = inputs.shape[1], inputs.shape[2]
        if height is None or width is None:
            raise ValueError("DenseDepth needs the picture's height and width when it is traced")
        check_input_size(height, width)
        skips, x = self._encode(ops.cast(inputs, self.compute_dtype))
        if not self.merged:
            x = self._conv(x, "conv2")
        for level in range(1, LEVELS + 1):
            x = self._level(x, skips[-level], level)
        return self._conv(ops.cast(x, "float32"), "conv3", padding="same")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, height, width, 3) -> (batch, height / 2, width / 2, 1)."""
        batch, height, width, _ = input_shape
        return batch, height and height // 2, width and width // 2, 1

    def _encode(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """The encoder: its maps at 1/2, 1/4, 1/8 and 1/16 and, ready for conv2, at 1/32."""
        x = ops.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)))
        x = self._norm_relu(self._conv(x, "conv1", strides=2), "conv1")
        skips = [x]
        # The ReLU's values are 0 or more, so padding with zeros is padding with nothing.
        x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x = ops.max_pool(x, 3, 2, padding="valid", data_format="channels_last")
        skips.append(x)
        for block, layers in enumerate(self.architecture.blocks, start=2):
            for layer in range(1, layers + 1):
                name = f"conv{block}_block{layer}"
                new = self._conv(self._pre(x, f"{name}_1"), f"{name}_1")
                new = self._conv(self._norm_relu(new, f"{name}_2"), f"{name}_2", padding="same")
                x = ops.concatenate([x, new], axis=-1)
            if block < 5:
                x = self._transition(x, f"pool{block}")
            if block < 4:
                skips.append(x)
        return skips, self._pre(x, "conv2", relu=self.architecture.final_relu)

    def _transition(self, x: Tensor, name: str) -> Tensor:
        def pool(x: Tensor) -> Tensor:
            return ops.average_pool(x, 2, 2, padding="valid", data_format="channels_last")

        x = self._pre(x, name)
        return self._conv(pool(x), name) if self.plan_folded else pool(self._conv(x, name))

    def _level(self, x: Tensor, skip: Tensor, level: int) -> Tensor:
        """One decoder block: up-sample, join the skip, convA, convB."""
        name, resize = f"up{level}", self.architecture.resize
        if level <= self.convolve_first:
            rows = [self._conv(x, f"{name}_row{row}") for row in range(3)]
            x = spread_taps(rows, resize) + self._conv(skip, f"{name}_convA", padding="same")
        else:
            x = ops.concatenate([upsample(x, resize), skip], axis=-1)
            x = self._conv(x, f"{name}_convA", padding="same")
        if self.architecture.activations == 2:
            x = ops.leaky_relu(x, LEAKY_SLOPE)
        return ops.leaky_relu(self._conv(x, f"{name}_convB", padding="same"), LEAKY_SLOPE)

    def _conv(self, x: Tensor, name: str, strides: int = 1, padding: str = "valid") -> Tensor:
        kernel = self._tensors[f"{name}/kernel"]
        x = ops.conv(x, kernel, strides=strides, padding=padding, data_format="channels_last")
        bias = self._tensors.get(f"{name}/bias")
        return x if bias is None else ops.add(x, bias)

    def _pre(self, x: Tensor, name: str, relu: bool = True) -> Tensor:
        """What stands before a 1x1 convolution: norm and ReLU, or the clip they were folded to."""
        if not self.plan_folded:
            x = x * self._tensors[f"{name}/scale"] + self._tensors[f"{name}/shift"]
            return ops.relu(x) if relu else x
        if not relu:
            return x
        x = ops.maximum(x, self._tensors[f"{name}/low"])
        high = self._tensors.get(f"{name}/high")
        return x if high is None else ops.minimum(x, high)

    def _norm_relu(self, x: Tensor, name: str) -> Tensor:
        """What stands after a convolution: norm and ReLU; folded, the ReLU alone."""
        if not self.plan_folded:
            x = x * self._tensors[f"{name}/scale"] + self._tensors[f"{name}/shift"]
        return ops.relu(x)


def build_network(
    architecture: Architecture,
    arrays: Arrays,
    *,
    fold: bool = True,
    convolve_first: int = LEVELS,
    dtype: str = "float32",
) -> DenseDepthNetwork:
    """Builds the network in Keras, with its weights.

    The defaults are the fastest on a CPU; every choice computes the same function up to rounding.

    Args:
      architecture: which of the networks; read from the file by `densedepth_weights.load`.
      arrays: every layer's arrays, as `densedepth_weights.load` gives them.
      fold: whether batch norms are folded into convolutions and 1x1 convolutions moved where the
        map is smaller (`densedepth_rewrite` has the algebra). False is the network as published.
      convolve_first: in how many decoder blocks, counted from the smallest map, convA works on
        the map before it is up-sampled. 0 is the network as published.
      dtype: "float32", "bfloat16" or "float16" for weights and maps; the last convolution and
        the output are float32 in any case, as eight bits of mantissa would be too few for depth.

    Returns:
      A keras.Model from float RGB pictures (batch, height, width, 3) in 0..1, height and width
      multiples of 32, to float32 raw values (batch, height / 2, width / 2, 1).
    """
    if not 0 <= convolve_first <= LEVELS:
        raise ValueError(f"convolve_first is {convolve_first}, not between 0 and {LEVELS}")
    if dtype not in ("float32", "bfloat16", "float16"):
        raise ValueError(f"dtype is {dtype!r}, not 'float32', 'bfloat16' or 'float16'")
    plan = rewrite(architecture, arrays, fold=fold, convolve_first=convolve_first, dtype=dtype)
    return DenseDepthNetwork(plan, dtype=dtype)
