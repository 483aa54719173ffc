"""Network files opened: .keras, SavedModel, .tflite and .onnx behind one interface.

Each kind of file is one class of `Opened`. What a network is fed and what its outputs mean is the
caller's affair. TensorFlow, LiteRT and ONNX Runtime are imported when a file of theirs is opened,
not before.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from fgbg.models import graph_ops, onnx_file, tensorflow_process
from fgbg.models.onnx_network import OnnxNetwork
from fgbg.models.opened import NetworkError, Opened, Port, Traceable, reason
from fgbg.models.tflite_network import TfliteNetwork

__all__ = [
    "ACCEPTED",
    "KERAS",
    "ONNX",
    "SAVED_MODEL",
    "TFLITE",
    "NetworkError",
    "Opened",
    "Port",
    "Traceable",
    "kind_of",
    "open_network",
    "reason",
]

SAVED_MODEL, KERAS, TFLITE, ONNX = "saved_model", "keras", "tflite", "onnx"
ACCEPTED = "a SavedModel folder or a .keras, .tflite or .onnx file"


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


# Those that run in TensorFlow.
_KINDS: dict[str, Any] = {SAVED_MODEL: _SavedModel, KERAS: _Keras}


def kind_of(path: str, expected: str = ACCEPTED) -> str:
    """The kind of network at a path, by its name and first bytes: SAVED_MODEL, KERAS ..

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
    elif kind == ONNX:
        onnx_file.read(path)
    elif kind == KERAS:
        if not zipfile.is_zipfile(path):
            raise NetworkError(f"{path}: not a Keras 3 file, or a part of one")
    else:
        raise NetworkError(f"{path}: of unknown kind; {expected} is expected")
    return kind


def open_network(path: str, threads: int) -> Opened:
    """Reads a network.

    Args:
        path: A .keras, .tflite or .onnx file or a SavedModel folder.
        threads: CPU threads that it may use.

    Raises:
        NetworkError: It is of no known kind, or the library refuses it.
    """
    kind = kind_of(path)
    if kind == ONNX:
        return OnnxNetwork(path, threads)
    if kind == TFLITE:
        return TfliteNetwork(path, threads)
    tf = tensorflow_process.start(threads)
    try:
        with tensorflow_process.native_messages_hidden():
            return _KINDS[kind](tf, path, threads)
    except NetworkError:
        raise
    except Exception as error:  # whatever the library finds wrong with the file
        raise NetworkError(f"{path} cannot be loaded: {reason(error)}") from error
