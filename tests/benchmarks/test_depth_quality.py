"""benchmarks/depth_quality.py: what is measured of a pasted object, by maps made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.depth_quality import object_depth

SIZE = (200, 200)


@pytest.fixture
def mask():
    found = np.zeros(SIZE, bool)
    found[80:120, 80:120] = True
    return found


@pytest.fixture
def bare():
    return np.linspace(2, 6, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)


def test_drift_of_the_whole_map_is_no_step(bare, mask):
    found = object_depth(bare, bare * np.float32(0.8), mask)
    assert found.inside == pytest.approx(-0.2, abs=1e-5)
    assert found.step == pytest.approx(0, abs=1e-5)
    assert found.rest == pytest.approx(0.2, abs=1e-5)


def test_an_object_laid_in_front_is_a_step_and_no_drift(bare, mask):
    made = np.where(mask, bare * np.float32(0.7), bare)
    found = object_depth(bare, made, mask)
    assert found.step == pytest.approx(-0.3, abs=1e-5)
    assert found.ring == found.rest == 0


def test_a_flat_object_has_no_spread(bare, mask):
    assert object_depth(bare, np.where(mask, np.float32(1), bare), mask).spread == 0
    assert object_depth(bare, bare, mask).spread > 0.1


def test_a_mask_that_leaves_no_rest_is_measured_by_its_ring(bare):
    mask = np.zeros(SIZE, bool)
    mask[10:190, 10:190] = True
    assert object_depth(bare, bare * np.float32(1.1), mask).rest == pytest.approx(0.1, abs=1e-5)
