"""Pictures through a function of a fixed batch: cut, padded, and smaller when memory is short."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_LOG = logging.getLogger(__name__)

Pictures = NDArray[np.uint8]
Depths = NDArray[np.float32]
Function = Callable[[Pictures], Depths]
# Told the number of pictures, without padding, of every call that was made.
OnBatch = Callable[[int], object]


def even_batch(largest: int, unit_size: int | None) -> int:
    """The batch that cuts a unit into the fewest, most equal parts: the least is padded.

    Args:
        largest: Most pictures in a batch.
        unit_size: Pictures that are given at once; None where that is not known.
    """
    if not unit_size:
        return largest
    parts = -(-unit_size // largest)
    return -(-unit_size // parts)


def units_together(largest: int, unit_size: int | None, most: int = 8) -> int:
    """How many units fill calls of a fixed size best: the fewest that come within 5 % of it.

    Args:
        largest: Most pictures in a batch.
        unit_size: Pictures of a unit; None where that is not known.
        most: The most units.
    """
    if not unit_size:
        return 1

    def filled(units: int) -> float:
        total = units * unit_size
        return total / -(-total // largest)

    best = max(map(filled, range(1, most + 1)))
    return next(units for units in range(1, most + 1) if filled(units) >= 0.95 * best)


class MicroBatches:
    """Runs any number of pictures through a function that takes a fixed number.

    The last batch is padded with black pictures, so that nothing is compiled again. Where the
    device's memory does not suffice, the batch is halved from then on, with a warning.

    Args:
        compile_for: Gives the function of batches of a size, uint8 [size, height, width, 3] ->
            float32 [size, h, w].
        size: Pictures in a batch.
        out_of_memory: The exception that says that memory does not suffice.
        fixed: Whether the network takes this size only.
    """

    def __init__(
        self,
        compile_for: Callable[[int], Function],
        size: int,
        out_of_memory: type[Exception],
        fixed: bool = False,
    ) -> None:
        self._compile_for = compile_for
        self._out_of_memory = out_of_memory
        self._fixed = fixed
        self.size = size
        self._function = compile_for(size)

    def __call__(self, pictures: Pictures, on_batch: OnBatch | None = None) -> Depths:
        """Runs the function on pictures [count, height, width, 3], in order."""
        depths = []
        start = 0
        while start < len(pictures):
            batch = pictures[start : start + self.size]
            count = len(batch)
            if count < self.size:
                black = np.zeros((self.size - count, *batch.shape[1:]), np.uint8)
                batch = np.concatenate((batch, black))
            try:
                depths.append(self._function(batch)[:count])
            except self._out_of_memory:
                if self._fixed or self.size == 1:
                    raise
                self._halve()
            else:
                start += count
                if on_batch is not None:
                    on_batch(count)
        return depths[0] if len(depths) == 1 else np.concatenate(depths)

    def _halve(self) -> None:
        smaller = self.size // 2
        _LOG.warning(
            "Warning: out of memory with %d pictures in a batch of the depth network; going on "
            "with %d (--depth_batch_size %d starts so)",
            *(self.size, smaller, smaller),
        )
        self.size = smaller
        self._function = self._compile_for(smaller)
