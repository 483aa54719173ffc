"""Samples of 16 bits, where Pillow gives 8: for pictures whose colours are converted.

A dark tone of linear light is a step of 8 bits, and thirteen steps of sRGB: what is cut off before
the conversion is missing after it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from fgbg.transforms.pixels import png_chunks

_BITS = 16


def colours(image: Image.Image, data: bytes) -> NDArray[np.uint16] | None:
    """The colours of a picture of 16 bits, without alpha, not turned.

    OpenCV reads them; what Pillow has read must be the upper half of the same.

    Args:
        image: As Pillow opened and loaded it, of the mode RGB, RGBA, L or LA.
        data: The file's bytes.

    Returns:
        uint16 [height, width, 3] RGB; None where there are no more than 8 bits, or OpenCV reads
        something else.
    """
    if image.mode not in ("RGB", "RGBA", "LA") or _bits(image, data) != _BITS:
        return None
    try:
        whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if whole is None or whole.dtype != np.uint16 or whole.shape[:2] != image.size[::-1]:
        return None
    if whole.ndim != 3 or whole.shape[2] < 3:
        return None
    rgb = np.ascontiguousarray(whole[..., 2::-1])
    upper = np.asarray(image.convert("RGBA") if image.mode == "LA" else image)[..., :3]
    return rgb if np.array_equal(rgb >> 8, upper) else None


def _bits(image: Image.Image, data: bytes) -> int:
    if image.format == "PNG":
        return png_chunks.depth(data)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        return int(bits[0]) if bits else 0
    return 0
