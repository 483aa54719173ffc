"""Command line: trains the built-in network from nothing but photos, cut-outs and the teacher.

First from a pool of rendered rooms with their true depth and of photos (`train`), then from a
stream of pictures that never repeat, by what the teacher says of each (`match`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fgbg.models import tensorflow_process
from fgbg.models.depth import builtin
from tools.builtin_training import match, stream
from tools.builtin_training.evaluate import evaluate
from tools.builtin_training.pool import Recipe, make_pool, open_pool
from tools.builtin_training.schedule import Schedule
from tools.builtin_training.teacher import Teacher
from tools.builtin_training.train import train
from tools.rooms.dataset import write_dataset

ROOM_SIZE = (320, 240)
HELD_OUT_ROOMS = 150
# Of the pictures of the stream.
STREAM_SEED = 3
# Every tenth photo and cut-out is kept out of training, and out of nothing else.
HOLD_OUT = 10


def split(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A folder's pictures, in the order of their names: those trained from, those held out."""
    suffixes = {".jpg", ".jpeg", ".png"}
    files = sorted(str(p) for p in folder.iterdir() if p.suffix.lower() in suffixes)
    held = tuple(files[HOLD_OUT - 1 :: HOLD_OUT])
    return tuple(f for f in files if f not in held), held


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.builtin_training",
        description="Renders rooms, labels pictures, trains the built-in depth network. What is "
        "there already is not made again: the same command goes on.",
    )
    add = parser.add_argument
    add("--photos", type=Path, required=True, metavar="FOLDER", help="photos")
    add("--foregrounds", type=Path, required=True, metavar="FOLDER", help="RGBA cut-outs")
    add("--teacher", required=True, metavar="FILE", help="FastDepth as a quantised .tflite file")
    add("--work", type=Path, required=True, metavar="FOLDER", help="for all that lies between")
    add("--output", type=Path, default=builtin.WEIGHTS, metavar="FILE", help="the weights")
    add("--rooms", type=int, default=8000, metavar="N", help="rooms to render (default 8000)")
    add("--interiors", nargs="+", metavar="NAME", help="the photos that show rooms (default: all)")
    add("--steps", type=int, default=Schedule.steps, metavar="N", help="of 32 pictures of the pool")
    steps = match.MatchSchedule.steps
    add("--stream_steps", type=int, default=steps, metavar="N", help="of 32 of the stream")
    add("--workers", type=int, default=2, metavar="N", help="processes, and threads in training")
    asked = parser.parse_args(arguments)
    photos, photos_held = split(asked.photos)
    interiors = tuple(p for p in photos if not asked.interiors or Path(p).name in asked.interiors)
    if not interiors:
        parser.error(f"--interiors: {asked.photos} has none of them among those trained from")
    cutouts, cutouts_held = split(asked.foregrounds)
    work: Path = asked.work
    pools = {
        "pool": (asked.rooms, 1, photos, cutouts),
        "held_out": (HELD_OUT_ROOMS, 2, photos_held, cutouts_held),
    }
    for name, (count, seed, some_photos, some_cutouts) in pools.items():
        rooms = work / f"{name}_rooms"
        write_dataset(rooms, count, ROOM_SIZE, seed, asked.workers)
        views = (3, 80) if name == "pool" else (2, 20)
        recipe = Recipe(str(rooms), count, some_photos, some_cutouts, asked.teacher, seed, *views)
        make_pool(recipe, work / name, asked.workers)
    tensorflow_process.start(asked.workers)  # the first call decides the threads
    metres = Teacher(asked.teacher).metres
    schedule = Schedule(steps=asked.steps, threads=asked.workers)
    network = train(work / "pool", work / "checkpoints", schedule, metres)
    print(evaluate(network, open_pool(work / "held_out"), metres))
    folder = str(work / "pool_rooms")
    sources = stream.Sources(
        folder, asked.rooms, photos, interiors, cutouts, asked.teacher, STREAM_SEED
    )
    network = match.match(
        network.get_weights(),
        sources,
        work / "stream_checkpoints",
        match.MatchSchedule(steps=asked.stream_steps, threads=asked.workers),
    )
    print(evaluate(network, open_pool(work / "held_out"), metres))
    size = builtin.save_weights(network, asked.output)
    print(f"{asked.output}: {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
