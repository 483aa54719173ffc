"""What exports are made of: rows in order or mixed, a bounded map in threads, whole files."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgbg.files.ordered_map import in_order
from fgbg.files.whole_file import scratch_file, whole_file
from fgbg.transforms.dataset import rows as sample_rows
from fgbg.transforms.dataset.rows import mixed_rows, ordered_rows

SPLITS = ["train", "test", "train", "train", "test"]


@pytest.fixture
def manifest(tmp_path) -> str:
    """Five backgrounds, a row group each, with 40 rows more than the one before."""
    path = tmp_path / "manifest.parquet"
    schema = pa.schema([("key", pa.string()), ("bg", pa.int32()), ("split", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for bg, split in enumerate(SPLITS, start=1):
            rows = [{"key": f"bg{bg}/{i}", "bg": bg, "split": split} for i in range(40 * bg)]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return str(path)


@pytest.mark.parametrize("split", [None, "train", "test"])
@pytest.mark.parametrize("window", [1, 100, 50_000])
def test_mixed_rows_are_all_rows_once_and_always_the_same(split, window, manifest, monkeypatch):
    monkeypatch.setattr(sample_rows, "_ROWS_MIXED", window)
    monkeypatch.setattr(sample_rows, "_ROWS_AT_ONCE", 7)
    ordered = list(ordered_rows(manifest, split))
    mixed = list(mixed_rows(manifest, split))
    wanted = [s for s in enumerate(SPLITS, start=1) if split in (None, s[1])]
    assert [row["bg"] for row in ordered] == [bg for bg, _ in wanted for _ in range(40 * bg)]
    assert mixed != ordered
    assert sorted(row["key"] for row in mixed) == sorted(row["key"] for row in ordered)
    assert mixed == list(mixed_rows(manifest, split))
    changes = sum(a["bg"] != b["bg"] for a, b in pairwise(mixed))
    if window == 1:  # each background by itself
        assert changes == len(wanted) - 1
    if window == 50_000:
        assert changes > len(mixed) / 4


def test_a_split_without_rows_gives_none(manifest):
    assert list(mixed_rows(manifest, "other")) == list(ordered_rows(manifest, "other")) == []


def test_the_map_keeps_order_and_does_not_run_ahead():
    taken = []

    def items():
        for i in range(1000):
            taken.append(i)
            yield i

    release = threading.Event()

    def work(i: int) -> int:
        release.wait(5 if i == 0 else 0)
        return i * i

    results = in_order(work, items(), threads=3)
    release.set()
    assert next(results) == 0
    assert len(taken) <= 12
    assert list(results) == [i * i for i in range(1, 1000)]


def test_the_map_raises_at_the_items_turn():
    def work(i: int) -> int:
        if i == 5:
            raise ValueError("five")
        return i

    seen = []
    with pytest.raises(ValueError, match="five"):
        for result in in_order(work, range(1000), threads=4):
            seen.append(result)
    assert seen == [0, 1, 2, 3, 4]


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file"
    with whole_file(str(path)) as file, scratch_file(str(path)) as scratch:
        file.write(b"whole")
        scratch.write(b"nobody sees this")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    with pytest.raises(KeyboardInterrupt), whole_file(str(path)) as file:
        file.write(b"ha")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"whole"
    assert [p.name for p in Path(path.parent).iterdir()] == ["file"]
