"""All patterns in one image with their reduced sizes, sampled for a whole frame at once."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.rooms import drawings, patterns
from tools.rooms.patterns import TILE

LEVELS = 7  # 256, 128, .. 4 texels
_CELL = TILE + 10  # the six reduced copies, framed, need 264 rows
_STRIDE_X = _CELL + TILE // 2 + 2
_COLUMNS = 10


class Atlas:
    """The sheet of patterns.

    Attributes:
        sheet: [height, width, 3] uint8; each pattern has a column of reduced copies beside it.
    """

    def __init__(self) -> None:
        names: list[tuple[str, int]] = []
        for module in (patterns, drawings):
            for name, (_, count) in module.FAMILIES.items():
                names += [(name, i) for i in range(count)]
        self._index = {key: i for i, key in enumerate(names)}
        self._count = {name: sum(n == name for n, _ in names) for name, _ in names}
        rows = -(-len(names) // _COLUMNS)
        self.sheet = np.zeros((rows * _CELL, _COLUMNS * _STRIDE_X, 3), np.uint8)
        # Where level L starts inside a cell: level 0 left, the others stacked at its right.
        self._level_x = np.array([1] + [_CELL + 1] * (LEVELS - 1), np.float32)
        tops = [1.0, 1.0]
        for level in range(1, LEVELS - 1):
            tops.append(tops[-1] + (TILE >> level) + 2)
        self._level_y = np.array(tops, np.float32)
        for (name, variant), i in self._index.items():
            module = patterns if name in patterns.FAMILIES else drawings
            wrap = cv2.BORDER_WRAP if module is patterns else cv2.BORDER_REPLICATE
            self._store(i, module.draw(name, variant), wrap)

    def _store(self, index: int, image: NDArray[np.float32], border: int) -> None:
        x0, y0 = (index % _COLUMNS) * _STRIDE_X, (index // _COLUMNS) * _CELL
        for level in range(LEVELS):
            if level:
                image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            framed = cv2.copyMakeBorder(image, 1, 1, 1, 1, border)
            x, y = x0 + int(self._level_x[level]) - 1, y0 + int(self._level_y[level]) - 1
            self.sheet[y : y + framed.shape[0], x : x + framed.shape[1]] = np.rint(framed * 255)

    def index(self, name: str, variant: int) -> int:
        """Returns the number of a pattern; `variant` is taken modulo the family's size."""
        return self._index[name, variant % self._count[name]]

    def sample(
        self,
        index: NDArray[np.int32],
        u: NDArray[np.float32],
        v: NDArray[np.float32],
        level: NDArray[np.float32],
    ) -> NDArray[np.uint8]:
        """Looks patterns up, bilinear, at the reduced size that fits (rather too small than moiré).

        Args:
            index: [H, W] int32 pattern numbers.
            u, v: [H, W] float32 in 0..1 (the fraction of the pattern, v downwards).
            level: [H, W] float32, log2 of the texels of the full pattern under one pixel.

        Returns:
            [H, W, 3] uint8: two colour weights and the shade.
        """
        step = np.clip(level + 0.75, 0, LEVELS - 1).astype(np.int32)
        size = (TILE * 0.5 ** np.arange(LEVELS)).astype(np.float32)[step]
        column = (index % _COLUMNS) * _STRIDE_X
        row = (index // _COLUMNS) * _CELL
        x = u * size - np.float32(0.5) + self._level_x[step] + column
        y = v * size - np.float32(0.5) + self._level_y[step] + row
        x, y = x.astype(np.float32), y.astype(np.float32)
        return cv2.remap(self.sheet, x, y, cv2.INTER_LINEAR)  # type: ignore[return-value]


@lru_cache(maxsize=1)
def atlas() -> Atlas:
    """Returns the one atlas of this process."""
    return Atlas()
