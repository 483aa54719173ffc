"""The pictures that a data set was made of, as it holds them: blank, look-alikes, with specks.

Every background and foreground is read once, reduced, and kept as 768 area means.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.job.job import BACKGROUNDS, FOREGROUNDS, InputPicture, Job
from fgbg.transforms.pixels import codec
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.report import alike

# Standard deviation of a picture's grey values, of 255, below which there is nothing to see on it.
BLANK = 8.0
# Backgrounds of this side and more are decoded at a quarter of it, which is faster.
_LARGE = 256
# Parts of a mask beside its largest are specks if they have less of its pixels together.
_SPECKS = 0.05
# Of evenly grey cut-outs there is nothing to compare.
_EVEN = 1.0
_OPAQUE_ENOUGH = 128


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What is conspicuous about the inputs.

    Attributes:
        blank: Near-blank backgrounds.
        same: Groups of files with equal bytes, by "background" and "foreground".
        alike: Groups of other files that look alike, likewise.
        unread: Names of inputs that are not in the data set any more.
        spans: float64 [foregrounds, 2]: share of the width and of the height of each cut-out's
            mask that is left without specks; 1 where there are none.
    """

    blank: list[InputPicture]
    same: dict[str, list[list[str]]]
    alike: dict[str, list[list[str]]]
    unread: list[str]
    spans: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class _Seen:
    """What is kept of a picture.

    Attributes:
        means: As `alike.area_means` gives them.
        deviation: Standard deviation of its grey values.
        span: As in `Inputs.spans`.
    """

    means: NDArray[np.float32]
    deviation: float
    span: tuple[float, float] = (1.0, 1.0)


def inspect(output: str, job: Job) -> Inputs:
    """Looks at all inputs of a data set."""
    found = Inputs([], {}, {}, [], np.ones((len(job.foregrounds), 2)))
    large = min(job.configuration.canvas) >= _LARGE
    of_background = _large_background if large else _background
    for kind, folder, pattern, entries, see in (
        ("background", BACKGROUNDS, "bg{}.jpg", job.backgrounds, of_background),
        ("foreground", FOREGROUNDS, "fg_{}.png", job.foregrounds, _foreground),
    ):
        names = [f"{folder}/{pattern.format(entry.number)}" for entry in entries]
        paths = [storage.join(output, name) for name in names]
        compared: list[tuple[InputPicture, NDArray[np.float32]]] = []
        for i, seen in enumerate(in_order(see, paths, threads_for(output))):
            if seen is None:
                found.unread.append(names[i])
                continue
            if kind == "background" and seen.deviation < BLANK:
                found.blank.append(entries[i])
            elif seen.deviation >= _EVEN:
                compared.append((entries[i], seen.means))
            if kind == "foreground":
                found.spans[i] = seen.span
        found.same[kind] = catalogue.duplicates(entries)
        found.alike[kind] = _look_alikes(compared)
    return found


def _decoded(path: str, mode: int) -> Array | None:
    """A stored picture; None where it cannot be read."""
    try:
        return codec.decode(storage.storage_for(path).read(path), path, mode)
    except (OSError, ValueError):
        return None


def _background(path: str, mode: int = cv2.IMREAD_COLOR) -> _Seen | None:
    bgr = _decoded(path, mode)
    if bgr is None:
        return None
    # Before it is reduced to a few areas: bricks, leaves and print are even only from afar.
    deviation = float(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).std())
    return _Seen(alike.area_means(bgr.astype(np.float32)), deviation)


def _large_background(path: str) -> _Seen | None:
    return _background(path, cv2.IMREAD_REDUCED_COLOR_4)


def _foreground(path: str) -> _Seen | None:
    bgra = _decoded(path, cv2.IMREAD_UNCHANGED)
    if bgra is None:
        return None
    alpha = bgra[..., 3:].astype(np.float32) / 255
    on_grey = (bgra[..., :3] * alpha + 128 * (1 - alpha)).astype(np.float32)
    means = alike.area_means(on_grey)
    return _Seen(means, float(means.std()), span_without_specks(bgra[..., 3]))


def span_without_specks(alpha: Array) -> tuple[float, float]:
    """Share of the mask's width and height that its largest part spans, if the others are specks.

    A pair of shoes has no specks: each part has a good share of the pixels.

    Args:
        alpha: uint8 [height, width] of a cut-out.
    """
    mask = np.ascontiguousarray(alpha >= _OPAQUE_ENOUGH).astype(np.uint8)
    parts = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:]
    if len(parts) < 2:
        return 1.0, 1.0
    areas = parts[:, cv2.CC_STAT_AREA]
    largest = int(areas.argmax())
    if areas.sum() - areas[largest] >= _SPECKS * areas.sum():
        return 1.0, 1.0
    _, _, width, height = cv2.boundingRect(mask)
    return (
        float(parts[largest, cv2.CC_STAT_WIDTH] / width),
        float(parts[largest, cv2.CC_STAT_HEIGHT] / height),
    )


def _look_alikes(compared: list[tuple[InputPicture, NDArray[np.float32]]]) -> list[list[str]]:
    """Groups of files with other bytes that look alike."""
    if not compared:
        return []
    first = alike.groups(np.stack([means for _, means in compared]))
    found: dict[int, list[InputPicture]] = {}
    for (entry, _), group in zip(compared, first, strict=True):
        found.setdefault(group, []).append(entry)
    return [
        [entry.file for entry in entries]
        for entries in found.values()
        if len({entry.sha256 for entry in entries}) > 1
    ]
