"""How right a network is on samples that it has not seen, beside guesses that need no network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.models.depth import depth_metrics
from fgbg.models.depth.depth_metrics import Metrics
from fgbg.models.trained.compact_network import BACKGROUND, DEPTH, MASK, OVERLAY
from fgbg.models.training import fit, input_pipeline
from fgbg.models.training.samples import DataSet, Settings

MASK_THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class Example:
    """A sample beside what the network says of it.

    Attributes:
        key: Its name.
        pictures: What the network was shown, by name: float32 RGB [height, width, 3] in 0..1.
        truth: "mask" 0 or 1, and "depth" in metres, if it is known: float32 [height, width].
        said: Likewise, the mask as a probability.
    """

    key: str
    pictures: dict[str, NDArray[np.float32]]
    truth: dict[str, NDArray[np.float32]]
    said: dict[str, NDArray[np.float32]]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured on a split.

    Attributes:
        measures: As in metrics.json.
        examples: Samples spread over the split.
        median_m: The median of the samples' median depth; None without depth.
    """

    measures: dict[str, Any]
    examples: list[Example]
    median_m: float | None


class _Overlaps:
    """Counts of mask pixels, over all samples and sample by sample."""

    def __init__(self) -> None:
        self._counts: list[tuple[int, int]] = []

    def add(self, true: NDArray[np.bool_], said: NDArray[np.bool_]) -> None:
        self._counts.append((int((true & said).sum()), int(true.sum()) + int(said.sum())))

    def measures(self) -> dict[str, float]:
        both, sizes = np.array(self._counts, np.float64).T
        # Nothing there and nothing said is right.
        iou = np.where(sizes > 0, both / np.maximum(sizes - both, 1), 1.0)
        dice = np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0)
        return {
            "iou": float(both.sum() / max(sizes.sum() - both.sum(), 1)),
            "dice": float(2 * both.sum() / max(sizes.sum(), 1)),
            "mean_iou": float(iou.mean()),
            "mean_dice": float(dice.mean()),
        }


def evaluate(
    network: Any,
    data: DataSet,
    split: str,
    settings: Settings,
    threads: int,
    *,
    most: int | None = None,
    constant_m: float | None = None,
    examples: int = 0,
    done: Callable[[int], object] = lambda count: None,
) -> Evaluation:
    """Measures a network on a split, at the size that it is fed.

    Args:
        network: A keras.Model of fgbg.models.trained.compact_network.
        data: The data set.
        split: Which samples.
        settings: Of the training.
        threads: Of decoding.
        most: How many samples, from the first; None: all.
        constant_m: A depth that is compared as if a network said it everywhere.
        examples: How many samples to keep with what was said of them, spread evenly.
        done: Called with the number of samples so far.

    Returns:
        Measures: "mask" has iou and dice over all pixels of all samples together, mean_iou and
        mean_dice as means over samples; "depth" the means over samples of
        depth.depth_metrics.Metrics; "constant_depth" and "all_foreground" are the guesses.
    """
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def say(batch: dict[str, Any]) -> dict[str, Any]:
        return network(fit.inputs_of(network, batch, settings), training=False)

    count = min(len(data.splits[split].keys), most or 2**63)
    kept = set(np.linspace(0, count - 1, min(examples, count)).astype(int).tolist())
    masks, everything = _Overlaps(), _Overlaps()
    depths: list[Metrics] = []
    constants: list[Metrics] = []
    medians: list[float] = []
    found: list[Example] = []
    seen = 0
    stream = iter(input_pipeline.ordered_batches(data, split, settings, threads))
    while seen < count:
        batch = fit.next_batch(stream, data, settings, split, None, seen, settings.batch_size)
        outputs = say(batch)
        given = {name: value.numpy() for name, value in batch.items()}
        said = {name: value.numpy()[..., 0] for name, value in outputs.items()}
        for i in range(min(len(given[MASK]), count - seen)):
            true = given[MASK][i, ..., 0] > MASK_THRESHOLD
            masks.add(true, said[MASK][i] > MASK_THRESHOLD)
            everything.add(true, np.ones_like(true))
            metres = given[DEPTH][i, ..., 0] if DEPTH in said else np.zeros(0)
            if (metres > 0).any():
                medians.append(float(np.median(metres[metres > 0])))
                depths.append(depth_metrics.measure(said[DEPTH][i], metres))
                if constant_m is not None:
                    guess = np.full_like(metres, constant_m)
                    constants.append(depth_metrics.measure(guess, metres))
            if seen + i in kept:
                found.append(_example(given, said, i))
        seen += len(given[MASK])
        done(min(seen, count))
    measures: dict[str, Any] = {
        "samples": count,
        "mask": masks.measures(),
        "all_foreground": everything.measures(),
    }
    if depths:
        measures["depth"] = depth_metrics.mean(depths)._asdict()
    if constants:
        mean = depth_metrics.mean(constants)._asdict()
        measures["constant_depth"] = {"metres": constant_m, **mean}
    return Evaluation(measures, found, float(np.median(medians)) if medians else None)


def _example(given: dict[str, Any], said: dict[str, Any], i: int) -> Example:
    pictures = {name: given[name][i] for name in (OVERLAY, BACKGROUND) if name in given}
    truth = {name: given[name][i, ..., 0] for name in (MASK, DEPTH) if name in said}
    key = given[input_pipeline.KEY][i].decode()
    return Example(key, pictures, truth, {name: value[i] for name, value in said.items()})
