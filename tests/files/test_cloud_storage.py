"""gs:// by the real client library, against an emulator in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers.damage import commit_file
from tests.helpers.data_sets import arguments, fgbg, tree, without_workers
from tests.helpers.gcs import download


def test_a_data_set_on_cloud_storage_is_the_same_to_the_byte(
    bucket, small_inputs, small_data_set, tmp_path
):
    from fgbg.files import storage

    store = storage.storage_for(bucket)
    for path in sorted(small_inputs.rglob("*.png")):
        store.write(f"{bucket}/in/{path.relative_to(small_inputs).as_posix()}", path.read_bytes())
    command = arguments(small_inputs, Path("unused"))
    for option, value in (
        ("--backgrounds", f"{bucket}/in/bg"),
        ("--foregrounds", f"{bucket}/in/fg/*.png"),
        ("--output", f"{bucket}/set"),
    ):
        command[command.index(option) + 1] = value
    made = fgbg(*command, env={**os.environ})
    assert made.returncode == 0, made.stderr
    assert tree(download(f"{bucket}/set", tmp_path / "set")) == tree(small_data_set)
    # Two units are lost, one of them with its files: only they are made again.
    for unit in ("bg1/fg_1/as_given_0", "bg2/fg_2/mirrored_0"):
        record = commit_file(small_data_set, unit).relative_to(small_data_set)
        store.delete(f"{bucket}/set/{record.as_posix()}")
    store.delete(f"{bucket}/set/bg2/fg_2/mask/4.jpg")
    resumed = fgbg(*command, env={**os.environ})
    assert "Resuming: 30 of 36 samples" in resumed.stderr
    assert tree(download(f"{bucket}/set", tmp_path / "again")) == tree(small_data_set)
    with without_workers():
        assert main(["verify", f"{bucket}/set"]) == 0


def test_names_and_patterns(bucket):
    from fgbg.files import storage

    store = storage.storage_for(bucket)
    for name in ("a/1.png", "a/b/2.png", "a/b/3.txt", "ab/4.png"):
        store.write(f"{bucket}/names/{name}", name.encode())
    top = f"{bucket}/names"
    assert list(store.walk(f"{top}/a")) == ["1.png", "b/2.png", "b/3.txt"]
    assert store.children(top) == ["a", "ab"]
    assert store.glob(f"{top}/a/*.png") == [f"{top}/a/1.png"]
    assert store.glob(f"{top}/**/*.png") == [
        f"{top}/{n}" for n in ("a/1.png", "a/b/2.png", "ab/4.png")
    ]
    assert store.exists(f"{top}/a") and store.exists(f"{top}/a/1.png")
    assert not store.exists(f"{top}/c")
    with pytest.raises(FileNotFoundError):
        store.read(f"{top}/c")
    store.delete(f"{top}/a")
    assert list(store.walk(top)) == ["ab/4.png"]
