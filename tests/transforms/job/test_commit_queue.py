"""Commit records wait for their units' files, and nothing is settled that is not on the disk."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from fgbg.files import durable
from fgbg.transforms.job import commit
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.commit_queue import CommitQueue
from fgbg.transforms.job.job import COMMITS, Job
from fgbg.transforms.job.work_unit import WorkUnit
from tests.helpers.data_sets import job_of

UNITS = [WorkUnit(1, 1, False, 0), WorkUnit(1, 1, True, 0), WorkUnit(2, 1, False, 0)]


@pytest.fixture
def job(small_data_set: Path) -> Job:
    return job_of(small_data_set)


def record(unit: WorkUnit) -> Commit:
    return Commit(unit, {"number": [1]}, {}, {"overlay": 5})


def written(output: Path) -> int:
    return sum(1 for _ in (output / COMMITS).rglob("*.json"))


def test_no_record_is_written_before_the_disk_has_the_files(job, tmp_path, monkeypatch):
    began, may_end = threading.Event(), threading.Event()
    folders = []

    def sync(folder: str) -> None:
        folders.append(folder)
        began.set()
        assert may_end.wait(20)

    monkeypatch.setattr(durable, "sync", sync)
    queue = CommitQueue(str(tmp_path), job)
    assert list(queue.put(record(UNITS[0]))) == []
    assert began.wait(20) and written(tmp_path) == 0
    # Put while the disk is being waited for: their files may be younger than that.
    assert list(queue.put(record(UNITS[1]))) == list(queue.put(record(UNITS[2]))) == []
    may_end.set()
    settled = list(queue.drain())
    assert [(s.commit.unit, s.error) for s in settled] == [(unit, None) for unit in UNITS]
    assert folders == [str(tmp_path)] * 2
    assert commit.committed(str(tmp_path), job) == set(UNITS)
    assert list(queue.drain()) == []


def test_units_whose_files_the_disk_refused_are_not_done(job, tmp_path, monkeypatch):
    def full(folder: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", folder)

    monkeypatch.setattr(durable, "sync", full)
    queue = CommitQueue(str(tmp_path), job)
    settled = [*queue.put(record(UNITS[0])), *queue.put(record(UNITS[1])), *queue.drain()]
    assert [s.commit.unit for s in settled] == UNITS[:2]
    assert all("No space left" in str(s.error) for s in settled)
    assert written(tmp_path) == 0


@pytest.mark.parametrize("how", ["without fsync", "on gs://"])
def test_where_there_is_nothing_to_wait_for_records_are_written_at_once(
    how, job, tmp_path, monkeypatch
):
    def never(folder: str) -> None:
        raise AssertionError("it waited")

    monkeypatch.setattr(durable, "sync", never)
    done = []
    monkeypatch.setattr(commit, "write", lambda output, job, record: done.append(record.unit))
    queue = CommitQueue("gs://b/o" if how == "on gs://" else str(tmp_path), job, how == "on gs://")
    (settled,) = queue.put(record(UNITS[0]))
    assert settled.error is None and done == UNITS[:1]


def test_sync_takes_a_folder_and_tells_one_that_is_not_there(tmp_path):
    (tmp_path / "file").write_bytes(b"1")
    durable.sync(str(tmp_path))
    durable.sync("gs://nowhere/at/all")
    with pytest.raises(FileNotFoundError):
        durable.sync(str(tmp_path / "absent"))
