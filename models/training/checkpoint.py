"""The state of a training after an epoch, in one file that is whole or not there."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.files.whole_file import whole_file
from fgbg.models.training.samples import TrainingError

_VERSION = 1
_STATE = "state"
Arrays = list[NDArray[Any]]


@dataclasses.dataclass
class State:
    """Where a training is.

    Attributes:
        history: One entry per finished epoch: losses and measures by name.
        best_epoch: The number of the epoch with the least validation loss, from 0; -1: none yet.
        stopped: Whether training ended before its last epoch, for lack of progress.
        weights: Of the network, as they are now.
        optimizer: Its variables.
        best: Weights of the network after the best epoch.
    """

    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = -1
    stopped: bool = False
    weights: Arrays = dataclasses.field(default_factory=list)
    optimizer: Arrays = dataclasses.field(default_factory=list)
    best: Arrays = dataclasses.field(default_factory=list)


_ARRAYS = ("weights", "optimizer", "best")


def save(path: str, state: State) -> None:
    """Writes a state in place of the last one: by one rename, after it is on the disk."""
    small = {name: getattr(state, name) for name in ("history", "best_epoch", "stopped")}
    text = json.dumps({"version": _VERSION, **small}).encode()
    content = {_STATE: np.frombuffer(text, np.uint8)}
    for name in _ARRAYS:
        for number, array in enumerate(getattr(state, name)):
            content[f"{name}_{number:04d}"] = array
    with whole_file(path, durable=True) as file:
        np.savez(file, **content)  # type: ignore[arg-type]


def load(path: str) -> State | None:
    """The stored state, or None where there is none.

    Raises:
        TrainingError: There is a file that is none.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            small = json.loads(stored[_STATE].tobytes())
            if small.pop("version") != _VERSION:
                raise ValueError("of another version")
            arrays: dict[str, Any] = {
                name: [stored[entry] for entry in sorted(stored.files) if entry.startswith(name)]
                for name in _ARRAYS
            }
            return State(**small, **arrays)
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path}: not a checkpoint of fgbg train: {error}") from error
