"""Units composed again from the inputs as used, and compared with what is stored."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps import verify_recompute
from fgbg.transforms.steps.problem import UNIT as REMAKE
from fgbg.transforms.steps.problem import Problem
from fgbg.transforms.steps.verify_recompute import (
    Recompute,
    check_composed,
    is_as_composed,
    spread,
)
from tests.helpers.data_sets import job_of
from tests.helpers.drawn_jobs import drawn_depth, drawn_inputs, make_units
from tests.helpers.pixel_oracles import configuration

UNIT = WorkUnit(1, 1, True, 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recompute")
    make_units(drawn_inputs(tmp_path_factory.mktemp("drawn")), folder / "set", "--placements", "2")
    return folder / "set"


@pytest.fixture
def output(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "set")
    return tmp_path / "set"


def problems(output: Path, recompute: Recompute, change=lambda record: None) -> list[Problem]:
    job = job_of(output)
    record = commit.read(str(output), job, UNIT)
    change(record)
    reader = open_reader(str(output), job)
    return list(check_composed(str(output), jobs.version(job), recompute, reader, record))


def nudge(path: Path, by: int, quality: int = 100) -> None:
    """Changes a picture's level of one pixel block, coded so that little else changes."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    block = image[8:16, 8:16].astype(np.int64)
    image[8:16, 8:16] = np.where(block < 128, block + by, block - by)
    path.write_bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def test_what_was_made_is_composed_again(output):
    for exact in (True, False):
        assert problems(output, Recompute(None, exact)) == []


@pytest.mark.parametrize(("kind", "least"), [("overlay", 40), ("mask", 200)])
def test_other_pixels_are_told_with_how_far_they_are_off(kind, least, output):
    path = output / f"bg1/fg_1/{kind}/4.jpg"
    nudge(path, least)
    for exact in (True, False):
        (problem,) = problems(output, Recompute(None, exact))
        assert problem.file == f"bg1/fg_1/{kind}/4.jpg" and problem.of == UNIT.name
        assert problem.cure == REMAKE
        assert problem.problem.startswith(f"{kind} is not what its inputs and the job give: off by")
        assert int(problem.problem.rsplit(" ", 1)[1]) >= least - 10


@pytest.mark.parametrize("kind", ["overlay", "mask"])
def test_bytes_of_other_libraries_may_differ_a_little(kind, output):
    path = output / f"bg1/fg_1/{kind}/3.jpg"
    path.write_bytes(path.read_bytes() + b"\0")  # the same pixels
    assert problems(output, Recompute(None, exact=False)) == []
    (problem,) = problems(output, Recompute(None, exact=True))
    assert problem.file == f"bg1/fg_1/{kind}/3.jpg" and problem.problem.endswith("by up to 0")


def test_an_input_that_cannot_be_read_is_told_of_the_unit(output):
    (output / "foregrounds/fg_1.png").write_bytes(b"no picture")
    verify_recompute.compose.__globals__["_foreground"].cache_clear()
    (problem,) = problems(output, Recompute(None))
    assert problem.file == UNIT.name and problem.problem.startswith("cannot be composed again: ")
    job = job_of(output)
    record = commit.read(str(output), job, UNIT)
    assert not is_as_composed(str(output), jobs.version(job), record)


@pytest.mark.parametrize("name", ["x", "y", "width", "height", "mask_area"])
def test_a_commit_records_other_values_are_told_where_versions_are_the_same(name, output):
    def change(record) -> None:
        record.columns[name][1] += 1

    (problem,) = problems(output, Recompute(None), change)
    assert problem.problem == f"its commit record has other values of {name}"
    assert (problem.file, problem.cure, problem.of) == (UNIT.name, REMAKE, UNIT.name)
    assert problems(output, Recompute(None, exact=False), change) == []


@pytest.mark.parametrize("channel", ["b", "g", "r"])
@pytest.mark.parametrize(("field", "by"), [("total", 1), ("total", -1), ("squares", -1)])
def test_a_commit_records_other_sums_are_told(channel, field, by, output):
    def change(record) -> None:
        found = record.moments[f"overlay_{channel}"]
        changed = dataclasses.replace(found, **{field: getattr(found, field) + by})
        record.moments[f"overlay_{channel}"] = changed

    (problem,) = problems(output, Recompute(None), change)
    assert problem.problem == f"its commit record has other values of the sums of overlay_{channel}"


@pytest.mark.parametrize(("by", "told"), [(0.0, False), (0.5, True)])
def test_depth_is_compared_within_what_processors_differ_by(by, told, output, monkeypatch):
    seen = []

    class Network:
        def predict(self, canvases):  # type: ignore[no-untyped-def]
            seen.append(canvases.shape)
            return np.stack([drawn_depth(10 + n) for n in (3, 4)]) + np.float32(by)

    def load(path, model, canvas, threads, unit):  # type: ignore[no-untyped-def]
        assert (path, canvas, threads, unit) == ("a network", (64, 64), 1, 2)  # as it was made
        return Network()

    monkeypatch.setattr(verify_recompute.depth_network, "load", load)
    monkeypatch.setattr(verify_recompute.network_files, "on_this_machine", lambda path, _: path)
    monkeypatch.setattr(verify_recompute.DepthModel, "from_dict", lambda _: None)
    found = problems(output, Recompute(None, depth_path="a network"))
    assert seen == [(2, 64, 64, 3)]
    assert [p.file for p in found] == [f"bg1/fg_1/depth/{n}.jpg" for n in (3, 4)] * told
    assert problems(output, Recompute(None)) == [] and len(seen) == 1


@pytest.mark.parametrize(
    ("kind", "off", "told"),
    [("overlay", 6, False), ("overlay", 7, True), ("mask", 110, False), ("mask", 111, True)],
)
def test_pictures_of_other_libraries_may_be_off_a_little(kind, off, told, output, monkeypatch):
    path = output / f"bg1/fg_1/{kind}/3.jpg"
    path.write_bytes(path.read_bytes() + b"\0")
    monkeypatch.setattr(verify_recompute, "_difference", lambda *_: off)
    assert bool(problems(output, Recompute(None, exact=False))) == told


def test_depth_in_millimetres_may_be_off_by_five():
    c = configuration(depth_format="png16")
    assert verify_recompute._allowed("depth", c, exact=True) == 5
    assert verify_recompute._allowed("depth", configuration(depth_format="jpg"), exact=False) == 3


def test_one_sample_of_each_proves_the_inputs(output):
    job = job_of(output)
    record = commit.read(str(output), job, UNIT)
    assert is_as_composed(str(output), jobs.version(job), record)
    for kind in ("overlay", "mask"):
        changed = dict(record.columns)
        changed[f"{kind}_crc32"] = [changed[f"{kind}_crc32"][0], 1]
        other = dataclasses.replace(record, columns=changed)
        assert not is_as_composed(str(output), jobs.version(job), other)


def test_units_are_spread_over_all_inputs(made):
    job = job_of(made)
    assert job.units == 4
    assert spread(job, 4) == spread(job, 99) == {0, 1, 2, 3}
    assert spread(job, 0) == frozenset()
    large = dataclasses.replace(
        job, backgrounds=job.backgrounds * 50, foregrounds=job.foregrounds * 100
    )
    assert sorted(spread(large, 4)) == [0, 8091, 11180, 19271]  # as ever: the golden ratio
    for count in (4, 10, 37, large.units // 2):
        chosen = sorted(spread(large, count))
        parts = [(number + 1) * count // large.units for number in chosen]
        assert len(chosen) == count and all(p in (i, i + 1) for i, p in enumerate(parts))
        assert sum(number % 2 for number in chosen) == count // 2  # as many mirrored as not


def test_units_are_chosen_by_their_numbers(made):
    job = job_of(made)
    assert Recompute(None).has(job, UNIT)
    assert Recompute(frozenset({job.index_of(UNIT)})).has(job, UNIT)
    assert not Recompute(frozenset({job.index_of(UNIT) + 1})).has(job, UNIT)
    assert not Recompute().has(job, UNIT) and Recompute().exact
