"""A small depth network of this project's own, trained by tools.builtin_training.

It knows rendered rooms and what FastDepth says of photos: enough to try the pipeline with, and not
DenseDepth (docs/training.md has figures). Its weights lie beside this file, as float16 in NumPy's
own format, which needs no code to read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

NAME = "builtin"
WEIGHTS = Path(__file__).with_name("builtin.npz")
SIZE = (224, 224)
MAX_DEPTH_M = 10.0


def load_network() -> Any:
    """The network, a keras.Model of trained.compact_network with a depth head, in float32.

    Raises:
        ValueError: The weights are not those of the network.
    """
    from fgbg.models.trained import compact_network

    network = compact_network.build(SIZE, max_depth_m=MAX_DEPTH_M)
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        arrays = [np.asarray(stored[name], np.float32) for name in sorted(stored.files)]
    shapes = [tuple(variable.shape) for variable in network.variables]
    if [array.shape for array in arrays] != shapes:
        raise ValueError(f"{WEIGHTS}: not the weights of this version's network")
    network.set_weights(arrays)
    return network


def save_weights(network: Any, path: Path) -> int:
    """Writes a network's weights as this module reads them; returns the file's size in bytes.

    Args:
        network: A keras.Model of fgbg.models.trained.compact_network.
        path: Where to.

    Raises:
        ValueError: A weight that float16 cannot hold.
    """
    arrays = {}
    for number, values in enumerate(network.get_weights()):
        small = values.astype(np.float16)
        if not np.isfinite(small).all():
            raise ValueError(f"weight {number} exceeds the range of float16")
        arrays[f"{number:03d}"] = small
    np.savez(path, **arrays)  # dated 1980 by NumPy: equal weights are equal bytes
    return path.stat().st_size
