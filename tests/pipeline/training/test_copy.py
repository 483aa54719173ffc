"""What `fgbg train` copies from gs:// and puts there; the trainings are in test_train_cloud.py."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fgbg.files import storage
from fgbg.models.training.samples import SPLITS, TEST, TRAIN, VALIDATION, Files, Records
from fgbg.pipeline.__main__ import main
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.training import copy as training_copy
from fgbg.pipeline.training import folder as training_folder
from fgbg.pipeline.training import run as training_run
from fgbg.pipeline.training import set as training_set
from tests.helpers import training_sets
from tests.helpers.faulty_proxy import FaultyProxy
from tests.helpers.gcs import BUCKET, put
from tests.helpers.training_sets import SAMPLES, train_arguments

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def data_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_sets.make(small_inputs, tmp_path_factory.mktemp("images"), depth=False)


@pytest.fixture(scope="module")
def record_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    more = ("--format", "tfrecord", "--shards", "3")
    return training_sets.make(small_inputs, folder, *more, depth=False)


def uploaded(folder: Path, path: str) -> str:
    """Where a data set is on gs://; the emulator keeps it for this module's tests."""
    if not storage.storage_for(path).children(path):
        put(folder, path)
    return path


def test_only_a_training_is_deleted(bucket, tmp_path):
    folder = f"{bucket}/used"
    store = storage.storage_for(folder)
    store.write(f"{folder}/card.json", b"{}")
    with pytest.raises(UserError, match="holds no training of fgbg; --overwrite deletes"):
        training_run.check_ours(folder)
    with pytest.raises(UserError, match="the folder is not empty"):
        training_run.stored_run(folder)
    for name in ("_work/run.json", "_work/commits/1.json", "notes.txt", "logs/train/x", "logs2/x"):
        store.write(f"{folder}/{name}", b"{}")
    training_run.check_ours(folder)
    with pytest.raises(UserError, match="not the settings of a training"):
        training_run.stored_run(folder)
    training_run.delete(folder)
    assert list(store.walk(folder)) == ["_work/commits/1.json", "logs2/x", "notes.txt"]
    with pytest.raises(UserError, match="a file, not a folder"):
        training_run.stored_run(f"{folder}/notes.txt")


def test_the_card_is_put_last_and_old_logs_go(proxy: FaultyProxy, tmp_path):
    working, folder = tmp_path / "working", f"gs://{BUCKET}/last"
    storage.storage_for(folder).write(f"{folder}/logs/train/old", b"")
    for name in ("_work/lock", "_work/checkpoint.npz", "card.json", "model.keras", "logs/train/new",
                 "saved_model/variables/variables.index"):  # fmt: skip
        (working / name).parent.mkdir(parents=True, exist_ok=True)
        (working / name).write_bytes(name.encode())
    proxy.seen.clear()
    training_folder.put_finished(str(working), folder)
    written = [seen.name for seen in proxy.seen if seen.kind == "write"]
    assert written[-1] == "last/card.json" and len(written) == len(set(written)) == 4
    assert proxy.count("delete") == {"last/logs/train/old": 1}
    training_folder.put_epoch(str(working), folder)
    assert proxy.count("write")["last/_work/checkpoint.npz"] == 1


def test_a_bucket_that_is_not_there_is_told_before_anything_is_copied(bucket, data_set, capsys):
    assert main(train_arguments(data_set, "gs://nobodys-bucket/m")) == 2  # type: ignore[arg-type]
    assert "cannot be written: no such object or bucket" in capsys.readouterr().err


@pytest.mark.parametrize("form, files", [("data_set", 72), ("record_set", 3)])
def test_every_file_is_asked_for_once(
    form, files, proxy: FaultyProxy, cache, request, tmp_path, capsys
):  # fmt: skip
    here = request.getfixturevalue(form)
    there = uploaded(here, f"gs://{BUCKET}/{form}")
    local = training_set.read(str(here), False, None)
    away = training_set.read(there, False, None)
    assert away.sha256 == local.sha256 and away.facts == local.facts
    proxy.seen.clear()
    # The test split first, as of a --test_set; then what it lacks.
    training_copy.on_this_machine(away, (TEST,))
    some = proxy.count("read")
    assert len(some) == files // 3
    capsys.readouterr()
    copied = training_copy.on_this_machine(away, SPLITS)
    assert f"copying {files - files // 3} of {files} files" in capsys.readouterr().err
    assert proxy.count("read") and set(proxy.count("read").values()) == {1}
    assert sum(proxy.count("read").values()) == files
    for split in SPLITS:
        one, other = local.data.splits[split], copied.data.splits[split]
        assert type(one) is type(other) and one.keys == other.keys
        kinds = ("shards",) if isinstance(one, Records) else ("overlays", "masks", "depths")
        for kind in kinds:
            for a, b in zip(getattr(one, kind), getattr(other, kind), strict=True):
                assert Path(b).is_relative_to(cache) and a.endswith(b.rpartition("/")[2])
                assert Path(a).read_bytes() == Path(b).read_bytes()
    assert not list(cache.rglob("*.part"))
    proxy.seen.clear()
    assert training_copy.on_this_machine(away, SPLITS).data == copied.data
    assert not proxy.seen and "read from its copy in" in capsys.readouterr().err


def test_a_copy_through_faults_is_right(spoilt, bucket, data_set, cache):
    there = uploaded(data_set, f"{bucket}/data_set")
    faulty = spoilt(5)
    found = training_set.read(there, False, None)
    copied = training_copy.on_this_machine(found, SPLITS)
    assert sum(faulty.faults.values()) >= 3
    files = copied.data.splits[TRAIN]
    assert isinstance(files, Files)
    for path in files.overlays:
        name = Path(path).relative_to(next((cache / "data_sets").glob("*/bg*")).parent)
        assert Path(path).read_bytes() == (data_set / name).read_bytes()


def flipped(path: str) -> None:
    store = storage.storage_for(path)
    data = bytearray(store.read(path))
    data[len(data) // 2] ^= 4
    store.write(path, bytes(data))


def cut(path: str) -> None:
    store = storage.storage_for(path)
    store.write(path, store.read(path)[:-10])


def lost(path: str) -> None:
    storage.storage_for(path).delete(path)


SHARD = "tfrecord/fgbg-train.tfrecord-00000-of-00001"


@pytest.mark.parametrize(
    "form, spoil, name, words",
    [
        ("data_set", flipped, "bg1/fg_2/mask/4.jpg", "its checksum is not the manifest's"),
        ("data_set", lost, "bg1/fg_2/overlay/4.jpg", "1 files of the manifest are missing"),
        ("record_set", flipped, SHARD, "checksum of its"),
        ("record_set", cut, SHARD, "record 11 (at byte "),
        ("record_set", lost, SHARD, "1 files of the manifest are missing"),
    ],
)
def test_spoilt_objects_are_named_and_not_kept(
    form: str,
    spoil: Callable[[str], None],
    name: str,
    words: str,
    bucket,
    request,
    cache,
):
    here = request.getfixturevalue(form)
    there = uploaded(here, f"{bucket}/{form}")

    def copy() -> training_set.TrainingSet:
        found = training_set.read(there, False, None)
        return training_copy.on_this_machine(found, (TRAIN, VALIDATION))

    spoil(f"{there}/{name}")
    try:
        with pytest.raises(UserError) as raised:
            copy()
    finally:
        storage.storage_for(there).write(f"{there}/{name}", (here / name).read_bytes())
    assert words in str(raised.value) and f"{there}/{name}" in str(raised.value)
    assert not list(cache.rglob("/".join(Path(name).parts[-4:])))
    # Once it is mended, the rest is taken from what was copied before.
    assert len(copy().data.splits[TRAIN].keys) == SAMPLES


def test_a_disk_without_room_is_told_before_anything_is_copied(
    bucket, record_set, cache, monkeypatch
):  # fmt: skip
    there = uploaded(record_set, f"{bucket}/record_set")
    found = training_set.read(there, False, None)
    usage = shutil.disk_usage(cache.parent)._replace(free=5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match=r"where 5.0 kB are free; set FGBG_CACHE") as raised:
        training_copy.on_this_machine(found, SPLITS)
    assert "3 files of" in str(raised.value) and there in str(raised.value)
    assert not list(cache.rglob("*tfrecord*"))
