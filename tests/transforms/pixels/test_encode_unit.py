"""The files of a unit, coded from its parts, against those of whole pictures one by one."""

from __future__ import annotations

import gc
import weakref

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg.transforms.pixels import coding, encode_unit
from fgbg.transforms.pixels.compositing import Background, Composed, compose_unit
from fgbg.transforms.pixels.encode_unit import encode_pixels
from fgbg.transforms.pixels.placement import Box
from tests.helpers.pixel_oracles import configuration

FORMS = {
    "files": dict(),
    "png": dict(mask_format="png"),
    "records": dict(output_format="tfrecord", mask_format="png"),
}


def unit(seed: int, canvas: tuple[int, int], size: tuple[int, int]) -> Composed:
    """Six samples, some truncated, some with an empty mask."""
    rng = np.random.default_rng(seed)
    picture = cv2.blur(rng.integers(0, 256, (canvas[1], canvas[0], 3), dtype=np.uint8), (5, 5))
    width, height = int(rng.integers(1, canvas[0] + 1)), int(rng.integers(1, canvas[1] + 1))
    foreground = cv2.blur(rng.integers(0, 256, (height, width, 4), dtype=np.uint8), (5, 5))
    if rng.random() < 0.3:
        foreground[..., 3] //= 3
    places = [
        Box(int(rng.integers(1 - width, canvas[0])), int(rng.integers(1 - height, canvas[1])),
            width, height)
        for _ in range(6)
    ]  # fmt: skip
    return compose_unit(Background.of(picture, size), foreground, places, size, False)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    quality=st.integers(1, 100),
    ratio=st.sampled_from([1, 2]),
    size=st.tuples(st.integers(2, 80), st.integers(2, 80)),
)
def test_a_unit_is_coded_as_its_whole_pictures(form, seed, quality, ratio, size):
    # As it is read from a file: equal texts, not the very same ones as in the code.
    texts = {name: "".join(list(text)) for name, text in FORMS[form].items()}
    c = configuration(image_quality=quality, size=size, **texts)
    pixels = unit(seed, (ratio * size[0], ratio * size[1]), size)
    coded = encode_pixels(pixels, c)
    assert coded["overlay"] == [coding.encode("overlay", image, c) for image in pixels.overlays]
    assert coded["mask"] == [coding.encode("mask", image, c) for image in pixels.masks]


def test_sizes_that_do_not_divide_the_canvas():
    c = configuration(size=(45, 31))
    pixels = unit(1, (96, 64), (45, 31))
    coded = encode_pixels(pixels, c)
    assert coded["overlay"] == [coding.encode("overlay", image, c) for image in pixels.overlays]
    assert coded["mask"] == [coding.encode("mask", image, c) for image in pixels.masks]


def test_a_background_is_coded_once():
    pixels = unit(2, (64, 64), (32, 32))
    encode_pixels(pixels, configuration())
    (first,) = encode_unit._coded[pixels.background].values()
    encode_pixels(pixels, configuration())
    assert next(iter(encode_unit._coded[pixels.background].values())) is first
    encode_pixels(pixels, configuration(image_quality=80))
    assert set(encode_unit._coded[pixels.background]) == {95, 80}


def test_a_coded_background_is_kept_as_long_as_its_pixels():
    pixels = unit(2, (64, 64), (32, 32))
    encode_pixels(pixels, configuration())
    gone = weakref.ref(encode_unit._coded[pixels.background][95].grid.picture)
    del pixels
    gc.collect()
    assert gone() is None
