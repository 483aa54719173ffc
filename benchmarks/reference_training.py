"""Does a data set teach what it is for? Makes one, trains on it, measures on what it never saw.

    python -m benchmarks.reference_training --photos DIR --foregrounds DIR \\
        --network FASTDEPTH.tflite --work FOLDER

Every tenth photo and every tenth cut-out is held out. Of the other photos square views are made,
each another part, size and direction, and `fgbg generate` pastes every fifth of the other cut-outs
on each of them, with depth by --network; a second data set has the held-out photos and cut-outs,
whole. Then `fgbg train` is run, with the options below and any that are given besides, and
measured on the second. What is finished in --work is not made again.
"""

from __future__ import annotations

import argparse
import random
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageOps

from fgbg.files.in_place import in_place

_HELD, _FOREGROUNDS = 10, 5
_SIDE, _QUALITY = 448, 97
_SHARE = (0.5, 1.0)
TRAIN = (
    *("--inputs", "pair", "--freeze_encoder", "--epochs", "2", "--batch_size", "16"),
    *("--learning_rate", "2e-3", "--augment", "false", "--precision", "mixed_bfloat16"),
)


def split(folder: Path) -> tuple[list[Path], list[Path]]:
    """A folder's pictures in the order of their names: those to train with, those held out."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    held = files[_HELD - 1 :: _HELD]
    return [f for f in files if f not in held], held


def make_views(photos: list[Path], target: Path, count: int, seed: int = 0) -> None:
    """Square views of photos: another part of 0.5 to 1 of the shorter side, half of them mirrored.

    Args:
        photos: The photos.
        target: Folder for the views, 448x448.
        count: Views of each.
        seed: Of the draws.
    """
    draw = random.Random(seed)
    for path in photos:
        with Image.open(path) as file:
            photo = file.convert("RGB")
        width, height = photo.size
        for i in range(count):
            side = round(min(width, height) * draw.uniform(*_SHARE))
            x, y = draw.randint(0, width - side), draw.randint(0, height - side)
            view = photo.crop((x, y, x + side, y + side))
            view = view.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
            if draw.random() < 0.5:
                view = ImageOps.mirror(view)
            view.save(target / f"{path.stem}_{i:02}.jpg", quality=_QUALITY)


def _folder(path: Path, files: list[Path]) -> Path:
    """A folder with links to files."""
    path.mkdir(parents=True, exist_ok=True)
    for file in files:
        link = path / file.name
        if not link.exists():
            link.symlink_to(file.resolve())
    return path


def _fgbg(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "fgbg", *map(str, arguments)]
    print(f"$ fgbg {shlex.join(command[3:])}", flush=True)
    subprocess.run(command, check=True)


def main() -> None:
    """Makes both data sets and trains."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--foregrounds", type=Path, required=True)
    parser.add_argument("--network", type=Path, required=True, help="a .tflite depth network")
    parser.add_argument("--work", type=Path, required=True, help="where all is written")
    parser.add_argument("--views", type=int, default=20, help="of each photo")
    parser.add_argument(
        "--compact", action="store_true", help="do not begin with the encoder of --network"
    )
    asked, more = parser.parse_known_args()
    photos, held_photos = split(asked.photos)
    cutouts, held_cutouts = split(asked.foregrounds)
    views = asked.work / "views"
    if not views.exists():
        with in_place(str(views)) as part:
            Path(part).mkdir()
            make_views(photos, Path(part), asked.views)
    depth = ("--depth_model", asked.network, "--depth_format", "png16")
    _fgbg(
        *("generate", "--backgrounds", views, "--output", asked.work / "set"),
        *("--foregrounds", _folder(asked.work / "cutouts", cutouts[::_FOREGROUNDS])),
        *("--placements", "1", "--mirror", "false", *depth),
        *("--splits", "train=0.96,validation=0.03,test=0.01"),
    )
    _fgbg(
        *("generate", "--backgrounds", _folder(asked.work / "held_photos", held_photos)),
        *("--foregrounds", _folder(asked.work / "held_cutouts", held_cutouts)),
        *("--output", asked.work / "held", "--placements", "5", *depth, "--splits", "test=1"),
    )
    options = list(TRAIN)
    if asked.compact:
        options.remove("--freeze_encoder")
    else:
        options += ["--encoder", str(asked.network)]
    _fgbg(
        *("train", asked.work / "set", "--test_set", asked.work / "held"),
        *("--model_dir", asked.work / "model", *options, *more),
    )


if __name__ == "__main__":
    main()
