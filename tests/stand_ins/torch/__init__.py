"""As much of PyTorch as the report's examples use, over NumPy: PyTorch itself is no dependency."""

import numpy as np


class Tensor(np.ndarray):
    """An array with PyTorch's names."""

    def permute(self, *axes: int) -> "Tensor":
        return self.transpose(axes)


def from_numpy(array: np.ndarray) -> Tensor:
    assert array.flags.writeable, "PyTorch warns of these"
    return array.view(Tensor)
