"""As much of PyTorch as the report's examples use, over NumPy: PyTorch itself is no dependency."""

import sys
import types

import numpy as np


class Tensor(np.ndarray):
    """An array with PyTorch's names."""

    def permute(self, *axes: int) -> "Tensor":
        return self.transpose(axes)


def from_numpy(array: np.ndarray) -> Tensor:
    assert array.flags.writeable, "PyTorch warns of these"
    return array.view(Tensor)


class Dataset:
    pass


class IterableDataset(Dataset):
    pass


def get_worker_info() -> None:
    return None


class DataLoader:
    """Batches of dictionaries of arrays.

    Args:
        dataset: With or without a length.
        batch_size: Of all but the last batch.
        shuffle: Taken and left alone.
    """

    def __init__(self, dataset, batch_size: int = 1, shuffle: bool = False, **_) -> None:
        self.dataset, self.batch_size = dataset, batch_size

    def __iter__(self):
        batch = []
        dataset = self.dataset
        samples = (
            (dataset[i] for i in range(len(dataset)))
            if hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
            else iter(dataset)
        )
        for sample in samples:
            batch.append(sample)
            if len(batch) == self.batch_size:
                yield {name: np.stack([one[name] for one in batch]) for name in batch[0]}
                batch = []
        if batch:
            yield {name: np.stack([one[name] for one in batch]) for name in batch[0]}


# torch.utils.data, as if it were a module of its own.
utils = types.ModuleType("torch.utils")
data = types.ModuleType("torch.utils.data")
for part in (Dataset, IterableDataset, get_worker_info, DataLoader):
    setattr(data, part.__name__, part)
setattr(utils, data.__name__.rpartition(".")[2], data)
sys.modules |= {"torch.utils": utils, "torch.utils.data": data}
