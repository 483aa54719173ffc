"""How far a network is from its labels on pictures that it was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.models.depth import depth_metrics
from tools.builtin_training.pool import decode_log

_BATCH = 32


def evaluate(network: Any, pool: dict[str, NDArray[Any]], metres: NDArray[np.float32]) -> str:
    """A line about a pool held out.

    Args:
        network: A keras.Model from float32 RGB in 0..1 to metres.
        pool: Arrays of tools.builtin_training.pool.
        metres: What the teacher's output values stand for.

    Returns:
        abs_rel against the truth (pictures that have it) and against the teacher (all).
    """
    known = decode_log()
    against: dict[str, list[depth_metrics.Metrics]] = {"truth": [], "teacher": []}
    teachers = []
    for start in range(0, len(pool["picture"]), _BATCH):
        rows = slice(start, start + _BATCH)
        pictures = pool["picture"][rows].astype(np.float32) / 255
        said = np.asarray(network(pictures, training=False)["depth"])[..., 0]
        for i, one in enumerate(said):
            taught = np.maximum(metres[pool["teacher"][start + i]], 0.1)
            against["teacher"].append(depth_metrics.measure(one, taught))
            truth = np.nan_to_num(known[pool["truth"][start + i]])
            if (truth > 0).any():
                against["truth"].append(depth_metrics.measure(one, truth))
                teachers.append(depth_metrics.measure(taught, truth))
    parts = [
        f"against {name}: abs_rel {mean.abs_rel:.3f}, delta1 {mean.delta1:.3f}"
        for name, values in against.items()
        if values
        for mean in [depth_metrics.mean(values)]
    ]
    if teachers:
        parts.append(f"teacher against truth: abs_rel {depth_metrics.mean(teachers).abs_rel:.3f}")
    return "; ".join(parts)
