"""The report on the inputs: blank ones, look-alikes, and cut-outs much smaller than their box."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fgbg.transforms.job import job as jobs
from fgbg.transforms.pixels import pictures
from fgbg.transforms.report import alike, inputs
from tests.helpers.data_sets import make_in_process
from tests.helpers.pictures import disc, photo
from tests.helpers.report_sets import Page

SIDE = 448


def inspected(folder: Path, backgrounds: list[np.ndarray]) -> inputs.Inputs:
    """What is found of backgrounds, uint8 RGB, that are stored as data sets store them."""
    (folder / "backgrounds").mkdir()
    entries = []
    for number, picture in enumerate(backgrounds, 1):
        canvas = pictures.fit_background(picture, (SIDE, SIDE))
        (folder / f"backgrounds/bg{number}.jpg").write_bytes(pictures.encode_background(canvas))
        entries.append(
            jobs.InputPicture(number, f"{number}.jpg", f"{number:064x}", SIDE, SIDE, "train")
        )
    configuration = dataclasses.make_dataclass("C", ["canvas"])((SIDE, SIDE))
    return inputs.inspect(str(folder), jobs.Job(configuration, entries, []))


def saved_again(rgb: np.ndarray, quality: int, scale: float = 1.0) -> np.ndarray:
    image = Image.fromarray(rgb)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def wall(seed: int) -> np.ndarray:
    """A wall above a floor, each even but for noise: uint8 RGB."""
    picture = np.full((480, 640, 3), 190.0)
    picture[290:] = (120, 100, 80)
    picture += np.random.default_rng(seed).normal(0, 2, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def gradient(first: int, last: int) -> np.ndarray:
    row = np.linspace(first, last, 640).astype(np.uint8)
    return np.repeat(np.repeat(row[None, :, None], 480, 0), 3, 2)


def bricks() -> np.ndarray:
    picture = np.full((SIDE, SIDE, 3), (150, 70, 50), np.uint8)
    picture[::16], picture[1::16] = 220, 220
    for row in range(0, SIDE, 16):
        shift = 16 * (row // 16 % 2)
        picture[row : row + 16, shift::32] = picture[row : row + 16, shift + 1 :: 32] = 220
    return picture


def text() -> np.ndarray:
    picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for row in range(14, SIDE, 14):
        cv2.putText(picture, "all work and no play " * 4, (0, row), 0, 0.4, (0, 0, 0), 1)
    return picture


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


@pytest.mark.parametrize("picture", [bricks(), text(), noise()], ids=["bricks", "text", "noise"])
def test_texture_is_not_blank(picture, tmp_path):
    assert not inspected(tmp_path, [picture]).blank


def test_an_even_wall_is_blank(tmp_path):
    even = np.full((SIDE, SIDE, 3), 200, np.uint8)
    shaded = np.clip(even + np.linspace(-8, 8, SIDE)[None, :, None], 0, 255).astype(np.uint8)
    assert [entry.number for entry in inspected(tmp_path, [even, shaded]).blank] == [1, 2]


def test_look_alikes_are_found_among_many_and_different_ones_are_not(tmp_path):
    many = [photo(seed, 64, 64) for seed in range(199)]
    many.append(cv2.convertScaleAbs(many[16], alpha=0.9, beta=10))
    found = inspected(tmp_path, many)
    assert found.alike["background"] == [["17.jpg", "200.jpg"]]
    assert not found.blank and not found.unread


def test_a_copy_of_a_mostly_even_picture_is_found(tmp_path):
    copies = [wall(0), saved_again(wall(0), 75), saved_again(wall(0), 50, 0.5)]
    assert inspected(tmp_path, copies).alike["background"] == [["1.jpg", "2.jpg", "3.jpg"]]


def test_two_gradients_are_not_alike(tmp_path):
    assert not inspected(tmp_path, [gradient(0, 255), gradient(60, 180)]).alike["background"]


def test_copies_of_real_photos_are_found_and_no_two_photos_are_alike(shared_data, tmp_path):
    paths = sorted((shared_data / "bg").glob("*.jpg"))[::5]
    # A small decode of each: the copies are what counts.
    photos = [np.array(Image.open(path).convert("RGB").resize((640, 480))) for path in paths]
    changes = [(95, 1.0), (50, 1.0), (75, 0.5), (90, 2.0)]
    copies = [saved_again(p, *changes[i % len(changes)]) for i, p in enumerate(photos)]
    found = inspected(tmp_path, photos + copies).alike["background"]
    count = len(photos)
    assert found == [[f"{i}.jpg", f"{i + count}.jpg"] for i in range(1, count + 1)]


def test_thousands_of_copies_of_one_picture_are_one_group():
    rng = np.random.default_rng(0)
    means = rng.uniform(0, 255, (1, alike.SIDE**2 * 3)) + rng.normal(0, 1, (2000, 1))
    assert alike.groups(means.astype(np.float32)) == [0] * 2000


def opaque(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 255, 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("what", "expected"),
    [("speck", (0.5, 0.25)), ("two alike", (1.0, 1.0)), ("one", (1.0, 1.0)), ("none", (1.0, 1.0))],
)
def test_small_parts_far_away_are_specks_and_second_shoes_are_not(what, expected):
    mask = np.zeros((80, 100), bool)
    if what != "none":
        mask[:20, :50] = True
    if what == "speck":
        mask[76:, 96:] = True
    if what == "two alike":
        mask[60:, 60:] = True
    assert inputs.span_without_specks(opaque(mask)) == expected


@pytest.fixture(scope="module")
def small_things(tmp_path_factory) -> str:
    """The warnings about a set with a square in a faint halo, and a rod across its whole box."""
    folder = tmp_path_factory.mktemp("small")
    for kind in ("bg", "fg"):
        (folder / kind).mkdir()
    Image.fromarray(photo(0)).save(folder / "bg" / "room.png")
    halo = np.full((300, 300, 4), (90, 120, 60, 30), np.uint8)
    halo[85:215, 85:215, 3] = 255
    Image.fromarray(halo).save(folder / "fg" / "halo.png")
    rod = np.zeros((300, 300, 4), np.uint8)
    cv2.line(rod, (4, 4), (295, 295), (90, 120, 60, 255), 12)
    Image.fromarray(rod).save(folder / "fg" / "rod.png")
    Image.fromarray(disc(0)).save(folder / "fg" / "ball.png")
    output = make_in_process(folder, folder / "set", "--size", "64", "--truncation", "0.3")
    return Page(output / "index.html").content["warnings"]


def test_a_thing_in_a_faint_halo_is_smaller_than_its_box(small_things):
    share = re.search(r"halo\.png \((\d+)% x (\d+)%\)", small_things)
    assert share and all(35 <= int(side) <= 55 for side in share.groups())


@pytest.mark.parametrize("file", ["rod.png", "ball.png"])
def test_a_thing_that_spans_its_box_is_not_small(file, small_things):
    assert file not in small_things
