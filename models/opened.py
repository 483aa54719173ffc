"""A network file that was opened, whatever its kind: the interface that callers know."""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class NetworkError(ValueError):
    """A network that cannot be opened or does not fit; the message names the file."""


class Port(NamedTuple):
    """An input or an output of a network.

    Attributes:
        name: Its name in the file.
        shape: The sizes of its axes, None for any; empty if the file does not say.
        dtype: NumPy's type of the arrays that `Opened.call` takes or returns.
    """

    name: str
    shape: list[int | None]
    dtype: np.dtype[Any]


class Opened(abc.ABC):
    """A network with its weights in memory.

    Attributes:
        path: Its file or folder, for messages.
        inputs: In the order that `call` takes arrays.
        outputs: In the order that indices of outputs refer to.
    """

    def __init__(self, path: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        self.path = path
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)

    @abc.abstractmethod
    def call(self, given: Sequence[Array], wanted: Sequence[int]) -> list[Array]:
        """Runs the network.

        Args:
            given: An array for each input, of its dtype.
            wanted: Indices of the outputs to return.
        """

    def prepare(self, shapes: Sequence[tuple[int, ...]]) -> None:  # noqa: B027 (few kinds need it)
        """Allocates memory for inputs of these shapes, which otherwise the first call does.

        Raises:
            NetworkError: The network does not take them.
        """

    def only_input(self) -> Port:
        """The input.

        Raises:
            NetworkError: There is not exactly one.
        """
        if len(self.inputs) != 1:
            raise NetworkError(f"{self.path}: it has {len(self.inputs)} inputs, not one")
        return self.inputs[0]

    def choose_output(self, name: str | None, advice: str) -> int:
        """The index of an output: the named one, or without a name the only one.

        Args:
            name: Of the output, or None; "#1" is the first whatever its name, "#2" the second.
            advice: How a user names the output, for the message.

        Raises:
            NetworkError: There is none of that name, or no name and several outputs.
        """
        names = [output.name for output in self.outputs]
        if name is None and len(names) == 1:
            return 0
        if name and re.fullmatch(r"#[1-9]\d?", name) and int(name[1:]) <= len(names):
            return int(name[1:]) - 1
        if name not in names:
            raise NetworkError(f"{self.path}: {advice}: {', '.join(names)}")
        return names.index(name)


class Traceable(Opened):
    """A network of TensorFlow operations, which can be part of a larger tf.function."""

    _tf: Any
    _run: Callable[[list[Any], tuple[int, ...]], list[Any]]  # `trace`, compiled if it is not yet

    @abc.abstractmethod
    def trace(self, given: Sequence[Any], wanted: Sequence[int]) -> list[Any]:
        """As `call`, from tensors to tensors."""

    def call(self, given: Sequence[Array], wanted: Sequence[int]) -> list[Array]:
        tensors = self._run([self._tf.constant(array) for array in given], tuple(wanted))
        return [tensor.numpy() for tensor in tensors]


def reason(error: Exception) -> str:
    """The first line of an error's message, or its class if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
