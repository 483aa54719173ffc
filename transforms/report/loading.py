"""How to load a data set: code for that very data set, ready to copy.

Each piece runs as it is in the data set's folder.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Example:
    """A way to load a data set.

    Attributes:
        title: With what.
        text: The values that it returns.
        code: Python.
    """

    title: str
    text: str
    code: str


def examples(split: str, depth: bool) -> list[Example]:
    """Code that loads a data set.

    Args:
        split: The split that the code loads.
        depth: Whether the data set has depth.
    """
    return [
        Example(
            "TensorFlow",
            f"A tf.data.Dataset of {_values('[height, width, {}]', depth)}",
            f"""import fgbg

data = fgbg.load(".", "{split}", seed=0).batch(32).prefetch(4)
""",
        ),
        Example(
            "PyTorch",
            f"A map-style Dataset of {_values('[{}, height, width]', depth)}",
            f"""import fgbg
from torch.utils.data import DataLoader

data = DataLoader(fgbg.torch_dataset(".", "{split}"), batch_size=32, shuffle=True)
""",
        ),
    ]


def _values(shape: str, depth: bool) -> str:
    one = shape.format(1)
    metres = f"depth float32 {one} in metres, " if depth else ""
    return (
        f"dictionaries: overlay uint8 {shape.format(3)} in RGB, mask uint8 {one} of 0 and 1, "
        f"{metres}key (as in the manifest)."
    )
