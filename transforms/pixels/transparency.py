"""Transparency that a PNG has without an alpha channel: one of its colours is clear.

Pillow gives the colour as it stands in the file, but the picture scaled to 8 bits: compared with
one another they are equal in pictures of 8 bits only.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fgbg.transforms.pixels import png_chunks

Array = NDArray[np.uint8]


def alpha_of(image: Image.Image, data: bytes) -> Array | None:
    """The alpha that a picture's transparent colour makes.

    Args:
        image: As Pillow opened and loaded it, not turned yet.
        data: The file's bytes.

    Returns:
        uint8 [height, width], 0 or 255; None where there is no transparent colour, or Pillow
        knows all that there is to know (palettes, 8 bits).
    """
    colour = image.info.get("transparency")
    depth = png_chunks.depth(data)
    if colour is None or not depth:
        return None
    if image.mode == "L" and depth in (2, 4) and isinstance(colour, int):
        # Samples of 2 and 4 bits were spread to 0..255.
        most = (1 << depth) - 1
        return _clear(np.asarray(image) == (colour & most) * (255 // most))
    if image.mode.startswith("I") and isinstance(colour, int):
        return _clear(np.asarray(image) == colour)
    if image.mode == "RGB" and depth == 16:
        # Pillow has dropped the low bytes, OpenCV has not; it makes the alpha by itself.
        whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if whole is not None and whole.shape == (image.height, image.width, 4):
            return _clear(whole[..., 3] == 0)
    return None


def _clear(where: NDArray[np.bool_]) -> Array:
    return np.where(where, 0, 255).astype(np.uint8)
