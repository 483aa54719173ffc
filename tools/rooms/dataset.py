"""Writes training pairs and the demo's samples to disk."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from tools.rooms.render import render_foreground, render_room

# Seeds picked by eye: varied, tidy rooms and clearly recognisable objects.
SAMPLE_ROOMS = (22, 27, 42, 52, 56, 62, 76, 81)
SAMPLE_FOREGROUNDS = (
    ("vase", 7, 360),
    ("chair", 15, 400),
    ("plant", 9, 360),
    ("lamp", 17, 340),
    ("teddy", 21, 320),
    ("stool", 13, 360),
    ("bottle", 26, 380),
    ("armchair", 17, 290),
)
SAMPLE_SIZE = (640, 480)
_MAX_ROOM_BYTES = 90_000

_README = """# Samples

Backgrounds and foregrounds for the demo. Nothing here is a photograph: this project rendered all
of it with `python -m tools.rooms samples --output samples` from fixed seeds. Licence: Apache-2.0,
like the project.
"""


def _write(path: Path, content: bytes) -> None:
    storage.storage_for(str(path)).write_atomically(str(path), content)


def encode_jpeg(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """Encodes [H, W, 3] uint8 RGB as JPEG."""
    done, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OSError("JPEG encoding failed")
    return data.tobytes()


def encode_png(image: NDArray[np.generic]) -> bytes:
    """Encodes [H, W] uint16 or [H, W, 4] uint8 RGBA as PNG."""
    pixels = image if image.ndim == 2 else image[..., [2, 1, 0, 3]]
    done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise OSError("PNG encoding failed")
    return data.tobytes()


def pair_names(number: int) -> tuple[str, str]:
    """Returns the file names of picture and depth of one pair."""
    return f"{number:06d}_rgb.jpg", f"{number:06d}_depth.png"


def write_pair(
    number: int, folder: Path, size: tuple[int, int], seed: int, quality: int = 92
) -> bool:
    """Renders and writes one pair unless it is there.

    Args:
        number: which pair.
        folder: where to.
        size: width and height in pixels.
        seed: of the data set; pair n is the room with seed seed * 10_000_000 + n.
        quality: of the JPEG.

    Returns:
        True if it was made now.
    """
    picture, depth_map = (folder / name for name in pair_names(number))
    if picture.exists() and depth_map.exists():
        return False
    rgb, depth = render_room(seed * 10_000_000 + number, *size)
    millimetres = np.rint(np.clip(depth * 1000, 1, 65535)).astype(np.uint16)
    _write(depth_map, encode_png(millimetres))
    _write(picture, encode_jpeg(rgb, quality))
    return True


def _one_thread() -> None:
    cv2.setNumThreads(1)


def write_dataset(
    folder: Path, count: int, size: tuple[int, int], seed: int, workers: int = 1
) -> int:
    """Writes pairs 0 .. count - 1, NNNNNN_rgb.jpg and NNNNNN_depth.png (16-bit, millimetres).

    Finished pairs are skipped, so the same call goes on where an earlier one stopped.

    Returns:
        How many were made now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = partial(write_pair, folder=folder, size=size, seed=seed)
    made = 0
    if workers <= 1:
        _one_thread()
        for number in range(count):
            made += job(number)
            _report(number + 1, count)
        return made
    with ProcessPoolExecutor(workers, initializer=_one_thread) as pool:
        for done, new in enumerate(pool.map(job, range(count), chunksize=8), 1):
            made += new
            _report(done, count)
    return made


def _report(done: int, count: int) -> None:
    if done % 500 == 0 or done == count:
        print(f"{done} of {count} rooms", flush=True)


def sample_files() -> dict[str, bytes]:
    """Renders the demo's samples: path inside the folder -> content of the file."""
    files = {"README.md": _README.encode()}
    for number, seed in enumerate(SAMPLE_ROOMS, 1):
        rgb, _ = render_room(seed, *SAMPLE_SIZE)
        quality = 90
        content = encode_jpeg(rgb, quality)
        while len(content) >= _MAX_ROOM_BYTES:
            quality -= 2
            content = encode_jpeg(rgb, quality)
        files[f"backgrounds/room_{number:02d}.jpg"] = content
    for number, (kind, seed, height) in enumerate(SAMPLE_FOREGROUNDS, 1):
        cut_out = render_foreground(seed, height, kind)
        files[f"foregrounds/{kind}_{number:02d}.png"] = encode_png(cut_out)
    return files


def write_samples(folder: Path) -> list[Path]:
    """Writes the demo's samples and returns their paths."""
    _one_thread()
    paths = []
    for name, content in sample_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, content)
        paths.append(path)
    return paths
