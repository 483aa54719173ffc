"""Odd files among the inputs: each costs itself only, and is told by a name that can be printed."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from fgbg.pipeline.__main__ import main
from fgbg.transforms.dataset import input_names
from fgbg.transforms.job.job import InputPicture
from fgbg.transforms.pixels import pictures
from fgbg.transforms.pixels.pictures import PictureError, read_picture
from tests.helpers.data_sets import arguments, fgbg
from tests.helpers.pictures import photo


def write_png(path: Path | bytes, seed: int = 1) -> None:
    with open(path, "wb") as file:
        Image.fromarray(photo(seed, 40, 30)).save(file, "PNG")


@pytest.fixture
def odd_inputs(small_inputs: Path, tmp_path: Path) -> Path:
    """A copy of small inputs, to put odd files into."""
    shutil.copytree(small_inputs, tmp_path / "in")
    return tmp_path / "in"


# --- one bad file ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Image.DecompressionBombError("inside"), "64 megapixels"),
        (MemoryError(), "does not fit into memory"),
        (RecursionError("deep"), "damaged or truncated: deep"),
        (struct.error("short"), "damaged or truncated: short"),
        (KeyError("tile"), "damaged or truncated: 'tile'"),
        (AssertionError(), "damaged or truncated: AssertionError"),
    ],
)
@pytest.mark.parametrize("where", ["load", "open"])
def test_whatever_a_decoder_raises_is_a_picture_error(error, words, where, tmp_path, monkeypatch):
    write_png(tmp_path / "x.png")

    def fail(*_: object, **__: object) -> None:
        raise error

    if where == "load":
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    else:
        monkeypatch.setattr(pictures.Image, "open", fail)
        words = words.replace("damaged or truncated", "a damaged picture")
    with pytest.raises(PictureError, match=words if str(error) else "."):
        read_picture((tmp_path / "x.png").read_bytes())


def test_a_bad_file_of_every_kind_leaves_the_others(odd_inputs, tmp_path):
    folder = odd_inputs / "bg"
    os.mkfifo(folder / "fifo.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "null.jpg").symlink_to("/dev/zero")
    write_png(os.path.join(os.fsencode(folder), b"\xe9.png"))
    (folder / "esc\x1b[31m\nx.jpg").write_bytes(b"GIF89a")
    good = (folder / "large.tif").open("wb")
    Image.fromarray(photo(2, 200, 200)).save(good, "TIFF", compression="tiff_lzw")
    good.close()
    data = bytearray((folder / "large.tif").read_bytes())
    data[200:4000] = b"\xff" * 3800  # libtiff prints a line of its own for this
    (folder / "large.tif").write_bytes(data)

    refused = fgbg(*arguments(odd_inputs, tmp_path / "out"))
    made = fgbg(*arguments(odd_inputs, tmp_path / "out", "--skip_bad_inputs"))

    assert refused.returncode == 2 and made.returncode == 0, made.stderr
    for told in (refused.stderr, made.stderr):
        lines = [line for line in told.splitlines() if line.startswith("  background")]
        assert len(lines) == 5, told
        for name, words in (
            ("fifo.jpg", "a FIFO, not a file"),
            ("null.jpg", "a device, not a file"),
            (r"\xe9.png", "its name is not UTF-8"),
            (r"esc\x1b[31m\nx.jpg", "picture"),
            ("large.tif", "damaged or truncated"),
        ):
            assert any(f"/{name}: " in line and words in line for line in lines), (name, lines)
        assert "\x1b" not in told and "tempfile.tif" not in told and "UserWarning" not in told
    skipped = json.loads((tmp_path / "out" / "generation.json").read_bytes())["inputs"]["skipped"]
    assert len(skipped) == 5


def test_cutout_goes_on_past_odd_files(tmp_path):
    (tmp_path / "in").mkdir()
    write_png(os.path.join(os.fsencode(tmp_path / "in"), b"\xe9.png"))
    os.mkfifo(tmp_path / "in" / "fifo.jpg")
    Image.new("RGBA", (30, 20), (200, 0, 0, 0)).save(tmp_path / "in" / "none.png")
    own = Image.new("RGBA", (30, 20), (200, 0, 0, 255))
    own.paste((0, 0, 0, 0), (0, 0, 30, 5))
    own.save(tmp_path / "in" / "own.png")

    done = fgbg("cutout", str(tmp_path / "in"), "--output", str(tmp_path / "out"))

    assert done.returncode == 1, done.stderr
    assert (tmp_path / "out" / "own.png").exists()
    told = (tmp_path / "out" / "rejected.csv").read_text(encoding="utf-8")
    assert "its name is not UTF-8" in told and "a FIFO, not a file" in told
    assert "its name is not UTF-8" in done.stdout and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["generate", "cutout"])
def test_a_table_of_licences_that_cannot_be_parsed_is_an_error(
    command, odd_inputs, tmp_path, capsys
):
    (odd_inputs / "bg" / "sources.csv").write_text('file,licence\n1.jpg,"never closed\n')
    line = arguments(odd_inputs, tmp_path / "out")
    if command == "cutout":
        line = ["cutout", str(odd_inputs / "bg"), "--output", str(tmp_path / "out")]

    assert main(line) == 2

    assert "bg/sources.csv: not CSV from line 2 on" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- names -----------------------------------------------------------------------------------


def test_class_folders_with_equal_file_names_are_all_used(small_inputs, tmp_path, in_process):
    for name, seed in (("cats/1.png", 1), ("cats/2.png", 2), ("dogs/1.png", 3)):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / "in" / name, seed)
    more = ["--backgrounds", f"{tmp_path}/in/**/*.png"]
    output = tmp_path / "out"

    assert main([*arguments(small_inputs, output), *more]) == 0

    files = pq.read_table(output / "manifest.parquet", columns=["bg_file"])["bg_file"].to_pylist()
    assert list(dict.fromkeys(files)) == ["cats/1.png", "2.png", "dogs/1.png"]
    write_png(tmp_path / "in" / "dogs" / "2.png", 4)
    assert main([*arguments(small_inputs, output), *more]) == 0  # 2.png keeps its name
    files = pq.read_table(output / "manifest.parquet", columns=["bg_file"])["bg_file"].to_pylist()
    assert list(dict.fromkeys(files)) == ["cats/1.png", "2.png", "dogs/1.png", "dogs/2.png"]
    assert main(["verify", str(output)]) == 0


def named(*pairs: tuple[str, str]) -> dict[str, InputPicture]:
    return {
        name: InputPicture(number, name, sha256, 1, 1)
        for number, (name, sha256) in enumerate(pairs, 1)
    }


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (named(), {"in/2.jpg": "2.jpg", "in/a/2.jpg": "a/2.jpg", "in/b/3.jpg": "3.jpg"}),
        # The one in a folder was there first, and has the plain name.
        (
            named(("2.jpg", "A")),
            {"in/2.jpg": "./2.jpg", "in/a/2.jpg": "2.jpg", "in/b/3.jpg": "3.jpg"},
        ),
    ],
)
def test_names_are_different_and_stay(known, expected):
    hashes = {"in/2.jpg": "R", "in/a/2.jpg": "A", "in/b/3.jpg": "B"}

    called = input_names.names(hashes, "in/**/*.jpg", known)

    assert called == expected
    again = named(*((called[path], sha256) for path, sha256 in hashes.items()))
    assert input_names.names(hashes, "in/**/*.jpg", again) == expected
