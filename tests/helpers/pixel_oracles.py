"""What pixels and places should be, computed slowly and independently."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from fgbg.transforms.job.job import Configuration


def oracle_blend(background: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """round((f a + b (255 - a)) / 255) by exact integer division."""
    f, b = foreground[..., :3].astype(int), background.astype(int)
    a = foreground[..., 3:].astype(int)
    return (2 * (f * a + b * (255 - a)) + 255) // 510


def area_mean(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mean over each new pixel's area, by one matrix for each direction."""

    def matrix(old: int, new: int) -> np.ndarray:
        edges = np.arange(new + 1) * old / new
        low = np.maximum(edges[:-1, None], np.arange(old))
        high = np.minimum(edges[1:, None], np.arange(old) + 1)
        return np.maximum(high - low, 0) * new / old

    rows = np.tensordot(matrix(image.shape[0], size[1]), image, axes=(1, 0))
    both = np.tensordot(matrix(image.shape[1], size[0]), rows, axes=(1, 1))
    return np.moveaxis(both, 0, 1)


def philox(key: int, counter: tuple[int, int, int, int]) -> Iterator[int]:
    """Philox 4x64-10 in Python's integers, as the paper has it: 64-bit draws after a counter."""
    word = 2**64
    for step in itertools.count(1):
        whole = sum(c << (64 * i) for i, c in enumerate(counter)) + step
        a, b, c, d = (whole >> (64 * i) & (word - 1) for i in range(4))
        k0, k1 = key % word, key // word
        for _ in range(10):
            first, second = 0xD2E7470EE14C6C93 * a, 0xCA5A826395121157 * c
            a, b, c, d = (
                second // word ^ b ^ k0,
                second % word,
                first // word ^ d ^ k1,
                first % word,
            )
            k0, k1 = (k0 + 0x9E3779B97F4A7C15) % word, (k1 + 0xBB67AE8584CAA73B) % word
        yield from (a, b, c, d)


def configuration(**changes) -> Configuration:
    values = dict(
        output_format="images", size=(32, 32), canvas=(64, 64), placements=[1], mirror=True,
        fg_scale=(0.3, 0.6), truncation=0.0, seed=0, image_quality=95, mask_format="jpg",
        depth_format="jpg", depth_range_m=10.0, depth_model=None, splits=[("train", 1.0)],
    )  # fmt: skip
    return Configuration(**{**values, **changes})


def turned_by_exif(pixels: np.ndarray, turn: int) -> np.ndarray:
    """What EXIF's orientation, 1 to 8, asks for."""
    flipped = pixels[:, ::-1] if turn in (2, 4, 5, 7) else pixels
    quarters = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[turn]
    return np.rot90(flipped, quarters)
