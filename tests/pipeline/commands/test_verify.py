"""`fgbg verify` finds every kind of damage, and nothing where there is none."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.workers import processes
from fgbg.transforms import meter
from tests.helpers.damage import commit_file, edit_generation, edit_manifest, edit_row, flip_a_bit

OVERLAY, MASK = "bg1/fg_2/overlay/4.jpg", "bg2/fg_1/mask/2.jpg"


def same_checksum(kind: str, name: str, data: bytes) -> Callable[[Path], None]:
    """Replaces a file and its checksum: what is wrong must be seen in the pixels."""
    import zlib

    key = f"{name.split('/')[0]}/{name.split('/')[1]}/{Path(name).stem}"

    def change(output: Path) -> None:
        (output / name).write_bytes(data)
        edit_row(key, **{f"{kind}_crc32": zlib.crc32(data)})(output)

    return change


def jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def paint_outside(output: Path) -> None:
    """A small square on the side of the picture where the foreground is not."""
    rows = pq.read_table(output / "manifest.parquet").to_pylist()
    # The one whose foreground leaves most room on one side.
    row = max(rows, key=lambda r: max(r["x"], 32 - r["x"] - r["width"]))
    image = cv2.imread(str(output / row["overlay"]))
    at = 0 if row["x"] > 32 - row["x"] - row["width"] else 29
    image[2:5, at : at + 3] = 255 - image[2:5, at : at + 3]
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    same_checksum("overlay", row["overlay"], data)(output)


GREY = jpeg(np.full((32, 32), 128, np.uint8))
SMALL = jpeg(np.zeros((16, 32, 3), np.uint8))

DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing file": (lambda o: (o / OVERLAY).unlink(), f"{OVERLAY}: missing"),
    "a flipped bit": (lambda o: flip_a_bit(o / OVERLAY), f"{OVERLAY}: its checksum is not"),
    "a truncated file": (
        lambda o: (o / OVERLAY).write_bytes((o / OVERLAY).read_bytes()[:99]),
        f"{OVERLAY}: its checksum is not",
    ),
    "an empty file": (
        same_checksum("mask", MASK, b""),
        f"{MASK}: its checksum is not that of its commit record: the file has changed (cannot be "
        "decoded (0 bytes))",
    ),
    "a picture of another size": (
        same_checksum("overlay", OVERLAY, SMALL),
        "has changed (has shape (16, 32, 3), not (32, 32, 3))",
    ),
    "a mask that is not binary": (same_checksum("mask", MASK, GREY), "has changed (not binary"),
    "a mask of another area": (
        same_checksum("mask", MASK, jpeg(np.zeros((32, 32), np.uint8))),
        "has changed (has 0 pixels",
    ),
    "a wrong area": (
        edit_row("bg2/fg_1/2", mask_area=7),
        "the first is bg2/fg_1/2: mask_area is 7, not ",
    ),
    "a wrong box": (
        edit_row("bg2/fg_1/2", x=31),
        "1 of 36 rows is not what the commit records give, in x;",
    ),
    "a change outside the foreground": (paint_outside, "outside the foreground"),
    "the overlay of another background": (
        lambda o: same_checksum("overlay", OVERLAY, (o / "bg3/fg_2/overlay/4.jpg").read_bytes())(o),
        "has changed (differs from its background",
    ),
    "a file without a row": (
        lambda o: shutil.copy(o / OVERLAY, o / "bg1/fg_2/overlay/99.jpg"),
        "bg1/fg_2/overlay/99.jpg: is no file of this data set; it is left alone",
    ),
    "a background without a row": (
        lambda o: shutil.copytree(o / "bg1", o / "bg17"),
        "bg17/fg_1/mask/1.jpg: is no file of this data set; it is left alone",
    ),
    "a row too few": (
        lambda o: edit_manifest(o, lambda rows: rows[:-1]),
        "manifest.parquet: has 33 rows in 3 groups, not those of the commit records",
    ),
    "a row twice": (
        lambda o: edit_manifest(o, lambda rows: [*rows, rows[0]]),
        "manifest.parquet: has 39 rows in 3 groups",
    ),
    "a background in two splits": (
        edit_row("bg2/fg_1/2", split="test"),
        "bg2/fg_1/2: split is 'test', not '",
    ),
    "a wrong count": (
        lambda o: edit_generation(o, lambda g: g["counts"].update(samples=1)),
        "generation.json: counts/samples is 1, not 36",
    ),
    "wrong bytes": (
        lambda o: edit_generation(o, lambda g: g["bytes"].update(mask=1)),
        "generation.json: bytes/mask is 1, not ",
    ),
    "a wrong mean": (
        lambda o: edit_generation(o, lambda g: g["statistics"]["mask"].update(mean=1)),
        "generation.json: statistics/mask/mean is 1, not ",
    ),
    "a lost commit record": (
        lambda o: commit_file(o, "bg1/fg_1/as_given_0").unlink(),
        ": missing: 11 of 12 units are done",
    ),
}


def test_an_undamaged_data_set_is_clean(small_data_set, capsys):
    assert main(["verify", str(small_data_set)]) == 0
    assert "all 36 samples are as the manifest says" in capsys.readouterr().out


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_named(name, small_data_set, tmp_path, capsys, in_process):
    output = tmp_path / "set"
    shutil.copytree(small_data_set, output)
    damage, words = DAMAGE[name]
    damage(output)
    assert main(["verify", str(output)]) == 1
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "words"),
    [("nowhere", "no data set of fgbg"), ("unfinished", "is not finished")],
)
def test_what_is_no_data_set_is_wrong_use(path, words, small_data_set, tmp_path, capsys):
    shutil.copytree(small_data_set, tmp_path / "unfinished")
    (tmp_path / "unfinished" / "manifest.parquet").unlink()
    commit_file(tmp_path / "unfinished", "bg1/fg_1/as_given_0").unlink()
    assert main(["verify", str(tmp_path / path)]) == 2
    assert words in capsys.readouterr().err


def test_an_incomplete_data_set_is_not_clean(small_data_set, tmp_path, capsys):
    from fgbg.transforms.job.commit import write_failure
    from fgbg.transforms.job.work_unit import WorkUnit
    from fgbg.transforms.steps.summarise import summarise

    output = tmp_path / "set"
    shutil.copytree(small_data_set, output)
    unit = WorkUnit(3, 2, True, 0)
    commit_file(output, unit.name).unlink()
    write_failure(str(output), unit, "Compose", "a reason")
    summarise(str(output))
    assert main(["verify", str(output)]) == 1
    text = capsys.readouterr().out
    assert "11 of 12 units are done, 1 failed" in text
    assert "bg3/fg_2/mask/4.jpg: is of a unit that is not done" in text


def test_what_a_process_read_before_it_died_is_not_counted_twice(
    small_data_set, capsys, in_process, monkeypatch
):
    run = processes.run

    def died_at_the_end(task, given, on_tick, on_death):
        before = run(task, given, on_tick, on_death)
        after = run(task, given, on_tick, on_death)
        return after._replace(counters=meter.combine(before.counters, after.counters))

    monkeypatch.setattr(processes, "run", died_at_the_end)
    assert main(["verify", str(small_data_set)]) == 0, capsys.readouterr().out
