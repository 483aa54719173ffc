"""Networks that give one mask of a photo: salient object detection or matting, of any file kind.

A SavedModel folder, a .keras, a .tflite or an .onnx file with one picture in and one mask out:
[1, h, w], [1, h, w, 1] or [1, 1, h, w], from 0 to 1, or logits with the sigmoid asked for. A card
beside it, as beside a depth network, says how it is fed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models import opening, resizing
from fgbg.models.opening import NetworkError
from fgbg.models.picture_input import PictureInput, channel_of, picture_input

Floats = NDArray[np.float32]

# Width and height fed to a network that takes any: what U2-Net and its like were trained with.
ANY_SIZE = (320, 320)
# Rounding may leave 0..1 by a little; more means that the output is something else.
_TOLERANCE = 0.02
# What was added when folders of cut-outs were there already.
_LATER = ("input_layout", "input_multiple", "input_filter", "input_maximum", "stretched")


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
        input_layout: "nhwc" or "nchw"; None: what the file's own sizes say.
        input_multiple: Sides fed are multiples of it, for a network that takes any size.
        input_filter: One of resizing.FILTERS, by which photos are brought to that size.
        input_maximum: Whether a photo's own brightest value becomes the upper end of input_range.
        stretched: Whether each mask is stretched to 0..1.
        licence: Of the network, where its card says it.
        origin: Whose it is and where it comes from, likewise.
    """

    path: str
    input_range: tuple[float, float] = (0.0, 1.0)
    input_mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    input_std: tuple[float, ...] = (1.0, 1.0, 1.0)
    input_channels: str = "rgb"
    input_size: tuple[int, int] | None = None
    output_name: str | None = None
    activation: str = "none"
    input_layout: str | None = None
    input_multiple: int = 1
    input_filter: str = resizing.AREA
    input_maximum: bool = False
    stretched: bool = False
    licence: str = ""
    origin: str = ""

    def decisive(self) -> dict[str, Any]:
        """What of it decides the masks, but for the file; what came later only where it is used."""
        content = dataclasses.asdict(self)
        for name in ("path", "licence", "origin"):
            del content[name]
        for field in dataclasses.fields(self):
            if field.name in _LATER and content[field.name] == field.default:
                del content[field.name]
        return content


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
        self._given = given = picture_input(self._opened, model.input_layout)
        advice = "say by --output_name which output is the mask"
        self._wanted = [self._opened.choose_output(model.output_name, advice)]
        self._dtype = given.port.dtype
        self.size = _size(model, given)
        self._opened.prepare([given.shape(1, self.size)])

    def predict(self, bgr: NDArray[np.uint8]) -> Floats:
        """The mask 0..1 of a photo, uint8 [height, width, 3]: float32 [height, width].

        Raises:
            NetworkError: The output is no mask of 0..1.
        """
        height, width = bgr.shape[:2]
        fed = resizing.resize_by(bgr, self.size, self.model.input_filter)
        if self.model.input_channels == "rgb":
            fed = fed[..., ::-1]
        low, high = self.model.input_range
        most = max(int(fed.max()), 1) if self.model.input_maximum else 255
        values = fed.astype(np.float32) * np.float32((high - low) / most) + np.float32(low)
        values -= np.array(self.model.input_mean, np.float32)
        values /= np.array(self.model.input_std, np.float32)
        if np.issubdtype(self._dtype, np.integer):
            limits = np.iinfo(self._dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        given = self._given.given(values.astype(self._dtype)[None])
        mask = self._mask(self._opened.call(given, self._wanted)[0])
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)

    def _mask(self, output: NDArray[Any]) -> Floats:
        shape = output.shape
        values = channel_of(np.asarray(output, np.float32))
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
        if self.model.stretched and high > low:
            return ((values[0] - np.float32(low)) / np.float32(high - low)).astype(np.float32)
        if low < -_TOLERANCE or high > 1 + _TOLERANCE:
            raise NetworkError(
                f"{self.model.path}: its output goes from {low:.3g} to {high:.3g}, not 0..1; "
                "logits want --output_activation sigmoid"
            )
        return np.clip(values[0], 0, 1).astype(np.float32)


def _size(model: MaskModel, given: PictureInput) -> tuple[int, int]:
    """Width and height to feed."""
    if given.batch not in (1, None):
        raise NetworkError(f"{model.path}: it takes {given.batch} photos at once, not one")
    own = given.size
    if own and model.input_size and own != model.input_size:
        raise NetworkError(
            f"{model.path}: it takes {own[0]}x{own[1]}, not --input_size "
            f"{model.input_size[0]}x{model.input_size[1]}"
        )
    if own or model.input_size:
        return own or model.input_size or ANY_SIZE
    multiple = model.input_multiple
    width, height = (-(-side // multiple) * multiple for side in ANY_SIZE)
    return width, height
