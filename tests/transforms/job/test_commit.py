"""Commit records: their bytes, their statistics, and where they stand."""

from __future__ import annotations

import dataclasses
import json
import zlib
from pathlib import Path

import pytest

from fgbg.files.sealed import DamagedError, seal, unseal
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.commit import Commit, Moments
from fgbg.transforms.job.job import InputPicture, Job
from fgbg.transforms.job.work_unit import WorkUnit
from tests.helpers.pixel_oracles import configuration

UNIT, OTHER = WorkUnit(3, 4, True, 0), WorkUnit(12, 1, False, 2)
RECORD = Commit(UNIT, {"number": [1, 2], "x": [5, 6]}, {"mask": Moments(2, 3, 5)}, {"mask": 9})
PICTURE = InputPicture(1, "a.png", "ab" * 32, 8, 8)
JOB = Job(configuration(placements=[2, 1, 1]), [PICTURE] * 12, [PICTURE] * 4)


def test_a_commit_record_is_read_back():
    assert Commit.from_bytes(RECORD.to_bytes(), "path", UNIT) == RECORD


def test_the_record_of_another_unit_is_damage():
    with pytest.raises(DamagedError, match="path: is the record of bg3/fg_4/mirrored_0"):
        Commit.from_bytes(RECORD.to_bytes(), "path", OTHER)


@pytest.mark.parametrize(
    "content",
    [
        {"unit": UNIT.name},
        {"unit": UNIT.name, "columns": {}, "moments": {}},
        {"unit": "x", "columns": {}, "moments": {}, "bytes": {}},
        {"unit": UNIT.name, "columns": {}, "moments": [], "bytes": {}},
        {"unit": UNIT.name, "columns": {}, "moments": {"mask": [1, 2, 3, 4]}, "bytes": {}},
        {"unit": 7, "columns": {}, "moments": {}, "bytes": {}},
        {"unit": UNIT.name, "columns": {}, "moments": {}, "bytes": True},
        {"unit": UNIT.name, "columns": {}, "moments": {}, "bytes": {"mask": "9"}},
        {"unit": UNIT.name, "columns": {"x": 7}, "moments": {}, "bytes": {}},
        {"unit": UNIT.name, "columns": {"x": [1.5]}, "moments": {}, "bytes": {}},
        {"unit": UNIT.name, "columns": {"x": [True]}, "moments": {}, "bytes": {}},
        {"unit": UNIT.name, "columns": {}, "moments": {"mask": [1, 2, "3"]}, "bytes": {}},
    ],
)
def test_what_is_no_commit_record_is_damage(content):
    with pytest.raises(DamagedError, match="path: is no commit record: "):
        Commit.from_bytes(seal(content), "path", UNIT)


def test_moments_are_exact():
    values = [0, 255, 17, 17, 200]
    moments = Moments()
    for value in values:
        moments.add(Moments(1, value, value * value))
    mean = sum(values) / 5
    assert moments.mean() == mean
    assert moments.std() == pytest.approx((sum((v - mean) ** 2 for v in values) / 5) ** 0.5)
    assert Moments().mean() == Moments().std() == 0


def test_equal_records_are_equal_bytes():
    body = (
        b'{"bytes":{"mask":9},"columns":{"number":[1,2],"x":[5,6]},'
        b'"moments":{"mask":[2,3,5]},"unit":"bg3/fg_4/mirrored_0"'
    )
    assert RECORD.to_bytes() == body + b',"crc32":"%08x"}\n' % zlib.crc32(body)
    turned = Commit(UNIT, {"x": [5, 6], "number": [1, 2]}, RECORD.moments, RECORD.sizes)
    assert turned.to_bytes() == RECORD.to_bytes()


def test_a_record_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECORD.sizes = {}  # type: ignore[misc]


def test_moments_of_equal_values_have_no_deviation():
    # In float64 these sums of squares would differ by more than the deviation.
    value, count = 2**31 - 1, 2**30
    moments = Moments(count, count * value, count * value * value)
    assert moments.std() == 0
    assert moments.mean() == value


def test_a_unit_is_committed_once_its_record_is_written(tmp_path):
    output = str(tmp_path)
    assert commit.committed(output, JOB) == set()
    assert commit.write(output, JOB, RECORD) == len(RECORD.to_bytes())
    name = f"_work/commits/bg3/fg_4/mirrored_0.{jobs.unit_identity(JOB, UNIT)}.json"
    assert commit.record_path(output, JOB, UNIT) == f"{output}/{name}"
    assert (tmp_path / name).read_bytes() == RECORD.to_bytes()
    commit.write(output, JOB, Commit(OTHER, {}, {}, {}))
    assert commit.committed(output, JOB) == {UNIT, OTHER}
    assert commit.read(output, JOB, UNIT) == RECORD
    assert commit.failed(output) == set()
    commit.withdraw(output, JOB, [UNIT])
    assert commit.committed(output, JOB) == {OTHER}
    with pytest.raises(FileNotFoundError):
        commit.read(output, JOB, UNIT)


def test_only_records_of_the_very_job_count(tmp_path):
    output = str(tmp_path)
    commit.write(output, JOB, RECORD)
    mine = Path(commit.record_path(output, JOB, UNIT))
    identity = mine.name.split(".")[1]
    another = dataclasses.replace(JOB, configuration=configuration(placements=[2, 1, 1], seed=1))
    fewer = dataclasses.replace(JOB, backgrounds=[PICTURE] * 2)
    assert commit.committed(output, another) == commit.committed(output, fewer) == set()
    others = [
        f"as_given_0.{identity}.json",  # another unit's identity
        "mirrored_0.000000000000.json",
        "mirrored_0.ffffffffffff.json",
        "mirrored_0.json",
        f"mirrored_0.{identity}.json.bak",
        f"copy of mirrored_0.{identity}.json",
        f"mirrored_0x{identity}.json",
    ]
    for name in [*others, f"mirrored_0.{identity}.json.part"]:  # the latter of a write cut off
        mine.with_name(name).write_bytes(b"")
    done, found = commit.listed(output, JOB)
    assert done == commit.committed(output, JOB) == {UNIT}
    assert sorted(found) == sorted(f"_work/commits/bg3/fg_4/{name}" for name in others)


def test_damaged_records_are_told_by_their_units(tmp_path):
    output = str(tmp_path)
    for unit in (UNIT, OTHER):
        commit.write(output, JOB, Commit(unit, {}, {}, {}))
    assert commit.damaged(output, JOB, {UNIT, OTHER}) == {}
    Path(commit.record_path(output, JOB, OTHER)).write_bytes(b"")
    found = commit.damaged(output, JOB, {UNIT, OTHER})
    assert {unit: error.problem for unit, error in found.items()} == {OTHER: "is empty"}
    Path(commit.record_path(output, JOB, UNIT)).write_bytes(b"\0" * 50)
    assert list(commit.damaged(output, JOB, {OTHER, UNIT})) == [UNIT, OTHER]


def test_a_failure_is_kept_until_it_is_cleared(tmp_path):
    output = str(tmp_path)
    commit.write_failure(output, UNIT, "Compose", "a reason")
    commit.write(output, JOB, Commit(OTHER, {}, {}, {}))
    content = {"unit": "bg3/fg_4/mirrored_0", "step": "Compose", "reason": "a reason"}
    path = tmp_path / "_work/failed/bg3/fg_4/mirrored_0.json"
    assert unseal(path.read_bytes(), "") == content
    assert set(json.loads(path.read_bytes())) == {*content, "crc32"}
    (path.parent / "mirrored_0.json.bak").write_bytes(b"")
    (path.parent / "x.json").write_bytes(b"")
    assert commit.failed(output) == {UNIT}
    assert commit.read_failure(output, UNIT) == content
    path.write_bytes(b"")
    damage = {"unit": UNIT.name, "step": "unknown", "reason": f"{path}: is empty"}
    assert commit.read_failure(output, UNIT) == damage
    commit.clear_failures(output)
    assert commit.failed(output) == set()
    assert commit.committed(output, JOB) == {OTHER}
