"""The algebra that makes DenseDepth cheaper without changing what it computes.

All of it is done once, in float64, on the arrays of the weight file. With a = gamma / sqrt(var +
eps) and b = beta - a mean, a batch norm is x -> a x + b, and:

* A norm after a convolution (`_1_bn`, `conv1/bn`): scale the kernel's outputs by a, add the bias b.
* A norm and ReLU before a 1x1 convolution (`_0_bn`, `pool_bn`, `bn`). DenseNet is pre-activation,
  so there is no convolution before to fold into. With t = -b / a

      relu(a x + b) = a max(x, t) + b   (a > 0)          = a min(x, t) + b   (a < 0)

  and the outer a and b, being linear, go into the kernel and a bias. What is left of the norm and
  the ReLU is one pass over the map instead of three.
* A transition's 1x1 convolution and its average pooling commute: pool first, a quarter of the work.
* `conv2` is linear and so is bilinear up-sampling, whose weights sum to one: where that is cheaper
  conv2 is merged into the first block's per-tap kernels.
* A 3x3 convolution of an up-sampled map is a sum over its nine taps of shifted, up-sampled 1x1
  convolutions of the small map: conv(U x)[p] = sum_t (U (K_t x))[p + t], zero outside. That is a
  quarter of the multiplications for the up-sampled channels; the skip's channels are convolved as
  before. `densedepth_layers` does the up-sampling and the sum, borders included, as two small
  matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fgbg.models.depth.densedepth import (
    BATCH_NORM_EPSILON,
    LEVELS,
    Architecture,
    Arrays,
    layer_specs,
)

Array = NDArray[np.floating]

_THRESHOLD_LIMIT = {"float16": 3e4}
"""Above this a ReLU's threshold counts as never reached; elsewhere the limit is 1e30."""


@dataclass(frozen=True)
class Plan:
    """What the network computes with.

    Attributes:
      architecture: which of the networks.
      folded: whether batch norms are gone (`rewrite`'s fold).
      convolve_first: decoder blocks whose convA works before the up-sampling.
      merged: whether conv2 is part of the first decoder block's taps.
      tensors: the arrays by name, float32, such as "conv2_block1_1/kernel".
    """

    architecture: Architecture
    folded: bool
    convolve_first: int
    merged: bool
    tensors: dict[str, NDArray[np.float32]] = field(repr=False)


def rewrite(
    architecture: Architecture,
    arrays: Arrays,
    *,
    fold: bool = True,
    convolve_first: int = LEVELS,
    dtype: str = "float32",
) -> Plan:
    """Rewrites the file's arrays into the ones the network computes with.

    Args:
      architecture: which of the networks.
      arrays: every layer's arrays under the names and with the shapes of `layer_specs`.
      fold: whether to fold batch norms.
      convolve_first: decoder blocks, from the smallest map on, to split into taps.
      dtype: what the network computes in; only its range matters here.

    Raises:
      ValueError: an array is missing or misshapen.
    """
    _check(architecture, arrays)
    limit = _THRESHOLD_LIMIT.get(dtype, 1e30)
    out: dict[str, Array] = {}
    _encoder(architecture, arrays, fold, limit, out)
    merged = _decoder(architecture, arrays, fold, convolve_first, limit, out)
    tensors = {name: np.ascontiguousarray(array, np.float32) for name, array in out.items()}
    return Plan(architecture, fold, convolve_first, merged, tensors)


def _check(architecture: Architecture, arrays: Arrays) -> None:
    for spec in layer_specs(architecture):
        shapes = tuple(np.shape(array) for array in arrays.get(spec.name, ()))
        if shapes != spec.shapes:
            raise ValueError(f"layer {spec.name} has arrays {shapes}, not {spec.shapes}")


def _affine(arrays: Arrays, norm: str) -> tuple[Array, Array]:
    gamma, beta, mean, variance = (np.asarray(a, np.float64) for a in arrays[norm])
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    return scale, beta - mean * scale


def _encoder(
    architecture: Architecture, arrays: Arrays, fold: bool, limit: float, out: dict[str, Array]
) -> None:
    _conv_norm(arrays, "conv1/conv", "conv1/bn", fold, "conv1", out)
    for block, layers in enumerate(architecture.blocks, start=2):
        for layer in range(1, layers + 1):
            name = f"conv{block}_block{layer}"
            inner: dict[str, Array] = {}
            _norm_conv(arrays, f"{name}_0_bn", f"{name}_1_conv", fold, limit, f"{name}_1", inner)
            if fold:
                scale, shift = _affine(arrays, f"{name}_1_bn")
                inner[f"{name}_1/kernel"] = inner[f"{name}_1/kernel"] * scale
                inner[f"{name}_1/bias"] = inner[f"{name}_1/bias"] * scale + shift
            else:
                inner[f"{name}_2/scale"], inner[f"{name}_2/shift"] = _affine(arrays, f"{name}_1_bn")
            out.update(inner)
            out[f"{name}_2/kernel"] = arrays[f"{name}_2_conv"][0]
        if block < 5:
            name = f"pool{block}"
            _norm_conv(arrays, f"{name}_bn", f"{name}_conv", fold, limit, name, out)


def _conv_norm(
    arrays: Arrays, conv: str, norm: str, fold: bool, name: str, out: dict[str, Array]
) -> None:
    """Convolution, then norm: with `fold` one convolution with a bias."""
    scale, shift = _affine(arrays, norm)
    kernel = arrays[conv][0]
    if fold:
        out[f"{name}/kernel"], out[f"{name}/bias"] = kernel * scale, shift
    else:
        out[f"{name}/kernel"], out[f"{name}/scale"], out[f"{name}/shift"] = kernel, scale, shift


def _norm_conv(
    arrays: Arrays,
    norm: str,
    conv: str,
    fold: bool,
    limit: float,
    name: str,
    out: dict[str, Array],
) -> None:
    """Norm, ReLU, 1x1 convolution: with `fold` a clip, then a 1x1 convolution with a bias."""
    scale, shift = _affine(arrays, norm)
    kernel = np.asarray(arrays[conv][0], np.float64)
    if not fold:
        out[f"{name}/scale"], out[f"{name}/shift"] = scale, shift
        out[f"{name}/kernel"] = kernel
        return
    low, high, scale, offset = relu_as_clip(scale, shift, limit)
    out[f"{name}/low"] = low
    if np.isfinite(high).any():  # a negative scale is rare: most layers need no upper bound
        out[f"{name}/high"] = high
    out[f"{name}/kernel"] = kernel * scale[:, None]
    out[f"{name}/bias"] = np.einsum("c,xyco->o", offset, kernel)


def relu_as_clip(
    scale: Array, shift: Array, limit: float = 1e30
) -> tuple[Array, Array, Array, Array]:
    """Writes relu(scale x + shift) as factor clip(x, low, high) + offset, channel by channel.

    Args:
      scale: a of each channel, float64.
      shift: b of each channel, float64.
      limit: a threshold -b / a beyond this is one that no x reaches, so that the channel is the
        constant relu(b): dead channels of pretrained networks have a = 1e-20 and less.

    Returns:
      low, high, factor and offset of each channel.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        threshold = -shift / scale
    constant = ~(np.abs(threshold) <= limit)
    low = np.where(scale > 0, threshold, -np.inf)
    high = np.where(scale < 0, threshold, np.inf)
    low, high = np.where(constant, 0.0, low), np.where(constant, 0.0, high)
    factor = np.where(constant, 0.0, scale)
    offset = np.where(constant, np.maximum(shift, 0.0), shift)
    return low, high, factor, offset


def _decoder(
    architecture: Architecture,
    arrays: Arrays,
    fold: bool,
    convolve_first: int,
    limit: float,
    out: dict[str, Array],
) -> bool:
    """Adds the decoder's arrays; tells whether conv2 was merged into the first block."""
    scale, shift = _affine(arrays, "bn")
    kernel, bias = (np.asarray(array, np.float64) for array in arrays["conv2"])
    kernel = kernel[0, 0]
    if not fold:
        out["conv2/scale"], out["conv2/shift"] = scale, shift
    elif architecture.final_relu:
        low, high, factor, offset = relu_as_clip(scale, shift, limit)
        out["conv2/low"], out["conv2/high"] = low, high
        kernel, bias = kernel * factor[:, None], bias + offset @ kernel
    else:
        kernel, bias = kernel * scale[:, None], bias + shift @ kernel

    encoder, (width, _, filters) = kernel.shape[0], architecture.level_channels(1)
    cheaper = encoder * 9 * filters < encoder * width + width * 9 * filters
    merged = fold and convolve_first > 0 and cheaper
    if not merged:
        out["conv2/kernel"], out["conv2/bias"] = kernel[None, None], bias

    for level in range(1, LEVELS + 1):
        upsampled = architecture.level_channels(level)[0]
        conv_a, bias_a = arrays[f"up{level}_convA"]
        out[f"up{level}_convA/bias"] = bias_a
        out[f"up{level}_convB/kernel"], out[f"up{level}_convB/bias"] = arrays[f"up{level}_convB"]
        if level > convolve_first:
            out[f"up{level}_convA/kernel"] = conv_a
            continue
        out[f"up{level}_convA/kernel"] = conv_a[:, :, upsampled:]
        for row in range(3):
            # (column, in, out) -> (in, column x out): the columns' taps are neighbours in memory.
            taps = conv_a[row, :, :upsampled].transpose(1, 0, 2).reshape(upsampled, -1)
            if level == 1 and merged:
                out[f"up{level}_row{row}/bias"] = bias @ taps
                taps = kernel @ taps.astype(np.float64)
            out[f"up{level}_row{row}/kernel"] = taps[None, None]
    out["conv3/kernel"], out["conv3/bias"] = arrays["conv3"]
    return merged
