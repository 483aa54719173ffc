"""Networks that give one mask of a photo: salient object detection or matting, of any file kind.

A SavedModel folder, a .keras or a .tflite file with one picture in and one mask out: [1, h, w],
[1, h, w, 1] or [1, 1, h, w], from 0 to 1, or logits with the sigmoid asked for.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models import tensorflow_process

Floats = NDArray[np.float32]

SAVED_MODEL, KERAS, TFLITE = "saved_model", "keras", "tflite"
# Width and height fed to a network that takes any: what U2-Net and its like were trained with.
ANY_SIZE = (320, 320)
# Rounding may leave 0..1 by a little; more means that the output is something else.
_TOLERANCE = 0.02


class SegmentationModelError(ValueError):
    """A network that cannot be used as asked; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class MaskModel:
    """A network that gives a mask, and how it is to be fed.

    Attributes:
        path: Where it lies.
        input_range: What pixel values 0 and 255 are scaled to, before mean and std.
        input_mean: Subtracted then, by channel in the order fed.
        input_std: Divided by then.
        input_channels: "rgb" or "bgr".
        input_size: Width and height fed to a network that takes any; None for ANY_SIZE.
        output_name: Of the mask, where there are several outputs.
        activation: "none", or "sigmoid" to be applied to logits.
    """

    path: str
    input_range: tuple[float, float] = (0.0, 1.0)
    input_mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    input_std: tuple[float, ...] = (1.0, 1.0, 1.0)
    input_channels: str = "rgb"
    input_size: tuple[int, int] | None = None
    output_name: str | None = None
    activation: str = "none"


def kind_of(path: str) -> str:
    """What kind of file a network is.

    Raises:
        SegmentationModelError: There is none, or it is of no known kind.
    """
    if not os.path.exists(path):
        raise SegmentationModelError(f"{path}: no such file or folder")
    if os.path.isdir(path):
        if not any(os.path.exists(os.path.join(path, f"saved_model.{e}")) for e in ("pb", "pbtxt")):
            raise SegmentationModelError(f"{path}: a folder without saved_model.pb")
        return SAVED_MODEL
    for kind in (KERAS, TFLITE):
        if path.lower().endswith("." + kind):
            return kind
    raise SegmentationModelError(
        f"{path}: neither a SavedModel folder nor a .keras or .tflite file"
    )


class MaskNetwork:
    """A network in memory.

    Args:
        model: What it is.
        threads: CPU threads that it may use.

    Raises:
        SegmentationModelError: It does not take one picture and give one mask.
    """

    def __init__(self, model: MaskModel, threads: int) -> None:
        kind = kind_of(model.path)
        self.model = model
        tf = tensorflow_process.start(threads)
        open_kind = {SAVED_MODEL: _saved_model, KERAS: _keras, TFLITE: _tflite}[kind]
        try:
            self._call, shape, self._dtype = open_kind(tf, model, threads)
        except SegmentationModelError:
            raise
        except (ValueError, TypeError, OSError, RuntimeError, KeyError) as error:
            words = str(error).strip().splitlines() or [type(error).__name__]
            raise SegmentationModelError(f"{model.path}: cannot be opened: {words[0]}") from error
        self.size = _size(model, shape)

    def predict(self, bgr: NDArray[np.uint8]) -> Floats:
        """The mask 0..1 of a photo, uint8 [height, width, 3]: float32 [height, width].

        Raises:
            SegmentationModelError: The output is no mask of 0..1.
        """
        height, width = bgr.shape[:2]
        shrinks = self.size[0] <= width and self.size[1] <= height
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        fed = cv2.resize(bgr, self.size, interpolation=interpolation)
        if self.model.input_channels == "rgb":
            fed = fed[..., ::-1]
        low, high = self.model.input_range
        values = fed.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
        values -= np.array(self.model.input_mean, np.float32)
        values /= np.array(self.model.input_std, np.float32)
        if np.issubdtype(self._dtype, np.integer):
            limits = np.iinfo(self._dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        mask = self._mask(self._call(values.astype(self._dtype)[None]))
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)

    def _mask(self, output: NDArray[Any]) -> Floats:
        shape = output.shape
        values = np.asarray(output, np.float32)
        if values.ndim == 4 and 1 in (shape[1], shape[3]):
            values = values[..., 0] if shape[3] == 1 else values[:, 0]
        if values.ndim != 3 or values.shape[0] != 1:
            raise SegmentationModelError(
                f"{self.model.path}: its output has shape {list(shape)}; one mask [1, h, w] or "
                "[1, h, w, 1] is expected"
            )
        if self.model.activation == "sigmoid":
            values = (1 / (1 + np.exp(-np.clip(values, -60, 60)))).astype(np.float32)
        if not np.isfinite(values).all():
            raise SegmentationModelError(f"{self.model.path}: its output is not finite")
        low, high = float(values.min()), float(values.max())
        if low < -_TOLERANCE or high > 1 + _TOLERANCE:
            raise SegmentationModelError(
                f"{self.model.path}: its output goes from {low:.3g} to {high:.3g}, not 0..1; "
                "logits want --output_activation sigmoid"
            )
        return np.clip(values[0], 0, 1).astype(np.float32)


def _size(model: MaskModel, shape: list[int | None]) -> tuple[int, int]:
    """Width and height to feed."""
    if len(shape) != 4 or shape[3] not in (3, None) or shape[0] not in (1, None, -1):
        raise SegmentationModelError(
            f"{model.path}: its input has shape {shape}; [1, height, width, 3] is expected"
        )
    height, width = (side if side and side > 0 else None for side in shape[1:3])
    own = (width, height) if width and height else None
    if own and model.input_size and own != model.input_size:
        raise SegmentationModelError(
            f"{model.path}: it takes {own[0]}x{own[1]}, not --input_size "
            f"{model.input_size[0]}x{model.input_size[1]}"
        )
    return own or model.input_size or ANY_SIZE


def _choose(model: MaskModel, names: list[str]) -> int:
    if model.output_name is None and len(names) == 1:
        return 0
    if model.output_name not in names:
        raise SegmentationModelError(
            f"{model.path}: say by --output_name which output is the mask: {', '.join(names)}"
        )
    return names.index(model.output_name)


_Opened = tuple[Callable[[NDArray[Any]], NDArray[Any]], list[Any], Any]


def _keras(tf: Any, model: MaskModel, threads: int) -> _Opened:
    import keras

    network = keras.saving.load_model(model.path, compile=False, safe_mode=True)
    if len(network.inputs) != 1:
        raise SegmentationModelError(f"{model.path}: it has {len(network.inputs)} inputs, not one")
    index = _choose(model, list(getattr(network, "output_names", ["output"])))
    run = tf.function(lambda batch: tf.nest.flatten(network(batch, training=False))[index])
    spec = network.inputs[0]
    dtype = np.dtype(str(spec.dtype))
    return (lambda batch: run(tf.constant(batch)).numpy()), list(spec.shape), dtype


def _saved_model(tf: Any, model: MaskModel, threads: int) -> _Opened:
    loaded = tf.saved_model.load(model.path)
    if not loaded.signatures:
        raise SegmentationModelError(f"{model.path}: a SavedModel without signatures")
    signature = loaded.signatures.get("serving_default") or next(iter(loaded.signatures.values()))
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise SegmentationModelError(
            f"{model.path}: its signature takes {sorted(inputs)}, not one picture"
        )
    (argument, spec), *_ = inputs.items()
    names = sorted(signature.structured_outputs)
    chosen = names[_choose(model, names)]

    def call(batch: NDArray[Any]) -> NDArray[Any]:
        # `loaded` is named so that its variables live as long as its functions.
        return (loaded and signature)(**{argument: tf.constant(batch)})[chosen].numpy()

    shape = spec.shape.as_list() if spec.shape.rank is not None else []
    return call, shape, spec.dtype.as_numpy_dtype


def _tflite(tf: Any, model: MaskModel, threads: int) -> _Opened:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this class moves to a package of its own
        interpreter = tf.lite.Interpreter(model_path=model.path, num_threads=threads)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1:
        raise SegmentationModelError(f"{model.path}: it has {len(inputs)} inputs, not one")
    given, wanted = inputs[0], outputs[_choose(model, [o["name"] for o in outputs])]
    signature = [int(n) for n in given.get("shape_signature", given["shape"])]
    width, height = _size(model, list(signature))
    if signature != [1, height, width, 3]:
        interpreter.resize_tensor_input(given["index"], [1, height, width, 3])
    interpreter.allocate_tensors()
    scale, zero = given["quantization"]
    out_scale, out_zero = wanted["quantization"]

    def call(batch: NDArray[Any]) -> NDArray[Any]:
        if np.issubdtype(given["dtype"], np.integer) and scale:
            limits = np.iinfo(given["dtype"])
            batch = np.clip(np.rint(batch / scale + zero), limits.min, limits.max)
        interpreter.set_tensor(given["index"], batch.astype(given["dtype"]))
        interpreter.invoke()
        output = interpreter.get_tensor(wanted["index"])
        if np.issubdtype(output.dtype, np.integer) and out_scale:
            output = (output.astype(np.float32) - out_zero) * np.float32(out_scale)
        return output

    quantised = np.issubdtype(given["dtype"], np.integer) and scale
    return call, signature, np.dtype(np.float32) if quantised else np.dtype(given["dtype"])
