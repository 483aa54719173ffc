"""The card of a mask network: a JSON object beside it that says how it is fed.

`net.onnx` has `net.json`, a SavedModel folder has `mask_model.json` in it. Its entries are those of
MaskModel; docs/cutout.md has them. Options of the command line go before it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from typing import Any

from fgbg.models import resizing
from fgbg.models.opened import NetworkError
from fgbg.models.picture_input import LAYOUTS
from fgbg.models.segmentation.segmentation import MaskModel

_CHOICES: dict[str, tuple[Any, ...]] = {
    "input_channels": ("rgb", "bgr"),
    "input_layout": (None, *LAYOUTS),
    "input_filter": resizing.FILTERS,
    "activation": ("none", "sigmoid"),
    "input_maximum": (True, False),
    "stretched": (True, False),
}
_NUMBERS = {"input_range": 2, "input_mean": 3, "input_std": 3, "input_size": 2}


def read(path: str, asked: dict[str, Any]) -> MaskModel:
    """A mask network with what its card and the command line say.

    Args:
        path: A local file or SavedModel folder.
        asked: Entries of the command line.

    Raises:
        NetworkError: The card cannot be read, or says something of no meaning.
    """
    if os.path.isdir(path):
        place = os.path.join(path, "mask_model.json")
    else:
        place = os.path.splitext(path)[0] + ".json"
    content: Any = {}
    try:
        if os.path.exists(place):
            with open(place, encoding="utf-8") as file:
                content = json.load(file)
            if not isinstance(content, dict):
                raise ValueError("not a JSON object")
        return model_of(path, {**content, **asked})
    except (ValueError, OSError) as error:  # a text that is none is a ValueError too
        raise NetworkError(f"the card {place} of the network: {error}") from error


def model_of(path: str, entries: dict[str, Any]) -> MaskModel:
    """A mask network of a card's entries.

    Raises:
        ValueError: An unknown entry, or a value that means nothing.
    """
    known = {field.name for field in dataclasses.fields(MaskModel)} - {"path"}
    unknown = sorted(set(entries) - known)
    if unknown:
        raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    for name, choices in _CHOICES.items():
        if name in entries and entries[name] not in choices:
            words = ", ".join(str(choice) for choice in choices if choice is not None)
            raise ValueError(f"{name} is {entries[name]!r}, not one of {words}")
    for name, length in _NUMBERS.items():
        values = entries.get(name)
        if values is not None and not (
            isinstance(values, list | tuple)
            and len(values) == length
            and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
        ):
            raise ValueError(f"{name} is {values!r}, not {length} numbers")
    if min(entries.get("input_std") or (1,)) <= 0:
        raise ValueError("input_std: its numbers must be greater than 0")
    size, multiple = entries.get("input_size"), entries.get("input_multiple", 1)
    if not isinstance(multiple, int) or multiple < 1:
        raise ValueError(f"input_multiple is {multiple!r}, not a positive whole number")
    if size and any(not isinstance(side, int) or side < 1 or side % multiple for side in size):
        raise ValueError(f"input_size is {list(size)}, not multiples of {multiple}")
    for name in ("output_name", "licence", "origin"):
        if not isinstance(entries.get(name) or "", str):
            raise ValueError(f"{name} is {entries[name]!r}, not a text")
    tuples: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entries.items()}
    return MaskModel(path, **tuples)
