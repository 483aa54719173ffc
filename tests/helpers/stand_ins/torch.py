"""As much of PyTorch as fgbg.torch_dataset uses, over NumPy: PyTorch itself is no dependency."""

import sys
import types

import numpy as np


def from_numpy(array: np.ndarray) -> np.ndarray:
    assert array.flags.writeable, "PyTorch warns of these"
    assert all(stride >= 0 for stride in array.strides), "PyTorch refuses these"
    return array


class Dataset:
    pass


class DataLoader:
    """Batches of dictionaries of arrays.

    Args:
        dataset: With a length.
        batch_size: Of all but the last batch.
        shuffle: Taken and left alone.
    """

    def __init__(self, dataset, batch_size: int = 1, shuffle: bool = False) -> None:
        self.dataset, self.batch_size = dataset, batch_size

    def __iter__(self):
        count = len(self.dataset)
        for start in range(0, count, self.batch_size):
            batch = [self.dataset[i] for i in range(start, min(count, start + self.batch_size))]
            yield {name: np.stack([one[name] for one in batch]) for name in batch[0]}


# torch.utils.data, as if it were a module of its own.
utils = types.ModuleType("torch.utils")
data = types.ModuleType("torch.utils.data")
for part in (Dataset, DataLoader):
    setattr(data, part.__name__, part)
setattr(utils, data.__name__.rpartition(".")[2], data)
sys.modules |= {"torch.utils": utils, "torch.utils.data": data}
