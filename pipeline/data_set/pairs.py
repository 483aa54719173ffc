"""Pictures with measured depth: a folder of pairs NAME_rgb.*, NAME_depth.png."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
from numpy.typing import NDArray

from fgbg.files import foreign, storage, tables
from fgbg.files.tables import TableError
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.progress import say
from fgbg.transforms.dataset import left_out
from fgbg.transforms.pixels import codec, formats

_META = "meta.csv"
_RGB, _DEPTH = "_rgb", "_depth.png"


@dataclasses.dataclass(frozen=True)
class Pair:
    """A picture to be made depth of.

    Attributes:
        name: Of its output files.
        path: Of the picture.
        true_path: Of its measured depth, 16-bit PNG in millimetres; None where there is none.
        dataset: The data set that it is counted with.
    """

    name: str
    path: str
    true_path: str | None = None
    dataset: str = ""


def find_pairs(folder: str) -> list[Pair]:
    """The pairs NAME_rgb.*, NAME_depth.png of a folder, in the order of their names.

    Raises:
        UserError: There is no pair, a picture without its depth, or two pictures for one.
    """
    files = storage.storage_for(folder).children(folder)
    if not files and not os.path.isdir(folder):
        raise UserError(f"--evaluate {folder}: no such folder")
    datasets = _datasets(folder) if _META in files else {}
    pairs: dict[str, Pair] = {}
    ignored: list[str] = []
    for file in files:
        stem, ending = os.path.splitext(file)
        if not stem.endswith(_RGB):
            continue
        if ending.lower() not in formats.EXTENSIONS:
            ignored.append(storage.join(folder, file))
            continue
        name = stem.removesuffix(_RGB)
        path, true_path = storage.join(folder, file), storage.join(folder, name + _DEPTH)
        if name in pairs:
            raise UserError(f"{path}: {pairs[name].path} has the same name")
        if name + _DEPTH not in files:
            raise UserError(f"{path}: its depth {name + _DEPTH} is missing")
        pairs[name] = Pair(name, path, true_path, datasets.get(name, name.partition("_")[0]))
    for line in left_out.lines(ignored, f"--evaluate {folder}"):
        say(line)
    if not pairs:
        raise UserError(f"--evaluate {folder}: no pairs NAME{_RGB}.*, NAME{_DEPTH} in it")
    return list(pairs.values())


def _datasets(folder: str) -> dict[str, str]:
    """The data set of each name that meta.csv tells: its columns id and dataset."""
    path = storage.join(folder, _META)
    try:
        rows = tables.read(path).rows
    except FileNotFoundError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except TableError as error:
        raise UserError(str(error)) from error
    return {r["id"]: r["dataset"] for r in rows if r.get("id") and r.get("dataset")}


def read_true(path: str) -> NDArray[np.float32]:
    """Measured depth: float32 metres [height, width], 0 where there is none.

    Raises:
        UserError: It cannot be read, or holds no depth.
    """
    try:
        image = codec.decode(foreign.read(path), path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    except ValueError:
        image = None
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        raise UserError(f"{path}: not a 16-bit grey PNG (millimetres)")
    if not image.any():
        raise UserError(f"{path}: no pixel has a depth")
    return image.astype(np.float32) / np.float32(1000)
