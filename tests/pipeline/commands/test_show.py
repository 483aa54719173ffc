"""`fgbg show`: one sample as a picture."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from fgbg.pipeline.__main__ import main
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job import job as jobs
from fgbg.transforms.report import looks
from fgbg.transforms.report.sheet import sheet

FORMS = {"images": (), "tfrecord": ("--format", "tfrecord")}


@pytest.fixture(scope="module", params=FORMS)
def data_set(request, conspicuous_sets) -> Path:
    return conspicuous_sets(*FORMS[request.param])


def show(*arguments: object) -> int:
    return main(["show", *(str(argument) for argument in arguments)])


def test_the_sheet_has_the_pictures_of_the_sample(data_set, tmp_path, capsys):
    row = next(r for r in pq.read_table(data_set / "manifest.parquet").to_pylist() if r["mirrored"])
    file = tmp_path / "folder" / "one.png"
    assert show(data_set, "--key", row["key"], "--output", file) == 0
    assert capsys.readouterr().out == f"{row['key']}: {file}\n"
    sheet = cv2.imread(str(file))
    # Four pictures side by side, the second of them black and white.
    height, width = sheet.shape[:2]
    assert width == 4 * 360 and height > 360
    second = sheet[60:360, 370:710]
    white = (second > 200).all(axis=2).mean()
    dark = (second < 55).all(axis=2).mean()
    assert white + dark > 0.9
    whole = row["mask_area"] / 64**2
    assert white == pytest.approx(whole, abs=0.05)
    assert len(np.unique(sheet[60:360, 1090:1430].reshape(-1, 3), axis=0)) > 20
    again = tmp_path / "again.png"
    assert show(data_set, "--key", row["key"], "--output", again) == 0
    assert again.read_bytes() == file.read_bytes()


def test_it_is_written_here_without_a_name(data_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert show(data_set, "--key", "bg2/fg_3/1") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bg2_fg_3_1.png"]


def test_a_sheet_without_depth(small_data_set, tmp_path):
    file = tmp_path / "one.png"
    assert show(small_data_set, "--key", "bg1/fg_1/1", "--output", file) == 0
    assert cv2.imread(str(file)).shape[1] == 2 * 360


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("bg1/fg_1", "not a sample's key"),
        ("../bg1/fg_1/1", "not a sample's key"),
        ("bg9/fg_1/1", "it has bg1 to bg3 and fg_1 to fg_2"),
        ("bg1/fg_1/7", "bg1/fg_1 has samples 1 to 6"),
    ],
)
def test_keys_that_are_none(key, words, small_data_set, tmp_path, capsys):
    assert show(small_data_set, "--key", key, "--output", tmp_path / "one.png") == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_shown(small_data_set, tmp_path, capsys):
    assert show(tmp_path, "--key", "bg1/fg_1/1") == 2
    assert "no data set of fgbg" in capsys.readouterr().err
    assert show(small_data_set, "--key", "bg1/fg_1/1", "--output", "one.jpg") == 2
    assert "ends in .png" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "one.png"
    assert show(small_data_set, "--key", "bg1/fg_1/1", "--output", target) == 2
    assert "cannot be written" in capsys.readouterr().err
    broken = tmp_path / "set"
    shutil.copytree(small_data_set, broken)
    (broken / "bg1" / "fg_1" / "mask" / "1.jpg").write_bytes(b"nothing")
    assert show(broken, "--key", "bg1/fg_1/1", "--output", tmp_path / "one.png") == 2
    assert "its checksum is not the manifest's" in capsys.readouterr().err


def row_named(data_set: Path, foreground: str) -> dict:
    row = pq.read_table(data_set / "manifest.parquet").slice(0, 1).to_pylist()[0]
    return row | {"fg_file": foreground, "bg_file": foreground}


def drawn(data_set: Path, row: dict) -> np.ndarray:
    job = jobs.read(str(data_set))
    assert job is not None
    found = looks.read(open_reader(str(data_set), job).sample(row))
    return cv2.imdecode(np.frombuffer(sheet(row, found), np.uint8), cv2.IMREAD_COLOR)


LONG = "a_photo_of_the_long_hall_" * 6 + ".png"
ODD = {"long": LONG, "cjk": "\u7f8a" * 60 + ".png", "emoji": "\U0001f600" * 150}


@pytest.mark.parametrize("name", ODD)
def test_long_names_stay_inside_of_the_sheet(name, small_data_set):
    picture = drawn(small_data_set, row_named(small_data_set, ODD[name]))
    assert (picture[-100:, -8:] == 255).all()
    assert (picture[-100:, :-8] < 128).any()


@pytest.mark.parametrize("name", ["\u7f8a.png", "\U0001f996.png", "two\nlines\r\t\x07.png"])
def test_signs_that_the_font_lacks_are_no_warning(name, small_data_set):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(small_data_set, row_named(small_data_set, name))
