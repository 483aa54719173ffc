"""What is stored of a sample: depth against exact fractions, files as Pillow reads them."""

from __future__ import annotations

import io
import re
import struct
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from fgbg.transforms.pixels.coding import (
    MASK_QUALITY,
    decode,
    decode_mask,
    depth_from_8_bit,
    depth_in_metres,
    depth_to_8_bit,
    encode,
    encode_mask,
    mask_quality,
    stored_depth,
    suffixes,
)
from tests.helpers.pixel_oracles import area_mean, configuration


def read(kind: str) -> str:
    """A kind as it comes from a file: equal, but not the very same text as in the code."""
    return "".join(list(kind))


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def tables(data: bytes) -> dict[int, list[int]]:
    """A JPEG's quantisation tables, which say its quality."""
    image = opened(data)
    assert isinstance(image, JpegImageFile)
    return image.quantization


def saved(image: np.ndarray, quality: int) -> bytes:
    """A JPEG by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def restart_interval(data: bytes) -> int:
    """MCUs between restart markers (ITU-T T.81, B.2.4.4); 0 where the JPEG has no DRI segment."""
    at = data.find(b"\xff\xdd\x00\x04")
    return struct.unpack_from(">H", data, at + 4)[0] if at >= 0 else 0


def test_depth_keeps_its_scale():
    metres = np.array([[[0.0, 0.0004, 2.5, 10.0, 12.0, 70.0]]], np.float32)
    stored = stored_depth(metres, (6, 1))
    assert stored[0, 0].tolist() == [0, 0, 2500, 10000, 12000, 65535]
    assert depth_to_8_bit(stored, 10.0)[0, 0].tolist() == [0, 0, 64, 255, 255, 255]
    png = encode("depth", stored[0], configuration(depth_format="png16"))
    assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), -1), stored[0])


def test_millimetres_are_rounded_to_nearest_and_kept_in_16_bits():
    # A quarter of a millimetre under and over, and sixteenths of a metre: ties, which go to even.
    whole = np.arange(0, 9000, 7)
    quarters = np.concatenate((whole + 0.25, whole + 0.75)) / 1000
    ties = np.arange(1, 1000, 2) / 16
    metres = np.concatenate((quarters, ties, [-1.0, 65.5342, 65.5348, 65.5358, 1e9])).astype(
        np.float32
    )
    expected = [round(Fraction(float(m)) * 1000) for m in metres]
    expected = [min(max(value, 0), 65535) for value in expected]
    stored = stored_depth(metres[None, None], (len(metres), 1))
    assert stored.dtype == np.uint16
    assert stored.ravel().tolist() == expected


@pytest.mark.parametrize("size", [(12, 4), (6, 8), (6, 4), (5, 3), (12, 7), (11, 8), (1, 1)])
def test_depth_is_reduced_by_the_mean_over_each_area(size):
    # No smooth field: a nearest or a linear sample is metres off.
    metres = np.random.default_rng(0).uniform(0, 60, (3, 8, 12)).astype(np.float32)
    stored = stored_depth(metres, size)
    assert stored.shape == (3, size[1], size[0])
    for one, expected in zip(stored, metres, strict=True):
        assert np.abs(one - 1000 * area_mean(expected, size)).max() <= 0.51


def test_depth_is_enlarged_linearly():
    # Pixels are areas: new centres lie a quarter of an old pixel beside the old ones.
    between = np.array([8, 8, 10, 14, 16, 16])[None]  # of 8 and 16 with one more at each end
    row = stored_depth(np.array([[[8.0, 16.0]]], np.float32), (4, 1))
    assert row.tolist() == [(1000 * between[:, 1:5]).tolist()]
    column = stored_depth(np.array([[[8.0], [16.0]]], np.float32), (1, 4))
    assert column.tolist() == [(1000 * between[:, 1:5].T).tolist()]


@pytest.mark.parametrize("transposed", [False, True])
def test_depth_that_grows_one_way_and_shrinks_the_other_is_linear_both_ways(transposed):
    # 6 -> 2: the new centres are those of the second and the fifth; 2 -> 4 as above.
    metres = np.arange(12, dtype=np.float32).reshape(1, 6, 2) * 4
    if transposed:
        metres = metres.transpose(0, 2, 1)
    stored = stored_depth(metres, (2, 4) if transposed else (4, 2))[0]
    expected = [[4000 * value for value in (a, a + 0.25, a + 0.75, a + 1)] for a in (2, 8)]
    assert (stored.T if transposed else stored).tolist() == expected


def test_depth_of_the_stored_size_is_not_resampled():
    drawn = np.random.default_rng(1).integers(0, 65536, (2, 5, 7))
    metres = drawn.astype(np.float32) / np.float32(1000)
    assert np.array_equal(stored_depth(metres, (7, 5)), np.rint(metres * 1000))


@pytest.mark.parametrize("range_m", [1.0, 2.5, 10.0, 80.0, 655.35])
def test_8_bit_depth_is_the_nearest_255th_of_the_range(range_m):
    millimetres = np.arange(65536, dtype=np.uint16)
    found = depth_to_8_bit(millimetres, range_m)
    assert found.dtype == np.uint8
    # In integers: a value v is 255 v / full, and what is found is at most one half beside it.
    full, exact = round(range_m * 1000), 255 * millimetres.astype(np.int64)
    beside = np.abs(2 * (found * np.int64(full) - exact))
    assert np.where(exact >= 255 * full, found == 255, beside <= full).all()


def test_8_bit_depth_of_whole_metres():
    # Odd metres of ten are ties: what float64 makes of them is part of every data set.
    metres = np.arange(11, dtype=np.uint16) * 1000
    assert depth_to_8_bit(metres, 10.0).tolist() == WHOLE_METRES


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (dict(), {"overlay": ".jpg", "mask": ".jpg"}),
        (dict(mask_format="png"), {"overlay": ".jpg", "mask": ".png"}),
        (
            dict(depth_model={}),
            {"overlay": ".jpg", "mask": ".jpg", "depth": ".jpg"},
        ),
        (
            dict(depth_model={}, depth_format="png16"),
            {"overlay": ".jpg", "mask": ".jpg", "depth": ".png"},
        ),
        (dict(depth_format="png16"), {"overlay": ".jpg", "mask": ".jpg"}),
    ],
)
def test_every_kind_has_the_extension_of_its_format(changes, expected):
    assert suffixes(configuration(**changes)) == expected


def test_masks_have_at_least_their_own_quality():
    assert MASK_QUALITY == 90
    assert [mask_quality(configuration(image_quality=q)) for q in (1, 89, 90, 91, 100)] == [
        90, 90, 90, 91, 100,
    ]  # fmt: skip


@pytest.mark.parametrize("quality", [40, 95])
def test_each_kind_is_coded_at_its_quality(quality):
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    grey = np.ascontiguousarray(colour[..., 0])
    c = configuration(image_quality=quality, depth_range_m=5.0)
    overlay, mask = (
        encode(read("overlay"), colour, c),
        encode(read("mask"), (grey & 128) // 128 * 255, c),
    )
    depth = encode(read("depth"), grey.astype(np.uint16) * 20, c)
    assert tables(overlay) == tables(saved(colour, quality))
    assert tables(mask) == tables(saved(grey, max(90, quality)))
    assert tables(depth) == tables(saved(grey, quality))
    # 48 rows of four MCUs of 16 pixels, or of eight of 8.
    assert [restart_interval(data) for data in (overlay, mask, depth)] == [2, 8, 0]
    one_colour = opened(encode("overlay", np.full((16, 16, 3), (200, 100, 30), np.uint8), c))
    assert np.abs(np.asarray(one_colour).astype(int) - (30, 100, 200)).max() < 8  # BGR as given
    one_depth = opened(encode("depth", np.full((16, 16), 2510, np.uint16), c))
    assert np.array_equal(np.asarray(one_depth), np.full((16, 16), 128))


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_a_depth_format_is_that_of_depth_alone(kind):
    image = np.full((16, 16, 3) if kind == "overlay" else (16, 16), 255, np.uint8)
    data = encode(read(kind), image, configuration(depth_format=read("png16")))
    assert opened(data).format == ("PNG" if kind == "depth" else "JPEG")
    data = encode(read(kind), image, configuration(mask_format=read("png")))
    assert opened(data).format == ("PNG" if kind == "mask" else "JPEG")
    data = encode(read(kind), image, configuration(output_format=read("tfrecord")))
    assert opened(data).format == ("PNG" if kind == "mask" else "JPEG")
    assert opened(data).mode == ("RGB" if kind == "overlay" else "L")


def test_masks_in_files_are_0_and_255_and_in_records_0_and_1():
    mask = np.random.default_rng(0).integers(0, 2, (33, 57), dtype=np.uint8) * 255
    of_files = encode("mask", mask, configuration(mask_format="png"))
    of_records = encode("mask", mask, configuration(output_format="tfrecord", mask_format="png"))
    assert np.array_equal(np.asarray(opened(of_files)), mask)
    assert np.array_equal(np.asarray(opened(of_records)), mask // 255)
    assert of_records == encode_mask(mask)
    # Records hold PNGs whatever the files' format.
    assert of_records == encode("mask", mask, configuration(output_format="tfrecord"))
    assert np.array_equal(decode_mask(of_records), mask)


@pytest.mark.parametrize("range_m", [1.0, 2.5, 10.0, 80.0])
def test_8_bit_depth_is_read_back_to_the_nearest_millimetre(range_m):
    stored = np.arange(256, dtype=np.uint8)
    found = depth_from_8_bit(stored, range_m)
    assert found.dtype == np.uint16
    full = round(range_m * 1000)
    for value, one in zip(stored.tolist(), found.tolist(), strict=True):
        exact = Fraction(value * full, 255)
        assert one == 65535 if exact >= 65535 else abs(one - exact) <= Fraction(1, 2)


def test_8_bit_depth_of_a_long_range_is_cut_at_what_16_bits_hold():
    assert depth_from_8_bit(np.array([0, 200, 255], np.uint8), 100.0).tolist() == [0, 65535, 65535]
    assert depth_from_8_bit(np.array([167, 168], np.uint8), 100.0).tolist() == [65490, 65535]


def test_depth_is_read_in_metres():
    millimetres = np.array([[0, 1, 999, 2500, 65535]], np.uint16)
    metres = depth_in_metres(millimetres, 10.0)
    assert metres.dtype == np.float32
    assert metres.tolist() == [[np.float32(v) / np.float32(1000) for v in (0, 1, 999, 2500, 65535)]]
    of_8_bits = depth_in_metres(np.array([0, 51, 102, 255], np.uint8), 10.0)
    assert of_8_bits.dtype == np.float32
    assert np.abs(of_8_bits - [0, 2, 4, 10]).max() < 1e-6


DECODED: dict[str, tuple[int, ...]] = {"overlay": (6, 9, 3), "mask": (6, 9), "depth": (6, 9)}


@pytest.mark.parametrize("form", ["images", "tfrecord"])
@pytest.mark.parametrize("kind", DECODED)
def test_what_was_encoded_is_decoded(kind, form):
    c = configuration(
        size=(9, 6), output_format=form, mask_format="png", depth_format="png16", image_quality=100
    )
    image = np.full(DECODED[kind], 255, np.uint16 if kind == "depth" else np.uint8)
    if kind == "mask":
        image[2:4, 3:5] = 0
    found = decode(read(kind), encode(kind, image, c), c)
    assert found.dtype == image.dtype
    assert np.array_equal(found, image)


@pytest.mark.parametrize("kind", DECODED)
def test_a_picture_of_another_shape_is_refused(kind):
    c = configuration(size=(9, 6))
    expected = DECODED[kind]
    flat = [(5, 9), (7, 9), (6, 8), (6, 10), (9, 6), (6, 9)]
    others: list[tuple[int, ...]] = [*flat, *((*shape, 3) for shape in flat)]
    others.remove(expected)
    for shape in others:
        with pytest.raises(ValueError, match=re.escape(f"has shape {shape}, not {expected}")):
            decode(read(kind), png(np.zeros(shape, np.uint8)), c)


@pytest.mark.parametrize("form", ["images", "tfrecord"])
@pytest.mark.parametrize("kind", DECODED)
def test_what_cannot_be_decoded_is_told_with_its_size(kind, form):
    with pytest.raises(ValueError, match=re.escape("cannot be decoded (7 bytes)")):
        decode(kind, b"nothing", configuration(output_format=form))


def test_only_masks_of_records_must_be_0_and_1():
    one, two = (png(np.full((6, 9), value, np.uint8)) for value in (1, 2))
    c = configuration(size=(9, 6), output_format="tfrecord")
    assert decode("mask", one, c).tolist() == np.full((6, 9), 255).tolist()
    assert decode("depth", two, c).tolist() == np.full((6, 9), 2).tolist()
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode("mask", two, c)
    assert decode("mask", two, configuration(size=(9, 6))).tolist() == np.full((6, 9), 2).tolist()


def test_a_mask_of_nothing_is_a_mask():
    empty = np.zeros((6, 9), np.uint8)
    assert np.array_equal(decode_mask(encode_mask(empty)), empty)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.mark.parametrize(
    "data",
    [
        png(np.full((4, 5), 2, np.uint8)),
        png(np.full((4, 5), 255, np.uint8)),
        png(np.ones((4, 5), np.uint16)),
        png(np.ones((4, 5, 3), np.uint8)),
    ],
)
def test_what_is_no_mask_of_0_and_1_is_refused(data):
    with pytest.raises(ValueError, match="not a mask of 0 and 1"):
        decode_mask(data)


def test_what_is_no_png_is_no_mask():
    with pytest.raises(ValueError, match="mask cannot be decoded"):
        decode_mask(b"nothing")


def test_an_encoder_that_fails_is_noticed(monkeypatch):
    monkeypatch.setattr(cv2, "imencode", lambda *_: (False, np.empty(0, np.uint8)))
    with pytest.raises(ValueError, match=r"could not encode a \.jpg of \(4, 5\)"):
        encode("depth", np.zeros((4, 5), np.uint16), configuration())


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


WHOLE_METRES = [0, 26, 51, 76, 102, 127, 153, 178, 204, 229, 255]
