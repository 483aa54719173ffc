"""`fgbg generate` with a size for each placement: what is made, stored, verified and extended."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from fgbg.files.sealed import unseal
from fgbg.pipeline.__main__ import main
from fgbg.transforms.pixels.pictures import resize_cutout
from tests.helpers.data_sets import arguments, make_in_process, tree
from tests.helpers.pixel_oracles import area_mean, oracle_blend
from tests.helpers.tfrecord_sets import RECORDS

SIZES = ("--scale_per", "placement", "--fg_scale", "0.12,1.1", "--truncation", "0.35")

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def varied(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    return make_in_process(
        small_inputs, tmp_path_factory.mktemp("varied") / "set", *SIZES, "--mask_format", "png"
    )


def rows_of(output: Path) -> list[dict]:
    return pq.read_table(output / "manifest.parquet").to_pylist()


def test_each_placement_has_its_size(varied):
    heights: dict[tuple, set[int]] = {}
    for row in rows_of(varied):
        unit = row["bg"], row["fg"], row["mirrored"]
        heights.setdefault(unit, set()).add(row["canvas_height"])
    assert all(len(found) == 3 for found in heights.values())
    assert max(map(max, heights.values())) > 64  # higher than the canvas


def test_pixels_are_those_of_a_slow_composition(varied):
    for row in rows_of(varied):
        background = cv2.imread(str(varied / f"backgrounds/bg{row['bg']}.jpg")).astype(int)
        cutout = cv2.imread(str(varied / f"foregrounds/fg_{row['fg']}.png"), cv2.IMREAD_UNCHANGED)
        placed = resize_cutout(cutout, (row["canvas_width"], row["canvas_height"]))
        if row["mirrored"]:
            placed = placed[:, ::-1]
        alpha = np.zeros(background.shape[:2])
        x, y = row["canvas_x"], row["canvas_y"]
        top, left = max(y, 0), max(x, 0)
        bottom, right = min(y + placed.shape[0], 64), min(x + placed.shape[1], 64)
        part = placed[top - y : bottom - y, left - x : right - x]
        background[top:bottom, left:right] = oracle_blend(background[top:bottom, left:right], part)
        alpha[top:bottom, left:right] = part[..., 3]
        mask = cv2.imread(str(varied / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(mask == 255, np.rint(area_mean(alpha, (32, 32))) >= 128), row["key"]
        mean = np.rint(area_mean(background, (32, 32))).astype(np.uint8)
        _, coded = cv2.imencode(".jpg", mean, [cv2.IMWRITE_JPEG_QUALITY, 95])
        expected = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        overlay = cv2.imread(str(varied / row["overlay"]))
        off = cv2.absdiff(overlay, expected)  # a half rounded otherwise moves a coefficient
        assert off.max() <= 12 and off.mean() < 1.5, row["key"]


@pytest.mark.parametrize("form", [(), RECORDS])
def test_verify_composes_all_of_it_again(form, small_inputs, tmp_path, capsys):
    output = make_in_process(small_inputs, tmp_path / "set", *SIZES, *form)
    assert main(["verify", str(output), "--recompute", "all"]) == 0
    assert "12 units composed again are the same" in capsys.readouterr().out


def test_more_placements_change_no_sample(varied, small_inputs, tmp_path):
    more = ("--mask_format", "png", "--placements", "5")
    extended = make_in_process(small_inputs, tmp_path / "set", *SIZES, "--mask_format", "png")
    assert main(arguments(small_inputs, extended, *SIZES, *more)) == 0
    whole = make_in_process(small_inputs, tmp_path / "whole", *SIZES, *more)

    def pictures(output: Path) -> set[str]:
        """Without numbers: in a whole set the mirrored samples have others."""
        return {
            f"{row['bg']} {row['fg']} {row['mirrored']} {tuple(row[f'canvas_{n}'] for n in 'xy')}"
            for row in rows_of(output)
        }

    assert pictures(extended) >= pictures(varied)
    assert len(rows_of(extended)) == len(rows_of(whole))


@pytest.mark.parametrize("by", ["longer_side", "area"])
def test_what_the_scale_is_of_can_be_chosen(by, small_inputs, tmp_path):
    output = make_in_process(
        small_inputs, tmp_path / "set", "--scale_by", by, "--fg_scale", ".4,.4"
    )
    for row in rows_of(output):
        width, height = row["canvas_width"], row["canvas_height"]
        measure = max(width, height) if by == "longer_side" else (width * height) ** 0.5
        assert measure == pytest.approx(0.4 * 64, abs=1)


def test_a_job_without_them_says_nothing_of_them(small_data_set, varied):
    plain, with_sizes = (
        unseal((output / "_work/job.json").read_bytes(), "")["configuration"]
        for output in (small_data_set, varied)
    )
    assert set(with_sizes) - set(plain) == {"scale_per"}
    stored = json.loads((small_data_set / "generation.json").read_text())["configuration"]
    assert "scale_per" not in stored and "scale_by" not in stored


def test_sizes_above_the_canvas_need_a_size_for_each(small_inputs, tmp_path, capsys):
    command = arguments(small_inputs, tmp_path / "set", "--fg_scale", "0.5,1.2")
    assert main(command) == 2
    assert "above 1 goes with --scale_per placement" in capsys.readouterr().err
    assert tree(tmp_path) == {}
