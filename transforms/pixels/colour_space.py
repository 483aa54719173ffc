"""What a picture says of its colours: an embedded profile, or in other words where it has none.

PNG can name a space in four ways, of which the first that is there counts (PNG, third edition,
section 4.3): code points of video (`cICP`), a profile (`iCCP`), sRGB by name (`sRGB`), a gamma and
primaries (`gAMA`, `cHRM`). AVIF and HEIC have code points where they have no profile. Cameras write
into EXIF whether colours are sRGB or Adobe RGB (DCF 2.0). Of each a profile is made where it is
well defined; of the others it is said that they are taken for sRGB.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from PIL import Image

from fgbg.transforms.pixels import colour, icc, png_chunks

_BROKEN = "its colour profile is broken and is not used"
# PNG's gAMA of sRGB is 45455, and of what others round it to; libpng too takes what is nearer than
# 5 % for equal (PNG_GAMMA_THRESHOLD).
_SRGB_GAMMA, _NEAR = 45455, 0.05
# Chromaticities, in parts of 100,000, that differ by less are those of sRGB.
_SAME_POINT = 200
# A gamma of less or more than this is a mistake.
_LEAST_GAMMA, _GREATEST_GAMMA = 0.1, 10.0

# Code points of ITU-T H.273. Primaries, with their white:
_PRIMARIES: dict[int, tuple[icc.Points, tuple[float, float]]] = {
    1: (icc.SRGB, icc.D65),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), icc.D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), icc.D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), icc.D65),
    9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), icc.D65),
    11: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), (0.314, 0.351)),
    12: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), icc.D65),
}
# Curves. Those of video cameras (1, 6, 14, 15) are shown on screens as sRGB's is.
_CURVES: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 13, 14, 15), icc.SRGB_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
}
_UNSPECIFIED = 2
# Of a media file that are looked at.
_MOST_BOXES, _MOST_OF_META = 100, 1 << 20
_HDR = {16: "PQ", 18: "HLG"}
# EXIF: where the tag of the space is, what it says, and the index that says Adobe RGB.
_EXIF, _INTEROPERABILITY = 0x8769, 0xA005
_COLOR_SPACE, _ADOBE, _UNCALIBRATED = 0xA001, 2, 0xFFFF
_INDEX, _INDEX_OF_ADOBE = 1, "R03"


def profile_of(image: Image.Image, data: bytes, notes: list[str]) -> bytes | None:
    """The profile that a picture has, or one of what else it says.

    Args:
        image: As Pillow opened and loaded it.
        data: The file's bytes.
        notes: Gets what is to be said of it.

    Returns:
        A profile; None for sRGB, and where nothing is said.
    """
    chunks = png_chunks.before_pixels(data)
    if b"cICP" in chunks:
        found = _of_chunk(chunks[b"cICP"], notes)
        if found is not None:
            return found or None
    if "icc_profile" in image.info:
        profile = image.info["icc_profile"]
        if isinstance(profile, bytes):
            return profile
        notes.append(_BROKEN)  # damaged, or a TIFF's tag of another type
        return None
    if b"iCCP" in chunks:  # Pillow has not read it: it is broken, or has more than 1 MiB
        profile = png_chunks.profile(chunks[b"iCCP"], colour.MOST_BYTES)
        if profile is None:
            notes.append(_BROKEN)
        return profile
    if b"sRGB" in chunks:
        return None
    if b"gAMA" in chunks or b"cHRM" in chunks:
        return _of_gamma(chunks.get(b"gAMA"), chunks.get(b"cHRM"), notes)
    found = _of_media_file(data, notes)
    if found is not None or notes:
        return found or None
    return None if image.mode == "CMYK" else _of_exif(image, notes)


def _of_chunk(data: bytes, notes: list[str]) -> bytes | None:
    """The profile of PNG's cICP; b"" of sRGB, None where it says nothing that can be used."""
    if len(data) != 4:
        notes.append("its cICP chunk is broken and is not used")
        return None
    primaries, curve, matrix, full = data
    if matrix != 0 or full != 1:
        primaries = curve = 0  # which are reserved
    return _of_code_points(primaries, curve, f"cICP chunk ({', '.join(map(str, data))})", notes)


def _of_media_file(data: bytes, notes: list[str]) -> bytes | None:
    """The same of AVIF and HEIC: what of all their pictures (with alpha, previews) is the same."""
    described = _meta(data)
    points = {
        struct.unpack_from(">HH", described, at.end())
        for at in re.finditer(b"colrnclx", described)
        if at.end() + 4 <= len(described)
    }
    if len(points) != 1:
        return None
    primaries, curve = points.pop()
    return _of_code_points(primaries, curve, f"colour ({primaries}, {curve})", notes)


def _meta(data: bytes) -> bytes:
    """What an ISO media file says of its pictures; nothing of another file."""
    if data[4:8] != b"ftyp":
        return b""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"meta":
            return data[at : at + min(length, _MOST_OF_META)]
        if length < 8:  # to the end, or of 64 bits: the pixels
            break
        at += length
    return b""


def _of_code_points(primaries: int, curve: int, what: str, notes: list[str]) -> bytes | None:
    """The profile of primaries and curve; b"" of sRGB, None where they cannot be used."""
    if primaries == curve == _UNSPECIFIED:
        return None
    if curve in _HDR:
        notes.append(
            f"its colours are HDR ({_HDR[curve]}), which has no one meaning in 8 bits: not "
            "converted; save it as sRGB"
        )
        return None
    # What is not specified is taken for sRGB's.
    primaries = 1 if primaries == _UNSPECIFIED else primaries
    curve = 13 if curve == _UNSPECIFIED else curve
    if primaries not in _PRIMARIES or curve not in _CURVES:
        notes.append(f"its {what} is of a kind that is not known: not converted")
        return None
    if primaries == 1 and _CURVES[curve] == icc.SRGB_CURVE:
        return b""
    return icc.make(*_PRIMARIES[primaries], _CURVES[curve])


def _of_gamma(gamma: bytes | None, points: bytes | None, notes: list[str]) -> bytes | None:
    """The profile of PNG's gAMA and cHRM; the one that is missing is taken for sRGB's."""
    curve: tuple[float, ...] = icc.SRGB_CURVE
    same_curve = True
    try:
        if gamma is not None:
            (stored,) = struct.unpack(">I", gamma)
            same_curve = abs(stored / _SRGB_GAMMA - 1) <= _NEAR
            curve = (100_000 / stored,)
            if not _LEAST_GAMMA <= curve[0] <= _GREATEST_GAMMA:
                raise ValueError("a gamma that is a mistake")
        white, *primaries = ((0.3127, 0.3290), *icc.SRGB)
        same_points = True
        if points is not None:
            values = struct.unpack(">8I", points)
            own = [(values[i] / 1e5, values[i + 1] / 1e5) for i in range(0, 8, 2)]
            same_points = all(
                abs(a - b) * 1e5 < _SAME_POINT
                for mine, usual in zip(own, (white, *primaries), strict=True)
                for a, b in zip(mine, usual, strict=True)
            )
            white, *primaries = own
        if same_curve and same_points:
            return None
        return icc.make(tuple(primaries), white, curve)
    except (ValueError, ZeroDivisionError, struct.error):
        notes.append("its gAMA or cHRM chunk is broken and is not used")
        return None


def _of_exif(image: Image.Image, notes: list[str]) -> bytes | None:
    """Adobe RGB where a camera says so."""
    try:
        exif = image.getexif()
        own = exif.get_ifd(_EXIF)
        space = own.get(_COLOR_SPACE)
        index: Any = exif.get_ifd(_INTEROPERABILITY).get(_INDEX) if _INTEROPERABILITY in own else ""
    except Exception:  # EXIF of strangers, read by Pillow: it is no condition
        return None
    if isinstance(index, bytes):
        index = index.decode("ascii", "replace")
    is_adobe = str(index).strip("\0 ") == _INDEX_OF_ADOBE
    if space == _ADOBE or (space == _UNCALIBRATED and is_adobe):
        return icc.make(icc.ADOBE, icc.D65, (563 / 256,))
    if space == _UNCALIBRATED:
        notes.append(
            "EXIF says that its colours are not those of sRGB, but not which, and it has no "
            "profile: taken for sRGB"
        )
    return None
