"""Pictures coded in proportion to their foregrounds, beside whole pictures coded one by one.

    python benchmarks/encoding.py --backgrounds DIR --foregrounds DIR

One process, CPU time, nothing written. Units are composed as `fgbg generate` composes them, and
coded by a loop of cv2.imencode over whole pictures (as plain JPEG, as JPEG with restart markers, as
PNG) and by pixels.jpeg.splice and pixels.png_mask. All ways take their turn at each unit,
and the fastest of some turns counts, so that other programs on the machine disturb them alike.
Preparing a background is paid once for all of its units and stands apart, as does composing. Every
spliced file is compared with that of the whole picture.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fgbg.transforms.dataset import catalogue
from fgbg.transforms.pixels import compositing, pictures, placement, png_mask
from fgbg.transforms.pixels.compositing import Background, Composed, inside
from fgbg.transforms.pixels.jpeg import splice as jpeg_splice
from fgbg.transforms.pixels.placement import Box

PLACEMENTS, FG_SCALE = 20, (0.3, 0.6)
MCU = {"overlay": 16, "mask": 8}
# The line of the masks without loss: kind, quality, interval of restart markers.
MASK_PNG = ("mask png", "-", "-")


@dataclasses.dataclass
class Totals:
    """What is added up over the units of a table, of each of its lines or of the whole.

    Attributes:
        seconds: CPU time by (line, what was done).
        bytes: Bytes by (line, how it was coded).
        prepared: Backgrounds prepared, by line.
        samples: Samples made.
        pixels: Pixels in the parts of those samples.
    """

    seconds: dict[Any, float] = dataclasses.field(default_factory=lambda: defaultdict(float))
    bytes: dict[Any, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    prepared: dict[Any, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    samples: int = 0
    pixels: int = 0


def timed(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Least CPU time of a call in some rounds, and what it gives."""
    least = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        result = work()
        least = min(least, time.process_time() - start)
    return least, result


def whole(images: np.ndarray, flags: list[int], extension: str = ".jpg") -> list[bytes]:
    """What somebody writes by hand."""
    return [cv2.imencode(extension, image, flags)[1].tobytes() for image in images]


def png_parts(composed: Composed, size: tuple[int, int]) -> list[bytes]:
    """PNGs of the masks' tight boxes."""
    files = []
    for part, tight in zip(composed.parts, composed.boxes, strict=True):
        within = Box(tight.x - part.box.x, tight.y - part.box.y, tight.width, tight.height)
        files.append(png_mask.encode_part(part.mask[inside(within)], tight, size, 1))
    return files


def add_unit(
    totals: Totals, composed: Composed, prepared: dict[Any, Any], asked: argparse.Namespace
) -> None:
    """Codes a unit in all ways."""
    stored = composed.background.stored
    boxes = [part.box for part in composed.parts]
    for kind, mcu in MCU.items():
        images = composed.overlays if kind == "overlay" else composed.masks
        channels = 3 if kind == "overlay" else 1
        patches = [p.overlay if kind == "overlay" else p.mask for p in composed.parts]
        row = stored.shape[1] // mcu
        best = jpeg_splice.best_interval(stored.shape[1], channels)
        intervals = [n for n in range(1, row + 1) if row % n == 0] if asked.all else [best]
        for quality in asked.qualities:
            flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
            spent, files = timed(functools.partial(whole, images, flags), asked.rounds)
            for interval in intervals:
                line = kind, quality, interval
                if line not in prepared:
                    picture = stored if kind == "overlay" else np.zeros_like(images[0])
                    preparing = functools.partial(jpeg_splice.prepare, picture, quality, interval)
                    took, prepared[line] = timed(preparing, 1)
                    totals.seconds[line, "prepare"] += took
                    totals.prepared[line] += 1
                splicing = functools.partial(jpeg_splice.encode, prepared[line], boxes, patches)
                took, spliced = timed(splicing, asked.rounds)
                expected = [jpeg_splice.encode_whole(i, quality, interval) for i in images]
                if spliced != expected:
                    raise RuntimeError("a spliced file is not that of the whole picture")
                totals.seconds[line, "whole"] += spent
                totals.seconds[line, "parts"] += took
                totals.bytes[line, "whole"] += sum(map(len, files))
                totals.bytes[line, "parts"] += sum(map(len, spliced))
    labels = composed.masks & 1
    size = stored.shape[1], stored.shape[0]
    for how, work in (
        ("whole", functools.partial(whole, labels, [], ".png")),
        ("parts", functools.partial(png_parts, composed, size)),
    ):
        took, files = timed(work, asked.rounds)
        totals.seconds[MASK_PNG, how] += took
        totals.bytes[MASK_PNG, how] += sum(map(len, files))
    totals.samples += len(boxes)
    totals.pixels += sum(box.width * box.height for box in boxes)


def measure(asked: argparse.Namespace, canvas: int, size: int) -> None:
    """Prints the table of one stored size."""
    photos, cutouts = (
        [
            pictures.read_picture(Path(path).read_bytes())
            for path in catalogue.find(getattr(asked, name), f"--{name}")[0][: asked.count]
        ]
        for name in ("backgrounds", "foregrounds")
    )
    totals = Totals()
    for b, photo in enumerate(photos):
        fitted = pictures.fit_background(photo, (canvas, canvas))
        background = Background.of(fitted, (size, size))
        prepared: dict[Any, Any] = {}
        for f in range(asked.units):
            cutout = cutouts[(b * asked.units + f) % len(cutouts)]
            cutout = pictures.crop_foreground(cutout, (canvas, canvas))
            key = placement.generator_key(0, str(b), str(f), False)
            scale = placement.draw_scale(key, 0, FG_SCALE)
            fg_size = placement.scaled_size(
                (cutout.shape[1], cutout.shape[0]), (canvas, canvas), scale
            )
            places = [
                placement.place(key, n, fg_size, (canvas, canvas)) for n in range(1, PLACEMENTS + 1)
            ]
            scaling = functools.partial(compositing.scale_foreground, cutout, fg_size, False)
            took, foreground = timed(scaling, asked.rounds)
            totals.seconds["scale"] += took
            composing = functools.partial(
                compositing.compose_unit, background, foreground, places, (size, size), False
            )
            took, composed = timed(composing, asked.rounds)
            totals.seconds["compose"] += took
            add_unit(totals, composed, prepared, asked)
    show(totals, canvas, size)


def show(totals: Totals, canvas: int, size: int) -> None:
    """Prints what was added up."""
    n = totals.samples
    print(
        f"\n{size}x{size} stored, composed at {canvas}x{canvas}: {n:,} samples, of which the "
        f"foreground's box is {totals.pixels / n / size**2:.1%}; microseconds a sample: scaling "
        f"the foreground {totals.seconds['scale'] / n * 1e6:.0f}, composing "
        f"{totals.seconds['compose'] / n * 1e6:.0f}"
    )
    print("kind     quality interval  whole us  parts us  whole : parts  whole B  parts B  "
          "prepare us a background")  # fmt: skip
    for line in dict.fromkeys(key[0] for key in totals.bytes):
        took = [totals.seconds[line, how] / n * 1e6 for how in ("whole", "parts")]
        sizes = [totals.bytes[line, how] / n for how in ("whole", "parts")]
        prepare = totals.seconds[line, "prepare"] / max(1, totals.prepared[line]) * 1e6
        print(
            f"{line[0]:8} {line[1]:>7} {line[2]:>8}  {took[0]:8.0f}  {took[1]:8.0f}  "
            f"{took[0] / took[1]:13.2f}  {sizes[0]:7.0f}  {sizes[1]:7.0f}  {prepare:7.0f}"
        )


def main() -> None:
    """Prints a table for each stored size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backgrounds", required=True, help="folder of photos")
    parser.add_argument("--foregrounds", required=True, help="folder of cut-outs")
    parser.add_argument("--count", type=int, default=10, help="photos and cut-outs to use")
    parser.add_argument("--units", type=int, default=2, help="units on each photo")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 448], help="stored")
    parser.add_argument("--canvas", type=int, default=448, help="composed at")
    parser.add_argument("--qualities", type=int, nargs="+", default=[75, 95])
    parser.add_argument("--all", action="store_true", help="all intervals that divide a row")
    parser.add_argument("--rounds", type=int, default=3, help="the fastest of so many counts")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, OpenCV "
          f"{cv2.__version__}")  # fmt: skip
    for size in asked.sizes:
        measure(asked, asked.canvas, size)


if __name__ == "__main__":
    main()
