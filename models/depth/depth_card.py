"""What is to be known of a depth network before it is loaded: its kind, its hash, its card.

A card is a small JSON object that says how a network is fed and what its output means. It stands
beside the model (`model.tflite` -> `model.json`; in a SavedModel folder `depth_model.json`).
Without one, a network takes RGB in 0..1 and gives metres; a quantised .tflite file says its own
scaling, and neither a DenseDepth file nor the built-in network needs a card. Nothing here imports
TensorFlow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Any

from fgbg.files.download import file_sha256
from fgbg.files.fetch import PUBLISHED
from fgbg.models import onnx_file, opening
from fgbg.models.depth import builtin, densedepth_weights
from fgbg.models.depth.densedepth import STRIDE
from fgbg.models.depth.densedepth_weights import WeightFileError
from fgbg.models.depth.network_card import DepthCard, card_from_dict
from fgbg.models.opening import SAVED_MODEL, TFLITE, NetworkError
from fgbg.models.trained import trained_card

DENSEDEPTH = "densedepth"
BUILTIN = builtin.NAME
PRECISIONS = ("float32", "bfloat16", "float16")
ACCEPTED = (
    "a .onnx, .tflite, .keras or DenseDepth .h5 file, a SavedModel folder, or a folder of fgbg "
    "train"
)
# What a card file says besides of the network, not of its numbers; fields of DepthModel.
_ABOUT = ("licence", "origin")


class DepthModelError(ValueError):
    """A depth model that cannot be used; the message names the file and says why."""


@dataclasses.dataclass(frozen=True)
class DepthModel:
    """A depth network by what it is, not by where it lies, and how it is run.

    Attributes:
        kind: "onnx", "tflite", "keras", "saved_model", "densedepth" or "builtin".
        file: The name of the file or folder, or "builtin".
        sha256: Of the file, or of all files of the folder with their names.
        card: How it is fed and read.
        precision: "float32", "bfloat16" or "float16": what it computes in.
        batch_size: Pictures in one call; None: chosen for the device.
        address: Where it was downloaded from; None for a file given by its path.
        licence: Its licence, where its card says it; "" where nothing does.
        origin: Whose it is and where it comes from, likewise.
    """

    kind: str
    file: str
    sha256: str
    card: DepthCard
    precision: str = "float32"
    batch_size: int | None = None
    address: str | None = None
    licence: str = ""
    origin: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON; licence and origin only where they are known."""
        content = {**dataclasses.asdict(self), "card": self.card.to_dict()}
        return {name: value for name, value in content.items() if value or name not in _ABOUT}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> DepthModel:
        """Of what `to_dict` gave, before or after JSON."""
        fields = dict(content)
        return cls(card=card_from_dict(fields.pop("card")), **fields)

    def identity(self) -> DepthModel:
        """What of it decides the depth: neither its file's name nor where it came from."""
        return dataclasses.replace(self, file="", address=None, licence="", origin="")


def inspect(
    path: str,
    overrides: dict[str, Any] | None = None,
    *,
    published: str | None = None,
    precision: str = "float32",
    batch_size: int | None = None,
    address: str | None = None,
    known: dict[str, Any] | None = None,
) -> DepthModel:
    """What kind of network a path holds, its hash and its card. Reads files, loads no network.

    Args:
        path: A local file of a known kind, a SavedModel folder, a folder made by fgbg train, or
            "builtin", which stands for the same network wherever this project is installed.
        overrides: Card entries given on the command line.
        published: "nyu" or "kitti" where the file is known to be that network; else its name
            tells the range of a DenseDepth network that has no card.
        precision: One of PRECISIONS; other than float32 for DenseDepth only.
        batch_size: Pictures in one call, or None.
        address: Where the file was downloaded from.
        known: Card entries of a network that is known by name; a card beside it goes before them.

    Raises:
        DepthModelError: There is no such network, or its card is wrong.
    """
    path = path.rstrip("/")
    defaults = _trained(path) if trained_card.is_trained(path) else {}
    path = network_file(path)
    kind = _kind(path)
    if precision not in PRECISIONS:
        raise DepthModelError(f"precision is {precision!r}, not one of {', '.join(PRECISIONS)}")
    if kind != DENSEDEPTH and precision != "float32":
        raise DepthModelError(
            f"{path}: only DenseDepth files can be computed in {precision}; this one is as it was "
            "saved"
        )
    if kind == BUILTIN:
        return _builtin(overrides or {}, batch_size)
    if kind == TFLITE and batch_size is not None:
        raise DepthModelError(f"{path}: a .tflite file runs picture by picture, not in batches")
    if kind == SAVED_MODEL:
        card_path = os.path.join(path, "depth_model.json")
    else:
        card_path = os.path.splitext(path)[0] + ".json"
    if kind == DENSEDEPTH:
        named = "kitti" if "kitti" in os.path.basename(path).lower() else "nyu"
        defaults["max_depth_m"] = PUBLISHED[published or named].max_depth_m
    content: dict[str, Any] = {}
    try:
        if os.path.exists(card_path):
            with open(card_path, encoding="utf-8") as file:
                content = json.load(file)
            if not isinstance(content, dict):
                raise ValueError("not a JSON object")
        content = {**defaults, **(known or {}), **content, **(overrides or {})}
        about = {name: _word(content.pop(name, ""), name) for name in _ABOUT}
        card = card_from_dict(content)
        if kind == DENSEDEPTH:
            _check_densedepth_card(card)
    except (ValueError, UnicodeDecodeError) as error:
        raise DepthModelError(f"the card {card_path} of the depth model: {error}") from error
    return DepthModel(
        kind, os.path.basename(path), _hash(path), card, precision, batch_size, address, **about
    )


def _word(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}, not a text")
    return value


def _builtin(overrides: dict[str, Any], batch_size: int | None) -> DepthModel:
    if not builtin.WEIGHTS.exists():
        raise DepthModelError(
            f"--depth_model {BUILTIN}: this version comes without its weights: those trained so "
            "far are not good enough (docs/training.md). python -m tools.builtin_training makes "
            f"some; or give none, {', '.join(PUBLISHED)}, {ACCEPTED}"
        )
    if overrides:
        raise DepthModelError(
            f"--depth_model {BUILTIN}: what it is fed and what it says are known; "
            f"{', '.join(sorted(overrides))} cannot be changed"
        )
    card = DepthCard(input_size=builtin.SIZE, max_depth_m=builtin.MAX_DEPTH_M)
    sha256 = _hash(str(builtin.WEIGHTS))
    about = {"licence": "Apache-2.0", "origin": "comes with fgbg"}
    return DepthModel(BUILTIN, BUILTIN, sha256, card, batch_size=batch_size, **about)


def network_file(path: str) -> str:
    """The file of a network: of a folder made by fgbg train its .keras file, else the path."""
    if trained_card.is_trained(path):
        return os.path.join(path, trained_card.KERAS_FILE)
    return path


def sha256_of(path: str) -> str:
    """What `inspect` gives as a network's SHA-256, hex, of the files at a local path."""
    return _hash(network_file(path.rstrip("/")))


def _trained(folder: str) -> dict[str, Any]:
    """The card's entries of a network of fgbg train that makes depth of a picture alone."""
    try:
        card = trained_card.read(folder)
    except ValueError as error:
        raise DepthModelError(f"--depth_model: {error}") from error
    if len(card["inputs"].get("names", ())) != 1:
        raise DepthModelError(
            f"--depth_model {folder}: this network is shown pairs of background and overlay; one "
            "trained with --inputs overlay is needed"
        )
    if card["depth"] is None:
        raise DepthModelError(
            f"--depth_model {folder}: this network says masks only; its data set had no depth"
        )
    return dict(card["depth"])


def _check_densedepth_card(card: DepthCard) -> None:
    if (card.output, card.metres_per_unit, card.output_name) != ("depth", 1.0, None):
        raise ValueError(
            "the output of DenseDepth is known; only max_depth_m, where its scale ends, can be said"
        )
    if card.input_size and any(side % STRIDE for side in card.input_size):
        raise ValueError(f"input_size is {list(card.input_size)}, not multiples of {STRIDE}")


def _kind(path: str) -> str:
    if path == BUILTIN:
        return BUILTIN
    if not os.path.exists(path):
        raise DepthModelError(
            f"--depth_model {path}: no such file or folder (none, a name that fgbg networks lists, "
            f"{ACCEPTED} is expected)"
        )
    if path.endswith((".h5", ".hdf5")) and not os.path.isdir(path):
        try:
            densedepth_weights.inspect(path)
        except WeightFileError as error:
            raise DepthModelError(f"--depth_model: {error}") from error
        return DENSEDEPTH
    try:
        return opening.kind_of(path, ACCEPTED)
    except NetworkError as error:
        raise DepthModelError(f"--depth_model {error}") from error


def _hash(path: str) -> str:
    if path.lower().endswith(".onnx") and len(files := onnx_file.read(path).files) > 1:
        return _hash_of({os.path.basename(file): file for file in files})
    if not os.path.isdir(path):
        return file_sha256(path)
    names = sorted(
        os.path.relpath(os.path.join(folder, name), path)
        for folder, _, files in os.walk(path)
        for name in files
    )
    return _hash_of({name: os.path.join(path, name) for name in names})


def _hash_of(files: dict[str, str]) -> str:
    """Of several files with their names, in their order."""
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0{file_sha256(path)}\0".encode())
    return digest.hexdigest()
