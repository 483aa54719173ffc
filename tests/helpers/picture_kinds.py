"""Pictures of every kind that Pillow, OpenCV and libvips write, by names, with what is in them."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, features

from tests.helpers.pictures import disc, encoded, photo

SIZE = (61, 45)


class Kind(NamedTuple):
    """A file.

    Attributes:
        data: Its bytes.
        pixels: What was stored, uint8 RGB or RGBA.
        off: Levels by which what is read may differ from it at most; None where it is lossy.
    """

    data: bytes
    pixels: np.ndarray
    off: int | None = 0


def grey_of(values: np.ndarray) -> np.ndarray:
    return values[..., None].repeat(3, 2)


def every() -> dict[str, Kind]:
    """All of them."""
    return jpegs() | tiffs() | webps() | avifs() | gifs() | bmps() | others()


def rgb() -> np.ndarray:
    return photo(5, *SIZE)


def rgba() -> np.ndarray:
    return disc(5, *SIZE)


def jpegs() -> dict[str, Kind]:
    """JPEG: samplings, scans, restart markers, colour spaces, odd sizes."""
    image, found = Image.fromarray(rgb()), {}
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        for progressive in (False, True):
            name = f"JPEG {sampling}{' progressive' * progressive}"
            data = encoded(image, "JPEG", quality=90, subsampling=sampling, progressive=progressive)
            found[name] = Kind(data, rgb(), None)
    grey = np.array(image.convert("L"))
    found["JPEG grey"] = Kind(encoded(Image.fromarray(grey), "JPEG"), grey_of(grey), None)
    for rows in (1, 2):
        data = encoded(image, "JPEG", quality=90, restart_marker_rows=rows)
        found[f"JPEG with restart markers after {rows}"] = Kind(data, rgb(), None)
    found["JPEG of RGB"] = Kind(encoded(image, "JPEG", quality=95, keep_rgb=True), rgb(), None)
    found["JPEG optimised"] = Kind(encoded(image, "JPEG", optimize=True), rgb(), None)
    for size in ((1, 1), (1, 33), (17, 9), (8, 8)):
        small = photo(6, *size)
        data = encoded(Image.fromarray(small), "JPEG", quality=100, subsampling="4:4:4")
        found[f"JPEG of {size}"] = Kind(data, small, None)
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        found[f"JPEG turned {turn}"] = Kind(encoded(image, "JPEG", exif=exif), rgb(), None)
    return found


def tiffs() -> dict[str, Kind]:
    """TIFF: kinds of samples, compressions, byte orders, layouts."""
    image, found = Image.fromarray(rgb()), {}
    for packing in ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate"):
        found[f"TIFF {packing}"] = Kind(encoded(image, "TIFF", compression=packing), rgb())
        alpha = encoded(Image.fromarray(rgba()), "TIFF", compression=packing)
        found[f"TIFF {packing} RGBA"] = Kind(alpha, rgba())
    found["TIFF jpeg"] = Kind(encoded(image, "TIFF", compression="jpeg"), rgb(), None)
    grey = np.array(image.convert("L"))
    found["TIFF grey"] = Kind(encoded(Image.fromarray(grey), "TIFF"), grey_of(grey))
    black = image.convert("1")
    for packing in ("raw", "group3", "group4"):
        data = encoded(black, "TIFF", compression=packing)
        found[f"TIFF 1 bit {packing}"] = Kind(data, np.array(black.convert("RGB")))
    palette = image.quantize(40)
    found["TIFF palette"] = Kind(encoded(palette, "TIFF"), np.array(palette.convert("RGB")))
    sixteen = grey.astype(np.uint16) * 257
    found["TIFF grey of 16 bits"] = Kind(encoded(Image.fromarray(sixteen), "TIFF"), grey_of(grey))
    floats = Image.fromarray(sixteen.astype(np.float32))
    found["TIFF grey of floats"] = Kind(encoded(floats, "TIFF"), grey_of(grey))
    deep = (rgb().astype(np.uint16) * 257)[..., ::-1]
    for code in (1, 5, 32946):
        _, file = cv2.imencode(".tif", deep, [cv2.IMWRITE_TIFF_COMPRESSION, code])
        found[f"TIFF RGB of 16 bits, {code}"] = Kind(file.tobytes(), rgb())
    found["TIFF big"] = Kind(encoded(image, "TIFF", big_tiff=True), rgb())
    return found


def webps() -> dict[str, Kind]:
    """WebP: lossy, lossless, with alpha, animated."""
    image, cut = Image.fromarray(rgb()), Image.fromarray(rgba())
    return {
        "WebP": Kind(encoded(image, "WEBP", quality=90), rgb(), None),
        "WebP lossless": Kind(encoded(image, "WEBP", lossless=True), rgb()),
        "WebP alpha": Kind(encoded(cut, "WEBP", quality=90), rgba(), None),
        "WebP alpha lossless": Kind(encoded(cut, "WEBP", lossless=True, exact=True), rgba()),
        "WebP animated": Kind(
            encoded(image, "WEBP", lossless=True, save_all=True, append_images=[image.rotate(9)]),
            rgb(),
        ),
    }


def avifs() -> dict[str, Kind]:
    """AVIF: samplings, alpha, grey; nothing where Pillow has none."""
    if not features.check("avif"):
        return {}
    image, cut = Image.fromarray(rgb()), Image.fromarray(rgba())
    found = {
        f"AVIF {sampling}": Kind(
            encoded(image, "AVIF", quality=95, speed=10, subsampling=sampling), rgb(), None
        )
        for sampling in ("4:4:4", "4:2:2", "4:2:0")
    }
    found["AVIF alpha"] = Kind(encoded(cut, "AVIF", quality=95, speed=10), rgba(), None)
    return found


def gifs() -> dict[str, Kind]:
    """GIF: palettes, interlaced, a transparent colour, animated."""
    palette = Image.fromarray(rgb()).quantize(40)
    seen = np.array(palette.convert("RGB"))
    clear = int(np.array(palette)[0, 0])
    alpha = np.where(np.array(palette) == clear, 0, 255).astype(np.uint8)
    return {
        "GIF": Kind(encoded(palette, "GIF", interlace=0), seen),
        "GIF interlaced": Kind(encoded(palette, "GIF", interlace=1), seen),
        "GIF transparent": Kind(
            encoded(palette, "GIF", transparency=clear), np.dstack((seen, alpha))
        ),
        "GIF animated": Kind(
            encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(90)]), seen
        ),
    }


def bmps() -> dict[str, Kind]:
    """BMP: bits, palettes, with alpha."""
    image = Image.fromarray(rgb())
    grey, black, palette = image.convert("L"), image.convert("1"), image.quantize(16)
    found = {
        f"BMP {mode}": Kind(encoded(one, "BMP"), np.array(one.convert("RGB")))
        for mode, one in (("RGB", image), ("L", grey), ("1", black), ("P", palette))
    }
    _, data = cv2.imencode(".bmp", rgba()[..., [2, 1, 0, 3]])
    found["BMP RGBA"] = Kind(data.tobytes(), rgba())
    return found


def others() -> dict[str, Kind]:
    """JPEG 2000, PPM and PGM, and formats that only patterns find."""
    image, cut = Image.fromarray(rgb()), Image.fromarray(rgba())
    grey = np.array(image.convert("L"))
    sixteen = encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PPM")
    found = {
        "JPEG 2000": Kind(encoded(image, "JPEG2000"), rgb()),
        "JPEG 2000 alpha": Kind(encoded(cut, "JPEG2000"), rgba()),
        "JPEG 2000 lossy": Kind(
            encoded(image, "JPEG2000", irreversible=True, quality_layers=[8]), rgb(), None
        ),
        "PPM": Kind(encoded(image, "PPM"), rgb()),
        "PGM": Kind(encoded(Image.fromarray(grey), "PPM"), grey_of(grey)),
        "PGM of 16 bits": Kind(sixteen, grey_of(grey)),
        "PPM in words": Kind(_in_words(rgb()), rgb()),
    }
    for kind in ("TGA", "SGI", "QOI"):
        found[f"{kind} RGB"] = Kind(encoded(image, kind), rgb())
        found[f"{kind} RGBA"] = Kind(encoded(cut, kind), rgba())
    found["TGA packed"] = Kind(encoded(image, "TGA", compression="tga_rle"), rgb())
    found["PCX"] = Kind(encoded(image, "PCX"), rgb())
    found["DDS"] = Kind(encoded(cut, "DDS"), rgba())
    found["ICO"] = Kind(encoded(cut, "ICO", sizes=[SIZE], bitmap_format="bmp"), rgba())
    return found


def _in_words(pixels: np.ndarray) -> bytes:
    height, width = pixels.shape[:2]
    return f"P3\n{width} {height}\n255\n{' '.join(map(str, pixels.ravel()))}\n".encode()
