"""gs:// when one request in twenty fails: nothing is lost, nothing is doubled."""

from __future__ import annotations

import numpy as np
import pytest

from fgbg.files import cloud_storage, storage
from fgbg.files.cloud_storage import TIMEOUT_VARIABLE, CloudStorage, timeout_s
from tests.helpers.data_sets import make_in_process, tree
from tests.helpers.faulty_proxy import FAULTS
from tests.helpers.gcs import BUCKET, download
from tests.helpers.tfrecord_sets import RECORDS


@pytest.mark.parametrize("form", ["images", "records"])
def test_a_data_set_is_the_same_to_the_byte(
    form, spoilt, emulator, small_inputs, small_data_set, tmp_path, monkeypatch
):  # fmt: skip
    more = RECORDS if form == "records" else ()
    wanted = make_in_process(small_inputs, tmp_path / "here", *more) if more else small_data_set
    proxy = spoilt(1)
    output = f"gs://{BUCKET}/spoilt_{form}"
    make_in_process(small_inputs, output, *more)
    assert sum(proxy.faults.values()) >= len(proxy.seen) // 20 > 3
    # Looked at without the proxy: what is there is what was written.
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    storage.forget_client()
    assert tree(download(output, tmp_path / "there")) == tree(wanted)


def test_every_kind_of_request_outlives_every_fault(spoilt, tmp_path):
    proxy = spoilt(2)
    folder = f"gs://{BUCKET}/kinds"
    store = storage.storage_for(folder)
    rng = np.random.default_rng(3)
    files = {f"{folder}/{i:03}": rng.bytes(2000) for i in range(70)}
    store.write_many(files.items())
    assert store.sizes(folder) == {path[-3:]: 2000 for path in files}
    assert {path: store.read(path) for path in files} == files
    store.concatenate(list(files), f"{folder}/whole", f"{folder}/parts", 140_000)
    store.download(f"{folder}/whole", str(tmp_path / "whole"))
    assert (tmp_path / "whole").read_bytes() == b"".join(files.values())
    store.delete_files(files)
    assert store.children(folder) == ["whole"]
    assert set(proxy.faults) == set(FAULTS)


def test_a_large_object_is_written_through_faults(spoilt):
    """Above 8 MiB the client library opens an upload session instead of one request."""
    spoilt(4)
    path = f"gs://{BUCKET}/large"
    store = storage.storage_for(path)
    for seed in range(8):
        data = np.random.default_rng(seed).bytes((8 << 20) + 1)
        store.write(path, data)
        assert store.read(path) == data


def test_a_failure_that_lasts_is_told_as_an_error_of_the_path(emulator, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")  # nobody listens there
    store = CloudStorage(silent_s=0.2, retried_for_s=0.2)
    with pytest.raises(OSError, match="Cloud Storage") as raised:
        store.read(f"gs://{BUCKET}/anything")
    assert raised.value.filename == f"gs://{BUCKET}/anything"


def test_a_bucket_that_is_not_there_is_told_as_a_missing_file(emulator, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    store = CloudStorage()
    assert list(store.walk("gs://nobodys-bucket/folder")) == []
    assert not store.exists("gs://nobodys-bucket")
    with pytest.raises(FileNotFoundError, match="no such object or bucket"):
        store.write("gs://nobodys-bucket/file", b"")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "soon"])
def test_a_time_out_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv(TIMEOUT_VARIABLE, text)
    with pytest.raises(ValueError, match=TIMEOUT_VARIABLE):
        timeout_s()


@pytest.mark.parametrize("damaged", [2, 9])
def test_bytes_that_arrive_damaged_are_asked_for_again(damaged, emulator, monkeypatch):
    from google.cloud.storage import Blob
    from google.cloud.storage.exceptions import DataCorruption

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    monkeypatch.setattr(cloud_storage, "_FIRST_PAUSE_S", 0.01)
    store = CloudStorage()
    path = f"gs://{BUCKET}/damaged"
    store.write(path, b"whole")
    download, left = Blob.download_as_bytes, [damaged]

    def spoil(blob, **how):
        if left[0]:
            left[0] -= 1
            raise DataCorruption(None, "checksum mismatch")
        return download(blob, **how)

    monkeypatch.setattr(Blob, "download_as_bytes", spoil)
    if damaged == 2:
        assert store.read(path) == b"whole"
        return
    with pytest.raises(OSError, match="arrived damaged 5 times") as raised:
        store.read(path)
    assert raised.value.filename == path
