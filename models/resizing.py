"""The rule by which pictures and maps are resized: area mean to shrink, linear to enlarge.

It lies with the networks, the lowest room that has pictures: what a network is fed and what is
stored of its output are resized alike.
"""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

# The ways to bring a picture to a network's size. AREA shrinks by the mean over each pixel's area
# and enlarges by interpolation; the others interpolate both ways, as some networks were trained.
AREA, LINEAR, CUBIC, LANCZOS = "area", "linear", "cubic", "lanczos"
FILTERS = (AREA, LINEAR, CUBIC, LANCZOS)
_INTERPOLATIONS = {
    LINEAR: cv2.INTER_LINEAR,
    CUBIC: cv2.INTER_CUBIC,
    LANCZOS: cv2.INTER_LANCZOS4,
}

_Image = TypeVar("_Image", bound=NDArray[Any])


def resize(image: _Image, size: tuple[int, int], enlarge: int = cv2.INTER_LINEAR) -> _Image:
    """Resizes by the mean over each pixel's area, or enlarges by interpolation.

    Args:
        image: [height, width] or [height, width, channels], of any dtype that OpenCV resizes.
        size: Width and height.
        enlarge: OpenCV's interpolation where a side gets longer.

    Returns:
        The image at that size, of the same dtype; the image itself where it has that size.
    """
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    shrinks = size[0] <= width and size[1] <= height
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else enlarge)  # type: ignore[return-value]


def resize_by(image: _Image, size: tuple[int, int], way: str) -> _Image:
    """Resizes by one of FILTERS; AREA is `resize`."""
    if way == AREA or (image.shape[1], image.shape[0]) == size:
        return resize(image, size)
    return cv2.resize(image, size, interpolation=_INTERPOLATIONS[way])  # type: ignore[return-value]


def resize_all(images: _Image, size: tuple[int, int], way: str = AREA) -> _Image:
    """Resizes a stack of images [count, height, width(, channels)], each like `resize_by`."""
    if (images.shape[2], images.shape[1]) == size:
        return images
    return np.stack([resize_by(image, size, way) for image in images])  # type: ignore[return-value]
