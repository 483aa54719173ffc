"""Pictures of strangers as the commands meet them: colours, alpha, and names that say nothing."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.data_set import given_pictures, pairs
from fgbg.pipeline.data_set import request as requests
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.options import parser as options
from fgbg.transforms.collect.candidate import Checks
from fgbg.transforms.collect.check import check
from fgbg.transforms.cutout import steps
from fgbg.transforms.cutout.method import Method
from fgbg.transforms.cutout.record import Task
from fgbg.transforms.pixels import codec
from tests.helpers import cutout_pictures as draw
from tests.helpers.colour_profiles import SPACES, by_numpy, matrix_profile
from tests.helpers.data_sets import arguments, make_in_process
from tests.helpers.pictures import disc, off, photo

SWAPPED = matrix_profile(*SPACES["swapped primaries"])


def save(path: Path, array: np.ndarray, kind: str = "PNG", **settings: object) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(array).save(path, kind, **settings)
    return path


def inputs(folder: Path) -> Path:
    save(folder / "bg" / "room.png", photo(1))
    save(folder / "fg" / "thing.png", disc(1))
    return folder


def asked_for(folder: Path, *more: str) -> requests.Request:
    given = arguments(folder, folder / "out", *more)[1:]
    return requests.read(options.parse(options.generate_parser(), given)[0])


def test_generate_converts_colours_of_backgrounds_and_foregrounds(tmp_path):
    folder = inputs(tmp_path)
    background, foreground = photo(1, 64, 64), disc(1)
    save(folder / "bg" / "room.png", background, icc_profile=SWAPPED)
    save(folder / "fg" / "thing.png", foreground, icc_profile=SWAPPED)
    made = make_in_process(folder, tmp_path / "made")
    stored = Image.open(made / "backgrounds" / "bg1.jpg").convert("RGB")
    expected = by_numpy(background, *SPACES["swapped primaries"])
    assert off(np.array(stored), expected) <= 6  # a JPEG of quality 100
    cut = np.array(Image.open(made / "foregrounds" / "fg_1.png"))
    middle = foreground[50:70, 40:50, :3]
    place = cut[cut.shape[0] // 2 - 10 : cut.shape[0] // 2 + 10, cut.shape[1] // 2 - 5 :][:, :10]
    assert off(place[..., :3], by_numpy(middle, *SPACES["swapped primaries"])) <= 2


def test_cutout_collect_and_depth_convert_colours_alike(tmp_path):
    picture = photo(3, 64, 64)
    expected = by_numpy(picture, *SPACES["swapped primaries"])
    path = save(tmp_path / "p3.png", picture, icc_profile=SWAPPED)
    assert off(steps.read(Task(0, str(path), "p3")).pixels[..., ::-1], expected) <= 2
    assert off(given_pictures.read(str(path))[..., ::-1], expected) <= 2
    kept = check(path.read_bytes(), Checks(min_side=32))
    assert off(codec.decode(kept.encoded, "kept")[..., ::-1], expected) <= 24  # a JPEG
    assert np.abs(codec.decode(kept.encoded, "kept")[..., ::-1] - expected).mean() < 4


def test_generate_says_what_it_made_of_a_picture(tmp_path, capsys):
    folder = inputs(tmp_path)
    hazy = np.zeros((400, 300, 4), np.uint8)
    hazy[100:220, 100:190] = disc(1)
    hazy[..., 3] = np.maximum(hazy[..., 3], 3)
    save(folder / "fg" / "hazy.png", hazy)
    save(folder / "bg" / "odd.png", photo(2), icc_profile=b"rubbish" * 9)
    asked_for(folder)
    said = capsys.readouterr().err.splitlines()
    assert sum("fg/hazy.png: a haze of alpha" in line for line in said) == 1
    assert sum("bg/odd.png: its colour profile is broken" in line for line in said) == 1
    assert len(said) == 2 or not [line for line in said if "thing.png" in line]


def test_cutout_and_depth_say_the_same_of_a_profile(tmp_path, capsys, in_process):
    path = save(tmp_path / "odd.png", disc(1), icc_profile=b"rubbish" * 9)
    words = f"Warning: {path}: its colour profile is broken"
    given_pictures.read(str(path), tell=True)
    assert words in capsys.readouterr().err
    assert main(["cutout", str(path), "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.count(words) == 1


def test_generate_refuses_alpha_of_0_or_1_before_anything_is_written(tmp_path):
    folder = inputs(tmp_path)
    thing = disc(2)
    thing[..., 3] //= 255
    save(folder / "fg" / "flat.png", thing)
    with pytest.raises(UserError, match=r"flat\.png: its alpha is 0 or 1 .* multiply") as caught:
        asked_for(folder)
    assert "1 of 3 inputs" in str(caught.value) and not (tmp_path / "out").exists()
    request = asked_for(folder, "--skip_bad_inputs")
    assert [f.file for f in request.job.foregrounds] == ["thing.png"]


@pytest.mark.parametrize("command", ["generate", "cutout", "depth"])
def test_pictures_by_content_are_named_when_left_out_and_read_by_a_pattern(
    command, tmp_path, capsys
):
    folder = inputs(tmp_path)
    save(folder / "bg" / "photo.dat", photo(4), "JPEG")
    (folder / "bg" / "notes.txt").write_text("notes")
    every = f"{folder}/bg/*"

    def given(source: str) -> list[str]:
        if command == "generate":
            request = asked_for(folder, "--backgrounds", source, "--skip_bad_inputs")
            return [entry.file for entry in request.job.backgrounds]
        if command == "cutout":
            from fgbg.pipeline.commands import cutout

            tasks = cutout._tasks([source], str(tmp_path / "cut"))
            return [Path(task.path).name for task in tasks]
        return [Path(path).name for path in given_pictures.find([source])]

    assert given(f"{folder}/bg") == ["room.png"]
    said = capsys.readouterr().err
    assert "Not pictures by their names, left out of" in said and ": notes.txt" in said
    assert "pictures by what they hold but not by their names" in said and "photo.dat" in said
    assert {"photo.dat", "room.png"} <= set(given(every))


def test_a_folder_of_pictures_without_names_of_pictures_says_so(tmp_path):
    save(tmp_path / "all" / "one.dat", photo(4), "JPEG")
    with pytest.raises(UserError, match=r"what they hold: one\.dat; rename them, or give the pa"):
        given_pictures.find([str(tmp_path / "all")])


def test_a_folder_of_avif_or_heic_is_one_of_pictures(tmp_path, monkeypatch):
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    save(tmp_path / "all" / "a.avif", photo(4), "AVIF")
    (tmp_path / "all" / "b.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    paths = list(given_pictures.find([str(tmp_path / "all")]))
    assert [Path(path).name for path in paths] == ["a.avif", "b.HEIC"]
    assert given_pictures.read(paths[0]).shape == (80, 96, 3)
    with pytest.raises(UserError, match=r"b\.HEIC: .*(HEIC|damaged)"):
        given_pictures.read(paths[1])


def test_pairs_with_another_ending_are_named(tmp_path, capsys):
    save(tmp_path / "a_rgb.png", photo(1))
    save(tmp_path / "b_rgb.dat", photo(1), "JPEG")
    for name in "ab":
        save(tmp_path / f"{name}_depth.png", np.full((80, 96), 900, np.uint16))
    assert [pair.name for pair in pairs.find_pairs(str(tmp_path))] == ["a"]
    assert "b_rgb.dat" in capsys.readouterr().err


def test_cutout_takes_a_photo_with_meaningless_alpha_for_a_photo(tmp_path):
    rgb = draw.composed(draw.animal(), draw.plain())[..., ::-1]
    for value in (255, 254, 1):
        alpha = np.full(rgb.shape[:2], value, np.uint8)
        path = save(tmp_path / f"{value}.png", np.dstack((rgb, alpha)))
        read = steps.read(Task(0, str(path), str(value)))
        assert not read.has_alpha and read.pixels.shape == rgb.shape


def test_cutout_keeps_what_is_visible_and_says_so(tmp_path):
    hazy = np.zeros((400, 300, 4), np.uint8)
    hazy[100:220, 100:190] = disc(1)
    hazy[..., 3] = np.maximum(hazy[..., 3], 3)
    path = save(tmp_path / "hazy.png", hazy)
    photo_read = steps.read(Task(0, str(path), "hazy"))
    list(steps.write((photo_read, None), str(tmp_path / "out"), Method("grabcut"), "f"))
    with Image.open(tmp_path / "out" / "hazy.png") as cut:
        assert cut.width < 100 and cut.height < 130
    from fgbg.transforms.cutout import record

    row = record.read_all(str(tmp_path / "out"))["hazy"].row
    assert len(row["notes"]) == 1 and "haze" in row["notes"][0]
    record.write_tables(
        str(tmp_path / "out"), list(record.read_all(str(tmp_path / "out")).values())
    )
    text = (tmp_path / "out" / "cutouts.csv").read_text()
    assert "notes" not in next(csv.reader(io.StringIO(text)))
