"""What a method has found in a photo, or why it gives none."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray


class Rejected(ValueError):
    """No cut-out of this picture; the message says why, not which picture."""


@dataclasses.dataclass(frozen=True)
class Found:
    """The thing in a photo.

    Attributes:
        share: float32 0..1 [height, width], of the photo's size: how much of each pixel is it.
        confidence: 0..1.
        what: What it is, where the method knows: "cat"; else "".
    """

    share: NDArray[np.float32]
    confidence: float
    what: str = ""
