"""Depth networks on pictures: load one from a file, feed it uint8 pictures, get metres.

TensorFlow is imported when a network is loaded, not before. A loaded network is one function of a
fixed batch of uint8. Where TensorFlow runs it, it is compiled with the scaling and the conversion
to metres, so that one transfer each way is made for a batch; a .tflite file is fed by NumPy.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.models import opening, tensorflow_process
from fgbg.models.depth import opened_network
from fgbg.models.depth.densedepth_weights import WeightFileError
from fgbg.models.depth.depth_card import DepthCard, DepthModel, DepthModelError, network_file
from fgbg.models.depth.micro_batches import (
    Depths,
    Function,
    MicroBatches,
    OnBatch,
    Pictures,
    even_batch,
)
from fgbg.models.depth.opened_network import OpenedNetwork
from fgbg.models.onnx_network import OutOfMemory
from fgbg.models.opening import NetworkError
from fgbg.models.resizing import resize_all

# The most pictures in a call of a compiled network, unless asked otherwise. On a CPU larger batches
# gain nothing and need more memory (docs/depth.md); on a GPU they fill the device.
CPU_BATCH, GPU_BATCH = 4, 32
USUAL_STRIDE = 32
_ONNX_GPU = "GPU"  # ONNX Runtime does not say its name


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
            return _load(path, model_json, canvas, threads, unit_size)
    except DepthModelError:
        raise
    except (WeightFileError, NetworkError) as error:
        raise DepthModelError(str(error)) from error
    except Exception as error:  # whatever TensorFlow finds wrong with the file
        raise DepthModelError(
            f"{path} cannot be loaded as a depth model: {opening.reason(error)}"
        ) from error


def gpu_of(threads: int) -> str | None:
    """The name of the GPU that networks of this process would run on; None without one."""
    return tensorflow_process.gpu_name(tensorflow_process.start(threads))


@functools.lru_cache(maxsize=1)
def _open(path: str, model_json: str, threads: int) -> OpenedNetwork:
    model = DepthModel.from_dict(json.loads(model_json))
    return opened_network.open_network(path, model, threads)


@functools.lru_cache(maxsize=2)
def _load(
    path: str, model_json: str, canvas: tuple[int, int], threads: int, unit_size: int | None
) -> DepthNetwork:
    return DepthNetwork(_open(path, model_json, threads), canvas, threads, unit_size)


def stride_of(model: DepthModel) -> int:
    """What the sides of pictures of any size are multiples of: most networks halve them often."""
    return model.card.input_multiple if model.card.input_multiple > 1 else USUAL_STRIDE


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


class DepthNetwork:
    """A loaded network, for one size of pictures and one of batches.

    Args:
        network: Its weights.
        canvas: Width and height of the pictures it will be given.
        threads: CPU threads that it may use.
        unit_size: How many pictures it will be given at once, to choose the batch by.

    Attributes:
        model: What it is.
        size: Width and height of the pictures it is fed.
        any_size: Whether that is the canvas' choice, and not the network's.
        gpu: Name of the GPU that it runs on; None on a processor.

    Raises:
        DepthModelError: Its card or options do not fit its file.
    """

    def __init__(
        self,
        network: OpenedNetwork,
        canvas: tuple[int, int],
        threads: int,
        unit_size: int | None,
    ) -> None:
        # TensorFlow is not imported for a network that does without.
        tf = None if network.prepare else tensorflow_process.start(threads)
        self.model = network.model
        self.gpu = tensorflow_process.gpu_name(tf) if tf else _ONNX_GPU if network.gpu else None
        self._network = network  # compiled functions do not keep a network's variables alive
        self.size = _choose_size(network, canvas)
        self.any_size = not (network.size or self.model.card.input_size)
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
            tf.errors.ResourceExhaustedError if tf else OutOfMemory,
            fixed=network.batch is not None,
        )

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
        fed = resize_all(bgr, self.size, self.model.card.input_filter)
        depths = self._run(fed, on_batch)
        if not np.isfinite(depths).all():
            raise ValueError("the depth network gave values that are not finite")
        return depths


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
    cast, rounded = (np.asarray, np.rint) if network.prepare else (tf.cast, tf.round)

    def run(bgr: Any) -> Any:
        pictures = bgr[..., ::-1] if rgb else bgr
        fed = cast(pictures, np.float32) * scale + offset
        if np.issubdtype(network.dtype, np.integer):  # a network that scales its own input
            fed = rounded(fed)
        return network.call(cast(fed, network.dtype))

    if network.prepare:
        network.prepare(batch, size)
        return run
    signature = [tf.TensorSpec((batch, size[1], size[0], 3), tf.uint8)]
    function = tf.function(run, input_signature=signature, autograph=False)
    concrete = function.get_concrete_function()

    def call(pictures: Pictures) -> Depths:
        return concrete(tf.constant(pictures)).numpy()

    return call
