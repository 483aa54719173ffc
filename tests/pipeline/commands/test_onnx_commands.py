"""ONNX networks in the commands: data sets, depth of pictures and cut-outs by them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers import cutout_pictures as draw
from tests.helpers.data_sets import arguments, fgbg, make_in_process, tree, without_workers
from tests.helpers.onnx_networks import depth_network, edited, mask_network, points_network
from tests.helpers.small_networks import oracle


@pytest.fixture(scope="module")
def depth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = depth_network(tmp_path_factory.mktemp("net") / "net.onnx", (64, 64), batch=1)
    card = {"metres_per_unit": 0.5, "licence": "MIT", "origin": "made here"}
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


def samples(output: Path) -> dict[str, bytes]:
    kept = ("bg", "manifest", "foregrounds")
    return {name: data for name, data in tree(output).items() if name.startswith(kept)}


def test_any_number_of_workers_makes_the_same(depth, small_inputs, tmp_path):
    more = ["--depth_model", str(depth), "--depth_format", "png16"]
    made = {}
    for workers in (1, 2, 3):
        output = tmp_path / str(workers)
        done = fgbg(*arguments(small_inputs, output, *more, "--workers", str(workers)))
        assert done.returncode == 0, done.stderr
        made[workers] = samples(output)
    assert made[1] == made[2] == made[3]
    assert any(name.endswith("depth/1.png") for name in made[1])
    generation = json.loads((tmp_path / "1" / "generation.json").read_text())
    assert generation["depth"]["model"]["kind"] == "onnx"
    assert fgbg("verify", str(tmp_path / "1"), "--recompute", "2").returncode == 0


def test_depth_of_pictures(depth, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    command = ["depth", str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]
    assert main([*command, "--depth_model", str(depth)]) == 0
    found = np.load(tmp_path / "out" / "a.depth.npy")
    wanted = 0.5 * oracle(picture[None, ..., ::-1].astype(np.float64) / 255)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_relative_depth_is_called_so_and_makes_no_data_set(depth, small_inputs, tmp_path, capsys):
    path = tmp_path / "relative.onnx"
    path.write_bytes(depth.read_bytes())
    (tmp_path / "relative.json").write_text('{"output": "relative_inverse_depth"}')
    output = tmp_path / "out"
    command = ["depth", str(small_inputs / "bg"), "--output", str(output)]
    assert main([*command, "--depth_model", str(path)]) == 0
    assert "relative inverse depth" in capsys.readouterr().err
    names = {file.name.partition(".")[2] for file in output.iterdir()}
    assert names == {"depth.npy", "preview.jpg"}
    more = ["--depth_model", str(path), "--evaluate", str(tmp_path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fgbg.pipeline.commands.depth.find_pairs", lambda folder: [])
        assert main([*command[:-1], str(tmp_path / "other"), *more]) == 2
    assert "no unit to compare in metres" in capsys.readouterr().err
    data_set = tmp_path / "set"
    assert main(arguments(small_inputs, data_set, "--depth_model", str(path))) == 2
    assert "relative inverse depth" in capsys.readouterr().err
    assert not data_set.exists()


def test_a_network_of_points_makes_a_data_set(small_inputs, tmp_path):
    path = points_network(tmp_path / "moge.onnx")
    card = {
        **{"output": "affine_points", "output_name": "points", "mask_output": "mask"},
        **{"scale_output": "metric_scale", "input_constants": {"num_tokens": 1800}},
    }
    path.with_suffix(".json").write_text(json.dumps(card))
    output = make_in_process(small_inputs, tmp_path / "set", "--depth_model", str(path))
    model = json.loads((output / "generation.json").read_text())["depth"]["model"]
    assert model["card"]["input_constants"] == {"num_tokens": 1800}
    assert list(output.glob("bg1/fg_1/depth/*.jpg"))


def test_networks_that_could_do_harm_are_refused_before_any_work(
    depth, small_inputs, tmp_path, capsys
):
    def harm(model):  # type: ignore[no-untyped-def]
        model.graph.node[0].domain = "evil.ops"

    path = edited(depth, tmp_path / "evil.onnx", harm)
    data_set = tmp_path / "set"
    photo = draw.save(draw.composed(draw.disc(), draw.plain()), tmp_path / "photo.png")
    for command in (
        arguments(small_inputs, data_set, "--depth_model", str(path)),
        ["depth", str(photo), "--output", str(data_set), "--depth_model", str(path)],
        [
            "cutout",
            str(photo),
            "--output",
            str(data_set),
            "--method",
            "model",
            "--model",
            str(path),
        ],
    ):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert f"{path}: it holds operators that are not ONNX's own: evil.ops.Conv" in said
        assert said.count("\n") == 1 and not data_set.exists()


@pytest.mark.parametrize("logits", [False, True])
def test_cut_outs_by_a_network_with_a_card(tmp_path, logits):
    path = mask_network(tmp_path / "net.onnx", logits=logits, outputs=3)
    card = {"output_name": "mask1", "activation": "sigmoid" if logits else "none"}
    path.with_suffix(".json").write_text(json.dumps(card))
    true = draw.disc()
    photo = draw.save(draw.composed(true, draw.plain()), tmp_path / "photo.png")
    command = ["cutout", str(photo), "--output", str(tmp_path / "out"), "--method", "model"]
    with without_workers():
        assert main([*command, "--model", str(path)]) == 0
    found = cv2.imread(str(tmp_path / "out" / "photo.png"), cv2.IMREAD_UNCHANGED)
    _, _, width, height = cv2.boundingRect((true >= 0.5).astype(np.uint8))
    assert abs(found.shape[1] - width) < 8 and abs(found.shape[0] - height) < 8
    assert (found[..., 3] > 127).mean() > 0.7


def test_cut_outs_are_the_same_for_any_number_of_workers(tmp_path):
    path = mask_network(tmp_path / "net.onnx", None)
    for number in range(3):
        draw.save(
            draw.composed(draw.disc(100 + 30 * number), draw.plain()), tmp_path / f"p{number}.png"
        )
    made = []
    for workers in ("1", "2", "3"):
        output = tmp_path / workers
        command = ["cutout", str(tmp_path / "p*.png"), "--output", str(output), "--method", "model"]
        done = fgbg(*command, "--model", str(path), "--workers", workers)
        assert done.returncode == 0, done.stderr
        made.append({file.name: file.read_bytes() for file in output.glob("*.png")})
    assert len(made[0]) == 3 and made[0] == made[1] == made[2]


def test_a_card_of_a_mask_network_that_is_wrong_is_told(tmp_path, capsys):
    path = mask_network(tmp_path / "net.onnx")
    photo = draw.save(draw.composed(draw.disc(), draw.plain()), tmp_path / "photo.png")
    command = ["cutout", str(photo), "--output", str(tmp_path / "out"), "--method", "model"]
    for card, words in (
        ("{", "Expecting"),
        ('{"input_men": [0, 0, 0]}', "unknown input_men; known are activation"),
        ('{"input_std": [0, 1, 1]}', "input_std"),
        ('{"activation": "relu"}', "activation is 'relu', not one of none, sigmoid"),
    ):
        path.with_suffix(".json").write_text(card)
        assert main([*command, "--model", str(path)]) == 2
        said = capsys.readouterr().err
        assert words in said and str(path.with_suffix(".json")) in said
    assert not (tmp_path / "out").exists()
