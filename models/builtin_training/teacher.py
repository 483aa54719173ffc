"""The teacher: FastDepth (arXiv 1903.03273) as a quantised TensorFlow Lite file.

Besides its depth it gives what its encoder made of a picture (its smallest features, 7x7), which
the student's encoder learns to foretell (hints, arXiv 1412.6550). The student is another network,
and nothing of the teacher's weights is looked at.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import tensorflow_process

FEATURES = (7, 7, 512)


class Teacher:
    """A loaded FastDepth network.

    Args:
        path: The .tflite file: uint8 RGB 224x224 in, uint8 depth out.

    Attributes:
        metres: float32 [256]: what each value of its output stands for.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        tf = tensorflow_process.start(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._network: Any = tf.lite.Interpreter(
                model_path=os.fspath(path), num_threads=1, experimental_preserve_all_tensors=True
            )
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        output = self._network.get_output_details()[0]
        self._output = output["index"]
        scale, zero = output["quantization"]
        self.metres = (np.arange(256, dtype=np.float32) - zero) * np.float32(scale)
        wanted = [1, *FEATURES]
        found = [d for d in self._network.get_tensor_details() if list(d["shape"]) == wanted]
        if not found:
            raise ValueError(f"{path}: no features of shape {FEATURES}: not FastDepth")
        self._features = found[-1]["index"]

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
