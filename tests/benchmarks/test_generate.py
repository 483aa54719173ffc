"""What the benchmark of speed compares makes the same pixels; otherwise it compares nothing."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from fgbg.transforms.pixels import allocation
from tests.helpers.data_sets import ROOT


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("generate")


@pytest.mark.parametrize("size", [224, 448])
def test_fgbg_makes_the_pixels_of_the_opencv_loop(benchmark, small_inputs, tmp_path, size):
    inputs = [[str(p) for p in sorted((small_inputs / name).iterdir())] for name in ("bg", "fg")]
    prepared = benchmark.Prepared.of(str(tmp_path), size, inputs, 4)
    # Raises if a pixel differs.
    spent = benchmark.measure_steps(prepared, 1)
    assert all(seconds > 0 for seconds in spent.values())
    assert {benchmark.CV2, benchmark.IN_RECORDS, benchmark.IN_FILES} <= spent.keys()
    # The comparison can fail.
    unit = prepared.units[0]
    task = prepared.task(unit)
    by_hand = Path(prepared.folder, "cv2")
    name = f"{task.folder}/overlay/{task.numbers[0]}.jpg"
    image = benchmark.loops.decode(by_hand / name)
    changed = benchmark.loops.encode(255 - np.asarray(image), 95)
    (by_hand / name).write_bytes(changed.tobytes())
    roots = prepared.trees[0], *prepared.blocks[:2], str(by_hand)
    assert benchmark.differences(*roots, task, unit) == 2


def test_memory_can_be_kept_or_that_is_said():
    assert allocation.keep_freed_memory() in (True, False)


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(allocation.ctypes, "CDLL", lambda name: object())
    assert allocation.keep_freed_memory() is False
