"""The samples of a data set of image files."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.transforms.dataset.sample import Sample, SampleError
from fgbg.transforms.job.job import Configuration
from fgbg.transforms.pixels import codec
from fgbg.transforms.pixels.coding import MILLIMETRES_MAX
from fgbg.transforms.pixels.compositing import MASK_THRESHOLD
from fgbg.transforms.pixels.pictures import Array


def depth_from_8_bit(stored: Array, range_m: float) -> NDArray[np.uint16]:
    """Millimetres of 8-bit depth, where 255 is range_m metres: off by up to range_m / 510."""
    scaled = stored * (1000 * range_m / 255)
    return np.rint(np.minimum(scaled, MILLIMETRES_MAX)).astype(np.uint16)


def depth_in_metres(stored: NDArray[Any], c: Configuration) -> NDArray[np.float32]:
    """Metres of a decoded depth file of either format."""
    if stored.dtype == np.uint16:
        return stored.astype(np.float32) / np.float32(1000)
    return stored.astype(np.float32) * np.float32(c.depth_range_m / 255)


@dataclasses.dataclass(frozen=True)
class FileSample(Sample):
    """A sample of an image tree; files are read each time they are asked for.

    Attributes:
        output: The data set.
    """

    output: str

    def overlay(self) -> bytes:
        return self.read("overlay")

    def mask(self) -> Array:
        grey = self._decode("mask")
        return cv2.threshold(grey, MASK_THRESHOLD - 1, 255, cv2.THRESH_BINARY)[1]

    def metres(self) -> NDArray[np.float32]:
        return depth_in_metres(self._decode("depth"), self.configuration)

    def millimetres(self) -> NDArray[np.uint16]:
        stored = self._decode("depth")
        if stored.dtype == np.uint16:
            return stored
        return depth_from_8_bit(stored, self.configuration.depth_range_m)

    def read(self, kind: str) -> bytes:
        """The file of a kind ("overlay", "mask", "depth"), compared with its checksum."""
        name = self.row[kind]
        path = storage.join(self.output, name)
        try:
            data = storage.storage_for(path).read(path)
        except FileNotFoundError as error:
            raise SampleError(f"{name}: missing") from error
        if zlib.crc32(data) != self.row[f"{kind}_crc32"]:
            raise SampleError(f"{name}: its checksum is not the manifest's: the file has changed")
        return data

    def _decode(self, kind: str) -> NDArray[Any]:
        name = self.row[kind]
        data = self.read(kind)
        try:
            image = codec.decode(data, name)
        except ValueError as error:
            raise SampleError(f"{name}: cannot be decoded") from error
        width, height = self.configuration.size
        if image.shape != (height, width):
            raise SampleError(f"{name}: has shape {image.shape}, not {(height, width)}")
        return image
