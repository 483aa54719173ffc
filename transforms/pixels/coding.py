"""What is stored of a sample: depth at stored size, and the file of every picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models.resizing import resize_all
from fgbg.transforms.job.job import Configuration
from fgbg.transforms.pixels import codec, png_mask
from fgbg.transforms.pixels.jpeg import splice as jpeg_splice
from fgbg.transforms.pixels.pictures import Array

# From this JPEG quality on, thresholding at 128 gives back every binary mask. libjpeg's luminance
# table (ITU-T T.81, table K.1) has the sum 3688; at quality q >= 50 its entries are scaled by
# (200 - 2q) %. A coefficient is off by at most half its entry and moves a pixel by at most a
# quarter of that, so at 90 no pixel is off by more than 3688 * 0.2 / 8 + 8 (rounding) = 101 < 127.
MASK_QUALITY = 90
# The mask's value in records; 0 is what surrounds it, by the convention of all detection tools.
LABEL = 1
# 8 bits in files: readers give 0 and 255, not booleans.
PNG_MASK_VALUE = 255
KINDS = ("overlay", "mask", "depth")
MILLIMETRES_MAX = 65535


def stored_depth(metres: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint16]:
    """Depth as it is stored: millimetres at stored size.

    Args:
        metres: float32 [K, h, w].
        size: Width and height stored; where the network gives just that, nothing is resampled.

    Returns:
        uint16 [K, height, width]; 65.535 m and more is 65535.
    """
    return millimetres(resize_all(metres, size))


def millimetres(metres: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Depth as 16 bits have it, of any shape; 65.535 m and more is 65535."""
    return np.rint(np.clip(metres * np.float32(1000), 0, MILLIMETRES_MAX)).astype(np.uint16)


def depth_to_8_bit(millimetres: NDArray[np.uint16], range_m: float) -> Array:
    """Depth on a fixed 8-bit scale: 255 is range_m metres and more."""
    scaled = millimetres * (255 / (1000 * range_m))
    return np.rint(np.minimum(scaled, 255)).astype(np.uint8)


def depth_from_8_bit(stored: Array, range_m: float) -> NDArray[np.uint16]:
    """Millimetres of 8-bit depth, where 255 is range_m metres: off by up to range_m / 510."""
    scaled = stored * (1000 * range_m / 255)
    return np.rint(np.minimum(scaled, MILLIMETRES_MAX)).astype(np.uint16)


def depth_in_metres(stored: NDArray[Any], range_m: float) -> NDArray[np.float32]:
    """Metres of decoded depth: uint16 millimetres, or uint8 where 255 is range_m metres."""
    if stored.dtype == np.uint16:
        return stored.astype(np.float32) / np.float32(1000)
    return stored.astype(np.float32) * np.float32(range_m / 255)


def suffixes(c: Configuration) -> dict[str, str]:
    """The file name extension of every kind that a data set has."""
    found = {"overlay": ".jpg", "mask": f".{c.mask_format}"}
    if c.depth_model is not None:
        found["depth"] = ".png" if c.depth_format == "png16" else ".jpg"
    return found


def encode(kind: str, image: NDArray[Any], c: Configuration) -> bytes:
    """The file of one picture.

    Overlays and masks are those that pixels.encode_unit makes for a whole unit with less work:
    their JPEGs have restart markers.

    Args:
        kind: "overlay", "mask" or "depth".
        image: uint8 BGR [h, w, 3], uint8 [h, w], or uint16 millimetres [h, w].
        c: The data set's configuration.
    """
    if kind == "mask" and c.in_records:
        return encode_mask(image)
    if kind == "mask" and c.mask_format == "png":
        return png_mask.encode(image, PNG_MASK_VALUE)
    if kind == "mask":
        interval = jpeg_splice.best_interval(image.shape[1], 1)
        return jpeg_splice.encode_whole(image, mask_quality(c), interval)
    if kind == "overlay":
        interval = jpeg_splice.best_interval(image.shape[1], 3)
        return jpeg_splice.encode_whole(image, c.image_quality, interval)
    if kind == "depth" and c.depth_format == "png16":
        return codec.encode(".png", image)
    image = depth_to_8_bit(image, c.depth_range_m)
    return codec.encode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, c.image_quality])


def decode(kind: str, data: bytes, c: Configuration) -> NDArray[Any]:
    """One picture from what `encode` returned for it.

    Args:
        kind: "overlay", "mask" or "depth".
        data: Its file.
        c: The data set's configuration.

    Returns:
        At stored size: uint8 BGR [h, w, 3]; the mask, uint8 [h, w], near 0 or 255 after JPEG and
        exact otherwise; depth [h, w], uint16 in millimetres or uint8 as in `depth_to_8_bit`.

    Raises:
        ValueError: It cannot be decoded, or has another shape.
    """
    try:
        image = decode_mask(data) if kind == "mask" and c.in_records else codec.decode(data, kind)
    except ValueError as error:
        raise ValueError(f"cannot be decoded ({len(data)} bytes)") from error
    expected = (c.size[1], c.size[0], 3) if kind == "overlay" else (c.size[1], c.size[0])
    if image.shape != expected:
        raise ValueError(f"has shape {image.shape}, not {expected}")
    return image


def encode_mask(mask: Array) -> bytes:
    """The PNG of a mask, 0 and 1.

    Args:
        mask: uint8 [h, w], 0 and 255.
    """
    return png_mask.encode(mask, LABEL)


def decode_mask(png: bytes) -> Array:
    """A mask from its PNG: uint8 [h, w], 0 and 255.

    Raises:
        ValueError: It cannot be decoded, or holds other values than 0 and 1.
    """
    mask = codec.decode(png, "mask")
    if mask.ndim != 2 or mask.dtype != np.uint8 or mask.max(initial=0) > 1:
        raise ValueError(f"not a mask of 0 and 1, but {mask.dtype} {mask.shape}")
    return mask * np.uint8(255)


def mask_quality(c: Configuration) -> int:
    """The JPEG quality of masks."""
    return max(MASK_QUALITY, c.image_quality)
