"""Depth networks on pictures: load one from a file, feed it uint8 pictures, get metres.

TensorFlow is imported when a network is loaded, not before. A loaded network is one compiled
function of a fixed batch of uint8: scaling and the conversion to metres are part of it, and one
transfer each way is made for a batch.
"""

from __future__ import annotations

import functools
import json
import warnings
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models import tensorflow_process
from fgbg.models.depth import opened_network
from fgbg.models.depth.densedepth_weights import WeightFileError
from fgbg.models.depth.depth_card import (
    TFLITE,
    DepthCard,
    DepthModel,
    DepthModelError,
    network_file,
)
from fgbg.models.depth.micro_batches import (
    Depths,
    Function,
    MicroBatches,
    OnBatch,
    Pictures,
    even_batch,
)
from fgbg.models.depth.opened_network import OpenedNetwork

# The most pictures in a call of a compiled network, unless asked otherwise. On a CPU larger batches
# gain nothing and need more memory (docs/depth.md); on a GPU they fill the device.
CPU_BATCH, GPU_BATCH = 4, 32


class DepthNetwork(Protocol):
    """A loaded network.

    Attributes:
        model: What it is.
        size: Width and height of the pictures it is fed.
        gpu: Name of the GPU that it runs on; None on a processor.
    """

    model: DepthModel
    size: tuple[int, int]
    gpu: str | None

    def predict(self, bgr: Pictures, on_batch: OnBatch | None = None) -> Depths:
        """Depth of pictures.

        Args:
            bgr: uint8 [count, height, width, 3], any size: resized to what the network takes.
            on_batch: Told the number of pictures of each call of the network.

        Returns:
            float32 [count, h, w]: metres, far is larger; h and w are the network's own.

        Raises:
            ValueError: The network gave values that are not finite.
        """


def load(
    path: str,
    model: DepthModel,
    canvas: tuple[int, int],
    threads: int,
    unit_size: int | None = None,
) -> DepthNetwork:
    """Loads a network, once in a process.

    Args:
        path: Where it lies.
        model: What it is, from fgbg.models.depth.depth_card.inspect.
        canvas: Width and height of the pictures it will be given.
        threads: CPU threads that it may use.
        unit_size: How many pictures it will be given at once, to choose the batch by.

    Raises:
        DepthModelError: It cannot be loaded, or its inputs and outputs do not fit.
    """
    model_json = json.dumps(model.to_dict(), sort_keys=True)
    path = network_file(path)
    try:
        with tensorflow_process.native_messages_hidden():
            if model.kind == TFLITE:
                return _load_tflite(path, model_json, threads)
            return _load_compiled(path, model_json, canvas, threads, unit_size)
    except DepthModelError:
        raise
    except WeightFileError as error:
        raise DepthModelError(str(error)) from error
    except Exception as error:  # whatever TensorFlow finds wrong with the file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DepthModelError(f"{path} cannot be loaded as a depth model: {reason[0]}") from error


@functools.lru_cache(maxsize=1)
def _load_tflite(path: str, model_json: str, threads: int) -> DepthNetwork:
    return _TfliteNetwork(path, DepthModel.from_dict(json.loads(model_json)), threads)


@functools.lru_cache(maxsize=1)
def _open(path: str, model_json: str, threads: int) -> OpenedNetwork:
    tf = tensorflow_process.start(threads)
    return opened_network.open_network(tf, path, DepthModel.from_dict(json.loads(model_json)))


@functools.lru_cache(maxsize=2)
def _load_compiled(
    path: str, model_json: str, canvas: tuple[int, int], threads: int, unit_size: int | None
) -> DepthNetwork:
    return _CompiledNetwork(_open(path, model_json, threads), canvas, threads, unit_size)


def resize_for_network(bgr: Pictures, size: tuple[int, int]) -> Pictures:
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


def fed_size(picture: tuple[int, int], stride: int) -> tuple[int, int]:
    """Width and height that a network of any size is fed: the picture's, in multiples of stride."""
    width, height = (max(stride, (2 * side + stride) // (2 * stride) * stride) for side in picture)
    return width, height


def _scale_and_offset(card: DepthCard) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(input_range, mean, std) as one multiplication and one addition per channel of a pixel."""
    low, high = card.input_range
    std = np.array(card.input_std, np.float64)
    scale = (high - low) / 255 / std
    offset = (low - np.array(card.input_mean, np.float64)) / std
    return scale.astype(np.float32), offset.astype(np.float32)


def _checked(depths: Depths) -> Depths:
    if not np.isfinite(depths).all():
        raise ValueError("the depth network gave values that are not finite")
    return depths


class _TfliteNetwork:
    """A TensorFlow Lite file, run picture by picture on the CPU."""

    def __init__(self, path: str, model: DepthModel, threads: int) -> None:
        tf = tensorflow_process.start(threads)
        self.model = model
        self.gpu: str | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this class moves to a package of its own
            self._interpreter = tf.lite.Interpreter(model_path=path, num_threads=threads)
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1:
            raise DepthModelError(f"{path}: it has {len(inputs)} inputs, not one")
        self._input = inputs[0]
        outputs = self._interpreter.get_output_details()
        index = opened_network.choose_output(path, model, [o["name"] for o in outputs])
        self._output = outputs[index]
        shape = [int(n) for n in self._input["shape"]]
        opened_network.check_input(path, shape)
        opened_network.check_output(path, [int(n) for n in self._output["shape"]])
        self.size = model.card.input_size or (shape[2], shape[1])
        if self.size != (shape[2], shape[1]) or shape[0] != 1:
            self._interpreter.resize_tensor_input(
                self._input["index"], [1, self.size[1], self.size[0], 3]
            )
        self._interpreter.allocate_tensors()

    def predict(self, bgr: Pictures, on_batch: OnBatch | None = None) -> Depths:
        card = self.model.card
        fed: NDArray[Any] = resize_for_network(bgr, self.size)
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
            if on_batch is not None:
                on_batch(1)
        output = np.stack(outputs)
        quantum, zero = self._output["quantization"]
        if np.issubdtype(output.dtype, np.integer) and quantum:
            output = (output.astype(np.float32) - zero) * np.float32(quantum)
        values = np.asarray(output, np.float32)
        values = values[..., 0] if values.ndim == 4 else values
        unit = np.float32(card.metres_per_unit)
        if card.output == "inverse_depth":
            with np.errstate(divide="ignore"):
                return _checked(np.divide(unit, values, dtype=np.float32))
        return _checked(np.multiply(values, unit, dtype=np.float32))


class _CompiledNetwork:
    """A network that TensorFlow compiles, for one size of pictures and one of batches."""

    def __init__(
        self,
        network: OpenedNetwork,
        canvas: tuple[int, int],
        threads: int,
        unit_size: int | None,
    ) -> None:
        tf = tensorflow_process.start(threads)
        self.model = network.model
        self.gpu = tensorflow_process.gpu_name(tf)
        self._network = network  # compiled functions do not keep a network's variables alive
        self.size = _choose_size(network, canvas)
        largest = GPU_BATCH if self.gpu else CPU_BATCH
        asked = self.model.batch_size
        if network.batch and asked not in (None, network.batch):
            raise DepthModelError(
                f"{network.path}: it takes batches of {network.batch}, not --depth_batch_size "
                f"{asked}"
            )
        self._run = MicroBatches(
            lambda batch: _compile(tf, network, batch, self.size),
            network.batch or asked or even_batch(largest, unit_size),
            tf.errors.ResourceExhaustedError,
            fixed=network.batch is not None,
        )

    def predict(self, bgr: Pictures, on_batch: OnBatch | None = None) -> Depths:
        return _checked(self._run(resize_for_network(bgr, self.size), on_batch))


def _choose_size(network: OpenedNetwork, canvas: tuple[int, int]) -> tuple[int, int]:
    asked, own = network.model.card.input_size, network.size
    if own and asked and own != asked:
        raise DepthModelError(
            f"{network.path}: its input is {own[0]}x{own[1]}, its card says {asked[0]}x{asked[1]}"
        )
    return own or asked or fed_size(canvas, network.stride)


def _compile(tf: Any, network: OpenedNetwork, batch: int, size: tuple[int, int]) -> Function:
    """The function of a fixed batch of uint8 BGR. XLA stays off: slower on a CPU."""
    scale, offset = _scale_and_offset(network.model.card)
    rgb = network.model.card.input_channels == "rgb"

    def run(bgr: Any) -> Any:
        pictures = bgr[..., ::-1] if rgb else bgr
        fed = tf.cast(pictures, tf.float32) * scale + offset
        if network.dtype.is_integer:  # a network that scales its own input
            fed = tf.round(fed)
        return network.call(tf.cast(fed, network.dtype))

    signature = [tf.TensorSpec((batch, size[1], size[0], 3), tf.uint8)]
    function = tf.function(run, input_signature=signature, autograph=False)
    concrete = function.get_concrete_function()

    def call(pictures: Pictures) -> Depths:
        return concrete(tf.constant(pictures)).numpy()

    return call
