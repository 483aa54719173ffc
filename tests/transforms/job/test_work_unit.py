"""Work units: their names, the numbers of their samples, and the order that they come in."""

from __future__ import annotations

import pytest

from fgbg.transforms.job.work_unit import (
    WorkUnit,
    sample_numbers,
    unit_of_sample,
    units_of_background,
)


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("placements", [[20], [3, 2], [1, 4, 2]])
def test_sample_numbers_are_each_given_once(mirror, placements):
    units = list(units_of_background(1, 1, mirror, len(placements)))
    numbers = sorted(n for unit in units for n in sample_numbers(placements, mirror, unit))
    assert numbers == list(range(1, sum(placements) * (2 if mirror else 1) + 1))


def test_the_reference_numbering():
    assert list(sample_numbers([20], True, WorkUnit(1, 1, False, 0))) == list(range(1, 21))
    assert list(sample_numbers([20], True, WorkUnit(1, 1, True, 0))) == list(range(21, 41))


def test_the_name_of_a_unit_is_read_back():
    for unit in units_of_background(7, 3, True, 2):
        assert WorkUnit.parse(unit.name) == unit
    with pytest.raises(ValueError, match="is not the name of a work unit"):
        WorkUnit.parse("bg1/fg_1/upside_down_0")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "bg1/fg_1/as_given_0.json",
        "xbg1/fg_1/as_given_0",
        "bg/fg_1/as_given_0",
        "bg1/fg_1/mirrored",
    ],
)
def test_other_names_are_no_units(name):
    with pytest.raises(ValueError, match="is not the name of a work unit"):
        WorkUnit.parse(name)


def test_names_are_folders_with_a_direction_and_a_round():
    assert WorkUnit(12, 3, False, 0).folder == "bg12/fg_3"
    assert WorkUnit(12, 3, False, 0).name == "bg12/fg_3/as_given_0"
    assert WorkUnit(12, 3, True, 4).name == "bg12/fg_3/mirrored_4"


def test_units_come_in_the_order_of_their_samples():
    given, mirrored = (
        (lambda f, r: WorkUnit(9, f, False, r)),
        (lambda f, r: WorkUnit(9, f, True, r)),
    )
    assert list(units_of_background(9, 2, True, 2)) == [
        given(1, 0), mirrored(1, 0), given(1, 1), mirrored(1, 1),
        given(2, 0), mirrored(2, 0), given(2, 1), mirrored(2, 1),
    ]  # fmt: skip
    assert list(units_of_background(9, 2, False, 2)) == [
        given(1, 0), given(1, 1), given(2, 0), given(2, 1),
    ]  # fmt: skip
    assert list(units_of_background(9, 0, True, 2)) == []


def test_a_later_round_goes_on_after_the_first():
    numbers = [
        (mirrored, round_, list(sample_numbers([3, 2], True, WorkUnit(1, 1, mirrored, round_))))
        for round_ in (0, 1)
        for mirrored in (False, True)
    ]
    assert numbers == [
        (False, 0, [1, 2, 3]), (True, 0, [4, 5, 6]), (False, 1, [7, 8]), (True, 1, [9, 10]),
    ]  # fmt: skip
    assert list(sample_numbers([3, 2], False, WorkUnit(1, 1, False, 1))) == [4, 5]


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("placements", [[20], [3, 2], [1, 4, 2]])
def test_a_sample_is_found_in_its_unit(mirror, placements):
    for unit in units_of_background(3, 1, mirror, len(placements)):
        for place, number in enumerate(sample_numbers(placements, mirror, unit)):
            assert unit_of_sample(placements, mirror, 3, 1, number) == (unit, place)
    last = sum(placements) * (2 if mirror else 1)
    for number in (0, last + 1):
        with pytest.raises(ValueError, match=f"^bg3/fg_1 has no sample {number}$"):
            unit_of_sample(placements, mirror, 3, 1, number)
