"""Inputs with known authors and licences, and a cut-out too faint to have a mask."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

from tests.helpers.pictures import disc, photo, sieve

BACKGROUNDS = {
    "hall.png": ("Ann", "CC BY 4.0", "https://example.org/hall"),
    "room.png": ("Bo, Cy", "CC BY-SA 3.0", "https://example.org/room"),
    "yard.png": ("", "", ""),
    "zoo.png": ("Ann", "CC BY 4.0", "https://example.org/zoo"),
}
FOREGROUNDS = {
    "ball.png": ("Di", "CC0 1.0", "https://example.org/ball"),
    "faint.png": ("", "", ""),
}
# How each form of the same data set is asked for.
FORMS = {
    "jpg": (),
    "png": ("--mask_format", "png", "--depth_format", "png16"),
    "tfrecord": ("--format", "tfrecord", "--shards", "5"),
}


def write_inputs(folder: Path) -> Path:
    """Four photos in bg/ and two cut-outs in fg/, with their sources.csv."""
    for kind, files in (("bg", BACKGROUNDS), ("fg", FOREGROUNDS)):
        (folder / kind).mkdir(parents=True)
        with open(folder / kind / "sources.csv", "w", newline="") as table:
            writer = csv.writer(table)
            writer.writerow(("file", "author", "licence", "page"))
            writer.writerows((file, *source) for file, source in files.items())
    for i, file in enumerate(BACKGROUNDS):
        Image.fromarray(photo(i)).save(folder / "bg" / file)
    for i, file in enumerate(FOREGROUNDS):
        pixels = sieve(i) if file == "faint.png" else disc(i)
        Image.fromarray(pixels).save(folder / "fg" / file)
    return folder


ASKED = {
    "jpg": ("--format", "images"),
    "png": ("--format", "images", *FORMS["png"]),
    "tfrecord": FORMS["tfrecord"],
}
