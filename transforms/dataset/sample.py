"""One sample of a finished data set, whatever form it is stored in."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.job.job import Configuration
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
    def overlay(self) -> bytes:
        """The JPEG of the overlay, as stored."""

    @abc.abstractmethod
    def mask(self) -> Array:
        """The mask: uint8 [height, width], 0 or 255."""

    def metres(self) -> NDArray[np.float32]:
        """The depth: float32 [height, width], metres, exactly as it is stored."""
        return self.millimetres().astype(np.float32) / np.float32(1000)

    @abc.abstractmethod
    def millimetres(self) -> NDArray[np.uint16]:
        """The depth: uint16 [height, width], millimetres; of 8-bit depth as near as it is known."""
