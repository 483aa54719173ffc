"""Alpha judged at input: what can never give a true mask, and what sets the box."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fgbg.transforms.cutout import finish
from fgbg.transforms.cutout.found import Rejected
from fgbg.transforms.pixels.picture_error import PictureError
from fgbg.transforms.pixels.pictures import crop_foreground, read_picture
from fgbg.transforms.pixels.visible import visible_box
from tests.helpers.data_sets import ROOT, SHARED
from tests.helpers.pictures import disc, photo

CANVAS = (448, 448)
FOLDERS = [ROOT / "samples" / "foregrounds", SHARED / "fg"]


def on_sheet(width: int = 400, height: int = 400) -> np.ndarray:
    """A disc of 90x120 with a soft edge, in the middle of a sheet."""
    sheet = np.zeros((height, width, 4), np.uint8)
    thing = disc(3)
    y, x = (height - 120) // 2, (width - 90) // 2
    sheet[y : y + 120, x : x + 90] = thing
    return sheet


def with_alpha(alpha: np.ndarray) -> np.ndarray:
    return np.dstack((photo(5, alpha.shape[1], alpha.shape[0]), alpha.astype(np.uint8)))


def inside(value: int, around: int) -> np.ndarray:
    alpha = np.full((100, 120), around)
    alpha[20:80, 30:90] = value
    return alpha


def inverted_and_cleared() -> np.ndarray:
    rgba = with_alpha(inside(0, 255))
    rgba[rgba[..., 3] == 255, :3] = 0
    return rgba


REFUSED = {
    "0 or 1": (with_alpha(inside(1, 0)), "multiply its alpha by 255"),
    "at most 127": (with_alpha(inside(127, 0)), "at most 127 of 255"),
    "at most 2": (with_alpha(inside(2, 0)), "at most 2 of 255"),
    "254 everywhere": (with_alpha(inside(254, 254)), "alpha 254 everywhere); run `fgbg cutout`"),
    "200 everywhere": (with_alpha(inside(200, 200)), "alpha 200 everywhere); run `fgbg cutout`"),
    "of a lossy file": (with_alpha(inside(251, 255)), "alpha 251 to 255 everywhere"),
    "opaque": (with_alpha(inside(255, 255)), "opaque everywhere); run `fgbg cutout`"),
    "clear": (with_alpha(inside(0, 0)), "transparent everywhere"),
    "inverted": (inverted_and_cleared(), "invert its alpha"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_alpha_that_gives_no_true_mask_is_refused_with_what_to_do(name):
    rgba, words = REFUSED[name]
    with pytest.raises(PictureError) as caught:
        crop_foreground(rgba, CANVAS)
    assert words in str(caught.value)
    if "fgbg cutout" not in words and "everywhere" not in words:
        with pytest.raises(Rejected, match=words):
            finish.keep(rgba)


def test_128_is_enough():
    assert crop_foreground(with_alpha(inside(128, 0)), CANVAS).shape == (60, 60, 4)


def test_a_thing_that_a_mask_would_lose_at_the_canvas_size_is_refused():
    thread = np.eye(2000, dtype=np.uint8) * 255
    with pytest.raises(PictureError, match="too thin"):
        crop_foreground(with_alpha(thread), (64, 64))


def test_a_frame_is_warned_of_and_used():
    notes = []
    assert crop_foreground(with_alpha(inside(0, 255)), CANVAS, notes).shape == (100, 120, 4)
    assert len(notes) == 1 and "inverted" in notes[0]
    notes.clear()
    # A poster with one clear pixel is a poster.
    poster = np.full((100, 120), 255)
    poster[50, 50] = 0
    assert crop_foreground(with_alpha(poster), CANVAS, notes).shape == (100, 120, 4)
    assert not notes


@pytest.mark.parametrize("haze", [1, 3, 8])
def test_a_haze_does_not_set_the_box(haze):
    sheet = on_sheet()
    clean = crop_foreground(sheet, CANVAS)
    hazy = sheet.copy()
    hazy[..., 3] = np.maximum(hazy[..., 3], haze)
    notes = []
    cropped = crop_foreground(hazy, CANVAS, notes)
    assert all(abs(a - b) <= 4 for a, b in zip(cropped.shape, clean.shape, strict=True))
    assert len(notes) == 1 and "haze" in notes[0] and "400x400" in notes[0]
    kept = finish.keep(hazy)
    assert kept.bgra.shape == cropped.shape and kept.notes == tuple(notes)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_far_speck_does_not_set_the_box(size):
    sheet = on_sheet()
    clean = crop_foreground(sheet, CANVAS)
    sheet[:size, :size] = (9, 9, 9, 255)
    notes = []
    assert np.array_equal(crop_foreground(sheet, CANVAS, notes), clean)
    assert len(notes) == 1 and "specks" in notes[0]


def test_what_a_thing_is_made_of_is_no_speck():
    rng = np.random.default_rng(2)
    spray = np.zeros((400, 400), np.uint8)
    for x, y in rng.integers(10, 390, (300, 2)):
        cv2.circle(spray, (int(x), int(y)), 3, 255, -1)
    two = np.zeros((400, 400), np.uint8)
    two[10:60, 10:60] = two[300:390, 300:390] = 255
    for alpha in (spray, two):
        assert visible_box(alpha) == (tuple(cv2.boundingRect(alpha)), "")


@pytest.mark.parametrize("blur", [0, 1, 3, 8, 15])
def test_a_soft_edge_is_whole(blur):
    alpha = np.zeros((400, 400), np.uint8)
    cv2.ellipse(alpha, (200, 200), (70, 100), 20, 0, 360, 255, -1)
    if blur:
        alpha = cv2.GaussianBlur(alpha, (0, 0), blur)
    assert visible_box(alpha) == (tuple(cv2.boundingRect(alpha)), "")


@pytest.mark.parametrize("folder", FOLDERS, ids=["samples", "photos"])
def test_usual_cut_outs_are_cropped_as_they_were_and_nothing_is_said_of_them(folder):
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    count = 0
    for path in sorted(folder.glob("*.png"))[:40]:
        notes = []
        rgba = read_picture(path.read_bytes(), notes)
        crop_foreground(rgba, CANVAS, notes)
        assert visible_box(rgba[..., 3])[0] == tuple(cv2.boundingRect(rgba[..., 3].copy()))
        assert not notes, path
        count += 1
    assert count
