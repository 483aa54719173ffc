"""Depth networks on pictures: load one from a file, feed it uint8 pictures, get metres.

TensorFlow is imported when a network is loaded, not before.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.depth_card import KERAS, TFLITE, DepthCard, DepthModel, DepthModelError

# Pictures in one call of a compiled network; the last call is padded to it.
CPU_BATCH, GPU_BATCH = 4, 16


class DepthNetwork(Protocol):
    """A loaded network."""

    model: DepthModel

    def predict(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Depth of pictures.

        Args:
            bgr: uint8 [count, height, width, 3], any size: resized to what the network takes.

        Returns:
            float32 [count, h, w]: metres, far is larger; h and w are the network's own.

        Raises:
            ValueError: The network gave values that are not finite.
        """


def load(path: str, model: DepthModel, canvas: tuple[int, int], threads: int) -> DepthNetwork:
    """Loads a network, once in a process.

    Args:
        path: Where it lies.
        model: What it is, from models.depth_card.inspect.
        canvas: Width and height of the pictures it will be given.
        threads: CPU threads that it may use.

    Raises:
        DepthModelError: It cannot be loaded, or its inputs and outputs do not fit.
    """
    return _load(path, json.dumps(model.to_dict(), sort_keys=True), canvas, threads)


@functools.lru_cache(maxsize=2)
def _load(path: str, model_json: str, canvas: tuple[int, int], threads: int) -> DepthNetwork:
    model = DepthModel.from_dict(json.loads(model_json))
    try:
        with _native_messages_hidden():
            if model.kind == TFLITE:
                return _TfliteNetwork(path, model, threads)
            return _CompiledNetwork(path, model, canvas, threads)
    except DepthModelError:
        raise
    except Exception as error:  # whatever TensorFlow finds wrong with the file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DepthModelError(f"{path} cannot be loaded as a depth model: {reason[0]}") from error


def resize_for_network(bgr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Pictures at the network's size: area mean to shrink, linear to enlarge.

    Args:
        bgr: uint8 [count, height, width, 3].
        size: Width and height.
    """
    height, width = bgr.shape[1:3]
    if (width, height) == size:
        return bgr
    shrinks = size[0] <= width and size[1] <= height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(picture, size, interpolation=how) for picture in bgr])


def _scale_and_offset(card: DepthCard) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(input_range, mean, std) as one multiplication and one addition per channel of a pixel."""
    low, high = card.input_range
    std = np.array(card.input_std, np.float64)
    scale = (high - low) / 255 / std
    offset = (low - np.array(card.input_mean, np.float64)) / std
    return scale.astype(np.float32), offset.astype(np.float32)


def _to_metres(output: NDArray[Any], card: DepthCard) -> NDArray[np.float32]:
    """Metres of a network's output [count, h, w] or [count, h, w, 1]."""
    values = output.astype(np.float32)
    if values.ndim == 4:
        values = values[..., 0]
    if card.output == "inverse_depth":
        with np.errstate(divide="ignore"):
            values = np.float32(card.metres_per_unit) / values
    elif card.metres_per_unit != 1:
        values = values * np.float32(card.metres_per_unit)
    if not np.isfinite(values).all():
        raise ValueError("the depth network gave values that are not finite")
    return values


def _check_shapes(path: str, inputs: list[Any], outputs: list[Any]) -> None:
    if len(inputs) != 4 or inputs[3] not in (3, None):
        raise DepthModelError(
            f"{path}: its input has shape {inputs}; [batch, height, width, 3] is expected"
        )
    if not (len(outputs) == 3 or (len(outputs) == 4 and outputs[3] in (1, None))):
        raise DepthModelError(
            f"{path}: its output has shape {outputs}; [batch, height, width] or "
            "[batch, height, width, 1] is expected"
        )


class _TfliteNetwork:
    """A TensorFlow Lite file, run picture by picture on the CPU."""

    def __init__(self, path: str, model: DepthModel, threads: int) -> None:
        tf = _import_tensorflow(threads)
        self.model = model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this class moves to a package of its own
            self._interpreter = tf.lite.Interpreter(model_path=path, num_threads=threads)
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1:
            raise DepthModelError(f"{path}: it has {len(inputs)} inputs, not one")
        self._input = inputs[0]
        self._output = _choose(path, model, self._interpreter.get_output_details())
        shape = [int(n) for n in self._input["shape"]]
        _check_shapes(path, shape, [int(n) for n in self._output["shape"]])
        self._size = model.card.input_size or (shape[2], shape[1])
        if self._size != (shape[2], shape[1]) or shape[0] != 1:
            self._interpreter.resize_tensor_input(
                self._input["index"], [1, self._size[1], self._size[0], 3]
            )
        self._interpreter.allocate_tensors()

    def predict(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        card = self.model.card
        fed = resize_for_network(bgr, self._size)
        if card.input_channels == "rgb":
            fed = fed[..., ::-1]
        scale, offset = _scale_and_offset(card)
        dtype = self._input["dtype"]
        quantum, zero = self._input["quantization"]
        outputs = []
        for picture in fed:
            values: NDArray[Any] = picture * scale + offset
            if np.issubdtype(dtype, np.integer) and quantum:
                limits = np.iinfo(dtype)
                values = np.clip(np.rint(values / quantum + zero), limits.min, limits.max)
            self._interpreter.set_tensor(self._input["index"], values.astype(dtype)[None])
            self._interpreter.invoke()
            outputs.append(self._interpreter.get_tensor(self._output["index"])[0])
        output = np.stack(outputs)
        quantum, zero = self._output["quantization"]
        if np.issubdtype(output.dtype, np.integer) and quantum:
            output = (output.astype(np.float32) - zero) * np.float32(quantum)
        return _to_metres(output, card)


class _CompiledNetwork:
    """A .keras file or a SavedModel as one compiled function of a fixed batch of uint8."""

    def __init__(self, path: str, model: DepthModel, canvas: tuple[int, int], threads: int) -> None:
        tf = _import_tensorflow(threads)
        self.model = model
        call, shape, dtype = _callable(tf, path, model)
        own = None if shape[1] is None or shape[2] is None else (shape[2], shape[1])
        self._size = own or model.card.input_size or canvas
        if own and model.card.input_size and own != tuple(model.card.input_size):
            raise DepthModelError(
                f"{path}: its input is {own[0]}x{own[1]}, its card says "
                f"{model.card.input_size[0]}x{model.card.input_size[1]}"
            )
        self._batch = shape[0] or (
            GPU_BATCH if tf.config.list_physical_devices("GPU") else CPU_BATCH
        )
        scale, offset = _scale_and_offset(model.card)
        flip = model.card.input_channels == "rgb"

        def run(bgr: Any) -> Any:
            pictures = bgr[..., ::-1] if flip else bgr
            fed = tf.cast(pictures, tf.float32) * scale + offset
            if dtype.is_integer:  # a network that scales its own input
                fed = tf.round(fed)
            return call(tf.cast(fed, dtype))

        width, height = self._size
        signature = [tf.TensorSpec((self._batch, height, width, 3), tf.uint8)]
        self._run = tf.function(run, input_signature=signature, autograph=False)
        _check_shapes(path, shape, self._run.get_concrete_function().output_shapes.as_list())

    def predict(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        fed = resize_for_network(bgr, self._size)
        outputs = []
        for start in range(0, len(fed), self._batch):
            batch = fed[start : start + self._batch]
            missing = self._batch - len(batch)
            if missing:  # a fixed shape: nothing is traced again
                batch = np.concatenate((batch, np.zeros((missing, *batch.shape[1:]), np.uint8)))
            outputs.append(self._run(batch).numpy()[: self._batch - missing])
        return _to_metres(np.concatenate(outputs), self.model.card)


def _callable(tf: Any, path: str, model: DepthModel) -> tuple[Callable[..., Any], list[Any], Any]:
    """A function from a batch to one output, with the shape and the dtype of its input."""
    if model.kind == KERAS:
        import keras

        network = keras.saving.load_model(path, compile=False, safe_mode=True)
        if len(network.inputs) != 1:
            raise DepthModelError(f"{path}: it has {len(network.inputs)} inputs, not one")
        names = [{"name": output.name} for output in network.outputs]
        index = names.index(_choose(path, model, names))
        spec = network.inputs[0]

        def call_keras(batch: Any) -> Any:
            return tf.nest.flatten(network(batch, training=False))[index]

        return call_keras, list(spec.shape), tf.as_dtype(spec.dtype)
    loaded = tf.saved_model.load(path)
    signatures = loaded.signatures
    if not signatures:
        raise DepthModelError(f"{path}: a SavedModel without signatures")
    signature = signatures.get("serving_default") or next(iter(signatures.values()))
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise DepthModelError(f"{path}: its signature takes {sorted(inputs)}, not one picture")
    (argument, spec), *_ = inputs.items()
    names = [{"name": name} for name in sorted(signature.structured_outputs)]
    chosen = _choose(path, model, names)["name"]

    def call_signature(batch: Any) -> Any:
        # `loaded` is named so that it lives as long as its functions.
        return (loaded and signature)(**{argument: batch})[chosen]

    return call_signature, spec.shape.as_list(), spec.dtype


def _choose(path: str, model: DepthModel, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The output that the card names, or the only one."""
    names = [output["name"] for output in outputs]
    wanted = model.card.output_name
    if wanted is None and len(outputs) == 1:
        return outputs[0]
    if wanted not in names:
        raise DepthModelError(
            f"{path}: say in its card which output_name is the depth: {', '.join(names)}"
        )
    return outputs[names.index(wanted)]


@contextlib.contextmanager
def _native_messages_hidden() -> Iterator[None]:
    """Hides what TensorFlow's C++ code prints while it starts; no variable switches that off.

    What matters comes as an exception.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _import_tensorflow(threads: int) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        pass  # TensorFlow is already running in this process, as it was set up first
    return tf
