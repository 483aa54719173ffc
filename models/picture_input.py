"""How pictures go into a network: which input is theirs, and the order of its axes.

TensorFlow's networks take [batch, height, width, channels], those of PyTorch, which is where most
.onnx files come from, [batch, channels, height, width]. The file's own sizes tell which; where they
do not, the card says it. Inputs beside the picture are given the constants of the card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fgbg.models.opened import NetworkError, Opened, Port

NHWC, NCHW = "nhwc", "nchw"
LAYOUTS = (NHWC, NCHW)
_CHANNELS = 3


class PictureInput(NamedTuple):
    """The input that takes pictures.

    Attributes:
        port: It.
        layout: NHWC or NCHW.
        batch: How many pictures at once; None for any number.
        size: Their width and height; None for any.
        constants: Of the inputs in order, what is given to those beside the picture's, which is
            None there.
    """

    port: Port
    layout: str
    batch: int | None
    size: tuple[int, int] | None
    constants: tuple[Any, ...]

    def shape(self, count: int, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of `count` pictures of a width and height."""
        width, height = size
        if self.layout == NCHW:
            return count, _CHANNELS, height, width
        return count, height, width, _CHANNELS

    def given(self, pictures: Any, transpose: Any = np.transpose) -> list[Any]:
        """What the network is called with.

        Args:
            pictures: [batch, height, width, 3]: an array, or a tensor of the library whose
                `transpose` is given.
            transpose: numpy.transpose or a function like it.
        """
        if self.layout == NCHW:
            pictures = transpose(pictures, (0, 3, 1, 2))
        return [pictures if value is None else value for value in self.constants]


def picture_input(
    opened: Opened, layout: str | None = None, constants: Mapping[str, float] | None = None
) -> PictureInput:
    """Finds the input that takes pictures.

    Args:
        opened: The network.
        layout: NHWC or NCHW; None where the file's own sizes are to tell.
        constants: What the inputs beside the picture's are given, by their names.

    Raises:
        NetworkError: There is not exactly one, or it takes no pictures.
    """
    constants = constants or {}
    names = [port.name for port in opened.inputs]
    unknown = sorted(set(constants) - set(names))
    if unknown:
        raise NetworkError(
            f"{opened.path}: it has no input {unknown[0]!r} for input_constants; its inputs are "
            f"{', '.join(names)}"
        )
    left = [port for port in opened.inputs if port.name not in constants]
    if not left:
        raise NetworkError(f"{opened.path}: none of its inputs is left for the picture")
    if len(left) > 1:
        raise NetworkError(
            f"{opened.path}: it has {len(left)} inputs, not one; its card says by input_constants "
            f"what those beside the picture are given: {', '.join(port.name for port in left)}"
        )
    port = left[0]
    found = _layout(opened.path, port.shape, layout)
    batch, *rest = port.shape or [None] * 4
    height, width = rest[1:] if found == NCHW else rest[:2]
    size = (width, height) if width and height else None
    values = tuple(
        None if other is port else _constant(opened.path, other, constants[other.name])
        for other in opened.inputs
    )
    return PictureInput(port, found, batch, size, values)


def _layout(path: str, shape: Sequence[int | None], asked: str | None) -> str:
    last, first = (shape[3], shape[1]) if len(shape) == 4 else (None, None)
    fits = {NHWC: last in (_CHANNELS, None), NCHW: first in (_CHANNELS, None)}
    if len(shape) not in (0, 4) or not any(fits.values()) or (asked and not fits[asked]):
        expected = {NHWC: "[batch, height, width, 3]", NCHW: "[batch, 3, height, width]"}
        wanted = expected[asked] if asked else " or ".join(expected.values())
        raise NetworkError(f"{path}: its input has shape {list(shape)}; {wanted} is expected")
    if asked:
        return asked
    # What is said outright goes before what is left open: [None, 3, None, None] has three channels.
    return NCHW if first == _CHANNELS and last != _CHANNELS else NHWC


def _constant(path: str, port: Port, value: float) -> Any:
    shape = tuple(1 if size is None else size for size in port.shape)
    given = np.full(shape, value)
    array = given.astype(port.dtype)
    if not np.array_equal(array, given):
        raise NetworkError(f"{path}: its input {port.name!r} is {port.dtype} and cannot be {value}")
    return array


def channel_of(values: Any) -> Any:
    """Maps [batch, h, w] of an output that may have an axis of one channel."""
    if len(values.shape) == 4:
        if values.shape[3] == 1:
            return values[..., 0]
        if values.shape[1] == 1:
            return values[:, 0]
    return values


def is_map(shape: Sequence[int | None]) -> bool:
    """Whether an output of this shape is one map a picture; one whose file does not say may be."""
    if len(shape) == 4:
        return shape[3] in (1, None) or shape[1] in (1, None)
    return len(shape) in (0, 3)
