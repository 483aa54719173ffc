"""Splits of a data set that gets more backgrounds: none moves, and what differs is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers.data_sets import arguments, job_of, tree


def extended(small_inputs: Path, folder: Path, first: int, capsys) -> tuple[Path, str]:  # type: ignore[no-untyped-def]
    """A data set of some backgrounds that gets the others, and what was said of it."""
    inputs = folder / "inputs"
    shutil.copytree(small_inputs, inputs)
    late = sorted((inputs / "bg").iterdir())[first:]
    for path in late:
        path.rename(folder / path.name)
    assert main(arguments(inputs, folder / "set")) == 0
    for path in late:
        (folder / path.name).rename(path)
    capsys.readouterr()
    assert main(arguments(inputs, folder / "set")) == 0
    return folder / "set", capsys.readouterr().err


@pytest.mark.parametrize(
    ("first", "splits", "told"),
    [
        (1, ["train", "validation", "test"], ""),
        (2, ["train", "train", "test"], "had all been made at once: bg2\n"),
    ],
)
def test_no_background_moves_and_what_differs_is_told(
    first, splits, told, small_inputs, small_data_set, tmp_path, capsys, in_process
):
    output, said = extended(small_inputs, tmp_path, first, capsys)
    assert [picture.split for picture in job_of(output).backgrounds] == splits
    assert (told in said) if told else ("keep their splits" not in said)
    if not told:
        assert tree(output) == tree(small_data_set)
    capsys.readouterr()
    assert main(["verify", str(output)]) == 0
