"""`fgbg train`: from a data set to a network that predicts mask and depth."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import os
import platform
import sys
from importlib import metadata
from typing import Any

from models import tensorflow_process, trained_card
from models.compact_network import DEPTH, MASK
from models.download import FetchError, file_sha256
from models.training import samples
from models.training.samples import TEST, TRAIN, VALIDATION, Settings, TrainingError
from pipeline import options, train_options, training_run, training_set
from pipeline.exit_codes import OK, UserError
from pipeline.output_lock import hold
from pipeline.processes import available_cores
from pipeline.progress import Progress
from pipeline.train_options import AUTO, BUILTIN, NEW
from pipeline.training_run import CHECKPOINT, Run
from pipeline.training_set import TrainingSet
from transforms import network_files, storage

_EXAMPLES, _LOGGED = 8, 4
_LIBRARIES = ("fgbg", "tensorflow", "keras", "numpy")


def main(arguments: list[str]) -> int:
    """Runs `fgbg train`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    asked = options.parse_all(train_options.parser(), arguments)
    folder = asked.model_dir.rstrip("/") or "/"
    if storage.is_gcs(folder):
        raise UserError(f"--model_dir {folder}: give a local folder, and copy it when it is done")
    if storage.is_gcs(asked.init):
        try:
            asked.init = network_files.local_copy(asked.init)
        except FetchError as error:
            raise UserError(f"--init: {error}") from error
    init = _identity_of_init(asked.init)
    found = training_set.read(asked.data_set, asked.inputs == "pair", asked.limit)
    test = found
    if asked.test_set is not None:
        test = training_set.read(
            asked.test_set, asked.inputs == "pair", asked.limit, (training_set.TEST,)
        )
        found.facts["test_set"] = training_set.check_test_set(found, test)
    settings = train_options.settings(asked, found.data.size, init)
    stored = None
    if not asked.overwrite:
        stored = training_run.stored_run(folder)
    elif os.path.exists(folder):
        _check_ours(folder)
    if stored:
        training_run.check_same(folder, stored, settings, found.sha256)
        if trained_card.is_trained(folder):
            _say(f"{folder}: this training is finished; --overwrite trains anew")
            return OK
    try:
        samples.check(found.data, settings)
    except TrainingError as error:
        raise UserError(f"{asked.data_set}: {error}") from error
    with hold(folder, "--model_dir"):
        if asked.overwrite:
            training_run.delete(folder)
        try:
            return _train(asked, folder, found, test, settings, stored)
        except TrainingError as error:
            damaged = ""
            if _is_damage(error):
                damaged = training_set.damaged_record(found.data)
                damaged = damaged or training_set.damaged_record(test.data)
            raise UserError(damaged or str(error)) from error


def _check_ours(folder: str) -> None:
    """Raises UserError for a folder that --overwrite must not touch."""
    if not os.path.isdir(folder):
        raise UserError(f"--model_dir {folder}: a file, not a folder")
    names = set(os.listdir(folder))
    if names - {training_run.WORK} and training_run.WORK not in names:
        raise UserError(
            f"--model_dir {folder}: the folder is not empty and holds no training of fgbg; "
            "--overwrite deletes trainings of fgbg, nothing else"
        )


def _is_damage(error: TrainingError) -> bool:
    from models.training.fit import DamagedRecordsError

    return isinstance(error, DamagedRecordsError)


def _identity_of_init(init: str) -> str:
    """What names the first weights: by content, for folders change."""
    if init == NEW:
        return NEW
    if init == BUILTIN:
        try:
            from models import builtin

            return f"{BUILTIN} {file_sha256(str(builtin.WEIGHTS))}"
        except (ImportError, OSError) as error:
            raise UserError("--init builtin: this version has no built-in network") from error
    try:
        trained_card.read(init)
    except ValueError as error:
        raise UserError(f"--init: {error}") from error
    return file_sha256(os.path.join(init, trained_card.KERAS_FILE))


def _train(
    asked: argparse.Namespace,
    folder: str,
    found: TrainingSet,
    test: TrainingSet,
    settings: Settings,
    stored: Run | None,
) -> int:
    """Trains, evaluates and writes, after all checks."""
    threads = asked.threads or (stored.threads if stored else available_cores())
    if stored and threads != stored.threads:
        _say(f"Warning: it began with {stored.threads} threads: the last bits will differ")
    tf = tensorflow_process.start(threads)
    if settings.precision == AUTO:
        chosen = stored.settings.precision if stored else _best_precision(tf)
        settings = dataclasses.replace(settings, precision=chosen)
    from models.training import fit, network

    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    data = found.data
    heads = samples.heads(data)
    steps = samples.steps_of_epoch(data, settings)[0] * settings.epochs
    trained = network.build(settings, heads, data.depth_range_m, settings.precision, steps)
    network.begin_at(trained, data.typical_depth_m, data.depth_range_m)
    _initialise(asked.init, trained)
    if stored is None:
        Run(settings, found.sha256, threads).write(folder)
    shown = _Shown(folder, found, settings, trained)
    try:
        state = fit.fit(
            data,
            settings,
            trained,
            os.path.join(folder, CHECKPOINT),
            threads,
            shown.step_done,
            shown.epoch_done,
        )
    finally:
        shown.close()
    # In float32, whatever it was trained in: it is to run anywhere.
    final = network.build(settings, heads, data.depth_range_m, "float32", steps)
    final.set_weights(trained.get_weights())
    _finish(folder, found, test, settings, final, state, threads)
    return OK


def _best_precision(tf: Any) -> str:
    """16 bits where a GPU has units for them; a choice by its kind, so that reruns agree.

    On CPUs the gain hangs on processor and size, and 16 bits cost accuracy: that is left to who
    asks for it (docs/training.md has figures).
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpu).get("compute_capability", (0,))
        if capability >= (8,):
            return "mixed_bfloat16"
        if capability >= (7,):
            return "mixed_float16"
    return "float32"


def _initialise(init: str, trained: Any) -> None:
    """Gives a new network the weights of another one."""
    if init == NEW:
        return
    from models.training import network

    try:
        if init == BUILTIN:
            from models import builtin

            source = builtin.load_network()
        else:
            import keras

            path = os.path.join(init, trained_card.KERAS_FILE)
            source = keras.saving.load_model(path, compile=False, safe_mode=True)
        network.transfer(source, trained)
    except ValueError as error:  # a TrainingError is one
        raise UserError(f"--init {init}: {error}") from error


class _Shown:
    """What a training shows while it runs: progress, lines and the event log."""

    def __init__(self, folder: str, found: TrainingSet, settings: Settings, network: Any) -> None:
        from models.training import checkpoint
        from models.training.event_log import EventLog

        self._folder, self._found, self._settings = folder, found, settings
        self._network = network
        self._log = EventLog(os.path.join(folder, training_run.LOGS))
        steps, batch = samples.steps_of_epoch(found.data, settings)
        self._per_epoch = steps * batch
        state = checkpoint.load(os.path.join(folder, CHECKPOINT)) or checkpoint.State()
        for row in state.history:
            self._log.epoch(row)
        self._first = len(state.history)
        if state.history:
            _say(f"{self._folder}: going on after epoch {self._first} of {settings.epochs}")
        counts = found.facts["samples"]
        _say(
            f"{counts[TRAIN]:,} training, {counts[VALIDATION]:,} validation and {counts[TEST]:,} "
            f"test samples; {network.count_params():,} parameters, {settings.precision}"
        )
        self._progress = Progress(
            "samples", self._per_epoch * settings.epochs, self._per_epoch * self._first
        )

    def step_done(self, epoch: int, done: int, loss: float) -> None:
        new = (epoch - self._first) * self._per_epoch + done
        note = f"epoch {epoch + 1}/{self._settings.epochs}, loss {loss:.3f}"
        self._progress.update(new, note=note)

    def epoch_done(self, state: Any) -> None:
        row = state.history[-1]
        self._log.epoch(row)
        kept = ", best so far" if state.best_epoch == len(state.history) - 1 else ""
        parts = [
            f"{n} {row[n]:.4f}" for n in ("loss", "val_loss", "val_iou", "val_delta1") if n in row
        ]
        self._progress.say(
            f"epoch {len(state.history)}/{self._settings.epochs}: {', '.join(parts)}, "
            f"{row['seconds']:.0f} s{kept}"
        )
        if state.stopped:
            self._progress.say(
                f"stopped: no better validation loss for {self._settings.patience} epochs"
            )

    def close(self) -> None:
        self._progress.close()
        self._log.close()


def _finish(
    folder: str,
    found: TrainingSet,
    test: TrainingSet,
    settings: Settings,
    final: Any,
    state: Any,
    threads: int,
) -> None:
    """Evaluates the network and writes all that is left, the card last."""
    from models.training import evaluate, network, sheets

    count = len(test.data.splits[TEST].keys)
    _say(f"evaluating on {count:,} test samples of {test.path} and as many training samples")
    # Training samples first: a constant guess may know them, and not the test samples.
    seen = evaluate.evaluate(final, found.data, TRAIN, settings, threads, most=count)
    held_out = evaluate.evaluate(
        final,
        test.data,
        TEST,
        settings,
        threads,
        constant_m=seen.median_m,
        examples=_EXAMPLES,
    )
    metrics = {TEST: held_out.measures, TRAIN: seen.measures}
    training_run.put_json(folder, training_run.METRICS, metrics)
    training_run.put_json(folder, training_run.HISTORY_JSON, state.history)
    training_run.put_text(folder, training_run.HISTORY_CSV, _csv(state.history))
    sheets.write_curve(os.path.join(folder, training_run.CURVE), state.history, state.best_epoch)
    what = f"test samples: mask IoU {metrics[TEST]['mask']['iou']:.3f}"
    if DEPTH in metrics[TEST]:
        what += f", depth delta1 {metrics[TEST][DEPTH]['delta1']:.3f}"
    path = os.path.join(folder, training_run.PREDICTIONS)
    sheets.write_predictions(path, held_out.examples, what)
    _log_pictures(folder, found, held_out.examples, state)
    keras_path = os.path.join(folder, trained_card.KERAS_FILE)
    network.export(final, keras_path, os.path.join(folder, trained_card.SAVED_MODEL))
    card = _card(found, settings, final, state, threads, metrics, keras_path)
    training_run.put_json(folder, trained_card.CARD, card)
    print(_summary(metrics))
    print(f"{folder}: network, card, metrics; look at {path}")


def _log_pictures(folder: str, found: TrainingSet, examples: list[Any], state: Any) -> None:
    from models.training.event_log import EventLog

    log = EventLog(os.path.join(folder, training_run.LOGS))
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
    for split in (TEST, TRAIN):
        found = metrics[split]
        lines.append(f"{split} ({found['samples']:,} samples)")
        for what in (MASK, "all_foreground", DEPTH, "constant_depth"):
            if what in found:
                values = ", ".join(f"{name} {value:.3f}" for name, value in found[what].items())
                lines.append(f"  {what:15} {values}")
    return "\n".join(lines)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
