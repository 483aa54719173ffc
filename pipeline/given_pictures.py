"""Pictures named on a command line: found, read, and what is wrong with them told at once."""

from __future__ import annotations

import os

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.exit_codes import UserError
from transforms import catalogue, pictures, storage
from transforms.catalogue import InputError
from transforms.pictures import PictureError

MILLIMETRES_MAX = 65535
_PROBLEMS_SHOWN = 50


def find(sources: list[str]) -> list[str]:
    """Paths of pictures: files, and what folders and patterns hold.

    Raises:
        UserError: There is no such file, or nothing in a folder.
    """
    paths = []
    for source in sources:
        store = storage.storage_for(source)
        if store.size(source) is not None:
            paths.append(source)
            continue
        if not storage.is_pattern(source) and not store.exists(source):
            raise UserError(f"{source}: no such file or folder")
        try:
            paths += catalogue.find(source, "IMAGE")[0]
        except InputError as error:
            raise UserError(str(error)) from error
    return paths


def name_of(path: str) -> str:
    """What the files made of a picture begin with: its own name without its ending."""
    return os.path.splitext(os.path.basename(path))[0]


def same_names(paths: list[str]) -> list[str]:
    """What is to be said of pictures whose files would replace each other's."""
    problems = []
    by_name: dict[str, str] = {}
    for path in paths:
        other = by_name.setdefault(name_of(path), path)
        if other != path:
            problems.append(f"{path}: {other} has the same name; rename one of them")
    return problems


def raise_for(problems: list[str]) -> None:
    """Raises a UserError that lists the problems, if there are any."""
    if problems:
        more = len(problems) - _PROBLEMS_SHOWN
        listing = problems[:_PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise UserError("\n  ".join([f"{len(problems)} bad inputs:", *listing]))


def read(path: str) -> pictures.Array:
    """A picture, upright: uint8 BGR [height, width, 3]; transparency is put on white.

    Raises:
        UserError: It cannot be read.
    """
    try:
        rgb = pictures.read_picture(storage.storage_for(path).read(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except PictureError as error:
        raise UserError(f"{path}: {error}") from error
    return pictures.fit_background(rgb, (rgb.shape[1], rgb.shape[0]))


def make_folder(output: str) -> None:
    """Makes the folder of --output, where files need one.

    Raises:
        UserError: It cannot be made.
    """
    if storage.is_gcs(output):
        return
    try:
        os.makedirs(output, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be made: {error.strerror}") from error


def write(output: str, files: dict[str, pictures.Array | bytes]) -> None:
    """Writes files into the folder of --output, local or gs://.

    Args:
        output: The folder.
        files: Their bytes by their names.

    Raises:
        UserError: They cannot be written.
    """
    try:
        storage.storage_for(output).write_many(
            (storage.join(output, name), bytes(data)) for name, data in files.items()
        )
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written: {error.strerror}") from error


def resize_map(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map [h, w], of depth or probability, at a width and height: area mean to shrink, linear
    to enlarge."""
    height, width = values.shape
    if (width, height) == size:
        return values
    shrinks = size[0] <= width and size[1] <= height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, size, interpolation=how), np.float32)


def depth_png(metres: NDArray[np.float32]) -> pictures.Array:
    """The 16-bit PNG file of depth [height, width]: millimetres, 65.535 m and more is 65535."""
    millimetres = np.rint(np.clip(metres * np.float32(1000), 0, MILLIMETRES_MAX))
    return cv2.imencode(".png", millimetres.astype(np.uint16))[1]


def coloured(metres: NDArray[np.float32], near: float, far: float) -> pictures.Array:
    """Depth [height, width] in colours, near bright: uint8 BGR; black where it is 0."""
    span = max(far - near, 1e-6)
    level = np.rint(np.clip((far - metres) / span, 0, 1) * 255).astype(np.uint8)
    colours: pictures.Array = cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS)
    colours[metres <= 0] = 0
    return colours


def captioned(sheet: pictures.Array, words: str) -> pictures.Array:
    """A picture uint8 BGR with a line of text below it."""
    band = np.full((28, sheet.shape[1], 3), 255, np.uint8)
    scale = min(0.6, sheet.shape[1] / 900)
    cv2.putText(band, words, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate((sheet, band))
