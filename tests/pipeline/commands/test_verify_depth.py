"""`fgbg verify --repair` and `--recompute` of a data set with depth: its network, and no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers.damage import edit_row, flip_a_bit
from tests.helpers.data_sets import make_in_process, tree
from tests.helpers.small_networks import keras_file

DEPTH = "bg2/fg_1/depth/2.png"


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Path:
    return keras_file(tmp_path_factory.mktemp("network") / "net.keras")


@pytest.fixture(scope="module")
def depth_set(small_inputs, network, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("depth") / "set"
    more = ("--depth_model", str(network), "--depth_format", "png16")
    return make_in_process(small_inputs, output, *more)


def test_the_network_is_asked_for_before_anything_is_withdrawn(
    depth_set, network, tmp_path, capsys, in_process
):
    output = tmp_path / "set"
    shutil.copytree(depth_set, output)
    flip_a_bit(output / DEPTH)
    (output / "README.md").unlink()
    before = tree(output)
    assert main(["verify", str(output), "--repair"]) == 2
    assert "give its path by --depth_model. Nothing was changed" in capsys.readouterr().err
    other = tmp_path / "other.keras"
    other.write_bytes(network.read_bytes() + b"x")
    assert main(["verify", str(output), "--repair", "--depth_model", str(other)]) == 2
    assert "its SHA-256 is" in capsys.readouterr().err
    assert tree(output) == before
    assert main(["verify", str(output), "--repair", "--depth_model", str(network)]) == 0
    assert tree(output) == tree(depth_set)


def test_depth_in_the_manifest_off_by_a_metre_and_a_half_is_one_message(
    depth_set, tmp_path, capsys, in_process
):
    output = tmp_path / "set"
    shutil.copytree(depth_set, output)
    edit_row("bg2/fg_1/2", depth_min_m=1.5)(output)
    assert main(["verify", str(output)]) == 1
    text = capsys.readouterr().out
    assert "1 of 36 rows is not what the commit records give, in depth_min_m" in text
    assert "1 problems in 36 samples" in text


def test_depth_is_composed_again_where_the_network_is_at_hand(
    depth_set, network, capsys, in_process
):
    assert main(["verify", str(depth_set), "--recompute", "2"]) == 0
    assert "Depth is not compared: the depth network net.keras" in capsys.readouterr().err
    command = ["verify", str(depth_set), "--recompute", "2", "--depth_model", str(network)]
    assert main(command) == 0
    assert "2 units composed again are the same" in capsys.readouterr().out
