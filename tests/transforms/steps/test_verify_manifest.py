"""The manifest's bytes, rows and statistics against what should be there."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgbg.transforms.dataset import manifest
from fgbg.transforms.steps.problem import SUMMARY
from fgbg.transforms.steps.verify_manifest import (
    Difference,
    as_problem,
    check_bytes,
    differences,
    open_manifest,
)


def rows(count: int, group: int = 0) -> pa.Table:
    """Rows of a background, all of whose values differ."""
    columns = {}
    for field in manifest.SCHEMA:
        values: list = [group * 100_000 + i for i in range(count)]
        if field.type == pa.string():
            values = [f"{field.name}{i:06}" for i in values]
        elif field.type == pa.bool_():
            values = [i % 2 == 1 for i in values]
        elif field.type == pa.float32():
            values = [i / 4 for i in values]
        columns[field.name] = values
    return pa.table(columns, schema=manifest.SCHEMA)


def changed(table: pa.Table, row: int, **values: object) -> pa.Table:
    content = table.to_pylist()
    content[row].update(values)
    return pa.Table.from_pylist(content, schema=table.schema)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / manifest.MANIFEST
    with manifest.ManifestWriter(str(path)) as writer:
        for group, count in enumerate((3, 70_000, 5)):  # many pages, several dictionaries
            writer.write(rows(count, group))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / manifest.MANIFEST
    with manifest.ManifestWriter(str(path)) as writer:
        writer.write(rows(4))
        writer.write(rows(2, 1))
    return path


def test_what_was_written_is_right(whole, small):
    for path, sizes in ((whole, [3, 70_000, 5]), (small, [4, 2])):
        assert open_manifest(str(path)) == (sizes, [])
        assert list(check_bytes(str(path), pa.__version__)) == []


def test_no_bit_flips_unseen(small):
    """Each is seen when the file is opened, in its rows, or in its bytes."""
    data = bytearray(small.read_bytes())
    tables = [manifest.ManifestFile(str(small)).read(group) for group in range(2)]
    rng = random.Random(0)
    for place in rng.sample(range(len(data)), 150):
        data[place] ^= 1 << rng.randrange(8)
        flipped = small.with_name(f"{place}.parquet")
        flipped.write_bytes(data)
        data = bytearray(small.read_bytes())
        sizes, problems = open_manifest(str(flipped))
        if problems or sizes != [4, 2]:
            continue
        stored = [manifest.ManifestFile(str(flipped)).read(group) for group in range(2)]
        if all(a.equals(b) for a, b in zip(stored, tables)):
            (problem,) = check_bytes(str(flipped), pa.__version__)
            assert problem.file == manifest.MANIFEST and problem.cure == SUMMARY


def test_a_manifest_of_another_version_is_judged_by_its_statistics(small, monkeypatch):
    real = manifest.written_by
    other = str(small)
    monkeypatch.setattr(
        manifest, "written_by", lambda path: "another" if path == other else real(path)
    )
    assert list(check_bytes(other, "1.0")) == []
    (problem,) = check_bytes(other, pa.__version__)
    assert "says that another wrote it" in problem.problem
    data = small.read_bytes()
    place = data.rindex(b"key000003")  # the greatest, in the statistics at the file's end
    small.write_bytes(data[:place] + b"key000009" + data[place + 9 :])
    assert manifest.statistics(other)[0][0]["max"] == "key000009"
    (problem,) = check_bytes(other, None)
    assert problem.problem == "its statistics are not those of its rows"


def test_other_columns_and_no_file_are_told(small, tmp_path):
    pq.write_table(rows(2).drop(["bg"]), tmp_path / "other.parquet")
    sizes, (problem,) = open_manifest(str(tmp_path / "other.parquet"))
    assert sizes is None and "other columns" in problem.problem
    sizes, (problem,) = open_manifest(str(tmp_path / "none.parquet"))
    assert sizes is None and problem.problem == "missing"
    shutil.copy(small, tmp_path / "cut.parquet")
    (tmp_path / "cut.parquet").write_bytes(small.read_bytes()[:-20])
    sizes, (problem,) = open_manifest(str(tmp_path / "cut.parquet"))
    assert sizes is None and problem.problem.startswith("cannot be read: ")
    assert all(p.cure == SUMMARY for p in [problem]) and len(problem.problem) <= 216


def test_differences_are_counted_and_the_first_is_named():
    wanted = rows(4)
    assert differences(wanted, wanted) is None
    stored = changed(changed(wanted, 3, bg=7), 1, split="other", x=8)
    found = differences(stored, wanted)
    assert found == Difference(
        2, ["split", "bg", "x"], "key000001", ["split", "other", "split000001"]
    )
    stored = changed(changed(changed(wanted, 3, bg=7), 2, bg=8), 0, y=5)
    found = differences(stored, wanted)
    assert found == Difference(3, ["bg", "y"], "key000000", ["y", 5, 0])
    stored = changed(changed(changed(wanted, 3, x=7), 1, x=9), 2, y=5)
    found = differences(stored, wanted)
    assert found == Difference(3, ["x", "y"], "key000001", ["x", 9, 1])
    found = differences(changed(wanted, 2, depth=None), wanted)
    assert found == Difference(1, ["depth"], "key000002", ["depth", None, "depth000002"])


def test_rows_of_lost_records_are_not_looked_at():
    wanted = rows(4).take(pa.array([0, 2]))
    assert differences(rows(4), wanted) is None
    found = differences(changed(rows(4), 2, y=9), wanted)
    assert found is not None and (found.rows, found.columns, found.key) == (1, ["y"], "key000002")
    # The key itself is wrong, and so nobody knows which row is whose.
    assert differences(changed(rows(4), 2, key="nobody's"), wanted) is None


def test_all_differences_are_one_problem():
    assert as_problem([], 9) == []
    one = Difference(1, ["bg"], "bg1/fg_1/2", ["bg", 3, 1])
    (problem,) = as_problem([one], 9)
    assert problem.problem == (
        "1 of 9 rows is not what the commit records give, in bg; the first is bg1/fg_1/2: bg is 3, "
        "not 1"
    )
    many = Difference(1200, ["x", "y", "bg", "fg", "number"], "bg2/fg_1/1", ["x", 0, 1])
    (problem,) = as_problem([one, many], 4000)
    assert problem.problem.startswith(
        "1,201 of 4,000 rows are not what the commit records give, in bg, x, y, fg, number; the "
        "first is bg1/fg_1/2"
    )
    (problem,) = as_problem([one, many, Difference(1, ["key"], "a", ["key", "b", "a"])], 4000)
    assert "in bg, x, y, fg, number and 1 more;" in problem.problem


def test_text_that_is_no_utf8_is_told_and_not_raised():
    expected = pa.table({"key": ["bg1/fg_1/1"], "bg_file": ["room.png"]})
    damaged = pa.array([b"r\xffom.png"]).cast(pa.binary()).view(pa.string())
    found = differences(pa.table({"key": expected["key"], "bg_file": damaged}), expected)
    assert found is not None
    assert found.columns == ["bg_file"]
    assert found.first == ["bg_file", "r\\xffom.png", "room.png"]
