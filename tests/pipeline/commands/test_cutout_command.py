"""`fgbg cutout` as a person runs it: what it writes, resumes, rejects and says."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.commands import cutout
from fgbg.pipeline.exit_codes import UserError
from fgbg.transforms.cutout import record
from fgbg.transforms.cutout.record import Record
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.dataset.catalogue import FOREGROUND
from fgbg.transforms.pixels import codec
from tests.helpers import cutout_pictures as draw
from tests.helpers.data_sets import ROOT, fgbg


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos, a cut-out with an alpha of its own, and a table of their sources."""
    folder = tmp_path_factory.mktemp("photos")
    draw.save(draw.composed(draw.animal(), draw.plain()), folder / "cow.jpg")
    draw.save(draw.composed(draw.disc(), draw.textured()), folder / "ball 2.png")
    rgba = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    rgba[:5, :, 3] = 0
    Image.fromarray(rgba).save(folder / "own.png")
    (folder / "sources.csv").write_text(
        'file,author,licence\ncow.jpg,"Doe, J.",CC0\nother.jpg,Roe,CC BY\n'
    )
    return folder


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command makes of them; not to be changed."""
    output = tmp_path_factory.mktemp("made") / "cut"
    done = fgbg("cutout", str(photos), "--output", str(output), "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "3 of 3 photos cut out" in done.stdout
    return output


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_tables_and_the_sheet(made: Path) -> None:
    table = {row["file"]: row for row in rows(made / "cutouts.csv")}
    assert set(table) == {"ball 2.png", "cow.png", "own.png"}
    cow = table["cow.png"]
    assert cow["method"] == "grabcut" and cow["touches"] == ""
    assert float(cow["coverage"]) == pytest.approx(draw.animal().mean(), abs=0.01)
    assert 0.5 < float(cow["confidence"]) <= 1 and cow["unsure"] == ""
    assert 0 < float(cow["softness"]) < 0.5
    with Image.open(made / "cow.png") as picture:
        assert picture.mode == "RGBA"
        assert picture.size == (int(cow["width"]), int(cow["height"]))
        alpha = np.zeros(draw.SHAPE, np.uint8)
        x, y = int(cow["x"]), int(cow["y"])
        alpha[y : y + picture.height, x : x + picture.width] = np.asarray(picture)[..., 3]
    assert draw.iou(alpha, draw.animal()) > 0.95
    assert not (made / "rejected.csv").exists()
    assert rows(made / "sources.csv") == [
        {"file": "cow.png", "author": "Doe, J.", "licence": "CC0"}
    ]
    with Image.open(made / "PlotImages" / "sheet.png") as sheet:
        assert sheet.width > 800


def test_own_alpha_is_kept(made: Path, photos: Path) -> None:
    before = np.asarray(Image.open(photos / "own.png"))
    after = np.asarray(Image.open(made / "own.png"))
    assert np.array_equal(after, before[5:])
    assert {r["file"]: r["method"] for r in rows(made / "cutouts.csv")}["own.png"] == "alpha"


def test_the_folder_is_one_of_foregrounds(made: Path) -> None:
    found, ignored = catalogue.find(str(made), "--foregrounds")
    assert [Path(path).name for path in found] == ["ball 2.png", "cow.png", "own.png"]
    assert {Path(path).name for path in ignored} <= {"cutouts.csv", "sources.csv"}
    checked = catalogue.check(found, FOREGROUND, (448, 448), {}, lambda: None)
    assert [entry.problem for entry in checked] == ["", "", ""]


def test_finished_photos_are_skipped(
    photos: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture, in_process: None
) -> None:
    output = tmp_path / "cut"
    cow, own, to = str(photos / "cow.jpg"), str(photos / "own.png"), ["--output", str(output)]
    person = str(draw.save(draw.composed(draw.person(), draw.textured()), tmp_path / "p.jpg"))
    assert main(["cutout", cow, person, *to]) == 0
    first = (output / "cow.png").stat()
    assert (output / "cow.png").read_bytes() == (made / "cow.png").read_bytes()
    assert main(["cutout", cow, person, own, *to]) == 0
    assert "2 of 3 photos are done" in capsys.readouterr().err
    assert (output / "cow.png").stat().st_mtime_ns == first.st_mtime_ns
    assert len(rows(output / "cutouts.csv")) == 3
    (output / "own.png").unlink()
    # Another method's result does not stand: the person is less sure and goes.
    assert main(["cutout", person, own, *to, "--min_confidence", "0.9"]) == 1
    assert not (output / "p.png").exists()
    assert (output / "own.png").exists()
    assert "under --min_confidence 0.9" in rows(output / "rejected.csv")[0]["reason"]


def test_bad_photos_are_rejected_with_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture, in_process: None
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    draw.save(np.full((80, 90, 3), 77, np.uint8), folder / "blank.png")
    draw.save(np.zeros((4, 4, 3), np.uint8), folder / "dot.png")
    good = draw.save(draw.composed(draw.disc(), draw.plain()), folder / "good.jpg")
    (folder / "cut.jpg").write_bytes(good.read_bytes()[:3000])
    (folder / "page.jpg").write_text("<html>not found</html>")
    (folder / "empty.jpg").touch()
    Image.fromarray(np.zeros((20, 20, 4), np.uint8)).save(folder / "clear.png")
    assert main(["cutout", str(folder), "--output", str(output)]) == 1
    told = capsys.readouterr().out
    assert [row["file"] for row in rows(output / "cutouts.csv")] == ["good.png"]
    reasons = {Path(r["photo"]).name: r["reason"] for r in rows(output / "rejected.csv")}
    for name, words in (
        ("blank.png", "blank"),
        ("dot.png", "too small"),
        ("cut.jpg", "truncated"),
        ("page.jpg", "HTML"),
        ("empty.jpg", "zero bytes"),
        ("clear.png", "transparent everywhere"),
    ):
        assert words in reasons.pop(name)
        assert name in told
    assert not reasons


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "magic"], "invalid choice"),
        (["--metod", "grabcut"], "did you mean --method"),
        (["--model", "x"], "wants --method"),
        (["--method", "maskrcnn"], "--model PATH"),
        (["--method", "model", "--model", "absent"], "no such file"),
        (["--class", "cat"], "belongs to --method maskrcnn"),
        (["--edges", "keep"], "belongs to --method model"),
        (["--method", "maskrcnn", "--model", ".", "--class", "catt"], "saved_model"),
        (["--min_confidence", "2"], "from 0 to 1"),
    ],
)
def test_wrong_use(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], words: str
) -> None:
    command = [str(photos), "--output", str(tmp_path / "out"), *arguments]
    try:
        cutout.main(command)
    except UserError as error:
        assert words in str(error)
    except SystemExit as error:
        assert error.code == 2 and words in capsys.readouterr().err
    else:
        pytest.fail("it ran")
    assert not (tmp_path / "out").exists()


def test_folders_that_cannot_be_used(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").touch()
    (tmp_path / "none").mkdir()
    for source, output, words in (
        (photos, photos, "folder of the photos"),
        (photos, tmp_path / "full", "not empty"),
        (tmp_path / "absent", tmp_path / "a", "no such file"),
        (tmp_path / "none", tmp_path / "a", "no pictures"),
        (photos, photos / "cow.jpg", "a file"),
    ):
        with pytest.raises(UserError, match=words):
            cutout.main([str(source), "--output", str(output)])


def test_one_name_for_two_photos(photos: Path, made: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "own.png").write_bytes((photos / "own.png").read_bytes())
    with pytest.raises(UserError, match="another folder"):
        cutout.main([str(one), "--output", str(made)])
    with pytest.raises(UserError, match="would both be"):
        cutout.main([str(one), f"{one}/./own.png", "--output", str(tmp_path / "out")])
    (one / "own.bmp").touch()
    names = [task.name for task in cutout._tasks([str(one)], str(tmp_path / "out"))]
    assert names == ["own_bmp", "own_png"]
    names = [task.name for task in cutout._tasks([str(one), str(two)], str(tmp_path / "out"))]
    assert names == ["one/own_bmp", "one/own_png", "two/own"]
    (tmp_path / "PlotImages").mkdir()
    (tmp_path / "PlotImages" / "mine.png").touch()
    with pytest.raises(UserError, match="a folder plotimages of its own; rename"):
        cutout._tasks([f"{tmp_path}/*/*.png"], str(tmp_path / "out"))


def test_photos_of_one_name_go_into_their_folders_and_from_there_into_a_data_set(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, in_process: None
) -> None:
    folder, output = tmp_path / "in", tmp_path / "cut"
    for number, kind in enumerate(("cats", "dogs")):
        rgba = np.asarray(Image.open(photos / "own.png")).copy()
        rgba[..., 0] = number
        (folder / kind).mkdir(parents=True)
        Image.fromarray(rgba).save(folder / kind / "1.png")
        (folder / kind / "sources.csv").write_text(f"file,author\n1.png,Author of {kind}\n")
    (folder / "blank.png").write_bytes(b"")
    command = ["cutout", f"{folder}/**/*.png", "--output", str(output)]
    # At first there are cats alone, and they are called by their own name.
    assert main(["cutout", str(folder / "cats"), "--output", str(output)]) == 0
    assert main(command) == 1
    told = capsys.readouterr()
    assert "1 of 3 photos are done" in told.err
    assert f"--foregrounds '{output}/**/*.png'" in told.out
    assert [row["file"] for row in rows(output / "cutouts.csv")] == ["1.png", "dogs/1.png"]
    assert rows(output / "dogs" / "sources.csv") == [{"file": "1.png", "author": "Author of dogs"}]
    assert rows(output / "sources.csv") == [{"file": "1.png", "author": "Author of cats"}]
    assert np.asarray(Image.open(output / "dogs" / "1.png"))[0, 0, 0] == 1
    assert main(command) == 1
    assert "3 of 3 photos are done" in capsys.readouterr().err
    found, ignored = catalogue.find(f"{output}/**/*.png", "--foregrounds")
    assert [Path(path).relative_to(output).as_posix() for path in found] == ["1.png", "dogs/1.png"]
    assert [Path(path).name for path in ignored] == ["sheet.png"]
    checked = catalogue.check(found, FOREGROUND, (448, 448), {}, lambda: None, f"{output}/**/*.png")
    assert [(entry.problem, entry.source["author"][-4:]) for entry in checked] == [
        ("", "cats"),
        ("", "dogs"),
    ]


def test_records_of_all_names_are_told_apart(tmp_path: Path) -> None:
    names = ["a/b", "a%2Fb", "a%252Fb", "a/%2F", "my%20photo", "a", "50%"]
    for name in names:
        record.write(str(tmp_path), Record(name, name, "", "", record.MADE))
    assert set(record.read_all(str(tmp_path))) == set(names)
    for name in names:
        assert set(record.read_all(str(tmp_path), {name})) == {name}
    files = {path.name for path in (tmp_path / "_work" / "cutouts").iterdir()}
    assert {"a.json", "my%20photo.json", "50%.json", "a%2Fb.json"} <= files


def test_ctrl_c_ends_and_the_same_command_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture, in_process: None
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    for i in range(7):
        draw.save(draw.composed(draw.disc(100 + 8 * i), draw.textured()), folder / f"{i}.jpg")
    command = ["cutout", str(folder), "--output", str(output), "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "fgbg", *command],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 60
    # A cut-out counts, for the next run too, when its record is there.
    records = output / "_work" / "cutouts"
    while not list(records.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    error = process.communicate(timeout=30)[1]
    assert process.returncode == 130 and "the same command" in error
    there = {path.name: path.stat().st_mtime_ns for path in output.glob("*.png")}
    assert 0 < len(there) < 7
    assert all(codec.decode((output / name).read_bytes(), name) is not None for name in there)
    assert main(command) == 0
    assert "Resuming" in capsys.readouterr().err
    assert len(list(output.glob("*.png"))) == 7
    assert len(list(records.glob("*.json"))) == 7
