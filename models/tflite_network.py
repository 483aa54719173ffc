"""A .tflite file opened: TensorFlow Lite's interpreter, on the CPU, picture by picture.

The interpreter is LiteRT's (ai_edge_litert), which gives the same bits as that of TensorFlow, which
is announced to go, without TensorFlow's memory. Files with TensorFlow's own operations in them, and
machines that LiteRT has no package for, take TensorFlow's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fgbg.models import graph_ops, tensorflow_process
from fgbg.models.opened import Array, NetworkError, Opened, Port, reason


class TfliteNetwork(Opened):
    """A .tflite file, run on the CPU. Values of 8 bits that have a scale are floats outside."""

    def __init__(self, path: str, threads: int) -> None:
        try:
            self._interpreter = interpreter(path, threads)
        except NetworkError:
            raise
        except Exception as error:  # whatever the library finds wrong with the file
            raise NetworkError(f"{path} cannot be loaded: {reason(error)}") from error
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self._shapes: list[tuple[int, ...]] | None = None
        inputs, outputs = (list(map(_port, d)) for d in (self._inputs, self._outputs))
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


def interpreter(path: str, threads: int, **settings: Any) -> Any:
    """TensorFlow Lite's interpreter of a file, its tensors not yet allocated.

    Args:
        path: The .tflite file.
        threads: CPU threads that it may use.
        **settings: Further arguments of the interpreter.
    """
    with open(path, "rb") as file:
        content = file.read()
    names = graph_ops.tflite_names(content)
    if names:
        tf = tensorflow_process.start(threads)
        try:
            graph_ops.check_names(names)
        except graph_ops.ForbiddenOps as error:
            raise NetworkError(f"{path}: {error}") from error
        make = tf.lite.Interpreter
    else:
        make = _interpreter_class(threads)
    with warnings.catch_warnings(), tensorflow_process.native_messages_hidden():
        warnings.simplefilter("ignore")  # that TensorFlow's moves to a package of its own
        # By its path a damaged file is not checked and kills the process.
        return make(model_content=content, num_threads=threads, **settings)


def _interpreter_class(threads: int) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return tensorflow_process.start(threads).lite.Interpreter
    return Interpreter


def _has_scale(detail: dict[str, Any]) -> bool:
    return bool(np.issubdtype(detail["dtype"], np.integer) and detail["quantization"][0])


def _port(detail: dict[str, Any]) -> Port:
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
