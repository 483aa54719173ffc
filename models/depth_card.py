"""What is to be known of a depth network before it is loaded: its kind, its hash, its card.

A card is a small JSON object that says how a network is fed and what its output means. It stands
beside the model (`model.tflite` -> `model.json`; in a SavedModel folder `depth_model.json`).
Without one, a network takes RGB in 0..1 and gives metres; a quantised .tflite file says its own
scaling. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import zipfile
from typing import Any

TFLITE, KERAS, SAVED_MODEL = "tflite", "keras", "saved_model"
# Names that belong to networks which this version does not have yet.
RESERVED = ("builtin", "nyu", "kitti")


class DepthModelError(ValueError):
    """A depth model that cannot be used; the message names the file and says why."""


@dataclasses.dataclass(frozen=True)
class DepthCard:
    """How a depth network is fed, and what its output means.

    Attributes:
        input_range: What pixel values 0 and 255 become before mean and std.
        input_mean: Subtracted per channel after that.
        input_std: Divided by per channel after that.
        input_channels: "rgb" or "bgr".
        input_size: Width and height fed; None: the network's own, or the canvas if it takes any.
        output: "depth" (far is larger) or "inverse_depth" (metres_per_unit / output).
        output_name: Which output, if the network has several.
        metres_per_unit: Metres that one unit of the output stands for.
        max_depth_m: The network's range; the default for what 255 stands for in 8-bit depth.
    """

    input_range: tuple[float, float] = (0.0, 1.0)
    input_mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    input_std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    input_channels: str = "rgb"
    input_size: tuple[int, int] | None = None
    output: str = "depth"
    output_name: str | None = None
    metres_per_unit: float = 1.0
    max_depth_m: float = 10.0

    def __post_init__(self) -> None:
        if self.input_channels not in ("rgb", "bgr"):
            raise ValueError(f'input_channels is {self.input_channels!r}, not "rgb" or "bgr"')
        if self.output not in ("depth", "inverse_depth"):
            raise ValueError(f'output is {self.output!r}, not "depth" or "inverse_depth"')
        lengths = {"input_range": 2, "input_mean": 3, "input_std": 3, "input_size": 2}
        for name, length in lengths.items():
            values = getattr(self, name)
            if values is None and name == "input_size":
                continue
            if len(values) != length or not all(math.isfinite(v) for v in values):
                raise ValueError(f"{name} is {list(values)}, not {length} numbers")
        if 0 in self.input_std:
            raise ValueError("input_std has a zero")
        if self.input_size and min(self.input_size) < 1:
            raise ValueError(f"input_size is {list(self.input_size)}: sides must be positive")
        for name in ("metres_per_unit", "max_depth_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, not a positive number")


@dataclasses.dataclass(frozen=True)
class DepthModel:
    """A depth network by what it is, not by where it lies.

    Attributes:
        kind: "tflite", "keras" or "saved_model".
        file: The name of the file or folder.
        sha256: Of the file, or of all files of the folder with their names.
        card: How it is fed and read.
    """

    kind: str
    file: str
    sha256: str
    card: DepthCard

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> DepthModel:
        """Of what `to_dict` gave, before or after JSON."""
        fields = dict(content)
        return cls(card=card_from_dict(fields.pop("card")), **fields)


def card_from_dict(content: dict[str, Any]) -> DepthCard:
    """A card of a JSON object.

    Raises:
        ValueError: An unknown key, or a value that means nothing.
    """
    known = {field.name for field in dataclasses.fields(DepthCard)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    try:
        return DepthCard(**fields)
    except TypeError as error:
        raise ValueError(str(error)) from error


def inspect(path: str, overrides: dict[str, Any] | None = None) -> DepthModel:
    """What kind of network a path holds, its hash and its card. Reads files, loads no network.

    Args:
        path: A local .tflite or .keras file, or a SavedModel folder.
        overrides: Card entries given on the command line.

    Raises:
        DepthModelError: There is no such network, or its card is wrong.
    """
    path = path.rstrip("/")
    kind = _kind(path)
    if kind == SAVED_MODEL:
        card_path = os.path.join(path, "depth_model.json")
    else:
        card_path = os.path.splitext(path)[0] + ".json"
    content: dict[str, Any] = {}
    try:
        if os.path.exists(card_path):
            with open(card_path, encoding="utf-8") as file:
                content = json.load(file)
            if not isinstance(content, dict):
                raise ValueError("not a JSON object")
        card = card_from_dict({**content, **(overrides or {})})
    except (ValueError, UnicodeDecodeError) as error:
        raise DepthModelError(f"the card {card_path} of the depth model: {error}") from error
    return DepthModel(kind, os.path.basename(path), _hash(path), card)


def _kind(path: str) -> str:
    if path in RESERVED or path.endswith((".h5", ".hdf5")):
        raise DepthModelError(
            f"--depth_model {path}: this version has no {path} network yet; give none, a .tflite "
            "or .keras file, or a SavedModel folder"
        )
    if not os.path.exists(path):
        raise DepthModelError(
            f"--depth_model {path}: no such file or folder (none, a .tflite or .keras file, or a "
            "SavedModel folder is expected)"
        )
    if os.path.isdir(path):
        if os.path.exists(os.path.join(path, "saved_model.pb")):
            return SAVED_MODEL
        raise DepthModelError(f"--depth_model {path}: a folder without saved_model.pb")
    with open(path, "rb") as file:
        start = file.read(512)
    if path.endswith(".tflite"):
        # The FlatBuffer file identifier of tensorflow/lite/schema/schema.fbs.
        if start[4:8] != b"TFL3":
            raise DepthModelError(f"--depth_model {path}: not a TensorFlow Lite file")
        return TFLITE
    if path.endswith(".keras"):
        if not zipfile.is_zipfile(path):
            raise DepthModelError(f"--depth_model {path}: not a Keras 3 file, or a part of one")
        return KERAS
    raise DepthModelError(
        f"--depth_model {path}: of unknown kind; a .tflite or .keras file or a SavedModel folder "
        "is expected"
    )


def _hash(path: str) -> str:
    digest = hashlib.sha256()
    if os.path.isdir(path):
        files = sorted(
            os.path.relpath(os.path.join(folder, name), path)
            for folder, _, names in os.walk(path)
            for name in names
        )
        for name in files:
            digest.update(f"{name}\0".encode())
            _add_file(digest, os.path.join(path, name))
    else:
        _add_file(digest, path)
    return digest.hexdigest()


def _add_file(digest: Any, path: str) -> None:
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
