"""Network files opened: .keras, SavedModel and .tflite behind one interface.

Each kind of file is one class of `Opened` and one entry of _KINDS. What a network is fed and what
its outputs mean is the caller's affair. TensorFlow is imported when a file is opened, not before.
"""

from __future__ import annotations

import abc
import os
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fgbg.models import graph_ops, tensorflow_process

SAVED_MODEL, KERAS, TFLITE = "saved_model", "keras", "tflite"
ACCEPTED = "a SavedModel folder or a .keras or .tflite file"
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
            name: Of the output, or None.
            advice: How a user names the output, for the message.

        Raises:
            NetworkError: There is none of that name, or no name and several outputs.
        """
        names = [output.name for output in self.outputs]
        if name is None and len(names) == 1:
            return 0
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


class _Keras(Traceable):
    """A .keras file."""

    def __init__(self, tf: Any, path: str, threads: int) -> None:
        import keras

        self._tf, self._keras = tf, keras
        self._network = network = keras.saving.load_model(path, compile=False, safe_mode=True)
        names = getattr(network, "output_names", ["output"])
        super().__init__(
            path,
            [_port(tf, tensor.name, tensor) for tensor in network.inputs],
            [_port(tf, *named) for named in zip(names, network.outputs, strict=True)],
        )
        self._run = tf.function(self.trace, autograph=False)

    def trace(self, given: Sequence[Any], wanted: Sequence[int]) -> list[Any]:
        tree, network = self._keras.tree, self._network
        fed = given[0] if len(given) == 1 else tree.pack_sequence_as(network.input, list(given))
        outputs = tree.flatten(network(fed, training=False))
        return [outputs[index] for index in wanted]


class _SavedModel(Traceable):
    """The signature serving_default of a SavedModel, or its first."""

    def __init__(self, tf: Any, path: str, threads: int) -> None:
        self._tf = tf
        try:
            graph_ops.check_saved_model(path)
        except graph_ops.ForbiddenOps as error:
            raise NetworkError(f"{path}: {error}") from error
        self._loaded = tf.saved_model.load(path)  # kept, as its variables live as long as it does
        signatures = self._loaded.signatures
        if not signatures:
            raise NetworkError(f"{path}: a SavedModel without signatures")
        self._signature = signatures.get("serving_default") or next(iter(signatures.values()))
        self._run = self.trace
        inputs = self._signature.structured_input_signature[1]
        outputs = self._signature.structured_outputs
        super().__init__(
            path,
            [_port(tf, name, inputs[name]) for name in sorted(inputs)],
            [_port(tf, name, outputs[name]) for name in sorted(outputs)],
        )

    def trace(self, given: Sequence[Any], wanted: Sequence[int]) -> list[Any]:
        fed = {port.name: tensor for port, tensor in zip(self.inputs, given, strict=True)}
        outputs = self._signature(**fed)
        return [outputs[self.outputs[index].name] for index in wanted]


def _port(tf: Any, name: str, tensor: Any) -> Port:
    shape = tf.TensorShape(tensor.shape)
    dtype = np.dtype(tf.as_dtype(tensor.dtype).as_numpy_dtype)
    return Port(name, shape.as_list() if shape.rank is not None else [], dtype)


class _Tflite(Opened):
    """A .tflite file, run on the CPU. Values of 8 bits that have a scale are floats outside."""

    def __init__(self, tf: Any, path: str, threads: int) -> None:
        self._interpreter = interpreter(tf, path, threads)
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self._shapes: list[tuple[int, ...]] | None = None
        inputs, outputs = (list(map(_tflite_port, d)) for d in (self._inputs, self._outputs))
        super().__init__(path, inputs, outputs)

    def prepare(self, shapes: Sequence[tuple[int, ...]]) -> None:
        if self._shapes == [*shapes]:
            return
        try:
            for detail, shape in zip(self._inputs, shapes, strict=True):
                self._interpreter.resize_tensor_input(detail["index"], shape)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise NetworkError(f"{self.path} cannot be loaded: {reason(error)}") from error
        self._shapes = [*shapes]

    def call(self, given: Sequence[Array], wanted: Sequence[int]) -> list[Array]:
        self.prepare([array.shape for array in given])
        for detail, array in zip(self._inputs, given, strict=True):
            self._interpreter.set_tensor(detail["index"], _quantised(array, detail))
        self._interpreter.invoke()
        outputs = [self._outputs[index] for index in wanted]
        return [dequantised(self._interpreter.get_tensor(o["index"]), o) for o in outputs]


def interpreter(tf: Any, path: str, threads: int, **settings: Any) -> Any:
    """TensorFlow Lite's interpreter of a file, its tensors not yet allocated.

    Args:
        tf: The module `tensorflow`.
        path: The .tflite file.
        threads: CPU threads that it may use.
        **settings: Further arguments of tf.lite.Interpreter.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        graph_ops.check_names(graph_ops.tflite_names(content))
    except graph_ops.ForbiddenOps as error:
        raise NetworkError(f"{path}: {error}") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this class moves to a package of its own
        # By its path a damaged file is not checked and kills the process.
        return tf.lite.Interpreter(model_content=content, num_threads=threads, **settings)


def _has_scale(detail: dict[str, Any]) -> bool:
    return bool(np.issubdtype(detail["dtype"], np.integer) and detail["quantization"][0])


def _tflite_port(detail: dict[str, Any]) -> Port:
    sizes = (int(size) for size in detail.get("shape_signature", detail["shape"]))
    shape = [size if size >= 0 else None for size in sizes]
    return Port(
        detail["name"], shape, np.dtype(np.float32 if _has_scale(detail) else detail["dtype"])
    )


def _quantised(values: Array, detail: dict[str, Any]) -> Array:
    if _has_scale(detail):
        scale, zero = detail["quantization"]
        limits = np.iinfo(detail["dtype"])
        values = np.clip(np.rint(values / scale + zero), limits.min, limits.max)
    return values.astype(detail["dtype"])


def dequantised(values: Array, detail: dict[str, Any]) -> Array:
    """The float32 values that a tensor's integers stand for; unchanged if it has no scale.

    Args:
        values: Of the tensor.
        detail: What the interpreter says of the tensor.
    """
    if not _has_scale(detail):
        return values
    scale, zero = detail["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale)


_KINDS: dict[str, Any] = {SAVED_MODEL: _SavedModel, KERAS: _Keras, TFLITE: _Tflite}


def kind_of(path: str, expected: str = ACCEPTED) -> str:
    """The kind of network at a path, by its name and first bytes; one of the names in _KINDS.

    Args:
        path: A file or folder.
        expected: The kinds that the caller accepts, in words.

    Raises:
        NetworkError: There is none, or it is of no known kind.
    """
    if not os.path.exists(path):
        raise NetworkError(f"{path}: no such file or folder")
    if os.path.isdir(path):
        if any(os.path.exists(os.path.join(path, f"saved_model.{e}")) for e in ("pb", "pbtxt")):
            return SAVED_MODEL
        raise NetworkError(f"{path}: a folder without saved_model.pb")
    kind = os.path.splitext(path)[1].lower().removeprefix(".")
    if kind == TFLITE:
        with open(path, "rb") as file:
            # The FlatBuffer file identifier of tensorflow/lite/schema/schema.fbs.
            if file.read(8)[4:] != b"TFL3":
                raise NetworkError(f"{path}: not a TensorFlow Lite file")
    elif kind == KERAS:
        if not zipfile.is_zipfile(path):
            raise NetworkError(f"{path}: not a Keras 3 file, or a part of one")
    else:
        raise NetworkError(f"{path}: of unknown kind; {expected} is expected")
    return kind


def open_network(path: str, threads: int) -> Opened:
    """Reads a network.

    Args:
        path: A .keras or .tflite file or a SavedModel folder.
        threads: CPU threads that it may use.

    Raises:
        NetworkError: It is of no known kind, or the library refuses it.
    """
    kind = kind_of(path)
    tf = tensorflow_process.start(threads)
    try:
        with tensorflow_process.native_messages_hidden():
            return _KINDS[kind](tf, path, threads)
    except NetworkError:
        raise
    except Exception as error:  # whatever the library finds wrong with the file
        raise NetworkError(f"{path} cannot be loaded: {reason(error)}") from error


def reason(error: Exception) -> str:
    """The first line of an error's message, or its class if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
