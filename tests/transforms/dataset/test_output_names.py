"""What the files made of pictures are called."""

from __future__ import annotations

import pytest

from fgbg.transforms.dataset import left_out
from fgbg.transforms.dataset.output_names import kept, names

CASES = {
    "a flat folder": ({"in/1.jpg": "in", "in/2.png": "in"}, ["1", "2"]),
    "a folder with a slash": ({"in/1.jpg": "in/"}, ["1"]),
    "a file": ({"deep/in/1.jpg": "deep/in/1.jpg"}, ["1"]),
    "endings": ({"in/dog.jpg": "in", "in/dog.png": "in"}, ["dog_jpg", "dog_png"]),
    "endings in two folders": ({"a/dog.jpg": "a", "b/dog.png": "b"}, ["dog_jpg", "dog_png"]),
    "two folders": ({"x/a/1.jpg": "x/a", "x/b/1.jpg": "x/b", "x/b/2.jpg": "x/b"},
                    ["a/1", "b/1", "2"]),
    "two folders of one name": ({"x/a/1.jpg": "x/a", "y/a/1.jpg": "y/a"}, ["x/a/1", "y/a/1"]),
    "two files": ({"x/1.jpg": "x/1.jpg", "y/1.jpg": "y/1.jpg"}, ["x/1", "y/1"]),
    "a pattern": ({"in/a/1.jpg": "in/*/*", "in/b/1.jpg": "in/*/*"}, ["a/1", "b/1"]),
    "a pattern of any depth": ({"in/a/b/1.jpg": "in/**", "in/1.jpg": "in/**"}, ["a/b/1", "1"]),
    "a pattern and its folder": ({"in/1.jpg": "in/*", "in/[x]/1.jpg": "in/[x]"}, ["1", "[x]/1"]),
    "a pattern that goes up": ({"in/a/../b/1.jpg": "in/a*/../b/*"}, ["b/1"]),
    "upper and lower case": ({"a/X.jpg": "a", "b/x.jpg": "b"}, ["a/X", "b/x"]),
    "folders and endings": ({"x/a/1.jpg": "x/a", "x/b/1.jpg": "x/b", "x/b/1.png": "x/b"},
                            ["a/1", "b/1_jpg", "b/1_png"]),
    "gs": ({"gs://b/x/1.jpg": "gs://b/x", "gs://b/y/1.jpg": "gs://b/y/"}, ["x/1", "y/1"]),
    "here and there": ({"gs://b/x/1.jpg": "gs://b/x", "/y/1.jpg": "/y"}, ["b/x/1", "y/1"]),
    "no name to print": ({"in/a\x1b.jpg": "in"}, ["a\\x1b"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_names(name):
    sources, expected = CASES[name]
    assert list(names(sources).values()) == expected


def test_one_file_given_twice_has_one_name():
    assert list(names({"in/1.jpg": "in", "./in/1.jpg": "./in/1.jpg"}).values()) == ["1", "1"]


def test_what_had_its_own_name_keeps_it():
    called = {"in/a/1.jpg": "a/1", "in/b/1.jpg": "b/1", "in/c.jpg": "c"}
    before = {"in/a/1.jpg": "1", "in/c.jpg": "c_jpg"}
    assert list(kept(called, before).values()) == ["1", "b/1", "c"]


def test_sheets_are_told_from_pictures(tmp_path):
    for name in ("sheet.png", "sheet_12.png", "contact.png", "rows.png", "depth.png"):
        assert left_out.is_drawing(f"out/PlotImages/{name}")
        assert not left_out.is_drawing(f"out/{name}")
    for name in ("sheet_a.png", "mine.png", "sheet.jpg", "a/sheet.png"):
        assert not left_out.is_drawing(f"out/PlotImages/{name}")
    said = left_out.lines([f"{tmp_path}/PlotImages/sheet.png", f"{tmp_path}/notes"], "--fg")
    assert said == [
        "Sheets that fgbg has drawn, left out of --fg: sheet.png",
        "Not pictures by their names, left out of --fg: notes",
    ]
