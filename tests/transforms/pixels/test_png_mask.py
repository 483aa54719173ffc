"""PNGs of masks: read back by three readers, and the same bytes from a mask and from its box."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fgbg.transforms.pixels import png_mask
from fgbg.transforms.pixels.placement import Box


def mask_of(width: int, height: int, box: Box, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    part = rng.random((box.height, box.width)) < rng.choice([0.001, 0.5, 1.0])
    mask[box.y : box.y + box.height, box.x : box.x + box.width] = part * 255
    return mask


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1), st.sampled_from([1, 255])
)
@example(1, 1, 0, 1)
def test_masks_are_read_back(width, height, seed, value):
    rng = np.random.default_rng(seed)
    x0, x1 = sorted(rng.integers(0, width + 1, 2).tolist())
    y0, y1 = sorted(rng.integers(0, height + 1, 2).tolist())
    mask = mask_of(width, height, Box(x0, y0, x1 - x0, y1 - y0), rng)
    png = png_mask.encode(mask, value)
    expected = (mask == 255) * np.uint8(value)
    read = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint8
    assert np.array_equal(read, expected)
    image = Image.open(io.BytesIO(png))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), expected)


@given(st.integers(0, 2**32 - 1))
def test_every_checksum_is_right(seed):
    # Readers may not look at all of them: zlib does at Adler-32.
    rng = np.random.default_rng(seed)
    mask = mask_of(50, 40, Box(10, 5, 30, 20), rng)
    png = png_mask.encode(mask, 1)
    kinds, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(kind + data)
        if kind == b"IDAT":
            rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(40, 51)
            assert not rows[:, 0].any()
            assert np.array_equal(rows[:, 1:], mask & 1)
        kinds.append(kind)
        at += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]


def test_a_box_with_its_place_gives_the_same_bytes():
    rng = np.random.default_rng(1)
    part = mask_of(30, 20, Box(0, 0, 30, 20), rng)
    part[0, 0] = part[-1, -1] = 255
    mask = np.zeros((64, 96), np.uint8)
    mask[7:27, 11:41] = part
    expected = png_mask.encode(mask, 255)
    assert png_mask.encode_part(part, Box(11, 7, 30, 20), (96, 64), 255) == expected
    empty = png_mask.encode(np.zeros((64, 96), np.uint8), 255)
    assert png_mask.encode_part(part[:0, :0], Box(0, 0, 0, 0), (96, 64), 255) == empty


def test_an_empty_mask_is_one_run_of_zeros():
    zeros = bytes(64 * 97)  # a filter's type before each row
    compressor = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    deflated = compressor.compress(zeros) + compressor.flush()
    stream = b"\x78\x01" + deflated + struct.pack(">I", zlib.adler32(zeros))
    png = png_mask.encode(np.zeros((64, 96), np.uint8), 255)
    at = png.index(b"IDAT")
    assert struct.unpack_from(">I", png, at - 4)[0] == len(stream)
    assert png[at + 4 : at + 4 + len(stream)] == stream


def test_a_shape_is_compressed_once_for_all_its_places():
    part = mask_of(30, 20, Box(0, 0, 30, 20), np.random.default_rng(2))
    part[0, 9] = part[19, 3] = part[5, 0] = part[7, 29] = 255
    shape = png_mask.compress(part, 96, 1)
    for x, y in ((0, 0), (66, 44), (66, 0), (0, 44), (31, 17)):
        mask = np.zeros((64, 96), np.uint8)
        mask[y : y + 20, x : x + 30] = part
        png = png_mask.place(shape, (x, y), (96, 64))
        assert png == png_mask.encode(mask, 1)
        assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), -1), mask & 1)


def test_it_is_no_larger_than_a_general_encoder_makes_it():
    y, x = np.mgrid[0:448, 0:448]
    mask = (np.hypot(y - 200, x - 250) < 90) * np.uint8(255)
    assert len(png_mask.encode(mask, 1)) <= len(cv2.imencode(".png", mask & 1)[1])


@pytest.mark.slow
def test_tensorflow_reads_it():
    tf = pytest.importorskip("tensorflow")
    mask = mask_of(96, 64, Box(20, 10, 40, 30), np.random.default_rng(0))
    for value in (1, 255):
        read = tf.io.decode_png(png_mask.encode(mask, value)).numpy()
        assert np.array_equal(read[..., 0], (mask == 255) * np.uint8(value))
