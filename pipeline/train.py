"""`fgbg train`: from a data set to a network that predicts mask and depth."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import sys
from typing import Any

from models import tensorflow_process, trained_card
from models.download import FetchError, file_sha256
from models.training import samples
from models.training.samples import (
    COMPACT,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    Settings,
    TrainingError,
)
from pipeline import (
    options,
    train_options,
    training_copy,
    training_folder,
    training_progress,
    training_result,
    training_run,
    training_set,
)
from pipeline.exit_codes import OK, UserError
from pipeline.processes import available_cores
from pipeline.train_options import AUTO, BUILTIN, NEW
from pipeline.training_run import CHECKPOINT, Run
from pipeline.training_set import TrainingSet
from transforms import network_files, storage


def main(arguments: list[str]) -> int:
    """Runs `fgbg train`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    asked = options.parse_all(train_options.parser(), arguments)
    folder = asked.model_dir.rstrip("/") or "/"
    for name in ("init", "encoder"):
        if storage.is_gcs(getattr(asked, name)):
            try:
                setattr(asked, name, network_files.local_copy(getattr(asked, name)))
            except FetchError as error:
                raise UserError(f"--{name}: {error}") from error
    init = _identity_of_init(asked.init)
    encoder = _identity_of_encoder(asked.encoder)
    found = training_set.read(asked.data_set, asked.inputs == "pair", asked.limit)
    test = found
    if asked.test_set is not None:
        test = training_set.read(
            asked.test_set, asked.inputs == "pair", asked.limit, (training_set.TEST,)
        )
        found.facts["test_set"] = training_set.check_test_set(found, test)
    settings = train_options.settings(asked, found.data.size, init, encoder)
    stored = None
    if not asked.overwrite:
        stored = training_run.stored_run(folder)
    else:
        training_run.check_ours(folder)
    if stored:
        training_run.check_same(folder, stored, settings, found.sha256)
        if training_run.is_finished(folder):
            _say(f"{folder}: this training is finished; --overwrite trains anew")
            return OK
    try:
        samples.check(found.data, settings)
    except TrainingError as error:
        raise UserError(f"{asked.data_set}: {error}") from error
    with training_folder.opened(folder) as working:
        found, test = _on_this_machine(found, test)
        if asked.overwrite:
            training_run.delete(folder)
        training_folder.fetch_checkpoint(folder, working)
        try:
            return _train(asked, working, folder, found, test, settings, stored)
        except TrainingError as error:
            damaged = ""
            if _is_damage(error):
                damaged = training_set.damaged_record(found.data)
                damaged = damaged or training_set.damaged_record(test.data)
            raise UserError(damaged or str(error).replace(working, folder)) from error


def _on_this_machine(found: TrainingSet, test: TrainingSet) -> tuple[TrainingSet, TrainingSet]:
    """What is trained with and what is measured on, as local files."""
    if test is found:
        found = training_copy.on_this_machine(found, SPLITS)
        return found, found
    return (
        training_copy.on_this_machine(found, (TRAIN, VALIDATION)),
        training_copy.on_this_machine(test, (TEST,)),
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


def _identity_of_encoder(path: str) -> str:
    """What names the encoder: by content."""
    if path == COMPACT:
        return COMPACT
    try:
        return file_sha256(path)
    except OSError as error:
        raise UserError(
            f"--encoder {path}: cannot be read: {error.strerror}; {COMPACT} or a .tflite file is "
            "expected"
        ) from error


def _train(
    asked: argparse.Namespace,
    working: str,
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
    build = functools.partial(
        network.build, settings, heads, data.depth_range_m, encoder=_encoder(asked.encoder)
    )
    trained = build(precision=settings.precision, steps=steps)
    network.begin_at(trained, data.typical_depth_m, data.depth_range_m)
    _initialise(asked.init, trained)
    if stored is None:
        Run(settings, found.sha256, threads).write(folder)
    shown = training_progress.Shown(working, folder, found, settings, trained)

    def epoch_done(state: Any) -> None:
        shown.epoch_done(state)
        training_folder.put_epoch(working, folder)

    try:
        state = fit.fit(
            data,
            settings,
            trained,
            os.path.join(working, CHECKPOINT),
            threads,
            shown.step_done,
            epoch_done,
        )
    finally:
        shown.close()
    # In float32, whatever it was trained in: it is to run anywhere.
    final = build(precision="float32", steps=steps)
    final.set_weights(trained.get_weights())
    training_result.write(working, folder, found, test, settings, final, state, threads)
    training_folder.put_finished(working, folder)
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


def _encoder(path: str) -> Any:
    """What the network begins with, a models.tflite_encoder.Encoder; None for the compact one."""
    if path == COMPACT:
        return None
    from models import tflite_encoder

    try:
        return tflite_encoder.read(path)
    except tflite_encoder.EncoderError as error:
        raise UserError(f"--encoder: {error}") from error


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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
