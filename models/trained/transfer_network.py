"""A network on the encoder of another one: features that somebody has trained, new decoders.

As DenseDepth begins with an encoder trained on ImageNet (arXiv 1812.11941, section 3.1), this one
begins with that of a TensorFlow Lite file. Depth and mask have a decoder each, so that neither
pulls at what the other needs. Where the background is shown too, it goes through the same encoder:
the mask's decoder sees in what the features differ, and depth is of the overlay alone. Keras 3
layers only, no class of ours inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fgbg.models.trained import encoder_network
from fgbg.models.trained.compact_network import (
    BACKGROUND,
    DEPTH,
    MASK,
    OVERLAY,
    WIDTHS,
    check,
    head,
)
from fgbg.models.trained.tflite_encoder import SCALES, Encoder

ENCODER = "encoder"
# Of the decoders at 1/2, .. 1/32: wide where that is cheap, for what is far or near hangs on what
# is around it (FastDepth's, arXiv 1903.03273, are 5 wide everywhere, channel by channel).
_KERNELS = (3, 3, 3, 5, 5)


def build(
    size: tuple[int, int],
    encoder: Encoder,
    heads: Sequence[str] = (DEPTH, MASK),
    *,
    pair: bool = False,
    max_depth_m: float = 10.0,
    widths: Sequence[int] = WIDTHS,
    seed: int = 0,
) -> Any:
    """A network with a trained encoder and new decoders.

    Args:
        size: Width and height of its pictures: multiples of 32.
        encoder: What it begins with; its weights are those of the layer "encoder", a network of
            its own.
        heads: Its outputs, of "depth" and "mask".
        pair: Whether it is shown the background beside the overlay.
        max_depth_m: The greatest depth that it says.
        widths: Channels of the decoders at 1/2, 1/4, .. 1/32 of the size.
        seed: Of the new weights.

    Returns:
        A keras.Model with inputs and outputs as fgbg.models.trained.compact_network.build.

    Raises:
        ValueError: A size that is no multiple of 32, no head, not five widths, or an encoder that
            does not halve the size.
    """
    import keras

    check(size, heads)
    if len(widths) != SCALES:
        raise ValueError(f"{len(widths)} widths: the decoders have {SCALES} scales")
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))
    shape = (size[1], size[0], 3)
    inputs = {OVERLAY: keras.Input(shape, name=OVERLAY)}
    features = encoder_network.build(encoder, size, ENCODER)
    levels = {DEPTH: features(inputs[OVERLAY])}
    levels[MASK] = levels[DEPTH]
    if pair:
        inputs[BACKGROUND] = keras.Input(shape, name=BACKGROUND)
        levels[MASK] = [
            keras.layers.Concatenate()([here, keras.layers.Subtract()([here, there])])
            for here, there in zip(levels[DEPTH], features(inputs[BACKGROUND]), strict=True)
        ]
    outputs = {}
    for name in heads:
        x = _decoder(levels[name], widths, seeds)
        outputs[name] = head(x, name, next(seeds), max_depth_m)
    return keras.Model(inputs if pair else inputs[OVERLAY], outputs, name="transfer")


def _decoder(levels: Sequence[Any], widths: Sequence[int], seeds: Iterator[int]) -> Any:
    """From features at 1/2 to 1/32 to features at 1/2, all scales taken together."""
    import keras
    from keras import layers

    def convolve(x: Any, channels: int, kernel: int) -> Any:
        start = keras.initializers.HeNormal(next(seeds))
        x = layers.Conv2D(
            channels, kernel, padding="same", use_bias=False, kernel_initializer=start
        )(x)
        return layers.BatchNormalization()(x)

    x = layers.ReLU()(convolve(levels[-1], widths[-1], 1))
    x = layers.ReLU()(convolve(x, widths[-1], _KERNELS[-1]))
    for level, channels, kernel in reversed(
        list(zip(levels[:-1], widths[:-1], _KERNELS[:-1], strict=True))
    ):
        x = layers.UpSampling2D(interpolation="bilinear")(convolve(x, channels, 1))
        x = layers.ReLU()(layers.Add()([x, convolve(level, channels, 1)]))
        x = layers.ReLU()(convolve(x, channels, kernel))
    return x
