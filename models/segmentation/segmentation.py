"""Networks that give one mask of a photo: salient object detection or matting, of any file kind.

A SavedModel folder, a .keras or a .tflite file with one picture in and one mask out: [1, h, w],
[1, h, w, 1] or [1, 1, h, w], from 0 to 1, or logits with the sigmoid asked for.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models import opening
from fgbg.models.opening import NetworkError
from fgbg.models.resizing import resize

Floats = NDArray[np.float32]

# Width and height fed to a network that takes any: what U2-Net and its like were trained with.
ANY_SIZE = (320, 320)
# Rounding may leave 0..1 by a little; more means that the output is something else.
_TOLERANCE = 0.02


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


class MaskNetwork:
    """A network in memory.

    Args:
        model: What it is.
        threads: CPU threads that it may use.

    Raises:
        NetworkError: It does not take one picture and give one mask.
    """

    def __init__(self, model: MaskModel, threads: int) -> None:
        self.model = model
        self._opened = opening.open_network(model.path, threads)
        given = self._opened.only_input()
        advice = "say by --output_name which output is the mask"
        self._wanted = [self._opened.choose_output(model.output_name, advice)]
        self._dtype = given.dtype
        self.size = _size(model, given.shape)
        self._opened.prepare([(1, self.size[1], self.size[0], 3)])

    def predict(self, bgr: NDArray[np.uint8]) -> Floats:
        """The mask 0..1 of a photo, uint8 [height, width, 3]: float32 [height, width].

        Raises:
            NetworkError: The output is no mask of 0..1.
        """
        height, width = bgr.shape[:2]
        fed = resize(bgr, self.size)
        if self.model.input_channels == "rgb":
            fed = fed[..., ::-1]
        low, high = self.model.input_range
        values = fed.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
        values -= np.array(self.model.input_mean, np.float32)
        values /= np.array(self.model.input_std, np.float32)
        if np.issubdtype(self._dtype, np.integer):
            limits = np.iinfo(self._dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        mask = self._mask(self._opened.call([values.astype(self._dtype)[None]], self._wanted)[0])
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)

    def _mask(self, output: NDArray[Any]) -> Floats:
        shape = output.shape
        values = np.asarray(output, np.float32)
        if values.ndim == 4 and 1 in (shape[1], shape[3]):
            values = values[..., 0] if shape[3] == 1 else values[:, 0]
        if values.ndim != 3 or values.shape[0] != 1:
            raise NetworkError(
                f"{self.model.path}: its output has shape {list(shape)}; one mask [1, h, w] or "
                "[1, h, w, 1] is expected"
            )
        if self.model.activation == "sigmoid":
            values = (1 / (1 + np.exp(-np.clip(values, -60, 60)))).astype(np.float32)
        if not np.isfinite(values).all():
            raise NetworkError(f"{self.model.path}: its output is not finite")
        low, high = float(values.min()), float(values.max())
        if low < -_TOLERANCE or high > 1 + _TOLERANCE:
            raise NetworkError(
                f"{self.model.path}: its output goes from {low:.3g} to {high:.3g}, not 0..1; "
                "logits want --output_activation sigmoid"
            )
        return np.clip(values[0], 0, 1).astype(np.float32)


def _size(model: MaskModel, shape: list[int | None]) -> tuple[int, int]:
    """Width and height to feed."""
    if len(shape) != 4 or shape[3] not in (3, None) or shape[0] not in (1, None):
        raise NetworkError(
            f"{model.path}: its input has shape {shape}; [1, height, width, 3] is expected"
        )
    _, height, width, _ = shape
    own = (width, height) if width and height else None
    if own and model.input_size and own != model.input_size:
        raise NetworkError(
            f"{model.path}: it takes {own[0]}x{own[1]}, not --input_size "
            f"{model.input_size[0]}x{model.input_size[1]}"
        )
    return own or model.input_size or ANY_SIZE
