"""What an earlier run has made is not lost to a run that finds something damaged."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers import cutout_pictures as draw
from tests.helpers import training_sets
from tests.helpers.damage import flip_a_bit
from tests.helpers.data_sets import make_in_process, tree

RECORDS = ("--format", "tfrecord", "--shards", "3")


@pytest.fixture(scope="module")
def sets(small_inputs: Path, small_data_set: Path, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    return {
        "images": small_data_set,
        "records": make_in_process(small_inputs, folder / "set", *RECORDS),
    }


def damaged(source: Path, target: Path) -> Path:
    """A data set with the last of its files of samples damaged."""
    shutil.copytree(source, target)
    files = sorted(target.rglob("mask/*.jpg")) or sorted(target.rglob("*.tfrecord-*"))
    flip_a_bit(files[-1])
    return target


@pytest.mark.parametrize("form", ["images", "records"])
@pytest.mark.parametrize("what", ["coco", "webdataset"])
def test_a_damaged_sample_costs_no_earlier_export(what, form, sets, tmp_path, capsys):
    target = tmp_path / "export"
    assert main(["export", what, str(sets[form]), "--output", str(target)]) == 0
    before = tree(target)
    bad = damaged(sets[form], tmp_path / "bad")
    capsys.readouterr()
    assert main(["export", what, str(bad), "--output", str(target)]) == 2
    told = capsys.readouterr().err.strip()
    assert "is left as it was; fgbg verify" in told and "\n" not in told
    assert tree(target) == before
    assert main(["export", what, str(sets[form]), "--output", str(target)]) == 0
    assert tree(target) == before


@pytest.mark.parametrize(("form", "other"), [("images", "records"), ("records", "images")])
def test_a_damaged_sample_costs_no_earlier_conversion(
    form, other, sets, tmp_path, capsys, in_process
):
    target = tmp_path / "new"
    shutil.copytree(sets[other], target)
    before = tree(target)
    bad = damaged(sets[form], tmp_path / "bad")
    more = RECORDS if form == "images" else ("--format", "images")
    command = ["convert", str(bad), "--output", str(target), *more, "--overwrite"]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert "Nothing was deleted" in told
    assert tree(target) == before
    assert main([*command[:3], str(tmp_path / "fresh"), *more, "--overwrite"]) == 1


def test_a_damaged_picture_costs_no_training(small_inputs, tmp_path, capsys):
    images = training_sets.make(small_inputs, tmp_path / "made", depth=False)
    model = tmp_path / "model"
    assert main(training_sets.train_arguments(images, model, "--epochs", "1")) == 0
    before = tree(model)
    files = sorted(images.rglob("mask/*.jpg"))
    for damage, words in (
        (lambda: flip_a_bit(files[-1]), "its checksum is not the manifest's"),
        (lambda: files[-1].write_bytes(b""), "its checksum is not the manifest's"),
    ):
        damage()
        capsys.readouterr()
        assert main(training_sets.train_arguments(images, model, "--overwrite")) == 2
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert words in told and str(files[-1]) in told and "Nothing was deleted" in told
        assert tree(model) == before


@pytest.mark.parametrize("how", ["damaged", "gone wrong"])
def test_a_photo_that_fails_costs_no_earlier_cut_out(
    how, tmp_path, capsys, monkeypatch, in_process
):
    photos, output = tmp_path / "photos", tmp_path / "cut"
    photos.mkdir()
    draw.save(draw.composed(draw.animal(), draw.plain()), photos / "cow.jpg")
    draw.save(draw.composed(draw.disc(), draw.textured()), photos / "ball.png")
    (photos / "sources.csv").write_text("file,licence\ncow.jpg,CC0\n")
    command = ["cutout", str(photos), "--output", str(output)]
    assert main(command) == 0
    before = tree(output)
    capsys.readouterr()
    if how == "damaged":
        (photos / "cow.jpg").write_bytes((photos / "cow.jpg").read_bytes()[:300])
    else:
        from fgbg.transforms.cutout import method

        find = method.find

        def fail(pixels, *rest):  # type: ignore[no-untyped-def]
            raise KeyError("nothing of it")

        monkeypatch.setattr(method, "find", fail)
    more = ["--min_confidence", "0.01"]  # another method: all are made again
    assert main([*command, *more]) == 1
    told = capsys.readouterr().out
    assert "their earlier cut-outs are kept" in told and "cow.jpg" in told
    after = tree(output)
    for name in ("cow.png", "sources.csv"):
        assert after[name] == before[name]
    if how == "gone wrong":
        monkeypatch.setattr(method, "find", find)
        assert main([*command, *more]) == 0


def test_a_full_disk_leaves_what_depth_and_predict_wrote_before(tmp_path, monkeypatch):
    from fgbg.files import storage
    from fgbg.pipeline.data_set import given_pictures

    given_pictures.write(str(tmp_path), {"a.npy": b"earlier"})

    def full(path: str, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(storage.LocalStorage, "_write", staticmethod(full))
    with pytest.raises(OSError):
        given_pictures.write(str(tmp_path), {"a.npy": b"new"})
    assert (tmp_path / "a.npy").read_bytes() == b"earlier"
