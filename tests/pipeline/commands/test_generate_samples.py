"""Samples of the main job, recomputed independently from the manifest."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fgbg.pipeline.__main__ import main
from fgbg.transforms.dataset.manifest import SCHEMA
from tests.helpers.data_sets import make_in_process
from tests.helpers.pictures import disc, photo, sieve
from tests.helpers.pixel_oracles import area_mean, oracle_blend


@pytest.fixture(scope="module")
def odd_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Soft-edged, black, full-frame, one-pixel, huge and thin cut-outs; odd backgrounds."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "bg").mkdir()
    (folder / "fg").mkdir()
    Image.fromarray(photo(1, 200, 90)).save(folder / "bg" / "1 wide.png")
    Image.fromarray(photo(2, 64, 64)).save(folder / "bg" / "2 as the canvas.png")
    Image.fromarray(photo(3, 70, 300)).convert("L").save(folder / "bg" / "3 high grey.png")
    black = disc(0, 120, 100)
    black[..., :3] = 0
    full = np.dstack((photo(9, 128, 128), np.full((128, 128), 255, np.uint8)))
    full[0, 0, 3] = 0
    pixel = np.zeros((9, 9, 4), np.uint8)
    pixel[4, 4] = (250, 40, 90, 255)
    for name, image in {
        "soft": disc(1, 150, 130, soft=30),
        "black": black,
        "full": full,
        "pixel": pixel,
        "huge": disc(2, 1500, 1100),
        "wide": disc(3, 400, 90),
    }.items():
        Image.fromarray(image).save(folder / "fg" / f"{name}.png")
    return folder


@pytest.fixture(scope="module", params=["plain", "truncated"])
def odd_data_set(request, odd_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    more = ["--fg_scale", "0.5,1", "--splits", "train=0.5,test=0.5"]
    if request.param == "truncated":
        more += ["--truncation", "0.4", "--size", "40x20", "--mask_format", "png"]
    return make_in_process(odd_inputs, tmp_path_factory.mktemp("odd_set") / "set", *more)


def recompute(output: Path, row: dict, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """One overlay and the opacity of its foreground, at stored size, from the manifest alone."""
    with Image.open(output / "backgrounds" / f"bg{row['bg']}.jpg") as image:
        canvas = np.asarray(image.convert("RGB")).astype(float)
    with Image.open(output / "foregrounds" / f"fg_{row['fg']}.png") as image:
        cutout = np.asarray(image).astype(float)
    cutout[..., :3] *= cutout[..., 3:] / 255
    target = (row["canvas_width"], row["canvas_height"])
    if cutout.shape[:2] == (1, 1):
        scaled = np.broadcast_to(cutout, (target[1], target[0], 4)).copy()
    else:
        scaled = area_mean(cutout, target)
    alpha = scaled[..., 3:]
    scaled[..., :3] *= 255 / np.maximum(alpha, 1e-9)
    scaled = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    if row["mirrored"]:
        scaled = scaled[:, ::-1]
    height, width = canvas.shape[:2]
    layer = np.zeros((3 * height, 3 * width, 4), np.uint8)
    y, x = row["canvas_y"] + height, row["canvas_x"] + width
    layer[y : y + target[1], x : x + target[0]] = scaled
    layer = layer[height : 2 * height, width : 2 * width]
    overlay = area_mean(oracle_blend(canvas, layer).astype(float), size)
    return overlay, area_mean(layer[..., 3].astype(float), size)


def read(output: Path, name: str) -> np.ndarray:
    with Image.open(output / name) as image:
        return np.asarray(image)


def test_every_sample_is_what_the_manifest_says(odd_data_set):
    generation = json.loads((odd_data_set / "generation.json").read_text())
    size = tuple(generation["configuration"]["size"])
    rows = pq.read_table(odd_data_set / "manifest.parquet").to_pylist()
    assert len(rows) == 3 * 6 * 2 * 3
    overlays = []
    for row in rows:
        expected, opacity = recompute(odd_data_set, row, size)
        expected = np.floor(expected + 0.5)
        overlays.append(expected)
        # Coded by another library with the same settings: the same but for rounding.
        buffer = io.BytesIO()
        rounded = Image.fromarray(expected.astype(np.uint8))
        rounded.save(buffer, "JPEG", quality=95, subsampling=2)
        with Image.open(buffer) as image:
            coded = np.asarray(image).astype(int)
        stored = read(odd_data_set, row["overlay"]).astype(int)
        assert np.abs(stored - coded).mean() < 1.5, row["key"]
        mask = read(odd_data_set, row["mask"]) >= 128
        sure = np.abs(opacity - 127.5) > 1
        assert np.array_equal(mask[sure], opacity[sure] >= 127.5), row["key"]
        assert mask.sum() == row["mask_area"]
        ys, xs = np.nonzero(mask)
        box = (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)
        assert box == (row["x"], row["y"], row["width"], row["height"]), row["key"]
    stack = np.stack(overlays)
    for i, channel in enumerate(("red", "green", "blue")):
        stated = generation["statistics"]["overlay"][channel]
        assert stated["count"] == stack[..., i].size
        assert stated["mean"] == pytest.approx(stack[..., i].mean(), abs=0.05)
        assert stated["std"] == pytest.approx(stack[..., i].std(), abs=0.05)
    areas = sum(row["mask_area"] for row in rows)
    share = areas / (len(rows) * size[0] * size[1])
    mask = generation["statistics"]["mask"]
    assert mask["mean"] == pytest.approx(255 * share, rel=1e-12)
    assert mask["std"] == pytest.approx(255 * np.sqrt(share * (1 - share)), rel=1e-12)
    bytes_of = {
        kind: sum((odd_data_set / row[kind]).stat().st_size for row in rows)
        for kind in ("overlay", "mask")
    }
    assert generation["bytes"] == bytes_of


def test_the_manifest_is_in_order_and_splits_hold_out_backgrounds(odd_data_set):
    table = pq.read_table(odd_data_set / "manifest.parquet")
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    assert [r["key"] for r in rows] == [
        f"bg{b}/fg_{f}/{n}" for b in (1, 2, 3) for f in range(1, 7) for n in range(1, 7)
    ]
    assert all(r["mirrored"] == (r["number"] > 3) for r in rows)
    assert all(r["overlay"] == f"bg{r['bg']}/fg_{r['fg']}/overlay/{r['number']}.jpg" for r in rows)
    assert all(r["depth"] is None and r["depth_mean_m"] is None for r in rows)
    by_split = {}
    for row in rows:
        by_split.setdefault(row["split"], set()).add(row["bg"])
    assert set(by_split) == {"train", "test"}
    assert not by_split["train"] & by_split["test"]


def test_foregrounds_cover_all_scales_asked_for(odd_data_set):
    rows = pq.read_table(odd_data_set / "manifest.parquet").to_pylist()
    generation = json.loads((odd_data_set / "generation.json").read_text())
    height = generation["configuration"]["canvas"][1]
    by_unit = {}
    for row in rows:
        shape = row["canvas_width"], row["canvas_height"]
        by_unit.setdefault((row["bg"], row["fg"], row["mirrored"]), set()).add(shape)
        if row["fg_file"] != "wide.png":
            assert 0.5 * height - 1 <= row["canvas_height"] <= height
    assert all(len(shapes) == 1 for shapes in by_unit.values())  # one scale for a unit


def test_a_mask_that_vanishes_is_counted(tmp_path, in_process):
    (tmp_path / "bg").mkdir()
    (tmp_path / "fg").mkdir()
    Image.fromarray(photo(0)).save(tmp_path / "bg" / "a.png")
    Image.fromarray(sieve(0)).save(tmp_path / "fg" / "ghost.png")
    output = make_in_process(tmp_path, tmp_path / "set")
    generation = json.loads((output / "generation.json").read_text())
    assert generation["counts"]["empty_masks"] == 6
    assert main(["verify", str(output)]) == 0


def test_the_card_and_the_sheets_are_there(small_data_set):
    card = (small_data_set / "README.md").read_text()
    assert "# 36 composed pictures with overlay and mask" in card
    assert "samples 1..3 as given, 4..6 mirrored" in card
    for name in ("overlay", "mask", "rows"):
        image = read(small_data_set, f"PlotImages/{name}.png")
        assert image.std() > 20
    assert not (small_data_set / "PlotImages" / "depth.png").exists()
    assert not (small_data_set / "errors.jsonl").exists()
