"""What people write by hand instead of `fgbg generate`: loops over whole pictures.

    python benchmarks/loops.py --loop cv2 --data_set DIR --output DIR

Three of them: by OpenCV as notebooks do it, by OpenCV with all that can be done about its
arithmetic without leaving whole pictures, and by Pillow. All decode each input once, scale a
foreground once for all its places, and then make every sample whole: copy the canvas, blend the
cut-out in, resize canvas and alpha to the stored size, encode both as JPEG, write two files. There
are no records of what was done, no checksums, no statistics. The inputs are those stored in a data
set of fgbg, and so are the places, so that both OpenCV loops make the pixels that fgbg makes.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit, sample_numbers, units_of_background
from fgbg.transforms.pixels import codec, compositing, placement
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.pixels.placement import Box

Loop = Callable[["Task", str], None]


@dataclasses.dataclass(frozen=True)
class Task:
    """One work unit as a loop is given it.

    Attributes:
        background: File of the canvas.
        cutout: File of the cut-out.
        mirrored: Whether it is mirrored.
        scaled: Width and height of the cut-out on the canvas.
        places: Its boxes in canvas pixels.
        numbers: Numbers of the samples.
        folder: Of the samples, relative to the output.
        size: Width and height stored.
        quality: JPEG quality.
    """

    background: str
    cutout: str
    mirrored: bool
    scaled: tuple[int, int]
    places: list[Box]
    numbers: list[int]
    folder: str
    size: tuple[int, int]
    quality: int

    @classmethod
    def of(cls, data_set: str, job: Job, unit: WorkUnit) -> Task:
        """The task of a unit, its places drawn as fgbg draws them."""
        c = job.configuration
        cutout = f"{data_set}/foregrounds/fg_{unit.foreground}.png"
        key = placement.generator_key(
            c.seed,
            job.backgrounds[unit.background - 1].sha256,
            job.foregrounds[unit.foreground - 1].sha256,
            unit.mirrored,
        )
        scale = placement.draw_scale(key, unit.round, c.fg_scale)
        scaled = placement.scaled_size(size_of(cutout), c.canvas, scale)
        numbers = list(sample_numbers(c.placements, c.mirror, unit))
        return cls(
            background=f"{data_set}/backgrounds/bg{unit.background}.jpg",
            cutout=cutout,
            mirrored=unit.mirrored,
            scaled=scaled,
            places=[placement.place(key, n, scaled, c.canvas, c.truncation) for n in numbers],
            numbers=numbers,
            folder=unit.folder,
            size=c.size,
            quality=c.image_quality,
        )


@functools.cache
def size_of(path: str) -> tuple[int, int]:
    """Width and height of a picture, without decoding it."""
    with Image.open(path) as image:
        return image.size


@functools.cache
def decoded(path: str) -> Array:
    """A picture by OpenCV."""
    return codec.decode(Path(path).read_bytes(), path)


@functools.cache
def opened(path: str) -> Image.Image:
    """A picture by Pillow."""
    with Image.open(path) as image:
        image.load()
        return image


def decode(path: Path) -> Array:
    """A picture of a loop's or of fgbg's, read anew."""
    return codec.decode(path.read_bytes(), str(path))


def folders(task: Task, output: str) -> str:
    """Makes the folders of a task's samples."""
    folder = f"{output}/{task.folder}"
    for kind in ("overlay", "mask"):
        os.makedirs(f"{folder}/{kind}", exist_ok=True)
    return folder


def cv2_samples(task: Task) -> Iterator[tuple[Array, Array]]:
    """Overlay and mask of each sample, as notebooks do it: alpha blending by the formula."""
    canvas = decoded(task.background)
    scaled = compositing.scale_foreground(decoded(task.cutout), task.scaled, task.mirrored)
    height, width = canvas.shape[:2]
    for x, y, w, h in task.places:
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        cutout = scaled[top - y : bottom - y, left - x : right - x]
        alpha = cutout[..., 3:] / np.float32(255)
        overlay, mask = canvas.copy(), np.zeros((height, width), np.uint8)
        region = overlay[top:bottom, left:right]
        region[:] = np.rint(cutout[..., :3] * alpha + region * (1 - alpha))
        mask[top:bottom, left:right] = cutout[..., 3]
        yield _stored(overlay, mask, task.size)


def tuned_samples(task: Task) -> Iterator[tuple[Array, Array]]:
    """The same in 16-bit integers, with what does not depend on the place done once."""
    canvas = decoded(task.background)
    scaled = compositing.scale_foreground(decoded(task.cutout), task.scaled, task.mirrored)
    alpha = np.ascontiguousarray(scaled[..., 3])
    factor = cv2.merge([alpha] * 3).astype(np.uint16)
    weighted, rest = scaled[..., :3] * factor + np.uint16(128), 255 - factor
    height, width = canvas.shape[:2]
    for x, y, w, h in task.places:
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        on_canvas = np.s_[top:bottom, left:right]
        of_cutout = np.s_[top - y : bottom - y, left - x : right - x]
        overlay, mask = canvas.copy(), np.zeros((height, width), np.uint8)
        total = overlay[on_canvas] * rest[of_cutout]
        total += weighted[of_cutout]
        total += total >> 8
        total >>= 8  # exactly round(sum / 255)
        overlay[on_canvas] = total
        mask[on_canvas] = alpha[of_cutout]
        yield _stored(overlay, mask, task.size)


def _stored(overlay: Array, mask: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """Overlay and alpha at the stored size, the latter as a mask."""
    if size != overlay.shape[1::-1]:
        overlay = cv2.resize(overlay, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    return overlay, cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1]


def encode(image: Array, quality: int) -> Array:
    """A JPEG by OpenCV."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]


def cv2_loop(task: Task, output: str) -> None:
    """Makes a unit with OpenCV, as notebooks do it."""
    _write(task, output, cv2_samples(task))


def tuned_loop(task: Task, output: str) -> None:
    """Makes a unit with OpenCV, tuned."""
    _write(task, output, tuned_samples(task))


def _write(task: Task, output: str, samples: Iterator[tuple[Array, Array]]) -> None:
    folder = folders(task, output)
    for number, images in zip(task.numbers, samples, strict=True):
        for kind, image in zip(("overlay", "mask"), images, strict=True):
            with open(f"{folder}/{kind}/{number}.jpg", "wb") as file:
                file.write(encode(image, task.quality).data)


def pil_loop(task: Task, output: str) -> None:
    """Makes a unit with Pillow."""
    folder = folders(task, output)
    canvas = opened(task.background)
    scaled = opened(task.cutout).resize(task.scaled)
    if task.mirrored:
        scaled = ImageOps.mirror(scaled)
    alpha = scaled.getchannel("A")
    for number, place in zip(task.numbers, task.places, strict=True):
        overlay, mask = canvas.copy(), Image.new("L", canvas.size)
        overlay.paste(scaled, (place.x, place.y), alpha)
        mask.paste(alpha, (place.x, place.y))
        overlay.resize(task.size).save(f"{folder}/overlay/{number}.jpg", quality=task.quality)
        mask.resize(task.size).save(f"{folder}/mask/{number}.jpg", quality=task.quality)


LOOPS: dict[str, Loop] = {"cv2": cv2_loop, "tuned": tuned_loop, "pil": pil_loop}


def all_units(job: Job) -> list[WorkUnit]:
    """The units of a job, background after background."""
    c = job.configuration
    return [
        unit
        for background in job.backgrounds
        for unit in units_of_background(
            background.number, len(job.foregrounds), c.mirror, len(c.placements)
        )
    ]


def main() -> None:
    """Runs a loop over the units of a data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loop", choices=LOOPS, required=True)
    parser.add_argument("--data_set", required=True, help="data set of fgbg with the inputs")
    parser.add_argument("--output", required=True, help="folder to write to")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    job = jobs.read(asked.data_set)
    if job is None:
        parser.error(f"--data_set {asked.data_set}: no data set")
    for unit in all_units(job):
        LOOPS[asked.loop](Task.of(asked.data_set, job, unit), asked.output)


if __name__ == "__main__":
    main()
