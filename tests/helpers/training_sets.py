"""Data sets that are small enough to train on in a test, and quick command lines of fgbg train."""

from __future__ import annotations

from pathlib import Path

from fgbg.models.training import checkpoint
from tests.helpers.data_sets import make_in_process
from tests.helpers.small_networks import keras_file

SIZE = 64
SAMPLES = 12
"""Of each split: 2 foregrounds x 2 directions x 3 placements on its one background."""


def make(inputs: Path, folder: Path, *more: str, depth: bool = True) -> Path:
    """A data set of one background a split, 64x64; depth is a weighted sum of colours."""
    network = keras_file(folder / "depth.keras") if depth else None
    return make_in_process(
        inputs,
        folder / "set",
        *("--size", str(SIZE)),
        *("--fg_scale", "0.4,0.7"),
        *("--splits", "train=0.34,validation=0.33,test=0.33"),
        *("--depth_model", str(network or "none")),
        *(("--depth_output_unit", "0.8") if depth else ()),
        *more,
    )


def train_arguments(data_set: Path, folder: Path, *more: str | Path) -> list[str]:
    """A training of a very small network: two epochs of three steps."""
    return [
        *("train", str(data_set), "--model_dir", str(folder)),
        *("--widths", "4,8", "--blocks", "0,0"),
        *("--epochs", "2", "--batch_size", "4"),
        *(str(argument) for argument in more),
    ]


def state(folder: Path) -> checkpoint.State:
    found = checkpoint.load(str(folder / "_work" / "checkpoint.npz"))
    assert found is not None
    return found
