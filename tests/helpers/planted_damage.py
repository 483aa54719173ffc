"""Kinds of damage planted in data sets: for every kind of file that there is."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pyarrow.parquet as pq

from fgbg.files.sealed import seal
from tests.helpers.damage import commit_file, edit_generation, edit_manifest, flip_a_bit

Plant = Callable[[Path], object]
UNIT, OTHER = "bg1/fg_2/mirrored_0", "bg2/fg_1/as_given_0"
COMMIT = "_work/commits/bg1/fg_2/mirrored_0"
JOB, SPARE = "_work/job.json", "_work/job.spare.json"
KEY = "bg2/fg_1/2"


def path_of(output: Path, name: str) -> Path:
    """A file by its name; of a commit record without the identity that ends its name."""
    if name.startswith("_work/commits/"):
        return commit_file(output, name.removeprefix("_work/commits/"))
    return output / name


def damages(name: str, *kinds: str) -> dict[str, tuple[Plant, str]]:
    """Kinds of damage to one file, and what verify names."""
    every: dict[str, Callable[[Path], object]] = {
        "empty": lambda path: path.write_bytes(b""),
        "{}": lambda path: path.write_bytes(b"{}"),
        "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
        "bit-flipped": flip_a_bit,
        "missing": lambda path: path.unlink(),
    }

    def plant(kind: str, output: Path) -> None:
        every[kind](path_of(output, name))

    chosen = kinds or tuple(every)
    return {f"{name}: {kind}": (functools.partial(plant, kind), name) for kind in chosen}


def swap(first: str, second: str) -> Plant:
    def plant(output: Path) -> None:
        a, b = path_of(output, first), path_of(output, second)
        before, other = a.read_bytes(), b.read_bytes()
        a.write_bytes(other)
        b.write_bytes(before)

    return plant


def copied(name: str) -> Plant:
    """A copy as file managers name it."""

    def plant(output: Path) -> None:
        path = path_of(output, name)
        shutil.copy(path, path.with_name(f"{path.stem} (1){path.suffix}"))

    return plant


def added(name: str) -> Plant:
    def plant(output: Path) -> None:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(b"somebody's")

    return plant


def inverted(name: str) -> Plant:
    def plant(output: Path) -> None:
        path = output / name
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        path.write_bytes(cv2.imencode(path.suffix, 255 - image)[1].tobytes())

    return plant


def cell(column: str, change: Callable[[Any], Any]) -> Plant:
    """One cell of the manifest."""

    def edit(rows: list[dict]) -> list[dict]:
        return [{**row, column: change(row[column])} if row["key"] == KEY else row for row in rows]

    return lambda output: edit_manifest(output, edit)


def edited(name: str, change: Callable[[dict], object]) -> Plant:
    """A sealed file changed and sealed again."""

    def plant(output: Path) -> None:
        path = path_of(output, name)
        content = json.loads(path.read_bytes())
        content.pop("crc32", None)
        change(content)
        path.write_bytes(seal(content, indent=1 if "job" in name else None))

    return plant


def shifted(content: dict) -> None:
    content["columns"]["canvas_x"][0] += 1


def of_both(*plants: Plant) -> Plant:
    return lambda output: [plant(output) for plant in plants]


def statistic(column: str) -> Plant:
    """The greatest value of a column, as the first row group's statistics in the file's end say."""

    def plant(output: Path) -> None:
        path = output / "manifest.parquet"
        data = path.read_bytes()
        group = pq.ParquetFile(path).metadata.row_group(0)
        names = [group.column(i).path_in_schema for i in range(group.num_columns)]
        most = group.column(names.index(column)).statistics.max
        coded = most.encode() if isinstance(most, str) else most.to_bytes(4, "little")
        place = data.rindex(coded)
        path.write_bytes(data[:place] + bytes([coded[0] ^ 1]) + data[place + 1 :])

    return plant


def replaced(name: str, before: bytes, after: bytes) -> Plant:
    """The last of some bytes of a file, in place of which others stand."""

    def plant(output: Path) -> None:
        data = (output / name).read_bytes()
        place = data.rindex(before)
        (output / name).write_bytes(data[:place] + after + data[place + len(before) :])

    return plant


COLUMNS: dict[str, Callable[[Any], Any]] = {
    "key": lambda value: f"{value}0",
    "split": lambda value: "test",
    "bg": lambda value: value + 1,
    "fg": lambda value: value + 1,
    "mirrored": lambda value: not value,
    "number": lambda value: value + 1,
    "bg_file": lambda value: "another.png",
    "fg_file": lambda value: "another.png",
    "x": lambda value: value + 1,
    "mask_area": lambda value: value + 1,
    "overlay": lambda value: f"{value}0",
    "canvas_x": lambda value: value + 1,
    "canvas_width": lambda value: value + 1,
    "overlay_crc32": lambda value: value ^ 1,
}

# By both formats; each damage with what verify must name.
BOTH: dict[str, tuple[Plant, str]] = {
    **damages(COMMIT),
    **damages(JOB),
    **damages(SPARE, "empty", "missing"),
    **damages("_work/inputs.json", "empty", "bit-flipped", "missing"),
    **damages("_work/drawn.json", "empty", "{}"),
    "no checksums of the drawings": (
        lambda o: (o / "_work/drawn.json").unlink(),
        "index.html: report and sheets were never drawn to the end",
    ),
    **damages("manifest.parquet", "empty", "truncated", "zeroed", "bit-flipped", "missing"),
    **damages("generation.json", "empty", "{}", "truncated", "zeroed", "missing"),
    **damages("README.md", "empty", "bit-flipped", "missing"),
    **damages("index.html", "empty", "bit-flipped", "missing"),
    **damages("PlotImages/rows.png", "empty", "missing"),
    **damages("PlotImages/mask.png", "bit-flipped"),
    **{
        f"manifest.parquet: {column}": (cell(column, change), f"{column} is ")
        for column, change in COLUMNS.items()
    },
    "manifest.parquet: a statistic of numbers": (
        statistic("overlay_crc32"),
        "manifest.parquet: its rows are right",
    ),
    "manifest.parquet: a statistic of words": (
        statistic("fg_file"),
        "manifest.parquet: its rows are right",
    ),
    "manifest.parquet: who wrote it": (
        replaced("manifest.parquet", b"parquet-cpp-arrow version", b"parquet-cpp-arrow Version"),
        "manifest.parquet: says that",
    ),
    "commit records swapped": (swap(COMMIT, f"_work/commits/{OTHER}"), COMMIT),
    "a placement in a commit record": (edited(COMMIT, shifted), "places sample"),
    "a checksum in a commit record": (
        edited(COMMIT, lambda c: c["columns"]["overlay_crc32"].__setitem__(0, 1)),
        "bg1/fg_2",
    ),
    "a column less in a commit record": (
        edited(COMMIT, lambda c: c["columns"].pop("x")),
        "has not just these columns",
    ),
    "a mean": (
        lambda o: edit_generation(o, lambda g: g["statistics"]["overlay"]["red"].update(mean=1.0)),
        "generation.json: statistics/overlay/red/mean is 1.0",
    ),
    "bytes between kinds": (
        lambda o: edit_generation(
            o,
            lambda g: g["bytes"].update(
                mask=g["bytes"]["mask"] + 1, overlay=g["bytes"]["overlay"] - 1
            ),
        ),
        "generation.json: bytes/mask is ",
    ),
    "an input's hash in generation.json": (
        lambda o: edit_generation(
            o, lambda g: g["inputs"]["backgrounds"][0].update(sha256="0" * 64)
        ),
        "generation.json: inputs/",
    ),
    "timings gone": (
        lambda o: edit_generation(o, lambda g: g.pop("timings")),
        "generation.json: timings",
    ),
    "failures that were none": (added("errors.jsonl"), "errors.jsonl: does not name"),
}

# Nothing to be mended: files of others, named and left.
FOREIGN: dict[str, tuple[Plant, str]] = {
    "beside the folders": (added("holiday.jpg"), "holiday.jpg"),
    "a folder": (added("coco/annotations.json"), "coco/annotations.json"),
    "among the backgrounds": (added("backgrounds/bg9.jpg"), "backgrounds/bg9.jpg"),
    "in _work": (added("_work/notes.txt"), "_work/notes.txt"),
    "a background's number": (added("bg100/holiday.jpg"), "bg100/holiday.jpg"),
    "a copy of a commit record": (copied(COMMIT), "mirrored_0."),
    "a copy of the manifest": (copied("manifest.parquet"), "manifest (1).parquet"),
    "a copy of the job": (copied(JOB), "_work/job (1).json"),
}

# What needs the pictures that the data set was made of.
ORIGINALS: dict[str, tuple[Plant, str]] = {
    **damages("backgrounds/bg2.jpg", "empty", "bit-flipped", "missing"),
    **damages("foregrounds/fg_1.png", "truncated", "missing"),
    "an inverted foreground": (inverted("foregrounds/fg_1.png"), "foregrounds/fg_1.png"),
    "an inverted background": (inverted("backgrounds/bg1.jpg"), "backgrounds/bg1.jpg"),
    "foregrounds swapped": (
        swap("foregrounds/fg_1.png", "foregrounds/fg_2.png"),
        "foregrounds/fg_2.png",
    ),
}

# Another job: no repair makes a data set of it.
OTHER_JOB: dict[str, tuple[Plant, str]] = {
    "a seed": (edited(JOB, lambda j: j["configuration"].update(seed=7)), "seed"),
    "a seed in both": (
        of_both(
            edited(JOB, lambda j: j["configuration"].update(seed=7)),
            edited(SPARE, lambda j: j["configuration"].update(seed=7)),
        ),
        "12 records are of another job",
    ),
    "a hash in both": (
        of_both(
            edited(JOB, lambda j: j["foregrounds"][0].update(sha256="0" * 64)),
            edited(SPARE, lambda j: j["foregrounds"][0].update(sha256="0" * 64)),
        ),
        "6 records are of another job",
    ),
}

OVERLAY, MASK = "bg1/fg_2/overlay/4.jpg", "bg2/fg_1/mask/2.jpg"
IMAGES: dict[str, tuple[Plant, str]] = {
    **damages(OVERLAY),
    **damages(MASK, "zeroed", "missing"),
    "overlays swapped": (swap(OVERLAY, "bg1/fg_2/overlay/5.jpg"), OVERLAY),
    "an inverted mask": (inverted(MASK), MASK),
}

SHARD = "tfrecord/fgbg-train.tfrecord-00001-of-00003"
SHARD_RECORD = "_work/shards/fgbg-train.tfrecord-00001-of-00003.json"
RECORDS: dict[str, tuple[Plant, str]] = {
    **damages(SHARD),
    **{
        name: (plant, f"{SHARD}: its shard record is missing")
        for name, (plant, _) in damages(SHARD_RECORD, "empty", "{}", "missing").items()
    },
    **damages("_work/shards/plan.json", "empty", "truncated", "missing"),
    **damages("tfrecord/features.json", "empty", "missing"),
    **damages("tfrecord/dataset_info.json", "{}", "missing"),
    **damages("tfrecord/schema.pbtxt", "bit-flipped", "missing"),
    "shards swapped": (swap(SHARD, "tfrecord/fgbg-train.tfrecord-00000-of-00003"), SHARD),
}
