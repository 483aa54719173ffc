"""Compositing against an independent computation in plain NumPy integers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fgbg.transforms.pixels import compositing
from fgbg.transforms.pixels.compositing import Background, compose_unit, scale_foreground
from fgbg.transforms.pixels.pictures import resize_cutout
from fgbg.transforms.pixels.placement import Box
from tests.helpers.pixel_oracles import area_mean, oracle_blend

PICTURES = hnp.arrays(np.uint8, (5, 4, 3))
CUTOUTS = hnp.arrays(np.uint8, (5, 4, 4))


def oracle_sample(canvas: np.ndarray, foreground: np.ndarray, box: Box, ratio: tuple[int, int]):
    """Overlay and mask of one sample, whole pictures at a time, pixel by pixel sums."""
    height, width = canvas.shape[:2]
    padded = np.zeros((3 * height, 3 * width, 4), np.uint8)  # room for truncated boxes
    y, x = box.y + height, box.x + width
    padded[y : y + box.height, x : x + box.width] = foreground
    layer = padded[height : 2 * height, width : 2 * width]
    full = oracle_blend(canvas, layer)
    blocks = (height // ratio[1], ratio[1], width // ratio[0], ratio[0])
    area = ratio[0] * ratio[1]
    sums = full.reshape(*blocks, 3).sum(axis=(1, 3))
    alpha = layer[..., 3].astype(int).reshape(blocks).sum(axis=(1, 3))
    return (2 * sums + area) // (2 * area), (2 * alpha + area) // (2 * area) >= 128


@settings(deadline=None)
@given(PICTURES, CUTOUTS)
def test_blend_is_rounded_to_nearest(background, foreground):
    assert np.array_equal(
        compositing.blend(background, foreground), oracle_blend(background, foreground)
    )


def test_blend_is_exact_for_every_product():
    # All pairs of colour and alpha over black and white.
    f, a = np.meshgrid(np.arange(256), np.arange(256))
    foreground = np.dstack((f, f, f, a)).astype(np.uint8)
    for value in (0, 255):
        background = np.full((256, 256, 3), value, np.uint8)
        assert np.array_equal(
            compositing.blend(background, foreground), oracle_blend(background, foreground)
        )


def test_every_sum_is_rounded_to_nearest():
    # All sums f a + b (255 - a) that there can be, as weighted and nothing of the background.
    sums = np.arange(255 * 255 + 1, dtype=np.uint16).reshape(1, -1)
    nothing = np.zeros(sums.shape, np.uint8)
    blended = compositing._blend(nothing, sums, np.zeros_like(sums))
    assert np.array_equal(blended, (2 * sums.astype(int) + 255) // 510)


@pytest.mark.parametrize("ratio", [1, 2])
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_outside_of_its_extents_a_part_is_its_background(ratio, seed):
    rng = np.random.default_rng(seed)
    canvas = rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    # Some pixels of any opacity, faint ones too, between transparent ones of any colour.
    foreground = rng.integers(0, 256, (17, 21, 4), dtype=np.uint8)
    foreground[..., 3] *= rng.random((17, 21)) < rng.choice([0.0, 0.01, 0.3])
    places = [Box(int(rng.integers(-20, 48)), int(rng.integers(-16, 32)), 21, 17) for _ in range(4)]
    size = (48 // ratio, 32 // ratio)
    background = Background.of(canvas, size)
    for part in compose_unit(background, foreground, places, size, False).parts:
        columns = np.arange(part.box.width)
        first, behind = part.extents
        outside = (columns < first[:, None]) | (columns >= behind[:, None])
        under = background.stored[compositing.inside(part.box)]
        assert np.array_equal(part.overlay[outside], under[outside])
        assert not part.mask[outside].any()


@pytest.mark.parametrize("ratio", [(1, 1), (2, 2), (4, 4), (2, 1), (1, 2), (4, 2)])
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_unit_is_what_whole_pictures_give(ratio, seed):
    rng = np.random.default_rng(seed)
    canvas = rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    width, height = int(rng.integers(1, 40)), int(rng.integers(1, 30))
    foreground = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    boxes = [
        Box(int(rng.integers(1 - width, 48)), int(rng.integers(1 - height, 32)), width, height)
        for _ in range(3)
    ]
    size = (48 // ratio[0], 32 // ratio[1])
    result = compose_unit(Background.of(canvas, size), foreground, boxes, size, True)
    for k, box in enumerate(boxes):
        overlay, mask = oracle_sample(canvas, foreground, box, ratio)
        # But for squares of two OpenCV rounds a mean of exactly one half to the even neighbour.
        exact = ratio in ((1, 1), (2, 2))
        assert np.abs(result.overlays[k].astype(int) - overlay).max() <= (0 if exact else 1)
        assert np.array_equal(result.masks[k] == 255, mask)
        assert result.areas[k] == mask.sum()
        rows, columns = np.nonzero(mask)
        tight = (0, 0, 0, 0)
        if len(rows):
            spans = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
            tight = (int(columns.min()), int(rows.min()), *spans)
        assert tuple(result.boxes[k]) == tight
        full, _ = oracle_sample(canvas, foreground, box, (1, 1))
        assert np.array_equal(result.canvases[k], full)
    values = result.overlays.reshape(-1, 3).astype(object)
    assert result.sums[0].tolist() == values.sum(axis=0).tolist()
    assert result.sums[1].tolist() == (values**2).sum(axis=0).tolist()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_samples_of_different_sizes_are_what_each_gives_alone(seed):
    rng = np.random.default_rng(seed)
    background = Background.of(rng.integers(0, 256, (32, 48, 3), dtype=np.uint8), (24, 16))
    sizes = [(21, 17), (9, 30), (21, 17), (60, 40)]
    drawn = {size: rng.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8) for size in sizes}
    boxes = [Box(int(rng.integers(-8, 40)), int(rng.integers(-8, 28)), *size) for size in sizes]
    together = compose_unit(background, [drawn[s] for s in sizes], boxes, (24, 16), True)
    alone = [
        compose_unit(background, drawn[size], [box], (24, 16), True)
        for size, box in zip(sizes, boxes, strict=True)
    ]
    for k, one in enumerate(alone):
        assert np.array_equal(together.overlays[k], one.overlays[0])
        assert np.array_equal(together.masks[k], one.masks[0])
        assert np.array_equal(together.canvases[k], one.canvases[0])
    assert np.array_equal(together.sums, sum(one.sums for one in alone))


@pytest.mark.parametrize("size", [(21, 15), (35, 15), (21, 25)])
def test_canvases_without_an_integer_ratio_are_reduced_whole(size):
    rng = np.random.default_rng(3)
    canvas = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    foreground = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    foreground[..., 3] |= 128  # in the mask wherever a whole pixel is covered
    boxes = [Box(13, 21, 30, 20), Box(-9, 40, 30, 20), Box(13, 21, 30, 20)]
    result = compose_unit(Background.of(canvas, size), foreground, boxes, size, False)
    for k, box in enumerate(boxes):
        left, bottom = max(box.x, 0), min(box.y + 20, 50)
        full, alpha = canvas.copy(), np.zeros((50, 70))
        place = np.s_[box.y : bottom, left : box.x + 30]
        part = foreground[: bottom - box.y, left - box.x :]
        full[place], alpha[place] = oracle_blend(canvas[place], part), part[..., 3]
        assert np.abs(result.overlays[k] - area_mean(full.astype(float), size)).max() <= 0.51
        opacity = area_mean(alpha, size)
        sure = np.abs(opacity - 127.5) > 0.01
        assert np.array_equal((result.masks[k] == 255)[sure], (opacity >= 127.5)[sure])
        rows, columns = np.nonzero(result.masks[k])
        tight = columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1
        assert tuple(result.boxes[k]) == tight
        assert result.areas[k] == len(rows)
        assert result.parts[k].extents is None
    values = result.overlays.reshape(-1, 3).astype(object)
    assert result.sums[0].tolist() == values.sum(axis=0).tolist()
    assert result.canvases is None


def test_a_background_is_stored_by_area_or_enlarged_linearly():
    def stored(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return Background.of(np.repeat(image[..., None], 3, axis=2), size).stored[..., 0]

    image = np.random.default_rng(5).integers(0, 256, (12, 18), dtype=np.uint8)
    for size in ((18, 12), (6, 4), (9, 12), (18, 4), (7, 5), (1, 1)):
        assert np.abs(stored(image, size) - area_mean(image.astype(float), size)).max() <= 0.51
    # New centres lie a quarter of an old pixel beside the old ones.
    row = np.array([[40, 80]], np.uint8)
    assert stored(row, (4, 1)).tolist() == [[40, 50, 70, 80]]
    assert stored(row.T, (1, 4)).tolist() == [[40], [50], [70], [80]]
    # One way larger, the other smaller: linear, at the second and the fifth of six.
    steps = np.arange(6, dtype=np.uint8) * 40
    wide, high = np.stack((steps, steps), axis=1), np.stack((steps, steps))
    assert stored(wide, (4, 2)).tolist() == [[40] * 4, [160] * 4]
    assert stored(high, (2, 4)).tolist() == [[40, 160]] * 4


def test_sums_are_exact_for_the_brightest_picture():
    white = np.full((300, 400, 3), 255, np.uint8)
    white[0, 0] = (1, 2, 3)
    values = 300 * 400 - 1
    assert compositing.channel_sums(white).tolist() == [
        [255 * values + v for v in (1, 2, 3)],
        [255 * 255 * values + v * v for v in (1, 2, 3)],
    ]


def test_samples_that_meet_the_stored_pixels_alike_share_their_mask():
    background = Background.of(np.zeros((32, 48, 3), np.uint8), (24, 16))
    foreground = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)

    def masks(*places: tuple[int, int]) -> set[int]:
        boxes = [Box(x, y, 8, 6) for x, y in places]
        parts = compose_unit(background, foreground, boxes, (24, 16), False).parts
        return {id(part.mask) for part in parts}

    assert len(masks((4, 6), (8, 2), (0, 0), (40, 26))) == 1
    assert len(masks((5, 7), (9, 3), (1, 1))) == 1
    assert len(masks((4, 6), (5, 6), (4, 7), (5, 7))) == 4
    # Cut off alike, and unlike.
    assert len(masks((-2, 4), (-2, 10))) == len(masks((44, 4), (44, 8))) == 1
    assert len(masks((-2, 4), (-4, 4), (44, 4), (42, 4), (4, -2), (4, 28), (4, 4))) == 7


def test_a_part_is_no_larger_than_the_pixels_that_its_box_touches():
    background = Background.of(np.zeros((32, 48, 3), np.uint8), (24, 16))
    opaque = np.full((4, 6, 4), 255, np.uint8)
    for box, expected in (
        (Box(4, 6, 6, 4), (2, 3, 3, 2)),
        (Box(5, 7, 6, 4), (2, 3, 4, 3)),
        (Box(-3, -1, 6, 4), (0, 0, 2, 2)),
        (Box(43, 29, 6, 4), (21, 14, 3, 2)),
    ):
        (part,) = compose_unit(background, opaque, [box], (24, 16), False).parts
        assert part.box == expected
        assert part.overlay.shape == (part.box.height, part.box.width, 3)


@pytest.mark.parametrize(
    ("ratio", "visible", "expected"),
    [
        (1, [(0, 2), (0, 5)], (2, 6)),
        (1, [(0, 0)], (0, 1)),
        (1, [(0, 7)], (7, 8)),
        (2, [(1, 5), (0, 10)], (2, 6)),
        (2, [(0, 4), (1, 11)], (2, 6)),
        (2, [(0, 6)], (3, 4)),
    ],
)
def test_extents_reach_from_the_first_to_the_last_visible_column(ratio, visible, expected):
    foreground = np.zeros((2 * ratio, 8 * ratio, 4), np.uint8)
    for y, x in visible:
        foreground[y, x, 3] = 1  # too faint for the mask, but it may change a colour
    size = (10, 2)
    background = Background.of(np.zeros((2 * ratio, 10 * ratio, 3), np.uint8), size)
    box = Box(ratio, 0, 8 * ratio, 2 * ratio)
    (part,) = compose_unit(background, foreground, [box], size, False).parts
    assert part.box == (1, 0, 8, 2)
    first, behind = part.extents
    assert (first[0], behind[0]) == expected
    assert (first[1], behind[1]) == (8, 0)  # a row with nothing in it


def test_what_was_composed_does_not_change():
    background = Background.of(np.zeros((4, 4, 3), np.uint8), (4, 4))
    composed = compose_unit(background, np.zeros((2, 2, 4), np.uint8), [], (4, 4), False)
    for frozen, name in ((background, "sums"), (composed, "areas")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, name, None)


def test_black_foreground_pixels_are_in_the_mask():
    black = np.zeros((10, 10, 4), np.uint8)
    black[..., 3] = 255
    white = Background.of(np.full((32, 32, 3), 255, np.uint8), (32, 32))
    result = compose_unit(white, black, [Box(4, 6, 10, 10)], (32, 32), False)
    assert result.areas == [100]
    assert not result.overlays[0, 6:16, 4:14].any()


def test_the_mask_is_opacity_of_at_least_one_half():
    alphas = np.arange(256, dtype=np.uint8).reshape(16, 16)
    foreground = np.dstack((np.zeros((16, 16, 3), np.uint8), alphas))
    background = Background.of(np.zeros((16, 16, 3), np.uint8), (16, 16))
    result = compose_unit(background, foreground, [Box(0, 0, 16, 16)], (16, 16), False)
    assert np.array_equal(result.masks[0] == 255, alphas >= 128)


def test_mirrored_is_left_right():
    rng = np.random.default_rng(0)
    cutout = rng.integers(0, 256, (30, 20, 4), dtype=np.uint8)
    plain = scale_foreground(cutout, (11, 17), False)
    assert np.array_equal(scale_foreground(cutout, (11, 17), True), plain[:, ::-1])
    assert not np.array_equal(plain, plain[:, ::-1])


def test_scaling_leaves_no_halo_of_transparent_colours():
    # A red disc on transparent green: no green may come in, in any direction of scaling.
    cutout = np.zeros((40, 40, 4), np.uint8)
    cutout[..., 1] = 255
    y, x = np.mgrid[0:40, 0:40]
    inside = np.hypot(x - 19.5, y - 19.5) < 15
    cutout[inside] = (255, 0, 0, 255)
    for size in ((13, 13), (97, 97)):
        scaled = resize_cutout(cutout, size)
        visible = scaled[scaled[..., 3] > 0]
        assert visible[:, 1].max() == 0
        assert visible[:, 0].min() >= 250


def test_a_foreground_of_several_samples_is_weighed_once(monkeypatch):
    calls = []
    weigh = compositing._weigh
    monkeypatch.setattr(compositing, "_weigh", lambda f: calls.append(f.shape) or weigh(f))
    background = Background.of(np.zeros((32, 32, 3), np.uint8), (32, 32))
    large, small = (np.full((side, side, 4), 200, np.uint8) for side in (8, 4))
    boxes = [Box(0, 0, 8, 8), Box(4, 4, 4, 4), Box(9, 9, 8, 8), Box(1, 2, 8, 8)]
    compose_unit(background, [large, small, large, large], boxes, (32, 32), False)
    assert calls == [(8, 8, 4), (4, 4, 4)]
