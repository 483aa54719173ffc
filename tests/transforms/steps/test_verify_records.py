"""Verify, records: each against its row, and the shards as a whole."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fgbg.files.sealed import seal, unseal
from fgbg.transforms import meter
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records import example as tf_example
from fgbg.transforms.records import shards
from fgbg.transforms.records.file import OVERHEAD, frame, read_frames
from fgbg.transforms.records.plan import Plan
from fgbg.transforms.steps.verify_records import _differences, check_shards, check_unit
from tests.helpers.drawn_jobs import Finished, drawn_inputs, finish, make_units

SHARD = "tfrecord/fgbg-train.tfrecord-00000-of-00001"
OTHER = "tfrecord/fgbg-test.tfrecord-00000-of-00001"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Four records in each of two shards; not to be changed."""
    output = tmp_path_factory.mktemp("verify") / "set"
    inputs = drawn_inputs(tmp_path_factory.mktemp("drawn"))
    make_units(inputs, output, "--placements", "2", "--format", "tfrecord", "--shards", "2")
    return finish(output)


@pytest.fixture
def data_set(whole, tmp_path, monkeypatch) -> Finished:
    """The same, to be damaged; nothing is counted."""
    monkeypatch.setattr(meter, "count", lambda *_: None)
    shutil.copytree(whole.output, tmp_path / "set")
    return Finished(tmp_path / "set", whole.job, whole.rows)


def rows_told(of: Finished, rows: list[dict] | None = None) -> list[tuple[str, str]]:
    reader = RecordReader(str(of.output), of.job)
    version = jobs.version(of.job)
    by_unit: dict[WorkUnit, list[dict]] = {}
    for row in of.rows if rows is None else rows:
        by_unit.setdefault(WorkUnit(row["bg"], row["fg"], row["mirrored"], 0), []).append(row)
    return [
        (problem.file, problem.problem)
        for unit, own in by_unit.items()
        for problem in check_unit(version, reader, unit, own, {}, True)
    ]


def shards_told(of: Finished, expected: Plan | None = None) -> list[tuple[str, str]]:
    return [(p.file, p.problem) for p in check_shards(str(of.output), of.job, expected)]


def payloads(of: Finished, shard: str = SHARD) -> list[bytes]:
    with (of.output / shard).open("rb") as file:
        return [data for _, data in read_frames(file)]


def rewrite(of: Finished, change: Callable[[list[bytes]], object], shard: str = SHARD) -> None:
    """Changes a shard's records; their frames are right again."""
    found = payloads(of, shard)
    change(found)
    (of.output / shard).write_bytes(b"".join(map(frame, found)))


def renamed(payload: bytes, name: str, other: str) -> bytes:
    """A record with another name for a feature, as long as it was, so that no later one moves."""
    content = tf_example.decode(payload)
    return tf_example.encode({other if n == name else n: v for n, v in content.items()})


def index_of(row: dict) -> int:
    """Which record of its shard a row names: units stand there mixed."""
    return int(row["overlay"].rpartition("#")[2])


def test_an_undamaged_data_set_has_no_problem(data_set):
    assert rows_told(data_set) == shards_told(data_set) == []
    assert sorted(map(index_of, data_set.rows)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_damaged_record_hides_no_other(data_set):
    path = data_set.output / SHARD
    data = bytearray(path.read_bytes())
    length = len(payloads(data_set)[0]) + OVERHEAD
    data[40] ^= 1
    path.write_bytes(bytes(data))
    words = "record 0 (at byte 0): the checksum of its bytes is wrong"
    assert rows_told(data_set) == [(SHARD, words)]
    data[length + 40] ^= 1
    path.write_bytes(bytes(data))
    second = f"record 1 (at byte {length}): the checksum of its bytes is wrong"
    assert rows_told(data_set) == [(SHARD, words), (SHARD, second)]
    data[length + 40] ^= 1
    path.write_bytes(bytes(data))
    assert shards_told(data_set) == []  # of the right size
    rows = [{**row, "mask_area": row["mask_area"] + 1} for row in data_set.rows]
    assert len([t for t in rows_told(data_set, rows) if "has" in t[1]]) == 7


def test_a_record_that_is_no_example_is_told(data_set):
    rewrite(data_set, lambda found: found.__setitem__(2, b"\xff" * len(found[2])))
    ((file, words),) = rows_told(data_set)
    assert file == SHARD and words.startswith("record 2: ")
    rows = [{**row, "overlay_crc32": 0} for row in data_set.rows]
    assert len([t for t in rows_told(data_set, rows) if "overlay: its checksum" in t[1]]) == 7


def test_pictures_are_told_by_their_record_and_kind(data_set):
    checksum = "its checksum is not that of its commit record: the file has changed"
    for kind in ("overlay", "mask", "depth"):
        rows = [dict(row) for row in data_set.rows]
        rows[3][f"{kind}_crc32"] = 0
        index = index_of(rows[3])
        assert rows_told(data_set, rows) == [(SHARD, f"record {index}: {kind}: {checksum}")]


def test_what_a_record_says_otherwise_is_told(data_set):
    rows = [dict(row) for row in data_set.rows]
    x, index = rows[2]["canvas_x"], index_of(rows[2])
    rows[2]["canvas_x"] = x + 1
    told = [words for _, words in rows_told(data_set, rows)]
    assert f"record {index}: placement/x is [{x}], its row gives [{x + 1}]" in told
    crowd, other = "image/object/is_crowd", "image/object/is_crowq"
    rewrite(data_set, lambda found: found.append(renamed(found.pop(), crowd, other)))
    assert [words for _, words in rows_told(data_set)] == [
        f"record 3: {crowd} is missing, its row gives [0]",
        f"record 3: {other} is [0], its row gives missing",
    ]


def test_a_record_without_depth_is_told(data_set):
    size = len(tf_example.decode(payloads(data_set)[3])["depth/encoded"][0])
    rewrite(
        data_set, lambda found: found.append(renamed(found.pop(), "depth/encoded", "depth/encodex"))
    )
    told = [words for _, words in rows_told(data_set)]
    # Long values are told by their size.
    assert f"record 3: depth/encodex is ['{size} bytes'], its row gives missing" in told
    assert all("record 3: depth/" in words for words in told)


def test_a_lost_commit_record_hides_no_other_unit(data_set):
    commit.withdraw(str(data_set.output), data_set.job, [WorkUnit(1, 1, False, 0)])
    rows = [{**row, "mask_crc32": 0} for row in data_set.rows]
    assert len(rows_told(data_set, rows)) == 6


def test_a_unit_that_is_committed_and_in_no_shard_is_told(data_set):
    output = str(data_set.output)
    plan = shards.read_plan(output)
    assert plan is not None
    # The plan of a time when one of the units was not made yet.
    of_train, of_test = plan.shards
    fewer = dataclasses.replace(of_test, blocks=of_test.blocks[1:])
    changed = dataclasses.replace(plan, shards=(of_train, fewer))
    (data_set.output / "_work/shards/plan.json").write_bytes(changed.to_bytes())
    words = "is not the plan of the units that are done"
    assert ("_work/shards/plan.json", words) in shards_told(data_set, plan)


def test_records_of_a_split_are_counted_over_its_shards(tmp_path):
    (tmp_path / "inputs").mkdir()
    inputs = drawn_inputs(tmp_path / "inputs")
    more = ("--placements", "2", "--format", "tfrecord", "--shards", "4")
    make_units(inputs, tmp_path / "set", *more)
    of = finish(tmp_path / "set")
    assert len(list((of.output / "tfrecord").glob("fgbg-train.tfrecord-*"))) == 2
    assert shards_told(of) == []


def test_values_of_100_bytes_and_more_are_told_by_their_size():
    found = tf_example.encode({"a": [b"x" * 99], "b": [b"x" * 100], "c": [b"x" * 101, b"y"]})
    assert list(_differences(found, tf_example.encode({}))) == [
        f"a is [b'{'x' * 99}'], its row gives missing",
        "b is ['100 bytes'], its row gives missing",
        "c is ['101 bytes', b'y'], its row gives missing",
    ]


def test_a_lost_shard_is_told_once(data_set):
    (data_set.output / SHARD).unlink()
    assert rows_told(data_set) == []
    assert shards_told(data_set) == [(SHARD, "missing")]


@pytest.mark.parametrize("change", [-1, 1])
def test_the_size_of_a_shard_is_compared(change, data_set):
    path = data_set.output / SHARD
    size = path.stat().st_size
    path.write_bytes((path.read_bytes() + b"more")[: size + change])
    assert shards_told(data_set) == [(SHARD, f"has {size + change} bytes, not {size}")]


def _replace(path: Path) -> None:
    shutil.copyfile(path.with_name(f"{Path(OTHER).name}.json"), path)


def _edit(path: Path) -> None:
    path.write_bytes(seal(unseal(path.read_bytes(), "") | {"bytes": 7}))


@pytest.mark.parametrize("damage", [Path.unlink, _replace, _edit])
def test_a_shard_record_that_is_not_the_shards_is_told(damage, data_set):
    damage(data_set.output / "_work/shards" / f"{Path(SHARD).name}.json")
    assert shards_told(data_set) == [(SHARD, "its shard record is missing or another's")]


def test_a_lost_plan_is_all_that_is_told(data_set):
    (data_set.output / "_work/shards/plan.json").unlink()
    words = "the plan of the shards is missing or damaged"
    assert shards_told(data_set) == [("_work/shards/plan.json", words)]


def test_files_of_no_shard_are_told(data_set):
    stray = "tfrecord/fgbg-train.tfrecord-00000-of-00002"
    unit = WorkUnit(1, 1, False, 0)
    block = shards.block_path(str(data_set.output), data_set.job, unit)
    block = Path(block).relative_to(data_set.output).as_posix()
    other = f"_work/blocks/{unit.name}.0123456789ab.tfrecord"
    for name in (stray, block, other, "_work/blocks/bg1/x", "_work/joining/x"):
        (data_set.output / name).parent.mkdir(parents=True, exist_ok=True)
        (data_set.output / name).write_bytes(b"")
    left = "is left from joining the shards"
    assert shards_told(data_set) == [
        (stray, "belongs to no shard of the data set; it is left alone"),
        *sorted(
            [
                (block, left),
                (other, "is another job's, or damaged in its name; it is left alone"),
            ]
        ),
        ("_work/joining/x", left),
    ]
    # What was joined is deleted, and nothing else.
    shards.finish(str(data_set.output))
    kept = {path.name for path in (data_set.output / "_work/blocks").rglob("*") if path.is_file()}
    assert kept == {Path(other).name, "x"}


@pytest.mark.parametrize("complete", [True, False])
def test_blocks_are_left_while_units_are_missing(complete, data_set):
    plan = shards.read_plan(str(data_set.output))
    assert plan is not None
    changed = dataclasses.replace(plan, complete=complete)
    (data_set.output / "_work/shards/plan.json").write_bytes(changed.to_bytes())
    for folder in ("blocks", "joining"):
        (data_set.output / "_work" / folder).mkdir(exist_ok=True)
        (data_set.output / "_work" / folder / "x").write_bytes(b"")
    block = Path(shards.block_path(str(data_set.output), data_set.job, WorkUnit(1, 1, False, 0)))
    block.parent.mkdir(parents=True)
    block.write_bytes(b"")
    own = block.relative_to(data_set.output).as_posix()
    told = [file for file, words in shards_told(data_set) if "is left from joining" in words]
    assert told == ([own] if complete else []) + ["_work/joining/x"]


def test_descriptions_are_compared_key_by_key(data_set):
    path = data_set.output / "tfrecord/dataset_info.json"
    content = json.loads(path.read_text())
    before = json.dumps(content["name"])
    content["name"], content["more"] = "another", {"deep": 1}
    path.write_text(json.dumps(content))
    (data_set.output / "tfrecord/schema.pbtxt").write_text("no JSON")
    (data_set.output / "tfrecord/features.json").unlink()
    told = dict(shards_told(data_set))
    assert told["tfrecord/schema.pbtxt"] == "does not describe these shards"
    assert told["tfrecord/features.json"] == "missing"
    assert told["tfrecord/dataset_info.json"] == (
        "does not describe these shards; more is {'deep': 1}, not None; "
        f"name is 'another', not {json.loads(before)!r}"
    )


def test_no_more_than_five_differences_of_a_description_are_told(data_set):
    path = data_set.output / "tfrecord/dataset_info.json"
    content = json.loads(path.read_text()) | {f"key{i}": i for i in range(9)}
    path.write_text(json.dumps(content))
    ((_, words),) = shards_told(data_set)
    assert words == "does not describe these shards" + "".join(
        f"; key{i} is {i}, not None" for i in range(5)
    )
    path.write_text("[]")
    ((_, words),) = shards_told(data_set)
    assert words.startswith("does not describe these shards; it is [], not {")
