"""The alpha of a cut-out, judged once: can it ever give a true mask, and which part is visible?

A mask is alpha of at least 128, at the size at which the thing is pasted. The box around the
visible part decides how large the thing is pasted: what nobody sees must not set it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.pixels.picture_error import PictureError

Array = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""x, y, width and height."""

# A mask begins here (transforms/pixels/compositing.py).
MASK = 128
# Alpha from which on nothing shines through; editors and lossy files have 254 and less for 255.
_OPAQUE = 250
# Alpha up to this is a haze where it lies far from the thing. Where it lies near, it is the last
# of a soft edge.
_HAZE = 10
# How far a soft edge may reach beyond alpha 10: pixels, and share of the thing's side. A blurred
# edge, from alpha 10 to 1, is a quarter of the width that it has in all.
_FAR, _FAR_SHARE = 16, 1 / 8
# A part with less than this share of what is visible is a speck; all together are at most so much.
_SPECK, _ALL_SPECKS = 1 / 100, 1 / 50
# Inverted alpha: least share of the picture that is transparent, and how alike cleared colours and
# how different those of a thing are, in grey levels.
_CLEAR_SHARE = 0.05
_CLEARED, _VARIED = 2, 8

_ADVICE = "run `fgbg cutout` on it, or cut it out by hand and save it as PNG"


def is_opaque(alpha: Array) -> bool:
    """Whether alpha says nothing: one value everywhere, or nothing shines through anywhere."""
    least = int(alpha.min())
    return least >= _OPAQUE or (least > 0 and least == int(alpha.max()))


def judge(rgba: Array) -> list[str]:
    """Says whether a picture can be pasted as a cut-out.

    Args:
        rgba: uint8 [height, width, 3 or 4], RGB or RGBA.

    Returns:
        Warnings: what may be meant otherwise.

    Raises:
        PictureError: Its alpha can never give a true mask.
    """
    if rgba.shape[2] != 4:
        raise PictureError(f"a foreground without transparency (no alpha channel); {_ADVICE}")
    alpha = cv2.extractChannel(rgba, 3)  # NumPy is slow on every fourth byte
    least, most = (int(value) for value in cv2.minMaxLoc(alpha)[:2])
    if most == 0:
        raise PictureError("nothing of it is visible: it is transparent everywhere")
    if most == 1:
        raise PictureError("its alpha is 0 or 1 instead of 0 or 255; multiply its alpha by 255")
    if most < MASK:
        raise PictureError(
            f"its alpha is at most {most} of 255, and a mask begins at {MASK}: none would be in "
            "it; make the thing itself opaque (alpha 255)"
        )
    if least == 255:
        raise PictureError(f"a foreground without transparency (opaque everywhere); {_ADVICE}")
    if is_opaque(alpha):
        values = str(least) if least == most else f"{least} to {most}"
        raise PictureError(
            f"a foreground without transparency (alpha {values} everywhere); {_ADVICE}"
        )
    return _inverted(rgba, alpha)


def _inverted(rgba: Array, alpha: Array) -> list[str]:
    """Refuses or warns of alpha that is 255 around the thing and 0 on it.

    A picture frame or a window is like that too, so alpha alone is never certain. It is where
    what would be shown is a single colour, cleared by an editor, and what would not be shown is
    a picture.
    """
    if min(alpha.shape) < 3:
        return []
    ring = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    if any(int(side.min()) < _OPAQUE for side in ring):
        return []
    clear = alpha < 256 - _OPAQUE
    if clear.mean() < _CLEAR_SHARE:
        return []
    shown, hidden = rgba[alpha >= _OPAQUE][:, :3], rgba[clear][:, :3]
    if np.ptp(shown, axis=0).max() <= _CLEARED and hidden.std(axis=0).max() >= _VARIED:
        raise PictureError(
            "its alpha is inverted: what is opaque has one colour, and the picture is where it is "
            "transparent; invert its alpha (255 - alpha)"
        )
    return [
        "its border is opaque all around and its inside transparent, as in a frame; if that is not "
        "meant, its alpha is inverted"
    ]


def visible_box(alpha: Array) -> tuple[Box, str]:
    """The box of what is visible of a cut-out.

    The box of all alpha above 0, unless a haze or a speck far from the thing sets it: then
    that of the thing with its soft edge.

    Args:
        alpha: uint8 [height, width], not 0 everywhere.

    Returns:
        The box, and what is to be said of it: "" where all alpha is in it.
    """
    alpha = np.ascontiguousarray(alpha)
    whole: Box = tuple(cv2.boundingRect(alpha))  # type: ignore[assignment]
    solid: Array = cv2.threshold(alpha, _HAZE, 1, cv2.THRESH_BINARY)[1]
    box: Box = tuple(cv2.boundingRect(solid))  # type: ignore[assignment]
    if not box[2]:
        return whole, ""
    haze = _is_far(box, whole)
    cleaned = _without_specks(solid, box)
    speck = cleaned is not None and _is_far(cleaned, box)
    if cleaned is not None and speck:
        box = cleaned
    if not haze and not speck:
        return whole, ""
    what = " and ".join(words for words, there in (("a haze", haze), ("specks", speck)) if there)
    return box, (
        f"{what} of alpha far from the thing left out: cropped to {box[2]}x{box[3]}, not "
        f"{whole[2]}x{whole[3]}"
    )


def _is_far(inner: Box, outer: Box) -> bool:
    """Whether a box reaches beyond another one by more than a soft edge."""
    for axis in (0, 1):
        reach = max(_FAR, inner[2 + axis] * _FAR_SHARE)
        before = inner[axis] - outer[axis]
        after = outer[axis] + outer[2 + axis] - inner[axis] - inner[2 + axis]
        if max(before, after) > reach:
            return True
    return False


def _without_specks(solid: Array, box: Box) -> Box | None:
    """The box of the parts that are no specks; None where no speck sets the box."""
    x, y, width, height = box
    inner = solid[y : y + height, x : x + width]
    if not _has_bare_side(inner):
        return None
    _, _, measures, _ = cv2.connectedComponentsWithStats(inner, connectivity=8)
    areas = measures[1:, cv2.CC_STAT_AREA]
    total = areas.sum()
    specks = areas < total * _SPECK
    if areas[specks].sum() > total * _ALL_SPECKS:
        return None  # spray, sparks, petals: the thing is made of them
    kept = measures[1:][~specks]
    left, top = (int(kept[:, column].min()) for column in (0, 1))
    right = int((kept[:, 0] + kept[:, 2]).max())
    bottom = int((kept[:, 1] + kept[:, 3]).max())
    return x + left, y + top, right - left, bottom - top


def _has_bare_side(inner: Array) -> bool:
    """Whether so little lies along a side of the box that it may be specks; quickly told."""
    for axis in (0, 1):
        sums = cv2.reduce(inner, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
        most = sums.sum() * _ALL_SPECKS
        # What a soft edge reaches beyond a thing of the rest's size, at least.
        reach = int(max(_FAR, len(sums) * _FAR_SHARE / (1 + 2 * _FAR_SHARE)))
        if min(sums[:reach].sum(), sums[-reach:].sum()) <= most:
            return True
    return False
