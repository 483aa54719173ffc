"""Licences travel: from a network's card to what is made with it, and --licence looks at them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fgbg.files.licences import forbids_commerce
from fgbg.models import presets
from fgbg.pipeline.__main__ import main
from tests.helpers import cutout_pictures as draw
from tests.helpers.data_sets import arguments, make_in_process, without_workers
from tests.helpers.onnx_networks import depth_network, mask_network

# As their publishers state them.
NOT_FOR_COMMERCE = {
    "bria-rmbg": "CC BY-NC 4.0",
    "bria-rmbg-1.4": "bria-rmbg-1.4, for non-commercial use",
    "depth-anything-v2-base": "CC-BY-NC-4.0",
    "depth-anything-v2-large": "cc-by-nc-4.0",
    "unidepth": "Creative Commons BY-NC 4.0",
    "depth-pro": "Apple Machine Learning Research Model License, research purposes only",
}


def with_card(path: Path, licence: str) -> Path:
    path.with_suffix(".json").write_text(json.dumps({"licence": licence, "origin": "somebody"}))
    return path


@pytest.mark.parametrize("name", NOT_FOR_COMMERCE)
def test_licences_that_forbid_commerce_are_known(name):
    assert forbids_commerce(NOT_FOR_COMMERCE[name])


def test_those_of_the_networks_by_name_do_not():
    assert not any(forbids_commerce(preset.licence) for preset in presets.PRESETS.values())
    for licence in ("CC BY 4.0", "CC BY-SA 3.0", "CC0", "GPL-3.0", "public domain", ""):
        assert not forbids_commerce(licence)


@pytest.mark.parametrize("name", ["depth-anything-v2-base", "depth-pro"])
def test_a_depth_network_that_forbids_it_is_refused_before_any_work(
    name, small_inputs, tmp_path, capsys
):
    path = with_card(depth_network(tmp_path / "net.onnx", (64, 64)), NOT_FOR_COMMERCE[name])
    for command in (
        arguments(small_inputs, tmp_path / "set", "--depth_model", str(path)),
        [
            "depth",
            str(small_inputs / "bg"),
            "--output",
            str(tmp_path / "set"),
            "--depth_model",
            str(path),
        ],
    ):
        assert main([*command, "--licence", "commercial"]) == 2
        said = capsys.readouterr().err
        assert f"the network {path} is under {NOT_FOR_COMMERCE[name]}" in said
        assert not (tmp_path / "set").exists()


def test_a_cutting_network_and_photos_that_forbid_it_are_refused(tmp_path, capsys):
    path = with_card(mask_network(tmp_path / "net.onnx"), NOT_FOR_COMMERCE["bria-rmbg"])
    photo = draw.save(draw.composed(draw.disc(), draw.plain()), tmp_path / "in" / "photo.png")
    command = ["cutout", str(photo), "--output", str(tmp_path / "out"), "--licence", "commercial"]
    assert main([*command, "--method", "model", "--model", str(path)]) == 2
    assert "is under CC BY-NC 4.0" in capsys.readouterr().err
    (tmp_path / "in" / "sources.csv").write_text("file,licence\nphoto.png,CC BY-NC-SA 2.0\n")
    assert main(command) == 2
    assert f"{photo} (CC BY-NC-SA 2.0)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "in" / "sources.csv").write_text("file,licence\nphoto.png,CC BY 2.0\n")
    with without_workers():
        assert main(command) == 0


def test_inputs_that_forbid_it_are_refused_and_silent_ones_are_told(small_inputs, tmp_path, capsys):
    inputs = tmp_path / "in"
    shutil.copytree(small_inputs, inputs)
    first = sorted(path.name for path in (inputs / "bg").iterdir())[0]
    (inputs / "bg" / "sources.csv").write_text(f"file,licence\n{first},CC BY-NC 2.0\n")
    command = arguments(inputs, tmp_path / "set", "--licence", "commercial")
    assert main(command) == 2
    assert f"1 pictures are not for commercial use by their sources.csv: {first}" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "set").exists()
    assert (
        main([*arguments(small_inputs, tmp_path / "set"), "--licence", "commercial", "--plan"]) == 0
    )
    assert "no licence is stated of" in capsys.readouterr().err


def test_the_licence_of_the_labels_stands_in_what_is_made(small_inputs, tmp_path):
    path = with_card(depth_network(tmp_path / "net.onnx", (64, 64)), "MIT")
    output = make_in_process(small_inputs, tmp_path / "set", "--depth_model", str(path))
    model = json.loads((output / "generation.json").read_text())["depth"]["model"]
    assert (model["licence"], model["origin"]) == ("MIT", "somebody")
    assert "The network's licence: MIT (somebody)." in (output / "README.md").read_text()
    assert "Its depth was made by a network under MIT (somebody)." in (
        (output / "index.html").read_text()
    )
    assert main(["verify", str(output)]) == 0
    # One without a stated licence: nothing is said, and nothing is stored.
    path.with_suffix(".json").unlink()
    silent = make_in_process(small_inputs, tmp_path / "silent", "--depth_model", str(path))
    assert "licence" not in json.loads((silent / "generation.json").read_text())["depth"]["model"]
    assert "network's licence" not in (silent / "README.md").read_text()
    # The licence decides nothing of the samples.
    for name in ("bg1/fg_1/depth/1.jpg", "manifest.parquet"):
        assert (silent / name).read_bytes() == (output / name).read_bytes()
