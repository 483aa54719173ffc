"""The files of pictures: what cannot be coded is an error, not an empty file."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fgbg.transforms.pixels import codec, coding
from tests.helpers.pixel_oracles import configuration


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_is_read_back_as_it_was(shape, dtype):
    limit = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(0, limit, shape, dtype=dtype, endpoint=True)
    assert np.array_equal(codec.decode(codec.encode(".png", image), "it"), image)


def test_a_picture_that_the_encoder_refuses_is_an_error():
    too_long = np.zeros((1, 65501), np.uint8)
    with pytest.raises(ValueError, match=r"could not encode a \.jpg of \(1, 65501\)"):
        codec.encode(".jpg", too_long)


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_what_is_no_picture_is_an_error_with_its_name(data):
    with pytest.raises(ValueError, match=r"^a/b\.jpg cannot be decoded"):
        codec.decode(data, "a/b.jpg")


def test_flags_and_mode_reach_the_library():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    low, high = (codec.encode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, q)) for q in (10, 95))
    assert len(low) < len(high)
    assert codec.decode(high, "it", cv2.IMREAD_GRAYSCALE).shape == (16, 16)


def test_a_picture_of_another_size_is_not_decoded_as_a_sample():
    c = configuration(size=(16, 8))
    png = codec.encode(".png", np.zeros((8, 16), np.uint16))
    assert coding.decode("depth", png, c).dtype == np.uint16
    with pytest.raises(ValueError, match=r"^has shape \(8, 16\), not \(8, 16, 3\)$"):
        coding.decode("overlay", png, c)
    with pytest.raises(ValueError, match=r"^cannot be decoded \(9 bytes\)$"):
        coding.decode("mask", png[:9], c)
