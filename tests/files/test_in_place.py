"""Files and folders that are whole or not there."""

from __future__ import annotations

import os

import pytest

from fgbg.files.in_place import in_place
from fgbg.files.whole_file import whole_file


def test_a_file_gets_its_name_at_the_end(tmp_path):
    path = tmp_path / "new" / "file"
    with in_place(str(path)) as unfinished:
        assert unfinished == f"{path}.part"
        with open(unfinished, "w") as file:
            file.write("whole")
        assert not path.exists()
    assert path.read_text() == "whole" and os.listdir(path.parent) == ["file"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(RuntimeError), whole_file(str(path)) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["file"]
    with pytest.raises(RuntimeError), in_place(str(path)):
        raise RuntimeError  # before anything was written
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_takes_the_place_of_an_older_one_and_of_leftovers(tmp_path):
    path = tmp_path / "folder"
    for folder in (path, tmp_path / "folder.part"):
        folder.mkdir()
        (folder / "old").touch()
    with in_place(str(path)) as unfinished:
        os.mkdir(unfinished)
        (tmp_path / "folder.part" / "new").touch()
    assert os.listdir(path) == ["new"] and os.listdir(tmp_path) == ["folder"]
    with pytest.raises(RuntimeError), in_place(str(path)) as unfinished:
        os.mkdir(unfinished)
        raise RuntimeError
    assert os.listdir(path) == ["new"] and os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("durable", [False, True])
def test_a_durable_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch, durable):
    path, synced = tmp_path / "file", []

    def fsync(file: int) -> None:
        synced.append((os.fstat(file).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with whole_file(str(path), durable=durable) as file:
        file.write(b"four")
    assert synced == ([(4, False)] if durable else [])
    assert path.read_bytes() == b"four"
