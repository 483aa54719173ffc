"""What pixels should be, computed slowly and independently."""

from __future__ import annotations

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


def configuration(**changes) -> Configuration:
    values = dict(
        output_format="images", size=(32, 32), canvas=(64, 64), placements=[1], mirror=True,
        fg_scale=(0.3, 0.6), truncation=0.0, seed=0, image_quality=95, mask_format="jpg",
        depth_format="jpg", depth_range_m=10.0, depth_model=None, splits=[("train", 1.0)],
    )  # fmt: skip
    return Configuration(**{**values, **changes})
