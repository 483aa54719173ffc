"""The report's charts: bars that mean the same, and that stay few and readable."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg.transforms.job import job as jobs
from fgbg.transforms.report import charts, drawing, input_charts, looks, survey


@pytest.fixture(autouse=True)
def _settings():
    with matplotlib.rc_context(drawing.SETTINGS):
        yield


def job_of(backgrounds: int, splits: list[str], data_set: Path) -> jobs.Job:
    """A job of many backgrounds, whose splits take turns."""
    job = jobs.read(str(data_set))
    assert job is not None
    entries = [
        jobs.InputPicture(i + 1, f"photo_{i + 1}.jpg", "", 8, 8, splits[i % len(splits)])
        for i in range(backgrounds)
    ]
    configuration = dataclasses.replace(
        job.configuration, splits=[(name, 1 / len(splits)) for name in [*splits, "unused"]]
    )
    return dataclasses.replace(job, configuration=configuration, backgrounds=entries)


@pytest.mark.parametrize("whole", [180, 448, 50176])
def test_bars_of_whole_pixels_hold_equally_many(whole):
    values = survey.of_whole_pixels(whole)
    values.add(np.arange(whole // 10, whole - whole // 10) / whole)
    counts, edges = charts._coarse(values)
    assert 20 < len(counts) <= 48
    assert len(set(counts[1:-1].tolist())) == 1
    pixels = np.diff(edges) * whole
    assert pixels == pytest.approx(np.rint(pixels))


def test_thousands_of_inputs_share_bars(small_data_set):
    counts = np.full(3000, 40)
    counts[[6, 2000]] = 3
    job = job_of(3000, ["train", "test"], small_data_set)
    drawn = input_charts.per_background(job, counts)
    assert len(drawn) < 40_000
    assert "Fewest: photo_7.jpg, photo_2001.jpg." in drawn
    assert "Each bar stands for 15 backgrounds." in drawn


def test_each_split_has_a_colour_of_its_own(small_data_set):
    names = [f"split_{i}_of_a_long_name_that_goes_on_and_on" for i in range(12)]
    drawn = input_charts.per_background(job_of(24, names, small_data_set), np.full(24, 5))
    colours = [part.partition('"')[0] for part in drawn.split('style="background: ')[1:]]
    assert len(colours) == len(set(colours)) == 12
    # Bars and keys agree, and no colour is matplotlib's own.
    assert all(drawn.count(colour) >= 2 for colour in colours)
    assert "#1f77b4" not in drawn


def test_splits_without_backgrounds_are_not_in_the_chart(small_data_set):
    drawn = input_charts.per_background(job_of(4, ["train"], small_data_set), np.full(4, 5))
    assert ">train<" in drawn.replace("</span>", ">") and "unused" not in drawn


def test_depth_of_pixels_has_few_bars(conspicuous_sets):
    output = conspicuous_sets()
    job = jobs.read(str(output))
    assert job is not None
    counts = np.zeros(300, np.int64)
    counts[:256] = 1000 * (np.arange(256) % 4 == 0)  # a network of few levels
    seen = looks.Looks([looks.Look({}, depth_counts=counts)], [], 1.0, False)
    bars, _ = charts._bars(counts, 0, 256, *looks.depth_bins(job))
    assert len(bars) <= 48
    assert bars.min() > 0
    assert "Of 1 sample from" in charts._depth_of_pixels(job, seen)


VALUES = st.one_of(
    st.just([]),
    st.floats(0, 1).map(lambda value: [value]),
    st.tuples(st.floats(0, 1), st.integers(2, 50)).map(lambda both: [both[0]] * both[1]),
    st.lists(st.sampled_from([0.0, 1.0, 1.0 - 1e-16, 5e-324]), min_size=1),
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30),
)


@settings(deadline=None)
@given(VALUES, st.sampled_from([1, 7, 1024, 50176]))
def test_a_histogram_of_any_values_shows_each_of_them(values, whole):
    found = survey.of_whole_pixels(whole)
    found.add(np.array(values))
    heights, edges = charts._coarse(found)
    assert heights.sum() == len(values) == found.count
    assert len(edges) == len(heights) + 1 and (np.diff(edges) > 0).all()
    assert len(heights) <= 49


def test_a_foreground_that_fills_its_box_is_drawn():
    # A mask of all of its box is a share of just 1: the last bin's end, beyond no bar.
    for most in (1, 180, 224 * 224):
        values = survey.of_whole_pixels(most)
        values.add(np.array([1.0]))
        assert charts._histogram("fill", values, "title", "label")


def test_the_two_ends_of_given_limits_may_lie_beyond_all_bins():
    values = survey.of_whole_pixels(10)
    values.add(np.array([0.5]))
    heights, _ = charts._coarse(values, -4.0, 77.0)
    assert heights.sum() == 1
