"""Formats of pictures: told by content, and opened by those of Pillow's readers that are wanted.

Pillow has readers that call other programs (EPS: Ghostscript) or only say that a format is not
supported. They are never asked, whatever a file is called and whatever it holds.
"""

from __future__ import annotations

import functools
import io
import struct
import warnings

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from fgbg.transforms.pixels import decoders, jpeg_header
from fgbg.transforms.pixels.picture_error import PictureError

# The usual ones first. HEIF comes by pillow-heif, where that is installed.
FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000", "DIB"),
    *("ICO", "ICNS", "PCX", "SGI", "QOI", "PSD", "DDS", "SUN", "TGA"),
)
# File names that count as pictures in a folder; in a glob pattern every match counts.
EXTENSIONS = frozenset(
    (
        *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"),
        *(".pgm", ".avif", ".heic", ".heif"),
    )
)
# First bytes of files that people give by mistake, and what to say of them.
_MISTAKES = (
    (b"%PDF", "a PDF document"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG document"),
    (b"<!doctype html", "an HTML page (the download probably failed)"),
    (b"<html", "an HTML page (the download probably failed)"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"8BPS", "a Photoshop file of a kind that is not read; export it as PNG"),
    (b"version https://git-lfs", "a Git LFS pointer (run git lfs pull)"),
    (b"%!PS", "an EPS or PostScript drawing; export it as PNG"),
    (b"\xc5\xd0\xd3\xc6", "an EPS or PostScript drawing; export it as PNG"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file; develop it to JPEG or TIFF"),
)
# First bytes of pictures that are read, beside those of the ISO media files below.
_PICTURES = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"),
    *(b"qoif", b"8BPS", b"DDS ", b"icns"),
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
)
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIC = "HEIC, as phones write it; pip install 'fgbg[heic]', or convert it to JPEG or PNG"
_AVIF = "AVIF, which the Pillow that is installed does not read; convert it to JPEG or PNG"
# Each takes all pixels through the decoder. Encoders make 1 to 12, optimised ones up to 64.
_MOST_SCANS = 200
# Of a BMP of 16 colours: Pillow takes runs of an odd number of single pixels for shorter ones.
_RLE4 = 2
# Bytes that tell the format.
START = 64


def looks_like_picture(start: bytes) -> bool:
    """Whether the first START bytes of a file are those of a picture that can be read."""
    webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    modern = bool(_brands(start) & (_HEIC_BRANDS | _AVIF_BRANDS))
    # Two letters alone begin many a text.
    bmp = start[:2] == b"BM" and start[6:10] == bytes(4)
    ppm = start[:1] == b"P" and start[1:2] in b"123456" and start[2:3].isspace()
    return webp or modern or bmp or ppm or start.startswith(_PICTURES)


def open_picture(data: bytes) -> Image.Image:
    """Opens a picture by its content; its pixels are not decoded yet.

    Args:
        data: The file's bytes.

    Raises:
        PictureError: It is no picture, one of a kind that is not read, or too large.
    """
    formats: tuple[str, ...] = FORMATS
    brands = _brands(data)
    if brands & _HEIC_BRANDS and not brands & _AVIF_BRANDS:
        if not _can_read_heic():
            raise PictureError(f"not a picture that can be read: it is {_HEIC}")
        formats = ("HEIF",)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oversized pictures: checked by the caller
            image = Image.open(decoders.Timed(data), formats=formats)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(f"not a picture: {describe(data)}") from error
    except Image.DecompressionBombError as error:
        raise PictureError("larger than 64 megapixels; scale it down first") from error
    except Exception as error:  # Pillow's readers raise many kinds on damaged headers
        raise PictureError(f"a damaged picture: {error}") from error
    if image.format in ("JPEG", "MPO") and (count := jpeg_header.scans(data)) > _MOST_SCANS:
        raise PictureError(f"a JPEG of {count:,} scans or more; save it anew")
    if image.format in ("BMP", "DIB") and image.info.get("compression") == _RLE4:
        raise PictureError("a BMP packed by RLE of 4 bits, which is not read; save it as PNG")
    return image


def is_signed(image: Image.Image) -> bool:
    """Whether a TIFF has signed samples, which Pillow takes for unsigned where they have 8 bits."""
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    return 2 in tags.get(TiffImagePlugin.SAMPLEFORMAT, ())


def describe(data: bytes) -> str:
    """What a file that is no picture looks like."""
    start = data[:512].lstrip().lower()
    for signature, words in _MISTAKES:
        if start.startswith(signature.lower()):
            return f"it looks like {words}"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return f"it is {_AVIF}" if not _can_read_avif() else "its header is damaged"
    if brands & _HEIC_BRANDS:
        return "it is HEIC, and its header is damaged"
    if data[:2] == b"\xff\xd8" and (bits := jpeg_header.bits(data)) not in (0, 8):
        return f"it is a JPEG of {bits} bits a colour; save it with 8 bits, or as PNG"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _describe_tiff(data)
    if data[:2] == b"\xff\xd8" or data[:4] == b"\x89PNG":
        return "its header is damaged"
    try:
        data[:512].decode("ascii")
        return "it looks like text"
    except UnicodeDecodeError:
        return "its format is unknown; JPEG, PNG, WebP, AVIF, HEIC, BMP, TIFF and GIF are read"


def _brands(data: bytes) -> set[bytes]:
    """What an ISO media file says that it is: HEIC and AVIF are such files."""
    if data[4:8] != b"ftyp":
        return set()
    length = min(struct.unpack(">I", data[:4])[0], START, len(data))
    return {data[8:12], *(data[at : at + 4] for at in range(16, length - 3, 4))}


@functools.cache
def _can_read_heic() -> bool:
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return "HEIF" in Image.OPEN


def _can_read_avif() -> bool:
    from PIL import features

    return bool(features.check("avif"))


def _describe_tiff(data: bytes) -> str:
    """What a TIFF is that Pillow does not know."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
            file = io.BytesIO(data)
            file.seek(tags.next)
            tags.load(file)
            bits = tags[TiffImagePlugin.BITSPERSAMPLE]
            form = tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))
        kind = {2: "signed", 3: "floating-point"}.get(form[0], "unsigned")
        count = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, len(bits))
        usual = kind == "unsigned" and bits[0] == 8
        advice = "as PNG" if usual else "with 8 bits a sample, or grey with 16"
        return (
            f"it is a TIFF of {count} {kind} samples of {bits[0]} bits, which is not read; save it "
            f"{advice}"
        )
    except Exception:  # whatever a damaged header makes of the above
        return "it is a damaged TIFF"
