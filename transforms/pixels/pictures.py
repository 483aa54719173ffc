"""Input pictures: read from any usual file, checked, and brought to the form that is composed.

Backgrounds become the canvas; foregrounds become upright 8-bit BGRA, cropped to what is visible.
Both are stored once in the data set (backgrounds/bgN.jpg, foregrounds/fg_M.png), and what is
composed is read back from there: anyone who has the data set can recompute it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fgbg.models import resizing
from fgbg.transforms.pixels import (
    codec,
    colour,
    colour_space,
    decoders,
    deep,
    formats,
    png_chunks,
    transparency,
    visible,
)
from fgbg.transforms.pixels.picture_error import PictureError, too_large

Array = NDArray[np.uint8]

MAX_PIXELS = 64_000_000
# The tag of EXIF, and what it asks for.
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(data: bytes, notes: list[str] | None = None) -> Array:
    """Decodes a picture file.

    EXIF orientation is applied, and colours become sRGB by the embedded profile. Grey, palette,
    16-bit and CMYK pictures are converted; of an animation the first frame is taken.

    Args:
        data: The file's bytes.
        notes: Gets what is to be said of a picture that can be read, not which file.

    Returns:
        uint8 RGB [height, width, 3], or RGBA [height, width, 4] if the file has transparency.

    Raises:
        PictureError: The file is no picture, is damaged, or has more than 64 megapixels.
    """
    decoders.silence()
    try:
        return _read(data, notes)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError(too_large()) from error
    except Image.DecompressionBombError as error:  # of a picture inside the picture
        raise PictureError("larger than 64 megapixels; scale it down first") from error
    except Exception as error:  # decoders raise anything at what nobody had thought of
        what = str(error) or type(error).__name__
        raise PictureError(f"damaged or truncated: {what}") from error


def _read(data: bytes, notes: list[str] | None) -> Array:
    """A picture, upright; whatever a decoder raises comes through."""
    if not data:
        raise PictureError("the file is empty (zero bytes)")
    said: list[str] = []
    with _loaded(data) as image:
        pixels = _pixels(image, data, said)
    if notes is not None:
        notes += said
    return pixels


def _loaded(data: bytes) -> Image.Image:
    """A picture, decoded."""
    try:
        return _load(data)
    except Exception as error:
        rest = png_chunks.bare(data)
        if rest is None:
            raise
        try:
            return _load(rest)
        except Exception:
            raise error from None


def _load(data: bytes) -> Image.Image:
    image = formats.open_picture(data)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureError(f"larger than 64 megapixels ({width}x{height}); scale it down first")
    # Pillow raises on truncation where OpenCV fills grey.
    image.load()
    if image.mode == "L" and formats.is_signed(image) and np.asarray(image).max() > 127:
        raise PictureError("8-bit grey values below 0; save it with values 0..255")
    return image


def _pixels(image: Image.Image, data: bytes, notes: list[str]) -> Array:
    """uint8 RGB or RGBA of a loaded picture, upright and in sRGB."""
    alpha = transparency.alpha_of(image, data)
    mode = _colour_mode(image)
    lab = image.mode == "LAB"
    profile = None if lab else colour_space.profile_of(image, data, notes)
    known, note = colour.conversion(profile, mode)
    if note:
        notes.append(note)
    if alpha is None and known is None and not lab:
        return _to_8_bit(ImageOps.exif_transpose(image))
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    # Before the transparent colour of a palette or of 8 bits is made a channel.
    sixteen = None if known is None else _deep_colours(image, data)
    if alpha is None and _has_alpha(image):
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
    if lab:
        image = colour.of_lab(image)
    elif known is not None:
        converted = None if sixteen is None else colour.convert_deep(sixteen, known)
        image = (
            colour.convert(_opaque(image), known)
            if converted is None
            else Image.fromarray(converted)
        )
    else:
        image = _opaque(image).convert("RGB")
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    return np.array(image if turn is None else image.transpose(turn))


def _colour_mode(image: Image.Image) -> str:
    if image.mode in ("L", "LA", "La", "1", "I", "F") or image.mode.startswith("I;16"):
        return "L"
    return "CMYK" if image.mode == "CMYK" else "RGB"


def _opaque(image: Image.Image) -> Image.Image:
    """A picture without alpha, of the mode of its colours: RGB, L or CMYK of 8 bits."""
    grey = _deep_grey(image)
    return image.convert(_colour_mode(image)) if grey is None else Image.fromarray(_halved(grey))


def _to_8_bit(image: Image.Image) -> Array:
    """uint8 RGB or RGBA of any Pillow mode."""
    grey = _deep_grey(image)
    if grey is not None:
        return np.ascontiguousarray(np.repeat(_halved(grey)[..., None], 3, axis=2))
    return np.array(image.convert("RGBA" if _has_alpha(image) else "RGB"))


def _deep_colours(image: Image.Image, data: bytes) -> NDArray[np.uint16] | None:
    """uint16 grey [height, width] or RGB [height, width, 3]; None where 8 bits are all."""
    grey = _deep_grey(image)
    return deep.colours(image, data) if grey is None else np.rint(grey).astype(np.uint16)


def _deep_grey(image: Image.Image) -> NDArray[np.float64] | None:
    """Values 0..65535 [height, width] of a grey picture of 16 or 32 bits; None of any other."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise PictureError("grey values that are no numbers; save it as an 8-bit picture")
    if image.mode == "F" and values.max(initial=0) <= 1:
        values = values * 65535
    least, most = values.min(initial=0), values.max(initial=0)
    if least < 0 or most > 65535:
        kind = "32-bit floating-point" if image.mode == "F" else "32-bit"
        raise PictureError(
            f"{kind} grey values outside 0..65535 ({least:g} to {most:g}); save it as an 8-bit "
            "picture"
        )
    return values


def _halved(values: NDArray[np.float64]) -> Array:
    """16 bits in 8."""
    return np.round(values / 257).astype(np.uint8)


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or (
        "transparency" in image.info and image.mode in ("P", "RGB", "L", "1")
    )


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


def crop_foreground(rgba: Array, canvas: tuple[int, int], notes: list[str] | None = None) -> Array:
    """The cut-out as it is stored: what is visible of it, at most twice the canvas in size.

    Args:
        rgba: uint8 [height, width, 3 or 4], RGB or RGBA.
        canvas: Width and height of the canvas.
        notes: Gets what is to be said of a cut-out that can be used.

    Returns:
        uint8 [height, width, 4], BGRA; no row or column at its edge is fully transparent.

    Raises:
        PictureError: It has no transparency, or can never give a true mask.
    """
    said = visible.judge(rgba)
    (x, y, width, height), note = visible.visible_box(cv2.extractChannel(rgba, 3))
    if notes is not None:
        notes += [*said, *([note] if note else [])]
    tight = rgba[y : y + height, x : x + width]
    # More pixels than this are never seen, but would be decoded again by every worker.
    shrink = min(1.0, 2 * canvas[0] / width, 2 * canvas[1] / height)
    if shrink < 1:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        tight = resize_cutout(tight, size)
        if int(tight[..., 3].max()) < visible.MASK:
            raise PictureError("nothing of it is in a mask at the canvas' size: it is too thin")
        x, y, width, height = cv2.boundingRect(np.ascontiguousarray(tight[..., 3]))
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
