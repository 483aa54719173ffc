"""What is stacked: every touched segment once, nothing else, and no taller than allowed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg.transforms.pixels.jpeg import stacks as jpeg_stacks
from fgbg.transforms.pixels.jpeg.stacks import Grid, Stack, stacks
from fgbg.transforms.pixels.placement import Box

WIDTH, HEIGHT = 8, 4  # of a segment


def grid(columns: int, rows: int, less: tuple[int, int] = (0, 0)) -> Grid:
    """A background of zeros; less pixels at its right and lower edge."""
    shape = (rows * HEIGHT - less[1], columns * WIDTH - less[0])
    return Grid(np.zeros(shape, np.uint8), (WIDTH, HEIGHT), columns)


def patch(box: Box, value: int = 1) -> np.ndarray:
    return np.full((box.height, box.width), value, np.uint8)


def stacked(of: Grid, boxes: list[Box], extents: list | None = None) -> list[Stack]:
    patches = [patch(box, i + 1) for i, box in enumerate(boxes)]
    return list(stacks(of, dict(enumerate(boxes)), patches, extents))


def touched(of: Grid, box: Box, extent: np.ndarray | None = None) -> set[int]:
    """Segments that hold a pixel of the box that may differ, by going through all pixels."""
    found = set()
    for y in range(box.y, box.y + box.height):
        first, behind = (0, box.width) if extent is None else extent[:, y - box.y]
        for x in range(box.x + first, box.x + behind):
            found.add(y // HEIGHT * of.columns + x // WIDTH)
    return found


def segments(runs: list[tuple[int, int]]) -> list[int]:
    return [place for first, count in runs for place in range(first, first + count)]


def boxes_in(of: Grid, rng: np.random.Generator, count: int) -> list[Box]:
    height, width = of.picture.shape
    found = []
    for _ in range(count):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        size = int(rng.integers(1, width - x + 1)), int(rng.integers(1, height - y + 1))
        found.append(Box(x, y, *size))
    return found


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_of_even_pictures_just_the_touched_segments_are_stacked(seed):
    rng = np.random.default_rng(seed)
    of = grid(int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    boxes = boxes_in(of, rng, 4)
    (stack,) = stacked(of, boxes)
    assert stack.members == [0, 1, 2, 3]
    for i, box in enumerate(boxes):
        places = segments(stack.runs[i])
        assert set(places) == touched(of, box)
        assert places == sorted(places)
    # One after the other, row by row: each is what its picture has at its place.
    rows = stack.pixels.reshape(-1, HEIGHT, of.columns, WIDTH)
    laid = rows.swapaxes(1, 2).reshape(-1, HEIGHT, WIDTH)
    expected = []
    for i, box in enumerate(boxes):
        whole = of.picture.copy()
        whole[box.y : box.y + box.height, box.x : box.x + box.width] = i + 1
        for place in segments(stack.runs[i]):
            y, x = place // of.columns * HEIGHT, place % of.columns * WIDTH
            expected.append(whole[y : y + HEIGHT, x : x + WIDTH])
    assert np.array_equal(laid[: len(expected)], expected)
    # The last row is filled up, and there is none after it.
    assert 0 <= len(laid) - len(expected) < of.columns
    assert not laid[len(expected) :].any()
    assert not of.picture.any()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_of_known_extents_each_row_of_segments_is_taken_from_first_to_last(seed):
    rng = np.random.default_rng(seed)
    of = grid(4, 3)
    boxes = boxes_in(of, rng, 3)
    extents = []
    for box in boxes:
        extent = np.sort(rng.integers(0, box.width + 1, (2, box.height)), axis=0)
        empty = (extent[0] == extent[1]) | (rng.random(box.height) < 0.3)
        extent[:, empty] = [[box.width], [0]]
        extents.append(extent)
    (stack,) = stacked(of, boxes, extents)
    for runs, box, extent in zip(stack.runs, boxes, extents, strict=True):
        for row in range(3):
            taken = [place for place in segments(runs) if place // 4 == row]
            needed = [place for place in touched(of, box, extent) if place // 4 == row]
            if needed:  # those, and what lies between
                assert taken == list(range(min(needed), max(needed) + 1))
            else:  # of a box inside of one segment, that one is taken all the same
                assert len(taken) <= 1 and set(taken) <= touched(of, box)


def test_extents_that_end_with_a_segment_do_not_touch_the_next():
    of = grid(4, 1)
    box = Box(0, 0, 32, 4)
    for first, behind, expected in (
        (0, 8, [0]),
        (0, 9, [0, 1]),
        (7, 8, [0]),
        (8, 16, [1]),
        (8, 17, [1, 2]),
        (31, 32, [3]),
        (24, 32, [3]),
        (23, 32, [2, 3]),
        (32, 0, []),
    ):
        extent = np.tile([[first], [behind]], (1, 4))
        (stack,) = stacked(of, [box], [extent])
        assert segments(stack.runs[0]) == expected


def test_boxes_that_end_with_a_segment_do_not_touch_the_next():
    of = grid(3, 3)
    for box, expected in (
        (Box(0, 0, 8, 4), [0]),
        (Box(0, 0, 9, 4), [0, 1]),
        (Box(0, 0, 8, 5), [0, 3]),
        (Box(7, 3, 2, 2), [0, 1, 3, 4]),
        (Box(8, 4, 8, 4), [4]),
        (Box(16, 8, 8, 4), [8]),
        (Box(23, 11, 1, 1), [8]),
    ):
        (stack,) = stacked(of, [box])
        assert segments(stack.runs[0]) == expected


@pytest.mark.parametrize("unknown", [0, 1])
def test_where_one_extent_is_unknown_boxes_are_taken_whole(unknown):
    of = grid(4, 1)
    boxes = [Box(0, 0, 32, 4), Box(0, 0, 32, 4)]
    extents: list = [np.tile([[8], [16]], (1, 4)) for _ in boxes]
    extents[unknown] = None
    (stack,) = stacked(of, boxes, extents)
    assert [segments(runs) for runs in stack.runs] == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("less", [(0, 0), (3, 0), (0, 1), (3, 1)])
def test_nothing_to_stack_is_no_stack(less):
    assert list(stacks(grid(3, 2, less), {}, [], None)) == []


def test_an_even_stack_is_filled_to_just_its_height(monkeypatch):
    # Two rows of three segments: six fit, of units of two, and a seventh does not.
    monkeypatch.setattr(jpeg_stacks, "STACK_ROWS", 2 * HEIGHT)
    of = grid(3, 3)
    of_two, of_one, of_nine = Box(0, 0, 16, 4), Box(0, 0, 8, 4), Box(0, 0, 24, 12)
    assert [s.members for s in stacked(of, [of_two] * 3)] == [[0, 1, 2]]
    assert [s.members for s in stacked(of, [of_two] * 3 + [of_one])] == [[0, 1, 2], [3]]
    assert [s.members for s in stacked(of, [of_one] * 13)] == [
        list(range(6)), list(range(6, 12)), [12],
    ]  # fmt: skip
    # More than fits at once stands alone.
    assert [s.members for s in stacked(of, [of_nine, of_one, of_nine])] == [[0], [1], [2]]
    # A height that is no whole number of segments is not passed.
    monkeypatch.setattr(jpeg_stacks, "STACK_ROWS", 3 * HEIGHT - 1)
    assert [s.members for s in stacked(of, [of_two] * 4)] == [[0, 1, 2], [3]]
    for stack in stacked(of, [of_two] * 4):
        count = sum(len(segments(runs)) for runs in stack.runs)
        assert stack.pixels.shape == (-(-count // 3) * HEIGHT, 24)


def test_an_uneven_stack_is_filled_to_just_its_height(monkeypatch):
    monkeypatch.setattr(jpeg_stacks, "STACK_ROWS", 3 * HEIGHT)
    of = grid(3, 3, (3, 1))
    one, two = (Box(0, 0, 3, n * HEIGHT) for n in (1, 2))
    assert [s.members for s in stacked(of, [one, two, one])] == [[0, 1], [2]]
    assert [s.members for s in stacked(of, [two, two])] == [[0], [1]]
    assert [s.members for s in stacked(of, [two, one])] == [[0, 1]]
    assert [s.members for s in stacked(of, [one] * 7)] == [[0, 1, 2], [3, 4, 5], [6]]
    # Spans of other widths wait beside them.
    wide = Box(0, 0, 9, 1)
    both = stacked(of, [one, wide, one, wide, one])
    assert sorted(s.members for s in both) == [[0, 2, 4], [1, 3]]
    # One that ends at the uneven edge is the last of its stack, and none waits for it.
    lowest = Box(0, 8, 3, 3)
    assert [s.members for s in stacked(of, [one, lowest, one])] == [[0, 1], [2]]
    assert [s.members for s in stacked(of, [one, one, one, lowest])] == [[0, 1, 2], [3]]
    (stack, _) = stacked(of, [one, lowest, one])
    assert stack.pixels.shape == (HEIGHT + HEIGHT - 1, WIDTH)
    monkeypatch.setattr(jpeg_stacks, "STACK_ROWS", 3 * HEIGHT - 1)
    assert [s.members for s in stacked(of, [one, one, one])] == [[0, 1], [2]]
    assert [s.members for s in stacked(of, [one, one, lowest])] == [[0, 1, 2]]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_of_uneven_pictures_whole_spans_are_stacked(seed):
    rng = np.random.default_rng(seed)
    columns, rows = (int(n) for n in rng.integers(1, 5, 2))
    less = int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT))
    of = grid(columns, rows, less)
    if of.even:
        return
    boxes = boxes_in(of, rng, 4)
    height, width = of.picture.shape
    found = stacked(of, boxes)
    assert sorted(i for stack in found for i in stack.members) == [0, 1, 2, 3]
    for stack in found:
        row = 0
        for i, runs in zip(stack.members, stack.runs, strict=True):
            places = segments(runs)
            assert set(places) == touched(of, boxes[i]) and places == sorted(places)
            y, x = places[0] // columns * HEIGHT, places[0] % columns * WIDTH
            bottom = min(height, (places[-1] // columns + 1) * HEIGHT)
            right = min(width, (places[-1] % columns + 1) * WIDTH)
            whole = of.picture.copy()
            box = boxes[i]
            whole[box.y : box.y + box.height, box.x : box.x + box.width] = i + 1
            part = stack.pixels[row : row + bottom - y]
            assert np.array_equal(part, whole[y:bottom, x:right])
            row += bottom - y
        assert row == len(stack.pixels)


# Four columns less: the width is a whole number of segments' heights, though not of their widths.
@pytest.mark.parametrize(
    ("less", "even"), [((0, 0), True), ((1, 0), False), ((4, 0), False), ((0, 1), False)]
)
def test_a_grid_is_even_where_segments_fill_it(less, even):
    assert grid(3, 2, less).even is even


def test_a_stack_has_as_many_rows_as_documented():
    assert jpeg_stacks.STACK_ROWS == 4096
