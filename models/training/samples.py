"""What training is given: where the samples are, how they are coded, and how it is to train."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fgbg.models.trained.compact_network import (
    BACKGROUND,
    BLOCKS,
    DEPTH,
    MASK,
    OVERLAY,
    SPAN,
    WIDTHS,
)

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
INPUTS = ("overlay", "pair")
COMPACT = "compact"
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


class TrainingError(ValueError):
    """Training that cannot begin or go on; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Files:
    """The samples of a split as files.

    Attributes:
        keys: Their names.
        overlays: Paths of JPEG or PNG files.
        masks: Likewise; 128 and more is foreground.
        depths: Likewise, 8 or 16 bits; empty without depth.
        backgrounds: For each sample the index of its background in DataSet.backgrounds.
    """

    keys: Sequence[str]
    overlays: Sequence[str]
    masks: Sequence[str]
    depths: Sequence[str]
    backgrounds: Sequence[int]


@dataclasses.dataclass(frozen=True)
class Records:
    """The samples of a split as TFRecord files of tf.Examples.

    Attributes:
        keys: Their names, bgN/fg_M/K: features background/id, foreground/id, placement/number.
        shards: Paths of the files.
        whole: Whether the keys are all that the files hold.
    """

    keys: Sequence[str]
    shards: Sequence[str]
    whole: bool = True


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set that can be trained with.

    Attributes:
        size: Width and height of its pictures.
        splits: Samples by split: TRAIN, VALIDATION, TEST.
        has_depth: Whether the samples have depth.
        depth_range_m: Metres that 255 stands for in 8-bit depth, and where the network's range
            ends. 16-bit depth is in millimetres.
        typical_depth_m: The median of the training samples' mean depth.
        backgrounds: uint8 RGB [count, height, width, 3] at `size`; None unless pairs are shown.
    """

    size: tuple[int, int]
    splits: dict[str, Files | Records]
    has_depth: bool
    depth_range_m: float
    typical_depth_m: float = 1.0
    backgrounds: NDArray[np.uint8] | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the trained weights, besides the data set and the number of threads.

    Attributes:
        inputs: "overlay", or "pair": the background too.
        size: Width and height fed, multiples of 32.
        epochs: The most passes over the training samples.
        batch_size: Samples of a step.
        learning_rate: The greatest; it rises over the first steps and falls as a cosine.
        weight_decay: Of AdamW, for kernels only.
        seed: Of the first weights, the order and the augmentation.
        augment: Whether training pictures are varied.
        patience: Epochs without a better validation loss after which training stops.
        limit: The most samples of each split, spread evenly; None: all.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        deterministic: Whether only operations are used that give the same bits every time.
        widths: Channels of the network at 1/2, 1/4, .. of the size.
        blocks: Its residual blocks at each of them.
        init: What the first weights are of: "new", "builtin" or the SHA-256 of a trained network.
        encoder: "compact", or the SHA-256 of the file whose encoder the network begins with.
        freeze_encoder: Whether that keeps its weights.
        encoder_range: What the pixel values 0 and 255 become for it; None: what its file says.
    """

    inputs: str
    size: tuple[int, int]
    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0
    augment: bool = True
    patience: int = 6
    limit: int | None = None
    precision: str = "float32"
    deterministic: bool = True
    widths: tuple[int, ...] = WIDTHS
    blocks: tuple[int, ...] = BLOCKS
    init: str = "new"
    encoder: str = COMPACT
    freeze_encoder: bool = False
    encoder_range: tuple[float, float] | None = None

    @property
    def pair(self) -> bool:
        """Whether the network is shown the background too."""
        return self.inputs == "pair"

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the network's inputs, in order."""
        return (OVERLAY, BACKGROUND) if self.pair else (OVERLAY,)


def heads(data: DataSet) -> tuple[str, ...]:
    """What a network learns from a data set: mask and depth, or the mask only."""
    return (DEPTH, MASK) if data.has_depth else (MASK,)


def nearest_m(max_depth_m: float) -> float:
    """The least depth that a network can say; nearer ones are learned as this."""
    return max_depth_m / SPAN


def steps_of_epoch(data: DataSet, settings: Settings) -> tuple[int, int]:
    """Steps of an epoch and the samples of each; what is left over differs from epoch to epoch."""
    count = len(data.splits[TRAIN].keys)
    batch = min(settings.batch_size, count)
    return count // batch, batch


def check(data: DataSet, settings: Settings) -> None:
    """Raises TrainingError for data that nothing can be learned from."""
    for name in (TRAIN, VALIDATION):
        if name not in data.splits or not len(data.splits[name].keys):
            raise TrainingError(f"split {name} has no sample")
    if not (math.isfinite(data.depth_range_m) and data.depth_range_m > 0):
        raise TrainingError(f"the range of depth is {data.depth_range_m} m, not a positive number")
    if settings.pair and data.backgrounds is None:
        raise TrainingError("pairs are to be shown, but there are no backgrounds")
