"""TensorFlow in this process: imported late, quietly, with the threads and memory it may use."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


def start(threads: int) -> Any:
    """Imports TensorFlow; the first call decides its threads.

    Args:
        threads: CPU threads of one operation. TensorFlow splits some sums by it, so that depth
            differs in the last bits between numbers of threads (measured: 4e-5 of the spread).

    Returns:
        The module `tensorflow`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with native_messages_hidden():
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            for gpu in tf.config.list_physical_devices("GPU"):
                # By default the first process takes all of the device's memory.
                tf.config.experimental.set_memory_growth(gpu, True)
            tf.constant(0)  # starts it, which is when it prints
        except RuntimeError:
            pass  # it runs already in this process, as it was set up first
    return tf


def gpu_name(tf: Any) -> str | None:
    """The name of the GPU that TensorFlow uses, such as "NVIDIA L4"; None without one.

    Args:
        tf: The module `tensorflow`.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name") or "GPU")


@contextlib.contextmanager
def native_messages_hidden() -> Iterator[None]:
    """Hides what TensorFlow's C++ code prints while it starts; no variable switches that off.

    What matters comes as an exception.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
