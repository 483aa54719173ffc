"""The files of pictures, made and read by OpenCV; a failure is an error, never an empty file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def encode(extension: str, image: NDArray[Any], flags: Sequence[int] = ()) -> bytes:
    """Encodes a picture.

    Args:
        extension: The format, as a file name's ending: ".jpg" or ".png".
        image: uint8 or uint16 [height, width], [height, width, 3] BGR or [height, width, 4] BGRA.
        flags: OpenCV's parameters and their values in turn, as cv2.imencode takes them.

    Raises:
        ValueError: OpenCV cannot encode it, such as a JPEG with a side of more than 65500 pixels.
    """
    return encode_to_array(extension, image, flags).tobytes()


def encode_to_array(
    extension: str, image: NDArray[Any], flags: Sequence[int] = ()
) -> NDArray[np.uint8]:
    """The same file as from `encode`, as uint8 [bytes] that the caller may change."""
    done, data = cv2.imencode(extension, image, flags)
    if not done:
        raise ValueError(f"OpenCV could not encode a {extension} of {image.shape}")
    return data


def decode(data: bytes, what: str, mode: int = cv2.IMREAD_UNCHANGED) -> NDArray[Any]:
    """Decodes a picture.

    Args:
        data: The file's bytes.
        what: Its name, for the error.
        mode: OpenCV's cv2.IMREAD_*; by default channels and dtype are as stored.

    Returns:
        uint8 or uint16 [height, width], [height, width, 3] BGR or [height, width, 4] BGRA.

    Raises:
        ValueError: It cannot be decoded.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), mode) if data else None
    if image is None:
        raise ValueError(f"{what} cannot be decoded")
    return image
