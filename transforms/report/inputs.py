"""The pictures that a data set was made of, as it holds them: blank ones, and look-alikes.

Every background and foreground is read once, reduced, and kept as 272 grey values and 256 bits.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from transforms import catalogue, storage
from transforms.job import BACKGROUNDS, FOREGROUNDS, InputPicture, Job
from transforms.ordered_map import in_order
from transforms.pictures import Array

_GCS_THREADS = 16
_SIDE = 16
# Standard deviation of a picture's grey values, of 255, below which there is nothing to see on it.
BLANK = 8.0
# Bits of 256 in which two pictures may differ that look alike: scaled, or saved again.
_ALIKE_BITS = 8


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What is conspicuous about the inputs.

    Attributes:
        blank: Near-blank backgrounds.
        same: Groups of files with equal bytes, by "background" and "foreground".
        alike: Groups of other files that look alike, likewise.
        unread: Names of inputs that are not in the data set any more.
    """

    blank: list[InputPicture]
    same: dict[str, list[list[str]]]
    alike: dict[str, list[list[str]]]
    unread: list[str]


def inspect(output: str, job: Job) -> Inputs:
    """Looks at all inputs of a data set."""
    blank: list[InputPicture] = []
    same: dict[str, list[list[str]]] = {}
    alike: dict[str, list[list[str]]] = {}
    unread: list[str] = []
    for kind, folder, pattern, entries in (
        ("background", BACKGROUNDS, "bg{}.jpg", job.backgrounds),
        ("foreground", FOREGROUNDS, "fg_{}.png", job.foregrounds),
    ):
        names = [f"{folder}/{pattern.format(entry.number)}" for entry in entries]
        threads = _GCS_THREADS if storage.is_gcs(output) else 1
        paths = [storage.join(output, name) for name in names]
        prints: list[tuple[InputPicture, NDArray[np.uint8]]] = []
        for entry, name, grey in zip(entries, names, in_order(_small, paths, threads), strict=True):
            if grey is None:
                unread.append(name)
                continue
            if kind == "background" and float(grey.std()) < BLANK:
                blank.append(entry)
            elif grey.std() >= 1:  # of evenly grey ones the bits below are noise
                prints.append((entry, np.packbits(grey[:, 1:] > grey[:, :-1])))
        same[kind] = catalogue.duplicates(entries)
        alike[kind] = _groups(prints)
    return Inputs(blank, same, alike, unread)


def _small(path: str) -> NDArray[np.float32] | None:
    """A picture as 16 x 17 grey values; None where it cannot be read."""
    try:
        data = np.frombuffer(storage.storage_for(path).read(path), np.uint8)
    except OSError:
        return None
    is_foreground = path.endswith(".png")
    mode = cv2.IMREAD_UNCHANGED if is_foreground else cv2.IMREAD_REDUCED_GRAYSCALE_4
    image = cv2.imdecode(data, mode) if data.size else None
    if image is None:
        return None
    return cv2.resize(
        _on_grey(image) if is_foreground else image.astype(np.float32),
        (_SIDE + 1, _SIDE),
        interpolation=cv2.INTER_AREA,
    )


def _on_grey(image: Array) -> NDArray[np.float32]:
    alpha = image[..., 3].astype(np.float32) / 255
    grey = cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY).astype(np.float32)
    return grey * alpha + 128 * (1 - alpha)


def _groups(prints: list[tuple[InputPicture, NDArray[np.uint8]]]) -> list[list[str]]:
    """Groups of files with other bytes but nearly the same bits."""
    if not prints:
        return []
    bits = np.stack([bits for _, bits in prints])
    group = list(range(len(prints)))
    for i in range(1, len(prints)):
        differing = np.bitwise_count(bits[:i] ^ bits[i]).sum(1)
        near = np.flatnonzero(differing <= _ALIKE_BITS)
        if near.size:
            group[i] = group[int(near[0])]
    found: dict[int, list[InputPicture]] = {}
    for (entry, _), first in zip(prints, group, strict=True):
        found.setdefault(first, []).append(entry)
    return [
        [entry.file for entry in entries]
        for entries in found.values()
        if len({entry.sha256 for entry in entries}) > 1
    ]
