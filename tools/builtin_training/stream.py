"""An endless stream of pictures and what the teacher says of them, no picture twice.

Each picture is a function of the seed and its number alone, and is labelled in the process that
made it, exactly as the network will see it.
"""

from __future__ import annotations

import collections
import dataclasses
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.builtin_training import looks, views
from tools.builtin_training import teacher as teachers
from tools.builtin_training.picture_files import any_of, decode, room_depth
from tools.builtin_training.views import SIDE
from tools.rooms.dataset import pair_names

_AHEAD = 4
# The last one is taken in any case.
_ATTEMPTS = 5
_NEAREST_M = np.float32(0.1)


@dataclasses.dataclass(frozen=True)
class Sources:
    """What the stream is made from.

    Attributes:
        rooms: Folder of rendered rooms.
        room_count: How many of them.
        photos: Photo files.
        interiors: Those of them that show rooms.
        cutouts: RGBA files.
        teacher: The teacher's file.
        seed: Of all draws.
        shares: How often a picture begins as an interior, as any photo, as a rendered room.
    """

    rooms: str
    room_count: int
    photos: tuple[str, ...]
    interiors: tuple[str, ...]
    cutouts: tuple[str, ...]
    teacher: str
    seed: int = 0
    shares: tuple[float, float, float] = (0.2, 0.25, 0.55)


def make_picture(
    sources: Sources, number: int, attempt: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """One picture of the stream.

    Args:
        sources: What it is made from.
        number: Which.
        attempt: How many were made in its place and not taken.

    Returns:
        uint8 [SIDE, SIDE, 3], RGB; float32 [SIDE, SIDE], true metres, 0 where not known: of
        rendered rooms with nothing of another picture in them.
    """
    random = np.random.default_rng((sources.seed, number, attempt))
    picture, depth = _view(sources, random)
    if random.random() < 0.45:
        other, _ = _view(sources, random)
        mix = looks.collage if random.random() < 0.6 else views.blend
        picture = mix(picture, other, random)
        depth = None
    if depth is None:
        depth = np.zeros((SIDE, SIDE), np.float32)
    if random.random() < 0.35:
        picture, changed = views.paste(picture, any_of(sources.cutouts, random), random)
        depth[changed] = 0
    if random.random() < 0.85:
        picture = looks.worse(picture, random)
    if random.random() < 0.5:
        picture, depth = picture[:, ::-1], depth[:, ::-1]
    return np.ascontiguousarray(picture), np.ascontiguousarray(depth)


def target(taught: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network is to say of a picture.

    Args:
        taught: float32 [h, w], the teacher's metres, above 0.
        truth: float32 [h, w], true metres; 0 where not known.

    Returns:
        float32 [h, w], metres: the teacher's; where the truth is known, half way (in logarithms)
        from there to the truth, scaled as a whole to the teacher's mean logarithm.
    """
    known = truth > 0
    if not known.any():
        return taught
    logs = np.log(taught)
    true = np.log(np.where(known, truth, 1))
    true += (logs - true)[known].mean()
    return np.exp(np.where(known, (logs + true) / 2, logs)).astype(np.float32)


def is_taken(taught: NDArray[np.float32], draw: float) -> bool:
    """Whether a picture is trained from.

    What the teacher finds flat and near is taken seldom: crops and collages look so more often
    than rooms do (its logarithms deviate by 0.24 in the median of the stream and by 0.34 in whole
    photos of rooms), and a network that was shown too many of them says so of rooms.

    Args:
        taught: float32 [h, w], the teacher's metres.
        draw: Uniform in 0..1.
    """
    deep = np.clip((np.log(taught).std() - 0.08) / 0.2, 0.15, 1)
    far = np.clip((np.median(taught) - 0.8) / 1.4, 0.3, 1)
    return bool(draw < deep * far)


def make_batch(sources: Sources, number: int, size: int) -> dict[str, NDArray[Any]]:
    """Pictures `number * size` and on, labelled.

    Returns:
        "picture" uint8 [size, SIDE, SIDE, 3]; "depth" float32 [size, SIDE, SIDE], metres, of
        `target` and the mean of what the teacher says of the picture and of its mirror image (it
        differs by 8 % between the two, which nobody could learn); "hint0".. int8, the teacher's
        features.
    """
    cv2.setNumThreads(1)
    teacher = teachers.load(sources.teacher)
    rows: dict[str, list[NDArray[Any]]] = collections.defaultdict(list)
    for one in range(number * size, (number + 1) * size):
        draws = np.random.default_rng((sources.seed, one)).random(_ATTEMPTS)
        for attempt, draw in enumerate(draws):
            picture, truth = make_picture(sources, one, attempt)
            depth, features = teacher.look(picture)
            if is_taken(np.maximum(teacher.metres[depth], _NEAREST_M), draw):
                break
        mirrored, _ = teacher.label(np.ascontiguousarray(picture[:, ::-1]))
        rows["picture"].append(picture)
        mean = (teacher.metres[depth] + teacher.metres[mirrored[:, ::-1]]) / 2
        rows["depth"].append(target(np.maximum(mean, _NEAREST_M), truth))
        for level, values in enumerate(features):
            rows[f"hint{level}"].append(values)
    return {name: np.stack(values) for name, values in rows.items()}


def batches(
    sources: Sources, first: int, end: int, size: int, workers: int
) -> Iterator[dict[str, NDArray[Any]]]:
    """Batches `first` to `end`, made ahead in other processes, in their order."""
    # Not forked: a forked TensorFlow waits for threads that it has not got.
    context = multiprocessing.get_context("forkserver")
    waiting: collections.deque[Future[dict[str, NDArray[Any]]]] = collections.deque()
    with ProcessPoolExecutor(workers, context) as pool:
        for number in range(first, end):
            waiting.append(pool.submit(make_batch, sources, number, size))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _view(
    sources: Sources, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    kind = random.choice(3, p=sources.shares)
    if kind == 2:
        names = pair_names(int(random.integers(sources.room_count)))
        depth = room_depth(Path(sources.rooms, names[1]))
        rgb = decode(Path(sources.rooms, names[0]))
        return looks.other_camera(rgb, 0.75, random, depth)
    photo = any_of(sources.photos if kind else sources.interiors, random)
    return looks.other_camera(photo, 0.4 if kind else 0.65, random)
