"""What a finished training leaves: measures, pictures, the network and, last, its card."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import platform
from importlib import metadata
from typing import Any

from fgbg.files import storage
from fgbg.files.download import file_sha256
from fgbg.models.trained import trained_card
from fgbg.models.trained.compact_network import DEPTH, MASK
from fgbg.models.training.samples import TRAIN, Settings
from fgbg.pipeline.progress import say, tell
from fgbg.pipeline.training import run as training_run
from fgbg.pipeline.training.set import TrainingSet

_EXAMPLES, _LOGGED = 8, 4
_LIBRARIES = ("fgbg", "tensorflow", "keras", "numpy")


def write(
    working: str,
    folder: str,
    found: TrainingSet,
    test: TrainingSet,
    settings: Settings,
    final: Any,
    state: Any,
    threads: int,
) -> None:
    """Evaluates the network and writes all that is left, the card last.

    Args:
        working: The local folder that it is written to.
        folder: What that is called in messages: where it goes.
        found: What was trained with.
        test: What is measured on.
        settings: Of the training.
        final: The network, in float32.
        state: The last fgbg.models.training.checkpoint.State.
        threads: Of decoding.
    """
    from fgbg.models.training import evaluate, network
    from fgbg.pipeline.training import sheets

    split = test.measured
    count = len(test.data.splits[split].keys)
    say(f"evaluating on {count:,} {split} samples of {test.path} and as many training samples")
    # Training samples first: a constant guess may know them, and not the test samples.
    seen = evaluate.evaluate(final, found.data, TRAIN, settings, threads, most=count)
    held_out = evaluate.evaluate(
        final,
        test.data,
        split,
        settings,
        threads,
        constant_m=seen.median_m,
        examples=_EXAMPLES,
    )
    metrics = {split: held_out.measures, TRAIN: seen.measures}
    training_run.put_json(working, training_run.METRICS, metrics)
    training_run.put_json(working, training_run.HISTORY_JSON, state.history)
    training_run.put_text(working, training_run.HISTORY_CSV, _csv(state.history))
    sheets.write_curve(os.path.join(working, training_run.CURVE), state.history, state.best_epoch)
    what = f"{split} samples: mask IoU {metrics[split]['mask']['iou']:.3f}"
    if DEPTH in metrics[split]:
        what += f", depth delta1 {metrics[split][DEPTH]['delta1']:.3f}"
    path = os.path.join(working, training_run.PREDICTIONS)
    sheets.write_predictions(path, held_out.examples, what)
    _log_pictures(working, found, held_out.examples, state)
    keras_path = os.path.join(working, trained_card.KERAS_FILE)
    network.export(final, keras_path, os.path.join(working, trained_card.SAVED_MODEL))
    card = _card(found, settings, final, state, threads, metrics, keras_path)
    training_run.put_json(working, trained_card.CARD, card)
    tell(_summary(metrics))
    shown = storage.join(folder, training_run.PREDICTIONS)
    tell(f"{folder}: network, card, metrics; look at {shown}")


def _log_pictures(working: str, found: TrainingSet, examples: list[Any], state: Any) -> None:
    from fgbg.models.training.event_log import EventLog

    log = EventLog(os.path.join(working, training_run.LOGS))
    for row in state.history:
        log.epoch(row)
    log.pictures(examples[:_LOGGED], len(state.history), found.data.depth_range_m)
    log.close()


def _csv(history: list[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


def _card(
    found: TrainingSet,
    settings: Settings,
    final: Any,
    state: Any,
    threads: int,
    metrics: dict[str, Any],
    keras_path: str,
) -> dict[str, Any]:
    """The card: what the network is shown, what it says, where it comes from, how right it is."""
    size, data = list(settings.size), found.data
    outputs: dict[str, Any] = {
        MASK: {"unit": "probability of foreground", "threshold": 0.5, "shape": "[N, H, W, 1]"}
    }
    depth_card = None
    if data.has_depth:
        outputs[DEPTH] = {
            "unit": "metres, far is larger",
            "max_m": data.depth_range_m,
            "shape": "[N, H, W, 1]",
        }
        depth_card = {
            "input_size": size,
            "output_name": DEPTH,
            "max_depth_m": data.depth_range_m,
        }
    return {
        "made_by": trained_card.MADE_BY,
        "format_version": trained_card.FORMAT_VERSION,
        "file": trained_card.KERAS_FILE,
        "sha256": file_sha256(keras_path),
        "saved_model": trained_card.SAVED_MODEL,
        "parameters": int(final.count_params()),
        "inputs": {
            "names": list(settings.input_names),
            "size": size,
            "channels": "rgb",
            "range": [0, 1],
            "dtype": "float32",
        },
        "outputs": outputs,
        "depth": depth_card,
        "data_set": found.facts,
        "metrics": metrics,
        "training": {
            **dataclasses.asdict(settings),
            "threads": threads,
            "epochs_done": len(state.history),
            "best_epoch": state.best_epoch + 1,
            "stopped_early": state.stopped,
            "seconds": round(sum(row["seconds"] for row in state.history), 1),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _LIBRARIES},
        },
    }


def _summary(metrics: dict[str, Any]) -> str:
    """The measures as a table."""
    lines = []
    for split, found in metrics.items():
        lines.append(f"{split} ({found['samples']:,} samples)")
        for what in (MASK, "all_foreground", DEPTH, "constant_depth"):
            if what in found:
                values = ", ".join(f"{name} {value:.3f}" for name, value in found[what].items())
                lines.append(f"  {what:15} {values}")
    return "\n".join(lines)
