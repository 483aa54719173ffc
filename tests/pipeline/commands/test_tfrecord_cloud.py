"""Shards on gs://: the same bytes, by compose requests, with nothing left of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers.data_sets import arguments, fgbg, make_in_process, tree, without_workers
from tests.helpers.gcs import download
from tests.helpers.tfrecord_sets import RECORDS


def test_a_data_set_of_records_on_cloud_storage_is_the_same_to_the_byte(
    bucket,
    small_inputs,
    tmp_path,
    capsys,
):
    from fgbg.files import storage

    local = make_in_process(small_inputs, tmp_path / "local", *RECORDS)
    store = storage.storage_for(bucket)
    output = f"{bucket}/records"
    command = arguments(small_inputs, Path("unused"), *RECORDS)
    command[command.index("--output") + 1] = output
    made = fgbg(*command, env={**os.environ})
    assert made.returncode == 0, made.stderr
    assert tree(download(output, tmp_path / "set")) == tree(local)
    with without_workers():
        assert main(["verify", output]) == 0
    # A shard is lost: its units are made again, and joined to the same bytes.
    shard = sorted(n for n in store.children(f"{output}/tfrecord") if n.startswith("fgbg-"))[2]
    store.delete(f"{output}/tfrecord/{shard}")
    with without_workers():
        assert main(command) == 0
    assert "2 units have lost their records" in capsys.readouterr().err
    assert tree(download(output, tmp_path / "again")) == tree(local)


@pytest.mark.parametrize("count", [1, 31, 32, 33, 100, 1025])
def test_any_number_of_objects_is_composed(count, bucket, tmp_path):
    from fgbg.files import storage

    store = storage.storage_for(bucket)
    folder = f"{bucket}/composed-{count}"
    parts = [b"%d," % i for i in range(count)]
    store.write_many((f"{folder}/blocks/{i}", part) for i, part in enumerate(parts))
    whole = b"".join(parts)
    sources = [f"{folder}/blocks/{i}" for i in range(count)]
    store.concatenate(sources, f"{folder}/whole", f"{folder}/workspace", len(whole))
    assert store.read(f"{folder}/whole") == whole
    assert store.size(f"{folder}/whole") == len(whole)
    assert store.size(f"{folder}/nothing") is None
    assert not store.children(f"{folder}/workspace")
    with pytest.raises(ValueError, match="bytes to be joined, not 1"):
        store.concatenate(sources, f"{folder}/wrong", f"{folder}/workspace", 1)
    assert not store.exists(f"{folder}/wrong")
    with pytest.raises(FileNotFoundError):
        store.concatenate([*sources, f"{folder}/none"], f"{folder}/new", f"{folder}/workspace", 9)
    assert not store.exists(f"{folder}/new") and not store.children(f"{folder}/workspace")


def test_parts_of_an_object(bucket):
    from fgbg.files import storage

    store = storage.storage_for(bucket)
    path = f"{bucket}/parts/file"
    store.write(path, bytes(range(100)))
    assert store.read_range(path, 10, 5) == bytes(range(10, 15))
    assert store.read_range(path, 95, 50) == bytes(range(95, 100))
    with store.open(path) as file:
        assert file.read(3) + file.read(4) == bytes(range(7))
        assert len(file.read(1000)) == 93
    for read in (store.open, lambda p: store.read_range(p, 0, 1)):
        with pytest.raises(FileNotFoundError):
            read(f"{bucket}/parts/none")
    store.delete_files([path, f"{bucket}/parts/none"])
    assert not store.exists(path)
