"""A compact U-Net from a picture to depth and mask: what `builtin` is, and what fgbg train trains.

A residual encoder of plain 3x3 convolutions (on a CPU they are faster than separable ones of the
same accuracy) down to 1/32, one vector of the whole picture added there, and a decoder that
up-samples bilinearly and adds the encoder's features of the same size. Keras 3 layers only, no
class of ours inside, so that a saved network opens everywhere Keras 3 does.

Depth leaves the network in metres: max_depth_m * exp(-z) with z = log(100) * sigmoid(raw), so
between a hundredth of the range and the whole of it, the span that DenseDepth's output has too
(arXiv 1812.11941: 1000 / network, clipped to [10, 1000]).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

STRIDE = 32
WIDTHS = (16, 32, 64, 128, 160)
BLOCKS = (0, 1, 2, 2, 1)
# The ratio of the farthest to the nearest depth that can be said.
SPAN = 100.0
DEPTH, MASK = "depth", "mask"
OVERLAY, BACKGROUND = "overlay", "background"
# The layer of the smallest features, to which hints of another network can be attached.
BOTTOM = "bottom"


def build(
    size: tuple[int, int],
    heads: Sequence[str] = (DEPTH,),
    *,
    pair: bool = False,
    max_depth_m: float = 10.0,
    widths: Sequence[int] = WIDTHS,
    blocks: Sequence[int] = BLOCKS,
    seed: int = 0,
) -> Any:
    """A network with new weights.

    Args:
        size: Width and height of its pictures: multiples of STRIDE.
        heads: Its outputs, of "depth" and "mask".
        pair: Whether it is shown the background beside the overlay.
        max_depth_m: The greatest depth that it says.
        widths: Channels at 1/2, 1/4, .. of the size.
        blocks: Residual blocks at each of them.
        seed: Of the new weights.

    Returns:
        A keras.Model. Inputs: "overlay" (and "background"), [batch, height, width, 3], RGB in
        0..1. Outputs, a dictionary: "depth" [batch, height, width, 1] in metres, "mask" likewise
        as a probability; float32 under every dtype policy.

    Raises:
        ValueError: A size that is no multiple of STRIDE, or no head.
    """
    import keras
    from keras import layers

    check(size, heads)
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    def convolve(x: Any, channels: int, kernel: int, stride: int = 1) -> Any:
        start = keras.initializers.HeNormal(next(seeds))
        x = layers.Conv2D(
            channels, kernel, stride, "same", use_bias=False, kernel_initializer=start
        )(x)
        return layers.BatchNormalization()(x)

    def residual(x: Any) -> Any:
        y = layers.ReLU()(convolve(x, x.shape[-1], 3))
        return layers.ReLU()(layers.Add()([x, convolve(y, x.shape[-1], 3)]))

    shape = (size[1], size[0], 3)
    inputs = {OVERLAY: keras.Input(shape, name=OVERLAY)}
    if pair:
        inputs[BACKGROUND] = keras.Input(shape, name=BACKGROUND)
    x = layers.Concatenate()(list(inputs.values())) if pair else inputs[OVERLAY]
    x = layers.Rescaling(4.0, -2.0)(x)  # about mean 0 and deviation 1 for photos
    levels = []
    for channels, count in zip(widths, blocks, strict=True):
        x = layers.ReLU()(convolve(x, channels, 3, 2))
        for _ in range(count):
            x = residual(x)
        levels.append(x)
    start = keras.initializers.HeNormal(next(seeds))
    whole = layers.GlobalAveragePooling2D(keepdims=True)(x)
    whole = layers.Dense(widths[-1], "relu", kernel_initializer=start)(whole)
    x = layers.Add(name=BOTTOM)([x, whole])
    for level in reversed(levels[:-1]):
        channels = level.shape[-1]
        x = layers.UpSampling2D(interpolation="bilinear")(convolve(x, channels, 1))
        x = layers.ReLU()(layers.Add()([x, level]))
        x = layers.ReLU()(convolve(x, channels, 3))
    outputs = {name: head(x, name, next(seeds), max_depth_m) for name in heads}
    return keras.Model(inputs if pair else inputs[OVERLAY], outputs, name="compact")


def check(size: tuple[int, int], heads: Sequence[str]) -> None:
    """Raises ValueError for a size that is no multiple of STRIDE, and for no or other heads."""
    if any(side < STRIDE or side % STRIDE for side in size):
        raise ValueError(f"{size[0]}x{size[1]}: sides must be multiples of {STRIDE}")
    if not heads or set(heads) - {DEPTH, MASK}:
        raise ValueError(f"heads are {list(heads)}: one or both of {DEPTH}, {MASK} are expected")


def head(x: Any, name: str, seed: int, max_depth_m: float) -> Any:
    """An output of the network.

    Args:
        x: Features at half the picture's size, a Keras tensor.
        name: "depth" or "mask".
        seed: Of its weights.
        max_depth_m: The greatest depth.

    Returns:
        float32 [batch, height, width, 1]: metres or a probability.
    """
    import keras
    from keras import layers

    start = keras.initializers.GlorotNormal(seed)
    x = layers.Conv2D(1, 3, padding="same", kernel_initializer=start, name=f"{name}_raw")(x)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = layers.Activation("sigmoid", dtype="float32", name=f"{name}_share")(x)
    if name == DEPTH:
        x = layers.Rescaling(-math.log(SPAN), dtype="float32")(x)
        x = layers.Activation("exponential", dtype="float32")(x)
        x = layers.Rescaling(max_depth_m, dtype="float32")(x)
    return layers.Identity(dtype="float32", name=name)(x)
