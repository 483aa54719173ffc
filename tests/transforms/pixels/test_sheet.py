"""Sheets of captioned pictures: what stands where, what fits, what the colours of depth mean."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest

from fgbg.transforms.pixels.sheet import (
    Cell,
    coloured_depth,
    draw,
    fit,
    grey_depth,
    grid,
    png,
    shortened,
)

BLUE = (255, 0, 0)


def plain(width: int, height: int, colour: tuple[int, ...] = BLUE) -> np.ndarray:
    return np.full((height, width, len(colour)), colour, np.uint8)


def extent(sheet: np.ndarray, colour: tuple[int, ...] = BLUE) -> tuple[int, int, int, int]:
    """Left, top, width and height of what has a colour."""
    return cv2.boundingRect((sheet == colour).all(axis=2).astype(np.uint8))


def test_pictures_are_shrunk_into_their_boxes_and_stand_in_the_middle():
    sheet = draw([[Cell(None), Cell(plain(200, 100))]], (50, 60), gap=10)
    # As high as its highest picture, half a gap around it.
    assert sheet.shape == (25 + 10, 2 * 60, 3)
    assert extent(sheet) == (65, 5, 50, 25)


def test_small_pictures_are_enlarged_where_asked():
    cell = Cell(plain(10, 5))
    assert extent(draw([[cell]], (50, 60)))[2:] == (10, 5)
    assert extent(draw([[cell]], (50, 60), enlarge=True))[2:] == (50, 25)


def test_a_row_with_captions_is_a_line_higher_and_the_caption_is_in_its_colour():
    without = draw([[Cell(plain(50, 50))]], (50, 50))
    sheet = draw([[Cell(plain(50, 50), "name", (200, 0, 0))]], (50, 50), text=16)
    assert sheet.shape[0] == without.shape[0] + 28
    red = (sheet[:28] == (0, 0, 200)).all(axis=2)
    assert red.any() and not (sheet[28:] == (0, 0, 200)).all(axis=2).any()


def test_heading_and_footer_stand_above_and_below():
    sheet = draw([[Cell(plain(300, 50))]], (300, 50), heading="H", footer=["F", "G"], text=16)
    assert sheet.shape[0] == 28 + 58 + 2 * 28
    for top in (0, 86, 114):
        assert (sheet[top : top + 28] < 128).any()


def test_without_a_gap_pictures_touch():
    sheet = draw([[Cell(plain(30, 20)), Cell(plain(30, 20))]], (30, 20), gap=0)
    assert sheet.shape == (20, 60, 3) and (sheet == BLUE).all()


def test_grey_is_drawn_grey_and_transparency_as_a_checkerboard():
    grey = np.full((20, 30), 77, np.uint8)
    clear = np.zeros((22, 22, 4), np.uint8)
    half = np.full((22, 22, 4), (0, 0, 255, 255), np.uint8)
    sheet = draw([[Cell(grey), Cell(clear), Cell(half)]], (30, 22), gap=0)
    assert (sheet[10, 15] == 77).all()
    assert len(np.unique(sheet[:, 34:56].reshape(-1, 3), axis=0)) == 2
    assert extent(sheet, (0, 0, 255))[2:] == (22, 22)


@pytest.mark.parametrize(
    "words", ["a_photo_of_the_long_hall_" * 6, "\u7f8a" * 60, "\U0001f600" * 99]
)
def test_lines_that_do_not_fit_are_shortened(words):
    sheet = draw([[Cell(None, words)]], (100, 50))
    assert (sheet[:, -4:] == 255).all() and (sheet < 128).any()


def test_a_line_is_drawn_smaller_before_it_is_shortened():
    words = "nearest 1.25 m, farthest 5.20 m"
    usual = draw([[Cell(plain(400, 9))]], (400, 9), footer=[words], text=16)
    narrow = draw([[Cell(plain(180, 9))]], (180, 9), footer=[words], text=16)
    ink = [int(((255 - sheet[17:]) > 100).any(axis=(1, 2)).sum()) for sheet in (usual, narrow)]
    assert 0 < ink[1] < ink[0]


@pytest.mark.parametrize("words", ["\u7f8a.png", "\U0001f996.png", "two\nlines\r\t\x07.png"])
def test_signs_that_the_font_lacks_are_boxes_and_no_warning(words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sheet = draw([[Cell(None, words)]], (200, 50))
    assert (sheet < 128).any()


def test_names_are_shortened_in_the_middle_and_stay_in_one_line():
    assert shortened("room.png", 8) == "room.png"
    assert shortened("a_very_long_name.png", 11) == "a_ver\u2026e.png"
    assert shortened("two\nlines\x07.png", 50) == "two\ufffdlines\ufffd.png"


def test_a_grid_fills_row_by_row():
    cells = [Cell(None, str(i)) for i in range(5)]
    assert [[cell.caption for cell in row] for row in grid(cells, 2)] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
    ]
    assert draw(grid(cells, 2), (20, 20)).shape[1] == 2 * 28


def test_no_side_gets_shorter_than_a_pixel():
    assert fit(plain(1000, 1), (10, 10)).shape == (1, 10, 3)


def test_depth_is_dark_near_in_grey_and_yellow_near_in_colours():
    metres = np.array([[0, 1, 2, 3, 9]], np.float32)
    assert grey_depth(metres, 1, 3).tolist() == [[0, 0, 128, 255, 255]]
    colours = coloured_depth(metres, 1, 3)
    blue, green, red = colours[0, 1].astype(int)
    assert red > 240 and green > 220 and blue < 60
    assert colours[0, 3].astype(int).sum() < 200
    assert (colours[0, 0] == colours[0, 1]).all() and (colours[0, 4] == colours[0, 3]).all()
    holes = coloured_depth(metres, 1, 3, holes=True)
    assert not holes[0, 0].any() and (holes[0, 1:] == colours[0, 1:]).all()


def test_the_file_is_the_sheet_and_always_the_same():
    sheet = draw([[Cell(plain(30, 20), "name")]], (30, 20))
    assert png(sheet) == png(sheet.copy())
    decoded = cv2.imdecode(np.frombuffer(png(sheet), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded, sheet)
