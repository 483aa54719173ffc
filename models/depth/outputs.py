"""From what a depth network gives to metres: as its card says, for every kind of output."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fgbg.models.depth.affine_points import depth_of_points
from fgbg.models.depth.network_card import (
    AFFINE_POINTS,
    BY_FOCAL,
    INVERSE,
    DepthCard,
)
from fgbg.models.opened import NetworkError, Opened
from fgbg.models.picture_input import channel_of, is_map

# A mask's value from which there is depth.
_THERE = 0.5


@dataclasses.dataclass(frozen=True)
class Reader:
    """How a network's outputs are read.

    Attributes:
        wanted: Indices of the outputs that `metres` takes.
        metres: From them, in that order, and a function (value, dtype) -> value of that dtype, to
            float32 [batch, h, w]: metres, or the card's relative values.
        needs_numpy: Whether `metres` takes arrays only, not TensorFlow's tensors.
    """

    wanted: tuple[int, ...]
    metres: Callable[[list[Any], Callable[[Any, Any], Any]], Any]
    needs_numpy: bool = False


def reader(opened: Opened, card: DepthCard) -> Reader:
    """How an opened network's outputs are read.

    Raises:
        NetworkError: It has no such outputs.
    """
    main = opened.choose_output(card.output_name, "say in its card which output_name is the depth")
    shape = opened.outputs[main].shape
    points = card.output == AFFINE_POINTS
    if not points and not is_map(shape):
        raise NetworkError(
            f"{opened.path}: its output has shape {shape}; [batch, height, width] or "
            "[batch, height, width, 1] is expected"
        )
    if points and shape and (len(shape) != 4 or shape[3] not in (3, None)):
        raise NetworkError(
            f"{opened.path}: its output has shape {shape}; [batch, height, width, 3] is expected"
        )
    more = [
        opened.choose_output(name, "its card names an output that it has not; it has")
        for name in (card.mask_output, card.scale_output)
        if name is not None
    ]
    wanted = (main, *more)
    if not more:
        return Reader(wanted, lambda values, cast: _plain(values[0], card, cast))
    return Reader(wanted, lambda values, cast: _masked(values, card), needs_numpy=True)


def _plain(value: Any, card: DepthCard, cast: Callable[[Any, Any], Any]) -> Any:
    values = channel_of(cast(value, np.float32))
    if len(values.shape) != 3:
        raise ValueError(f"the depth network gave values of shape {tuple(values.shape)}")
    if card.output == INVERSE:
        with np.errstate(divide="ignore"):
            return card.metres_per_unit / values
    if card.output == BY_FOCAL:
        # The focal length in pixels of what the network was fed, whose width the map has.
        half = math.tan(math.radians(card.field_of_view) / 2)
        focal = values.shape[2] / 2 / half
        return values * (card.metres_per_unit * focal / card.canonical_focal)
    return values * card.metres_per_unit


def _masked(values: list[Any], card: DepthCard) -> Any:
    """With the outputs beside the depth: a mask, and a scale of points."""
    main = np.asarray(values[0], np.float32)
    rest = [np.asarray(value, np.float32) for value in values[1:]]
    there = channel_of(rest.pop(0)) >= _THERE if card.mask_output is not None else None
    if card.output == AFFINE_POINTS:
        valid = np.ones(main.shape[:3], bool) if there is None else there
        depth = np.stack(
            [depth_of_points(points, mask) for points, mask in zip(main, valid, strict=True)]
        )
        depth *= rest[0].reshape(-1, 1, 1) * np.float32(card.metres_per_unit)
    else:
        depth = _plain(main, card, np.asarray)
    if there is None:
        return depth
    return np.where(there & (depth > 0), depth, np.float32(card.max_depth_m)).astype(np.float32)
