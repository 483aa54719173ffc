"""Input pictures: read from any usual file, checked, and brought to the form that is composed.

Backgrounds become the canvas; foregrounds become upright 8-bit BGRA, cropped to what is visible.
Both are stored once in the data set (backgrounds/bgN.jpg, foregrounds/fg_M.png), and what is
composed is read back from there: anyone who has the data set can recompute it.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fgbg.models import resizing
from fgbg.transforms.pixels import codec, decoders

Array = NDArray[np.uint8]

MAX_PIXELS = 64_000_000
# Alpha of a photo that was saved as RGBA, but not cut out.
_OPAQUE = 255
# File names that count as pictures in a folder; in a glob pattern every match counts.
EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".jfif", ".ppm")
)
# First bytes of files that people give by mistake, and what to say of them.
_SIGNATURES = (
    (b"%PDF", "a PDF document"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG document"),
    (b"<!doctype html", "an HTML page (the download probably failed)"),
    (b"<html", "an HTML page (the download probably failed)"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"8BPS", "a Photoshop file"),
    (b"version https://git-lfs", "a Git LFS pointer (run git lfs pull)"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"mif1", b"hevc", b"avif")


class PictureError(ValueError):
    """A picture that cannot be used; the message says why and what to do, not which file."""


def read_picture(data: bytes) -> Array:
    """Decodes a picture file.

    EXIF orientation is applied. Grey, palette, 16-bit and CMYK pictures are converted; of an
    animation the first frame is taken.

    Args:
        data: The file's bytes.

    Returns:
        uint8 RGB [height, width, 3], or RGBA [height, width, 4] if the file has transparency.

    Raises:
        PictureError: The file is no picture, is damaged, or has more than 64 megapixels.
    """
    decoders.silence()
    try:
        return _read(data)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError("does not fit into memory; scale it down first") from error
    except Image.DecompressionBombError as error:  # of a picture inside the picture
        raise PictureError("larger than 64 megapixels; scale it down first") from error
    except Exception as error:  # decoders raise anything at what nobody had thought of
        what = str(error) or type(error).__name__
        raise PictureError(f"damaged or truncated: {what}") from error


def _read(data: bytes) -> Array:
    """A picture, upright; whatever a decoder raises comes through."""
    if not data:
        raise PictureError("the file is empty (zero bytes)")
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        raise PictureError(f"not a picture: {_describe(data)}") from error
    except (MemoryError, Image.DecompressionBombError):
        raise
    except Exception as error:  # Pillow's readers raise many kinds on damaged headers
        raise PictureError(f"a damaged picture: {error}") from error
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise PictureError(f"larger than 64 megapixels ({width}x{height}); scale it down first")
        # Pillow raises on truncation where OpenCV fills grey.
        image.load()
        return _to_8_bit(ImageOps.exif_transpose(image))


def _to_8_bit(image: Image.Image) -> Array:
    """uint8 RGB or RGBA of any Pillow mode."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.float64)
        if image.mode == "F" and values.max(initial=0) <= 1:
            values = values * 65535
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise PictureError("grey values outside 0..65535; save it as an 8-bit picture")
        grey = np.round(values / 257).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or (
        "transparency" in image.info and image.mode in ("P", "RGB", "L", "1")
    )
    return np.array(image.convert("RGBA" if transparent else "RGB"))


def _describe(data: bytes) -> str:
    """What a file that is no picture looks like."""
    start = data[:512].lstrip().lower()
    for signature, words in _SIGNATURES:
        if start.startswith(signature.lower()):
            return f"it looks like {words}"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "it looks like HEIC or AVIF; convert it to JPEG or PNG"
    if data[:2] == b"\xff\xd8" or data[:4] == b"\x89PNG":
        return "its header is damaged"
    try:
        data[:512].decode("ascii")
        return "it looks like text"
    except UnicodeDecodeError:
        return "its format is unknown; JPEG, PNG, WebP, BMP, TIFF and GIF are read"


def to_bgr(rgb: Array) -> Array:
    """BGR of RGB, or BGRA of RGBA: uint8 [height, width, 3 or 4]."""
    order = [2, 1, 0, 3][: rgb.shape[2]]
    return np.ascontiguousarray(rgb[..., order])


def fit_background(rgb: Array, canvas: tuple[int, int]) -> Array:
    """The canvas made of a photo: its middle, cropped to the canvas' aspect and scaled.

    Args:
        rgb: uint8 [height, width, 3 or 4], RGB; transparency is put on white.
        canvas: Width and height.

    Returns:
        uint8 [canvas height, canvas width, 3], BGR.
    """
    if rgb.shape[2] == 4:
        alpha = rgb[..., 3:].astype(np.uint16)
        white = 255 * (255 - alpha)
        rgb = ((rgb[..., :3] * alpha + white + 127) // 255).astype(np.uint8)
    height, width = rgb.shape[:2]
    # The largest rectangle of the canvas' aspect, at least one pixel each way.
    crop_width = min(width, max(1, round(height * canvas[0] / canvas[1])))
    crop_height = min(height, max(1, round(width * canvas[1] / canvas[0])))
    x, y = (width - crop_width) // 2, (height - crop_height) // 2
    cropped = rgb[y : y + crop_height, x : x + crop_width]
    return cv2.cvtColor(resize(cropped, canvas), cv2.COLOR_RGB2BGR)


def crop_foreground(rgba: Array, canvas: tuple[int, int]) -> Array:
    """The cut-out as it is stored: what is visible of it, at most twice the canvas in size.

    Args:
        rgba: uint8 [height, width, 3 or 4], RGB or RGBA.
        canvas: Width and height of the canvas.

    Returns:
        uint8 [height, width, 4], BGRA; no row or column at its edge is fully transparent.

    Raises:
        PictureError: It has no transparency, or nothing of it is visible.
    """
    advice = "run `fgbg cutout` on it, or cut it out by hand and save it as PNG"
    if rgba.shape[2] != 4:
        raise PictureError(f"a foreground without transparency (no alpha channel); {advice}")
    alpha = np.ascontiguousarray(rgba[..., 3])
    if int(alpha.min()) == _OPAQUE:
        raise PictureError(f"a foreground without transparency (opaque everywhere); {advice}")
    if not alpha.any():
        raise PictureError("nothing of it is visible: it is transparent everywhere")
    x, y, width, height = cv2.boundingRect(alpha)
    tight = rgba[y : y + height, x : x + width]
    # More pixels than this are never seen, but would be decoded again by every worker.
    shrink = min(1.0, 2 * canvas[0] / width, 2 * canvas[1] / height)
    if shrink < 1:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        tight = resize_cutout(tight, size)
        x, y, width, height = cv2.boundingRect(np.ascontiguousarray(tight[..., 3]))
        if not width:
            raise PictureError("nothing of it is visible at the canvas' size: it is too thin")
        tight = tight[y : y + height, x : x + width]
    return cv2.cvtColor(np.ascontiguousarray(tight), cv2.COLOR_RGBA2BGRA)


def resize(image: Array, size: tuple[int, int]) -> Array:
    """Resizes by the filter that fits: area mean to shrink, bicubic to enlarge.

    Args:
        image: uint8 [height, width, channels].
        size: Width and height.
    """
    return resizing.resize(image, size, cv2.INTER_CUBIC)


def resize_cutout(rgba: Array, size: tuple[int, int]) -> Array:
    """Resizes a cut-out so that the colour of transparent pixels leaves no halo.

    Colours are weighted by alpha (premultiplied; Porter and Duff, "Compositing digital images",
    SIGGRAPH 1984) while they are filtered, and divided by it again.

    Args:
        rgba: uint8 [height, width, 4], any order of colours, alpha last.
        size: Width and height.

    Returns:
        uint8 [size height, size width, 4].
    """
    height, width = rgba.shape[:2]
    if (width, height) == size:
        return rgba
    opacity = rgba[..., 3].astype(np.float32) * np.float32(1 / 255)
    weighted = _for_colours(opacity)
    weighted *= rgba
    weighted = resizing.resize(weighted, size, cv2.INTER_CUBIC)
    alpha = np.clip(weighted[..., 3], 0, 255)
    weighted *= _for_colours(np.asarray(255 / np.maximum(alpha, np.float32(1e-3)), np.float32))
    return np.rint(np.clip(weighted, 0, 255)).astype(np.uint8)


def _for_colours(factor: NDArray[np.float32]) -> NDArray[np.float32]:
    """A factor for each colour, and one for alpha: float32 [h, w, 4].

    NumPy multiplies equal shapes far faster than it repeats one plane for three channels.
    """
    return cv2.merge((factor, factor, factor, np.ones_like(factor)))


def encode_background(bgr: Array) -> bytes:
    """JPEG of a canvas at the highest quality, without chroma subsampling."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, 100]
    flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return codec.encode(".jpg", bgr, flags)


def encode_foreground(bgra: Array) -> bytes:
    """PNG of a cut-out; lossless."""
    return codec.encode(".png", bgra)
