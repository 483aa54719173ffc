"""The one rule of resizing, against means and interpolation computed by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fgbg.models.resizing import resize, resize_all


def test_shrinking_is_the_mean_over_each_area():
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    means = values.reshape(2, 2, 3, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(values, (3, 2)), means, rtol=1e-6)


def test_enlarging_is_linear_and_stays_between_its_neighbours():
    values = np.array([[0, 100]], np.float32)
    np.testing.assert_allclose(resize(values, (4, 1)), [[0, 25, 75, 100]])


@pytest.mark.parametrize("size", [(8, 3), (3, 8)])
def test_one_side_that_gets_longer_makes_it_enlarging(size):
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resize(image, size), expected)
    cubic = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    assert np.array_equal(resize(image, size, cv2.INTER_CUBIC), cubic)


def test_an_image_of_the_size_is_handed_back():
    image = np.zeros((5, 6), np.uint16)
    assert resize(image, (6, 5)) is image
    stack = np.zeros((2, 5, 6, 3), np.uint8)
    assert resize_all(stack, (6, 5)) is stack


def test_a_stack_is_resized_image_by_image():
    stack = np.random.default_rng(0).random((3, 8, 12), np.float32)
    resized = resize_all(stack, (6, 4))
    assert resized.dtype == np.float32
    assert np.array_equal(resized, np.stack([resize(one, (6, 4)) for one in stack]))
