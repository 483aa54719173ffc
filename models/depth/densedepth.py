"""DenseDepth: monocular depth from one RGB picture, for the weight files its authors published.

Source: I. Alhashim and P. Wonka, "High Quality Monocular Depth Estimation via Transfer Learning",
arXiv 1812.11941, and the repository ialhashim/DenseDepth. The encoder is DenseNet-169 or -201
(arXiv 1608.06993) cut before its classifier; the decoder is, with U the bilinear up-sampling by two
with aligned corners and s_i the encoder's maps at 1/16, 1/8, 1/4 and 1/2 of the input,

    d_0 = W_2 relu(bn(e)) + b_2                               (1x1, at 1/32)
    d_i = leaky(convB_i(act(convA_i([U d_(i-1), s_i]))))      (3x3, i = 1..4)
    y   = conv_3(d_4)                                         (3x3, one channel, at 1/2)

with leaky(x) = max(x, 0.2 x) and act the identity (the published files) or leaky (files trained
from the repository's later code). The network is trained on y = 1000 / depth, with depth on a scale
where 1000 is the data set's largest distance (10 m for NYU, 80 m for KITTI): see `raw_to_metres`.

This module knows the architecture and its arithmetic and does not import Keras; the network itself
is built by `densedepth_layers.build_network`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Encoder = Literal["densenet169", "densenet201"]
Resize = Literal["align_corners", "half_pixel"]
Arrays = Mapping[str, tuple[NDArray[np.float32], ...]]
"""The arrays of each layer under its name in the published files, in the files' order."""

BATCH_NORM_EPSILON = 1.001e-5
LEAKY_SLOPE = 0.2
STRIDE = 32
"""The sides of a picture are multiples of this: the encoder halves it five times."""

ENCODER_BLOCKS: dict[Encoder, tuple[int, int, int, int]] = {
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
}
"""Dense layers in each of the encoder's four blocks (arXiv 1608.06993, table 1)."""

STEM_CHANNELS = 64
GROWTH = 32
BOTTLENECK = 4 * GROWTH
LEVELS = 4
"""Decoder blocks, each up-sampling by two."""

_CONV = ("kernel", "bias")
_BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclass(frozen=True)
class Architecture:
    """Which of the DenseDepth networks a weight file holds.

    Attributes:
      encoder: "densenet169" or "densenet201".
      decoder_filters: channels after the 1x1 convolution `conv2`; block i of the decoder has
        decoder_filters // 2**i. The published files have the encoder's own width (1664), later
        ones half of it.
      activations: LeakyReLUs in each decoder block: 1 (after convB only, the published files) or
        2 (after convA as well).
      final_relu: whether a ReLU stands between the encoder's last batch norm and `conv2`.
      resize: how the decoder up-samples. The published files were trained with aligned corners;
        a weight file does not say it, so "half_pixel" must be asked for (the repository's last
        code resizes so under TensorFlow 2).
    """

    encoder: Encoder = "densenet169"
    decoder_filters: int = 1664
    activations: int = 1
    final_relu: bool = True
    resize: Resize = "align_corners"

    def __post_init__(self) -> None:
        if self.encoder not in ENCODER_BLOCKS:
            raise ValueError(f"encoder is {self.encoder!r}, not one of {sorted(ENCODER_BLOCKS)}")
        if self.activations not in (1, 2):
            raise ValueError(f"activations is {self.activations}, not 1 or 2 a decoder block")
        if self.decoder_filters < 2**LEVELS:
            raise ValueError(f"decoder_filters is {self.decoder_filters}, below {2**LEVELS}")
        if self.resize not in ("align_corners", "half_pixel"):
            raise ValueError(f"resize is {self.resize!r}, not 'align_corners' or 'half_pixel'")

    @property
    def blocks(self) -> tuple[int, int, int, int]:
        """Dense layers in each of the encoder's four blocks."""
        return ENCODER_BLOCKS[self.encoder]

    @property
    def encoder_channels(self) -> int:
        """Channels of the encoder's last map: 1664 (DenseNet-169) or 1920 (DenseNet-201)."""
        return self._block_channels(3) + GROWTH * self.blocks[3]

    @property
    def skip_channels(self) -> tuple[int, int, int, int]:
        """Channels of the encoder maps that decoder blocks 1 to 4 are given."""
        return self._block_channels(2), self._block_channels(1), STEM_CHANNELS, STEM_CHANNELS

    def level_channels(self, level: int) -> tuple[int, int, int]:
        """Channels of decoder block `level` (1..4): up-sampled input, skip, output."""
        filters = self.decoder_filters
        before = filters if level == 1 else filters // 2 ** (level - 1)
        return before, self.skip_channels[level - 1], filters // 2**level

    def _block_channels(self, block: int) -> int:
        """Channels entering dense block `block` (0..3): each transition halves them."""
        channels = STEM_CHANNELS
        for layers in self.blocks[:block]:
            channels = (channels + GROWTH * layers) // 2
        return channels


@dataclass(frozen=True)
class LayerSpec:
    """One layer with weights: its name, what its arrays are called, their shapes, its scale.

    Attributes:
      name: the layer's name in the published files, such as "conv1/conv" or "up1_convA".
      roles: what each array is, in the files' order.
      shapes: the shape of each array; kernels are (height, width, in, out).
      reduction: the input's side divided by the output's, 2 for the stem and 32 for `conv2`.
    """

    name: str
    roles: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    reduction: int


def layer_specs(architecture: Architecture) -> tuple[LayerSpec, ...]:
    """Every layer with weights, in the order of computation."""
    return tuple(_layers(architecture))


def _layers(arch: Architecture) -> Iterator[LayerSpec]:
    def conv(name: str, size: int, before: int, after: int, reduction: int, bias: bool = False):
        shapes: tuple[tuple[int, ...], ...] = ((size, size, before, after),)
        shapes += ((after,),) if bias else ()
        return LayerSpec(name, _CONV[: len(shapes)], shapes, reduction)

    def norm(name: str, channels: int, reduction: int):
        return LayerSpec(name, _BATCH_NORM, ((channels,),) * len(_BATCH_NORM), reduction)

    yield conv("conv1/conv", 7, 3, STEM_CHANNELS, 2)
    yield norm("conv1/bn", STEM_CHANNELS, 2)
    channels, reduction = STEM_CHANNELS, 4
    for block, layers in enumerate(arch.blocks, start=2):
        for layer in range(1, layers + 1):
            name = f"conv{block}_block{layer}"
            yield norm(f"{name}_0_bn", channels, reduction)
            yield conv(f"{name}_1_conv", 1, channels, BOTTLENECK, reduction)
            yield norm(f"{name}_1_bn", BOTTLENECK, reduction)
            yield conv(f"{name}_2_conv", 3, BOTTLENECK, GROWTH, reduction)
            channels += GROWTH
        if block < 5:
            yield norm(f"pool{block}_bn", channels, reduction)
            yield conv(f"pool{block}_conv", 1, channels, channels // 2, reduction)
            channels, reduction = channels // 2, 2 * reduction
    yield norm("bn", channels, reduction)
    yield conv("conv2", 1, channels, arch.decoder_filters, reduction, bias=True)
    for level in range(1, LEVELS + 1):
        reduction //= 2
        upsampled, skip, filters = arch.level_channels(level)
        yield conv(f"up{level}_convA", 3, upsampled + skip, filters, reduction, bias=True)
        yield conv(f"up{level}_convB", 3, filters, filters, reduction, bias=True)
    yield conv("conv3", 3, filters, 1, reduction, bias=True)


def parameter_count(architecture: Architecture) -> int:
    """Numbers in a weight file, the batch norms' moving statistics included.

    42,816,089 for the published files (DenseNet-169, full width).
    """
    return sum(int(np.prod(shape)) for spec in _layers(architecture) for shape in spec.shapes)


def multiply_adds(architecture: Architecture, height: int, width: int) -> int:
    """Multiply-adds of the convolutions, as published, for one picture of height x width.

    The rewritten network (`densedepth_rewrite`) needs fewer; rates are quoted against this number
    so that they compare between variants.
    """
    check_input_size(height, width)
    return sum(
        int(np.prod(spec.shapes[0])) * (height // spec.reduction) * (width // spec.reduction)
        for spec in _layers(architecture)
        if spec.roles[0] == "kernel"
    )


def check_input_size(height: int, width: int) -> None:
    """Raises ValueError unless both sides are positive multiples of 32."""
    for side, value in (("height", height), ("width", width)):
        if value < STRIDE or value % STRIDE:
            near = max(STRIDE, round(value / STRIDE) * STRIDE)
            raise ValueError(
                f"the input's {side} is {value}: DenseDepth takes sides that are multiples of"
                f" {STRIDE} (the nearest is {near})"
            )


def raw_to_metres(
    raw: ArrayLike, max_depth_m: float, min_depth_m: float | None = None
) -> NDArray[np.float32]:
    """Turns the network's raw values into depth in metres.

    depth = clip(1000 / y, 10, 1000) / 1000 * max_depth_m, as `predict` in the authors' utils.py
    and, for the factor, their answers in issues 7 and 69: 10 m for nyu.h5, 80 m for kitti.h5. As
    there, y = 0 is the far end and y < 0, which a trained network does not give, the near end.

    Args:
      raw: raw network values y, any shape, any float dtype.
      max_depth_m: the largest depth in metres: 10 for NYU, 80 for KITTI.
      min_depth_m: the smallest depth in metres; a hundredth of the largest (the clip at 10 of
        1000) unless given. The authors name 1 m for KITTI in issue 69, 0.8 m in their code.

    Returns:
      float32 metres of raw's shape, between min_depth_m and max_depth_m, far is larger.
    """
    nearest = 10.0 if min_depth_m is None else 1000.0 * min_depth_m / max_depth_m
    values = np.asarray(raw, dtype=np.float32)
    with np.errstate(divide="ignore"):
        clipped = np.clip(np.float32(1000.0) / values, np.float32(nearest), np.float32(1000.0))
    return clipped * np.float32(max_depth_m / 1000.0)
