"""Compositing against an independent computation in plain NumPy integers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fgbg.transforms.pixels import compositing
from fgbg.transforms.pixels.coding import MASK_QUALITY, depth_to_8_bit, encode, stored_depth
from fgbg.transforms.pixels.compositing import Background, compose_unit, scale_foreground
from fgbg.transforms.pixels.pictures import resize_cutout
from fgbg.transforms.pixels.placement import Box
from tests.helpers.pixel_oracles import area_mean, configuration, oracle_blend

PICTURES = hnp.arrays(np.uint8, (5, 4, 3))
CUTOUTS = hnp.arrays(np.uint8, (5, 4, 4))


def oracle_sample(canvas: np.ndarray, foreground: np.ndarray, box: Box, ratio: int):
    """Overlay and mask of one sample, whole pictures at a time, pixel by pixel sums."""
    height, width = canvas.shape[:2]
    padded = np.zeros((3 * height, 3 * width, 4), np.uint8)  # room for truncated boxes
    y, x = box.y + height, box.x + width
    padded[y : y + box.height, x : x + box.width] = foreground
    layer = padded[height : 2 * height, width : 2 * width]
    full = oracle_blend(canvas, layer)
    blocks = (height // ratio, ratio, width // ratio, ratio)
    area = ratio * ratio
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


@pytest.mark.parametrize("ratio", [1, 2, 4])
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
    size = (48 // ratio, 32 // ratio)
    result = compose_unit(Background.of(canvas, size), foreground, boxes, size, True)
    for k, box in enumerate(boxes):
        overlay, mask = oracle_sample(canvas, foreground, box, ratio)
        # At ratio 4 OpenCV rounds a mean of exactly one half to the even neighbour.
        assert np.abs(result.overlays[k].astype(int) - overlay).max() <= (1 if ratio == 4 else 0)
        assert np.array_equal(result.masks[k] == 255, mask)
        assert result.areas[k] == mask.sum()
        rows, columns = np.nonzero(mask)
        tight = (0, 0, 0, 0)
        if len(rows):
            spans = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
            tight = (int(columns.min()), int(rows.min()), *spans)
        assert tuple(result.boxes[k]) == tight
        full, _ = oracle_sample(canvas, foreground, box, 1)
        assert np.array_equal(result.canvases[k], full)
    values = result.overlays.reshape(-1, 3).astype(object)
    assert result.sums[0].tolist() == values.sum(axis=0).tolist()
    assert result.sums[1].tolist() == (values**2).sum(axis=0).tolist()


def test_canvases_without_an_integer_ratio_are_reduced_whole():
    rng = np.random.default_rng(3)
    canvas = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    foreground = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    box = Box(13, 21, 30, 20)
    result = compose_unit(Background.of(canvas, (21, 15)), foreground, [box], (21, 15), False)
    full = canvas.copy()
    full[21:41, 13:43] = oracle_blend(canvas[21:41, 13:43], foreground)
    expected = area_mean(full.astype(float), (21, 15))
    assert np.abs(result.overlays[0] - expected).max() <= 0.51


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


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 100), st.integers(8, 70), st.integers(8, 70))
def test_a_jpeg_mask_thresholded_is_the_exact_mask(seed, quality, width, height):
    rng = np.random.default_rng(seed)
    # From pure noise, the worst case for JPEG, to large shapes.
    coarse = rng.integers(0, 2, (height // int(rng.integers(1, 9)) + 1, width), dtype=np.uint8)
    mask = cv2.resize(coarse * 255, (width, height), interpolation=cv2.INTER_NEAREST)
    data = encode("mask", mask, configuration(image_quality=quality))
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decoded >= 128, mask == 255)


def test_a_mask_of_low_jpeg_quality_would_not_be_exact():
    # So that the test above can fail: it holds because masks get a quality of their own.
    mask = np.random.default_rng(0).integers(0, 2, (64, 64), dtype=np.uint8) * 255
    data = cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, 5])[1]
    assert not np.array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED) >= 128, mask == 255)


def test_the_quantisation_table_is_the_one_of_the_proof():
    data = cv2.imencode(".jpg", np.zeros((8, 8), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    raw = data.tobytes()
    start = raw.index(b"\xff\xdb") + 5
    assert sum(raw[start : start + 64]) == 3688
    data = cv2.imencode(
        ".jpg", np.zeros((8, 8), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, MASK_QUALITY]
    )[1]
    raw = data.tobytes()
    start = raw.index(b"\xff\xdb") + 5
    assert sum(raw[start : start + 64]) / 8 + 1 < 127


def test_png_masks_are_lossless():
    mask = np.random.default_rng(0).integers(0, 2, (33, 57), dtype=np.uint8) * 255
    data = encode("mask", mask, configuration(mask_format="png"))
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), -1), mask)


def test_depth_keeps_its_scale():
    metres = np.array([[[0.0, 0.0004, 2.5, 10.0, 12.0, 70.0]]], np.float32)
    stored = stored_depth(metres, (6, 1))
    assert stored[0, 0].tolist() == [0, 0, 2500, 10000, 12000, 65535]
    assert depth_to_8_bit(stored, 10.0)[0, 0].tolist() == [0, 0, 64, 255, 255, 255]
    png = encode("depth", stored[0], configuration(depth_format="png16"))
    assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), -1), stored[0])
