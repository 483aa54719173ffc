"""Networks known by name: fetched from what answers, and run as the published ones would be."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.files import fetch
from fgbg.files.fetch import FetchError
from fgbg.models import presets
from fgbg.models.depth import depth_card
from fgbg.models.segmentation import mask_card
from fgbg.pipeline.__main__ import main
from tests.helpers import cutout_pictures as draw
from tests.helpers.data_sets import arguments, make_in_process, without_workers
from tests.helpers.preset_stand_ins import served, stand_in

DEPTH, CUTOUT = presets.of_task(presets.DEPTH), presets.of_task(presets.CUTOUT)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return draw.save(draw.composed(draw.disc(), draw.plain()), tmp_path / "photo.png")


@pytest.mark.parametrize("name", DEPTH)
def test_depth_networks_by_name(name, photo, tmp_path, monkeypatch, capsys):
    preset = presets.PRESETS[name]
    path = stand_in(name, tmp_path / preset.file)
    with served(name, path, monkeypatch, tmp_path / "cache") as server:
        for output in ("one", "two"):
            command = ["depth", str(photo), "--output", str(tmp_path / output)]
            assert main([*command, "--depth_model", name]) == 0, capsys.readouterr().err
        assert len(server.requests) == 1  # the second time it was there
    depth = np.load(tmp_path / "one" / "photo.depth.npy")
    relative = preset.unit == presets.RELATIVE
    assert (tmp_path / "one" / "photo.depth.png").exists() != relative
    assert np.isfinite(depth).all() and depth.std() > 0
    assert ("relative inverse depth" in capsys.readouterr().err) == relative


@pytest.mark.parametrize("name", CUTOUT)
def test_cut_outs_by_name(name, photo, tmp_path, monkeypatch, capsys):
    path = stand_in(name, tmp_path / "net.onnx")
    with served(name, path, monkeypatch, tmp_path / "cache"), without_workers():
        command = ["cutout", str(photo), "--output", str(tmp_path / "out"), "--method", name]
        assert main(command) == 0, capsys.readouterr()
    found = cv2.imread(str(tmp_path / "out" / "photo.png"), cv2.IMREAD_UNCHANGED)
    assert found.shape[0] == pytest.approx(120, abs=8) and found.shape[2] == 4
    assert name in (tmp_path / "out" / "cutouts.csv").read_text()


def test_a_data_set_says_which_network_and_from_where(small_inputs, tmp_path, monkeypatch):
    path = stand_in("moge2-small", tmp_path / "net.onnx")
    with served("moge2-small", path, monkeypatch, tmp_path / "cache") as server:
        output = make_in_process(small_inputs, tmp_path / "set", "--depth_model", "moge2-small")
        address = f"{server.url}#{presets.PRESETS['moge2-small'].file}"
    model = json.loads((output / "generation.json").read_text())["depth"]["model"]
    assert (model["address"], model["licence"]) == (address, "MIT")
    assert "microsoft/MoGe" in model["origin"]


def test_every_address_that_fails_is_told_and_what_to_do(
    small_inputs, tmp_path, monkeypatch, capsys
):
    path = stand_in("nyu", tmp_path / "nyu.h5")
    with served("nyu", path, monkeypatch, tmp_path / "cache", dead=2):
        there = presets.PRESETS["nyu"]
        dead = dataclasses.replace(there, addresses=there.addresses[:2])
        monkeypatch.setitem(presets.PRESETS, "nyu", dead)
        assert main(arguments(small_inputs, tmp_path / "set", "--depth_model", "nyu")) == 2
        said = capsys.readouterr().err
        assert "none of its 2 addresses gives it" in said and said.count("403") == 2
        assert "--depth_model nyu.h5" in said and "issue" in said
        assert said.count("\n") == 1 and not (tmp_path / "set").exists()
        assert main(["fetch", "nyu"]) == 1


def test_a_file_that_is_another_one_is_refused(tmp_path, monkeypatch):
    path = stand_in("u2net", tmp_path / "net.onnx")
    with served("u2net", path, monkeypatch, tmp_path / "cache", dead=0):
        there = presets.PRESETS["u2net"]
        monkeypatch.setitem(presets.PRESETS, "u2net", dataclasses.replace(there, md5="0" * 32))
        with pytest.raises(FetchError, match=r"has the MD5 \w{32}, 0{32} was expected"):
            presets.obtain("u2net", progress=False)
        monkeypatch.setitem(presets.PRESETS, "u2net", there)
        assert presets.obtain("u2net", progress=False)[1].read_bytes() == path.read_bytes()


def test_networks_are_fetched_ahead_and_listed(tmp_path, monkeypatch, capsys):
    path = stand_in("u2netp", tmp_path / "net.onnx")
    with served("u2netp", path, monkeypatch, tmp_path / "cache"):
        assert main(["networks"]) == 0
        before = capsys.readouterr().out
        assert main(["fetch", "u2netp"]) == 0
        assert "licence Apache-2.0" in capsys.readouterr().out
        assert main(["networks"]) == 0
        after = capsys.readouterr().out
    for name in presets.PRESETS:
        assert len(re.findall(rf"^{name}\b(?!-)", before, re.MULTILINE)) == 2  # row and origin
    (row,) = [line for line in after.splitlines() if line.startswith("u2netp ")]
    assert " yes " in row and " no " in next(
        r for r in before.splitlines() if r.startswith("u2netp ")
    )
    assert "GPL-3.0" in next(line for line in after.splitlines() if line.startswith("nyu "))
    assert main(["fetch", "u2nett"]) == 2
    assert "no network of this name; known are moge2-small" in capsys.readouterr().err
    assert main(["fetch", "u2net", "u2netp", "--url", "http://localhost/x"]) == 2


def test_the_best_that_is_here_cuts_out_and_a_begun_folder_stays_as_it_was(
    photo, tmp_path, monkeypatch, capsys
):
    path = stand_in("u2netp", tmp_path / "net.onnx")
    with served("u2netp", path, monkeypatch, tmp_path / "cache"), without_workers():
        begun = ["cutout", str(photo), "--output", str(tmp_path / "begun")]
        assert main(begun) == 0
        assert "Cutting out by grabcut" in capsys.readouterr().err
        assert main(["fetch", "u2netp"]) == 0
        assert main(begun) == 0
        assert "Cutting out by grabcut" in capsys.readouterr().err
        assert main(["cutout", str(photo), "--output", str(tmp_path / "new")]) == 0
        assert "Cutting out by u2netp" in capsys.readouterr().err
    assert ",u2netp," in (tmp_path / "new" / "cutouts.csv").read_text()


def test_names_are_used_for_what_they_are_for(photo, small_inputs, tmp_path, capsys):
    assert main(arguments(small_inputs, tmp_path / "set", "--depth_model", "u2netp")) == 2
    assert "this network cuts out" in capsys.readouterr().err
    command = ["cutout", str(photo), "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        main([*command, "--method", "moge2-small"])
    assert "invalid choice: 'moge2-small'" in capsys.readouterr().err
    assert main([*command, "--method", "u2netp", "--model", "x.onnx"]) == 2
    assert "--model wants --method maskrcnn or model" in capsys.readouterr().err


@pytest.mark.parametrize("name", presets.PRESETS)
def test_the_table_is_whole(name):
    preset = presets.PRESETS[name]
    assert preset.licence and preset.origin and preset.addresses and preset.unit
    assert all(address.startswith("https://") for address in preset.addresses)
    endings = {Path(fetch.cache_name(address)).suffix for address in preset.addresses}
    assert endings == {Path(preset.file).suffix}
    github = ["github.com" in address for address in preset.addresses]
    assert github == sorted(github, reverse=True)  # release files before personal pages
    if preset.task == presets.CUTOUT:
        mask_card.model_of("x", preset.entries())
        assert preset.md5 or preset.sha256
    elif name not in ("nyu", "kitti"):
        card = depth_card.card_from_dict(preset.card)
        assert card.metric == (preset.unit == presets.METRES)


@pytest.mark.parametrize("name, kind", [("u2netp", "mask"), ("moge2-small", "depth")])
def test_pictures_are_labelled_by_name(name, kind, photo, tmp_path, monkeypatch, capsys):
    path = stand_in(name, tmp_path / "net.onnx")
    with served(name, path, monkeypatch, tmp_path / "cache"), without_workers():
        command = ["label", str(photo), "--output", str(tmp_path / "out"), "--network", name]
        assert main([*command, "--licence", "commercial"]) == 0, capsys.readouterr()
    found = cv2.imread(str(tmp_path / "out" / f"photo.{kind}.png"), cv2.IMREAD_UNCHANGED)
    assert found.shape == draw.SHAPE and found.std() > 0
    about = json.loads((tmp_path / "out" / "label.json").read_text())["network"]
    assert about["licence"] == presets.PRESETS[name].licence


def test_pictures_are_not_labelled_by_a_network_without_a_unit(
    photo, tmp_path, monkeypatch, capsys
):
    path = stand_in("midas-small", tmp_path / "net.onnx")
    with served("midas-small", path, monkeypatch, tmp_path / "cache"):
        command = ["label", str(photo), "--output", str(tmp_path / "out"), "--network"]
        assert main([*command, "midas-small"]) == 2
    assert "--network midas-small: this network gives relative inverse depth" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_masks_are_predicted_by_name_and_by_file(photo, tmp_path, monkeypatch, capsys):
    path = stand_in("u2netp", tmp_path / "net.onnx")
    path.with_suffix(".json").write_text(
        json.dumps(
            presets.PRESETS["u2netp"].entries()
            | {"input_mean": [0.485, 0.456, 0.406], "input_std": [0.229, 0.224, 0.225]}
        )
    )
    found = []
    with served("u2netp", path, monkeypatch, tmp_path / "cache"):
        for model in ("u2netp", str(path)):
            output = tmp_path / f"out{len(found)}"
            command = ["predict", str(photo), "--output", str(output), "--model", model]
            assert main(command) == 0, capsys.readouterr()
            assert not (output / "photo.depth.png").exists()
            found.append(cv2.imread(str(output / "photo.mask.png"), cv2.IMREAD_UNCHANGED))
    assert draw.iou(found[0], draw.disc()) > 0.95
    np.testing.assert_array_equal(found[0], found[1])
    path.with_suffix(".json").write_text("[]")
    command = ["predict", str(photo), "--output", str(tmp_path / "x"), "--model", str(path)]
    assert main(command) == 2
    assert "not a JSON object" in capsys.readouterr().err
