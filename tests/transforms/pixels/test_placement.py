"""Where foregrounds are placed: properties of the draw itself."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg.transforms.pixels.placement import (
    Box,
    draw_scale,
    draw_scales,
    generator_key,
    place,
    places,
    scaled_size,
    size_by,
)
from tests.helpers.pixel_oracles import philox

SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))
KEYS = st.integers(0, 2**128 - 1)


PINNED = [(67, 73), (81, 199), (61, 175)]
PINNED_SCALE = 0.4406501364728458
PINNED_SCALES = [0.3960808318208913, 0.9826904150850395, 0.967407036344794]
PINNED_TRUNCATED = [(37, 32), (54, 260), (29, 216)]


def test_draws_are_the_same_on_every_machine_and_version():
    # Written down once: a change here changes every data set that people have.
    key = generator_key(42, "0" * 64, "f" * 64, True)
    assert [place(key, n, (100, 200), (448, 448))[:2] for n in (1, 2, 41)] == PINNED
    assert draw_scale(key, 0, (0.3, 0.6)) == PINNED_SCALE
    truncated = places(key, (1, 2, 41), [(100, 200)] * 3, (448, 448), 0.5)
    assert [box[:2] for box in truncated] == PINNED_TRUNCATED


@given(KEYS, st.integers(1, 10_000), SIZES, SIZES)
def test_a_foreground_stays_wholly_inside(key, number, foreground, more):
    canvas = (foreground[0] + more[0] - 1, foreground[1] + more[1] - 1)
    box = place(key, number, foreground, canvas)
    assert (box.width, box.height) == foreground
    assert 0 <= box.x <= canvas[0] - box.width
    assert 0 <= box.y <= canvas[1] - box.height


@given(KEYS, st.integers(1, 100), SIZES)
def test_a_foreground_as_large_as_the_canvas_has_one_position(key, number, size):
    assert place(key, number, size, size) == (0, 0, *size)


@given(KEYS, st.integers(1, 1000), SIZES, st.floats(0, 0.95))
def test_truncation_takes_at_most_its_share_of_the_box(key, number, size, truncation):
    box = place(key, number, size, (60, 60), truncation)
    inside_x = min(box.x + box.width, 60) - max(box.x, 0)
    inside_y = min(box.y + box.height, 60) - max(box.y, 0)
    outside = box.width * box.height - inside_x * inside_y
    assert inside_x > 0 and inside_y > 0
    assert outside <= truncation * box.width * box.height + 1e-6


def test_truncation_is_used():
    boxes = [place(7, n, (40, 40), (60, 60), 0.5) for n in range(200)]
    assert any(b.x < 0 for b in boxes) and any(b.x + b.width > 60 for b in boxes)
    assert any(b.y < 0 for b in boxes) and any(b.y + b.height > 60 for b in boxes)


def test_positions_are_uniform_to_the_corners():
    # 6 x 5 positions, 30,000 draws: 1,000 each are expected.
    counts = np.zeros((5, 6), int)
    for box in places(12345, range(30_000), [(5, 6)] * 30_000, (10, 10)):
        counts[box.y, box.x] += 1
    chi_square = ((counts - 1000) ** 2 / 1000).sum()
    assert counts.min() > 0  # corners and both ends among them
    assert chi_square < 58.3  # 99.9 % quantile of chi-square with 29 degrees of freedom


@pytest.mark.parametrize("foreground", [(6, 2), (2, 6), (5, 4)])
@pytest.mark.parametrize("truncation", [0.25, 0.5, 0.7])
def test_truncated_positions_are_all_that_show_enough_of_an_oblong_foreground(
    foreground, truncation
):
    width, height = foreground
    canvas = (9, 7)

    def visible(x: int, y: int) -> int:
        """Pixels of the box that are on the canvas, counted one by one."""
        return sum(
            0 <= column < canvas[0] and 0 <= row < canvas[1]
            for column in range(x, x + width)
            for row in range(y, y + height)
        )

    enough = (1 - truncation) * width * height
    allowed = {
        (x, y)
        for x in range(-width, canvas[0] + 1)
        for y in range(-height, canvas[1] + 1)
        if visible(x, y) >= enough - 1e-9
    }
    expected = 60
    count = expected * len(allowed)
    drawn = places(99, range(count), [foreground] * count, canvas, truncation)
    counts = dict.fromkeys(allowed, 0)
    for box in drawn:
        assert (box.width, box.height) == foreground
        counts[box.x, box.y] += 1  # KeyError: a position that is not allowed
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    degrees = len(allowed) - 1
    # Four standard deviations above the mean of chi-square, by its normal approximation.
    assert chi_square < degrees + 4 * (2 * degrees) ** 0.5
    assert min(counts.values()) > 0


@given(
    KEYS,
    st.lists(st.integers(0, 2**40), min_size=1, max_size=4),
    st.tuples(st.integers(1, 40), st.integers(1, 30)),
    st.sampled_from([0.0, 0.3, 0.5, 0.9]),
)
@settings(deadline=None)
def test_a_position_is_drawn_from_philox_by_its_sample_number(key, numbers, foreground, truncation):
    width, height = foreground
    canvas = (40, 30)
    expected = []
    for number in numbers:
        draws = philox(key, (0, number, 0, 0))
        reach_x, reach_y = int(truncation * width), int(truncation * height)
        while True:
            # Each draw is a 64-bit fraction of the number of positions that it chooses from.
            x = next(draws) * (40 - width + 2 * reach_x + 1) // 2**64 - reach_x
            y = next(draws) * (30 - height + 2 * reach_y + 1) // 2**64 - reach_y
            seen = len(range(max(x, 0), min(x + width, 40)))
            seen *= len(range(max(y, 0), min(y + height, 30)))
            if seen >= (1 - truncation) * width * height - 1e-9:
                break
        expected.append(Box(x, y, width, height))
    assert places(key, numbers, [foreground] * len(numbers), canvas, truncation) == expected


@given(KEYS, st.integers(0, 2**40), st.sampled_from([(0.25, 0.75), (0.5, 0.5), (0.125, 1.0)]))
@settings(deadline=None)
def test_a_scale_is_drawn_from_philox_by_its_round(key, round_, fg_scale):
    least, greatest = fg_scale
    share = next(philox(key, (0, round_, 0, 1))) / 2**64
    assert draw_scale(key, round_, fg_scale) == least + (greatest - least) * share


@given(st.integers(0, 2**63), st.text("0123456789abcdef"), st.text("0123456789abcdef"))
def test_the_key_is_the_blake2b_of_all_that_decides(seed, background, foreground):
    for mirrored, sign in ((False, b"0"), (True, b"1")):
        text = b"|".join(
            (b"fgbg 1", str(seed).encode(), background.encode(), foreground.encode(), sign)
        )
        digest = hashlib.blake2b(text, digest_size=16).digest()
        expected = sum(byte << (8 * i) for i, byte in enumerate(digest))
        assert generator_key(seed, background, foreground, mirrored) == expected


@given(st.lists(st.integers(1, 500), min_size=2, max_size=20, unique=True), st.randoms())
def test_a_placement_does_not_depend_on_the_order_of_draws(numbers, random):
    key = generator_key(0, "a", "b", False)
    forward = {n: place(key, n, (20, 30), (64, 64)) for n in numbers}
    shuffled = list(numbers)
    random.shuffle(shuffled)
    assert {n: place(key, n, (20, 30), (64, 64)) for n in shuffled} == forward


def test_every_part_of_the_key_changes_the_draw():
    base = (0, "a", "b", False)
    keys = {
        generator_key(*base),
        generator_key(1, "a", "b", False),
        generator_key(0, "c", "b", False),
        generator_key(0, "a", "c", False),
        generator_key(0, "a", "b", True),
    }
    assert len(keys) == 5
    boxes = {tuple(place(key, n, (8, 8), (448, 448)) for n in (1, 2, 3)) for key in keys}
    assert len(boxes) == 5


@given(SIZES, SIZES, st.floats(0.01, 1))
def test_a_scaled_foreground_fits_the_canvas_and_keeps_its_aspect(foreground, canvas, scale):
    width, height = scaled_size(foreground, canvas, scale)
    assert 1 <= width <= canvas[0] and 1 <= height <= canvas[1]
    wanted = foreground[0] / foreground[1]
    # Each side is a rounded number of pixels, at least one.
    assert (width - 0.5) / (height + 0.5) <= max(wanted, 1 / height) * 1.0001
    assert (width + 0.5) / (height - 0.5) >= min(wanted, width) * 0.9999


@pytest.mark.parametrize(
    ("foreground", "canvas", "scale", "expected"),
    [
        ((10, 10), (100, 80), 0.5, (40, 40)),  # as high as the scale says
        ((30, 10), (100, 80), 0.4, (96, 32)),
        ((30, 10), (100, 80), 0.5, (100, 33)),  # 120 wide would be too wide
        ((30, 10), (120, 80), 0.5, (120, 40)),  # just fits
        ((30, 10), (119, 80), 0.5, (119, 40)),
        ((20, 3), (100, 20), 1.0, (100, 15)),
        ((3, 100), (2, 100), 0.5, (2, 50)),  # 1.5 wide, rounded up: it fits, and stays as high
        ((1000, 1), (100, 80), 0.5, (100, 1)),  # never thinner than a pixel
        ((1, 1000), (100, 80), 0.5, (1, 40)),
        ((10, 10), (100, 80), 0.001, (1, 1)),
        ((10, 10), (3, 80), 1.0, (3, 3)),
        ((7, 11), (100, 51), 0.9, (29, 46)),  # 45.9 and 29.27, rounded to nearest
        ((11, 7), (100, 53), 0.9, (75, 48)),  # 47.7 and 75.43
    ],
)
def test_the_scaled_size_is_the_one_by_hand(foreground, canvas, scale, expected):
    assert scaled_size(foreground, canvas, scale) == expected


@settings(max_examples=50)
@given(KEYS, st.integers(0, 3))
def test_the_scale_lies_in_its_range(key, round_):
    assert 0.3 <= draw_scale(key, round_, (0.3, 0.6)) <= 0.6


@settings(max_examples=50, deadline=None)
@given(KEYS, st.lists(st.integers(0, 2**40), min_size=1, max_size=5, unique=True))
def test_the_logarithm_of_a_samples_scale_is_uniform(key, numbers):
    least, greatest = 0.1, 0.8
    shares = [next(philox(key, (0, number, 0, 2))) / 2**64 for number in numbers]
    expected = [math.exp(math.log(least) + s * math.log(greatest / least)) for s in shares]
    found = draw_scales(key, numbers, (least, greatest))
    assert found == pytest.approx(expected, rel=1e-14)
    assert all(least * (1 - 1e-15) <= scale <= greatest * (1 + 1e-15) for scale in found)


def test_each_doubling_of_a_samples_scale_is_as_likely():
    found = np.array(draw_scales(7, range(30_000), (0.1, 0.8)))
    shares = [((found >= low) & (found < 2 * low)).mean() for low in (0.1, 0.2, 0.4)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.01)


def test_sizes_and_places_of_a_sample_are_independent():
    scales = draw_scales(7, range(20_000), (0.1, 0.8))
    boxes = places(7, range(20_000), [(8, 8)] * 20_000, (448, 448))
    assert abs(np.corrcoef(scales, [box.x for box in boxes])[0, 1]) < 0.03


def test_drawn_scales_are_pinned():
    assert draw_scales(2**100 + 12345, (1, 2, 41), (0.12, 1.1)) == PINNED_SCALES


@settings(max_examples=300, deadline=None)
@given(
    SIZES,
    SIZES,
    st.floats(0.01, 4),
    st.sampled_from(["height", "longer_side", "area"]),
    st.floats(0, 0.95),
)
def test_a_size_can_be_placed_whatever_is_asked_for(foreground, canvas, scale, by, truncation):
    width, height = size_by(foreground, canvas, scale, by, truncation)
    visible = min(width, canvas[0]) * min(height, canvas[1])
    assert visible >= (1 - truncation) * width * height - 1e-6
    box = place(5, 1, (width, height), canvas, truncation)
    shown = (min(box.x + width, canvas[0]) - max(box.x, 0)) * (
        min(box.y + height, canvas[1]) - max(box.y, 0)
    )
    assert shown >= (1 - truncation) * width * height - 1e-6


@pytest.mark.parametrize(
    ("by", "expected"),
    [("height", (80, 40)), ("longer_side", (40, 20)), ("area", (57, 28))],
)
def test_what_the_scale_is_a_share_of(by, expected):
    assert size_by((30, 15), (100, 100), 0.4, by) == expected


@pytest.mark.parametrize(
    ("foreground", "truncation", "expected"),
    [
        ((10, 10), 0.0, (100, 100)),  # wholly inside
        ((10, 10), 0.36, (125, 125)),  # both ways: 100 * 100 of 125 * 125 are 0.64
        ((10, 20), 0.2, (62, 125)),  # one way: 100 of 125
        ((10, 40), 0.9, (158, 632)),  # one way, then both
    ],
)
def test_no_more_is_outside_than_the_truncation_allows(foreground, truncation, expected):
    assert size_by(foreground, (100, 100), 10.0, "height", truncation) == expected
