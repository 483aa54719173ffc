"""How pictures of units are cut into batches, and how many units fill a GPU's."""

from __future__ import annotations

import pytest

from fgbg.models.depth.micro_batches import even_batch, units_together


@pytest.mark.parametrize(
    ("largest", "unit", "together", "batch"),
    [(32, 5, 6, 30), (7, 20, 1, 7), (9, 20, 3, 9), (9, 8, 1, 8), (32, 40, 4, 32), (32, 1, 8, 8)],
)
def test_units_fill_batches(largest, unit, together, batch):
    assert units_together(largest, unit) == together
    assert even_batch(largest, together * unit) == batch


def test_where_the_size_of_units_is_not_known_each_is_alone():
    assert units_together(32, None) == 1


@pytest.mark.parametrize("unit", range(1, 60))
def test_together_they_fill_calls_as_well_as_alone_or_better(unit):
    for largest in (1, 4, 7, 32):
        together = units_together(largest, unit)
        calls = -(-together * unit // largest)
        alone = unit / -(-unit // largest)
        assert together * unit / calls >= 0.95 * alone
