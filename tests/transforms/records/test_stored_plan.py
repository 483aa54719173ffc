"""A stored plan read in part: the same shards and places as of the whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fgbg.files.sealed import DamagedError, seal
from fgbg.transforms.job.job import InputPicture, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records.plan import Block, Plan, draw_up
from fgbg.transforms.records.stored_plan import StoredPlan, _number, _unit
from tests.helpers.pixel_oracles import configuration

SPLITS = [("train", 0.5), ("test", 0.5)]
JOB = Job(
    dataclasses.replace(configuration(placements=[3, 1]), splits=SPLITS, shards=5),
    [InputPicture(i, f"b{i}", "", 8, 8, SPLITS[i % 2][0]) for i in range(1, 5)],
    [InputPicture(i, f"f{i}", "", 8, 8) for i in range(1, 7)],
)
BLOCKS = [
    Block(u, 3 + i % 2, 900 + 7 * i) for i, u in enumerate(map(JOB.unit_at, range(JOB.units)))
]
PLAN = draw_up(JOB, BLOCKS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_bytes(PLAN.to_bytes())
    return path


def test_shards_and_places_are_those_of_the_whole_plan(path):
    stored = StoredPlan(str(path))
    assert stored.complete is PLAN.complete is True
    assert [stored.shard(shard.name) for shard in PLAN.shards] == list(PLAN.shards)
    places, expected = stored.places(), PLAN.places()
    assert len(places) == JOB.units == len(expected) and set(places) == set(expected)
    for unit, (shard, first, offset) in expected.items():
        file, *numbers = places[unit]
        assert (file.path, file.split, *numbers) == (shard.path, shard.split, first, offset)
    for absent in (WorkUnit(5, 1, False, 0), WorkUnit(1, 1, False, 2), WorkUnit(1, 7, True, 1)):
        assert absent not in places
        with pytest.raises(KeyError):
            places[absent]


def test_a_plan_of_nothing_has_no_shard(path):
    path.write_bytes(Plan(False, ()).to_bytes())
    stored = StoredPlan(str(path))
    assert stored.complete is False and len(stored.places()) == 0


def plan_with(block: list) -> bytes:
    shard = {"name": "a", "split": "train", "blocks": [block]}
    return seal({"complete": True, "shards": [shard]})


@pytest.mark.parametrize(
    "content",
    [
        *(plan_with(["bg1/fg_1/as_given_0", *sizes]) for sizes in ([3, "9"], [None, 9], [3, -1])),
        *[b"", b"{}", PLAN.to_bytes()[:-9], seal({"complete": True})],
        seal({"a": 1, "shards": [7]}),
    ],
)
def test_what_is_no_plan_is_damage(content, path):
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        StoredPlan(str(path))
    with pytest.raises(DamagedError):
        Plan.from_bytes(content, str(path))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        StoredPlan(str(path))


def test_a_unit_is_a_number_and_the_reverse():
    most = WorkUnit(2**23 - 1, 2**23 - 1, True, 2**16 - 1)
    for unit in (WorkUnit(1, 1, False, 0), WorkUnit(12, 345_678, True, 9), most):
        assert _unit(_number(unit)) == unit and 0 < _number(unit) < 2**63
