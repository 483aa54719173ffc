"""The teacher: FastDepth (arXiv 1903.03273) as a quantised TensorFlow Lite file.

Besides its depth it gives what its encoder made of a picture (its smallest features, 7x7), which
the student's encoder learns to foretell (hints, arXiv 1412.6550). The student is another network,
and nothing of the teacher's weights is looked at.
"""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fgbg.models import tflite_network

FEATURES = (7, 7, 512)
# Other features of its encoder, from fine to coarse, each the first of its shape; FEATURES last.
HINTS = ((28, 28, 256), (14, 14, 328), FEATURES)


class Teacher:
    """A loaded FastDepth network.

    Args:
        path: The .tflite file: uint8 RGB 224x224 in, uint8 depth out.

    Attributes:
        metres: float32 [256]: what each value of its output stands for.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._network = tflite_network.interpreter(
            os.fspath(path), 1, experimental_preserve_all_tensors=True
        )
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        output = self._network.get_output_details()[0]
        self._output = output["index"]
        self.metres = tflite_network.dequantised(np.arange(256, dtype=np.uint8), output)
        details = self._network.get_tensor_details()
        found = {
            shape: [d["index"] for d in details if list(d["shape"]) == [1, *shape]]
            for shape in HINTS
        }
        for shape, indices in found.items():
            if not indices:
                raise ValueError(f"{path}: no features of shape {shape}: not FastDepth")
        self._features = found[FEATURES][-1]
        self._hints = [found[shape][0] for shape in HINTS[:-1]] + [self._features]

    def label(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
        """Its answer on one picture.

        Args:
            rgb: uint8 [224, 224, 3].

        Returns:
            Depth, uint8 [224, 224], an index into `metres`; features, int8 [7, 7, 512].
        """
        self._network.set_tensor(self._input, rgb[None])
        self._network.invoke()
        depth = self._network.get_tensor(self._output)[0, ..., 0]
        return depth, self._network.get_tensor(self._features)[0]

    def look(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[NDArray[np.int8]]]:
        """Its answer on one picture, with the features of several layers.

        Args:
            rgb: uint8 [224, 224, 3].

        Returns:
            Depth as `label` gives it; int8 features of the shapes HINTS.
        """
        depth, _ = self.label(rgb)
        return depth, [self._network.get_tensor(index)[0] for index in self._hints]


@lru_cache(maxsize=1)
def load(path: str) -> Teacher:
    """The teacher of this process, loaded once."""
    return Teacher(path)
