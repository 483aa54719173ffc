"""One sample of a finished data set, and its reader, whatever form it is stored in."""

from __future__ import annotations

import abc
import dataclasses
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.job import Configuration, Job
from fgbg.transforms.pixels import coding
from fgbg.transforms.pixels.compositing import MASK_THRESHOLD
from fgbg.transforms.pixels.pictures import Array


class SampleError(ValueError):
    """A picture of a sample is missing or damaged; the message names it."""


@dataclasses.dataclass(frozen=True)
class Sample(abc.ABC):
    """One sample. What is read of it raises SampleError where that is missing or damaged.

    Attributes:
        row: Its row of the manifest.
        configuration: The data set's.
    """

    row: dict[str, Any]
    configuration: Configuration

    @property
    def name(self) -> str:
        """The key with nothing in it that means something in a file name: bg1_fg_1_7."""
        return self.row["key"].replace("/", "_")

    @property
    def has_depth(self) -> bool:
        """Whether it has a depth map."""
        return self.row["depth"] is not None

    @abc.abstractmethod
    def coded(self, kind: str) -> bytes:
        """A picture ("overlay", "mask", "depth") as stored, not compared with its checksum."""

    def decode(self, kind: str, data: bytes) -> NDArray[Any]:
        """A picture of this sample as `fgbg.transforms.pixels.coding.decode` returns it."""
        try:
            return coding.decode(kind, data, self.configuration)
        except ValueError as error:
            raise SampleError(f"{self.row[kind]}: {error}") from error

    def overlay(self) -> bytes:
        """The JPEG of the overlay, as stored."""
        return self._checked("overlay")

    def mask(self) -> Array:
        """The mask: uint8 [height, width], 0 or 255."""
        grey = self.decode("mask", self._checked("mask"))
        return cv2.threshold(grey, MASK_THRESHOLD - 1, 255, cv2.THRESH_BINARY)[1]

    def metres(self) -> NDArray[np.float32]:
        """The depth: float32 [height, width], metres, exactly as it is stored."""
        stored = self.decode("depth", self._checked("depth"))
        return coding.depth_in_metres(stored, self.configuration.depth_range_m)

    def millimetres(self) -> NDArray[np.uint16]:
        """The depth: uint16 [height, width], millimetres; of 8-bit depth as near as it is known."""
        stored = self.decode("depth", self._checked("depth"))
        if stored.dtype == np.uint16:
            return stored
        return coding.depth_from_8_bit(stored, self.configuration.depth_range_m)

    def _checked(self, kind: str) -> bytes:
        data = self.coded(kind)
        if zlib.crc32(data) != self.row[f"{kind}_crc32"]:
            name = self.row[kind]
            raise SampleError(f"{name}: its checksum is not the manifest's: the file has changed")
        return data


class SampleReader(abc.ABC):
    """Finds the samples of a data set: see `fgbg.transforms.dataset.samples.open_reader`.

    Args:
        output: The data set, finished.
        job: Its job.
    """

    def __init__(self, output: str, job: Job) -> None:
        self.output = output
        self.job = job

    @abc.abstractmethod
    def sample(self, row: dict[str, Any]) -> Sample:
        """The sample of a row of the manifest; it is read when something of it is asked for."""

    @abc.abstractmethod
    def unit(self, record: Commit) -> list[Sample]:
        """The samples of a unit in the order of its commit record, by as few reads as can be.

        Raises:
            SampleError: They are missing.
        """
