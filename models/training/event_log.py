"""Logs that TensorBoard shows, written without it: losses, measures and a few pictures.

tf.summary.scalar and .image need the package tensorboard; tf.summary.write is TensorFlow's own.
"""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np

from fgbg.models.trained.compact_network import DEPTH, MASK, OVERLAY
from fgbg.models.training.evaluate import Example

_VALIDATION = "val_"


class EventLog:
    """Event files in a folder: `train` and `validation`, so that curves lie over each other.

    Args:
        folder: Where to; what an earlier run left is replaced, for the history is written anew.
    """

    def __init__(self, folder: str) -> None:
        import tensorflow as tf

        shutil.rmtree(folder, ignore_errors=True)
        self._writers = {
            name: tf.summary.create_file_writer(f"{folder}/{name}")
            for name in ("train", "validation")
        }

    def epoch(self, row: dict[str, float]) -> None:
        """Writes an epoch's entry of the history."""
        step = int(row["epoch"]) + 1
        for name, value in row.items():
            if name == "epoch":
                continue
            validation = name.startswith(_VALIDATION)
            writer = self._writers["validation" if validation else "train"]
            _write(writer, name.removeprefix(_VALIDATION), "scalars", np.float32(value), step)
        for writer in self._writers.values():
            writer.flush()

    def pictures(self, examples: list[Example], step: int, max_depth_m: float) -> None:
        """Writes samples: the overlay, and truth beside what was said, grey."""
        import tensorflow as tf

        for number, example in enumerate(examples):
            columns = [example.pictures[OVERLAY]]
            for kind in (MASK, DEPTH):
                if kind in example.said:
                    scale = 1.0 if kind == MASK else max_depth_m
                    both = np.concatenate((example.truth[kind], example.said[kind]), 1) / scale
                    columns.append(np.repeat(both[..., None], 3, 2))
            sheet = np.rint(np.clip(np.concatenate(columns, 1), 0, 1) * 255).astype(np.uint8)
            png = tf.io.encode_png(sheet).numpy()
            height, width = sheet.shape[:2]
            content = [str(width).encode(), str(height).encode(), png]
            _write(self._writers["validation"], f"example_{number}", "images", content, step)
        self._writers["validation"].flush()

    def close(self) -> None:
        """Ends the files."""
        for writer in self._writers.values():
            writer.close()


def _write(writer: Any, tag: str, plugin: str, value: Any, step: int) -> None:
    import tensorflow as tf

    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    with writer.as_default():
        tf.summary.write(tag, tf.constant(value), step=step, metadata=metadata)
