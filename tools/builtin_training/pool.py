"""The pool of labelled pictures that the network is trained from, made once, kept on disk.

Four NumPy arrays, one row a picture; who dies while making it goes on with the part that is
missing. Each picture is a function of the seed and its number alone.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tools.builtin_training import teacher as teachers
from tools.builtin_training import views
from tools.builtin_training.picture_files import any_of, decode, read, room_depth
from tools.builtin_training.teacher import FEATURES
from tools.builtin_training.views import SIDE
from tools.rooms.dataset import pair_names

_PART = 250
# True depth is kept as its logarithm in 255 steps of 1.8 % between these; 0 says unknown.
NEAREST_M, FARTHEST_M = 0.1, 10.0
ARRAYS = {
    "picture": ((SIDE, SIDE, 3), np.uint8),
    "teacher": ((SIDE, SIDE), np.uint8),
    "truth": ((SIDE, SIDE), np.uint8),
    "features": (FEATURES, np.int8),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What the pool is made from.

    Attributes:
        rooms: Folder of rendered rooms.
        room_count: How many of them.
        photos: Photo files.
        cutouts: RGBA files.
        teacher: The teacher's file.
        seed: Of all draws.
        views_of_a_room: Whole view, crop, then views with something pasted or blended in.
        views_of_a_photo: Half of them with a cut-out pasted in.
    """

    rooms: str
    room_count: int
    photos: tuple[str, ...]
    cutouts: tuple[str, ...]
    teacher: str
    seed: int = 0
    views_of_a_room: int = 3
    views_of_a_photo: int = 80

    @property
    def size(self) -> int:
        """Number of pictures."""
        return self.room_count * self.views_of_a_room + len(self.photos) * self.views_of_a_photo


def encode_log(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Metres as steps of their logarithm; 0 where there is none."""
    share = np.log(np.clip(depth, NEAREST_M, FARTHEST_M) / NEAREST_M)
    steps = 1 + np.rint(share / np.log(FARTHEST_M / NEAREST_M) * 254)
    return np.where(depth > 0, steps, 0).astype(np.uint8)


def decode_log() -> NDArray[np.float32]:
    """float32 [256]: metres of every step; NaN for 0."""
    steps = np.arange(256, dtype=np.float32) - 1
    metres = NEAREST_M * (FARTHEST_M / NEAREST_M) ** (steps / 254)
    metres[0] = np.nan
    return metres.astype(np.float32)


def make_pool(recipe: Recipe, folder: Path, workers: int) -> None:
    """Makes what is missing of a pool.

    Args:
        recipe: What it is made from.
        folder: Where it lies.
        workers: Processes.

    Raises:
        ValueError: The folder holds a pool of another recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = json.dumps(dataclasses.asdict(recipe), indent=1)
    stored = folder / "recipe.json"
    if stored.exists() and stored.read_text() != described:
        raise ValueError(f"{folder} holds a pool of another recipe; delete it or name another")
    for name, (shape, dtype) in ARRAYS.items():
        path = folder / f"{name}.npy"
        if not path.exists():
            np.lib.format.open_memmap(path, "w+", dtype, (recipe.size, *shape))
    stored.write_text(described)
    parts = [start for start in range(0, recipe.size, _PART) if not _mark(folder, start).exists()]
    make = partial(_make_part, recipe, folder)
    bar = {"total": len(parts), "desc": f"pictures, {_PART} each"}
    if workers == 1:
        for start in tqdm(parts, **bar):
            make(start)
        return
    # Not forked: a forked TensorFlow waits for threads that it has not got.
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, context) as pool:
        for _ in tqdm(pool.map(make, parts), **bar):
            pass


def open_pool(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a pool, mapped and not read."""
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}


def _mark(folder: Path, start: int) -> Path:
    return folder / f"done-{start:06d}"


def _make_part(recipe: Recipe, folder: Path, start: int) -> None:
    cv2.setNumThreads(1)
    arrays = {n: np.lib.format.open_memmap(folder / f"{n}.npy", "r+") for n in ARRAYS}
    teacher = teachers.load(recipe.teacher)
    for number in range(start, min(start + _PART, recipe.size)):
        picture, truth = make_view(recipe, number)
        arrays["picture"][number] = picture
        arrays["truth"][number] = truth
        arrays["teacher"][number], arrays["features"][number] = teacher.label(picture)
    for array in arrays.values():
        array.flush()
    _mark(folder, start).touch()


def make_view(recipe: Recipe, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Picture and coded true depth of one entry of the pool.

    Args:
        recipe: What it is made from.
        number: Which entry.

    Returns:
        uint8 [SIDE, SIDE, 3] RGB and uint8 [SIDE, SIDE], 0 where the depth is not known.
    """
    random = np.random.default_rng((recipe.seed, number))
    of_rooms = recipe.room_count * recipe.views_of_a_room
    if number >= of_rooms:
        index, view = divmod(number - of_rooms, recipe.views_of_a_photo)
        picture = views.photo_view(read(recipe.photos[index]), random)
        if view % 2:
            picture, _ = views.paste(picture, any_of(recipe.cutouts, random), random)
        return picture, np.zeros((SIDE, SIDE), np.uint8)
    room, view = divmod(number, recipe.views_of_a_room)
    names = pair_names(room)
    rgb = decode(Path(recipe.rooms, names[0]))
    metres = room_depth(Path(recipe.rooms, names[1]))
    # Every room whole and as a crop; the views after these alternate.
    picture, metres = views.room_view(rgb, metres, view % 2 == 0, random)
    if view >= 2:
        if random.random() < 0.7:
            picture, changed = views.paste(picture, any_of(recipe.cutouts, random), random)
            metres[changed] = 0
        else:
            picture = views.blend(
                picture, views.photo_view(any_of(recipe.photos, random), random), random
            )
            metres[:] = 0
    return picture, encode_log(metres)
