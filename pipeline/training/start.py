"""What a training begins with: looked at before anything is copied or deleted."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable
from typing import Any

from fgbg.files import storage
from fgbg.files.download import FetchError, file_sha256
from fgbg.models import network_files, tensorflow_process
from fgbg.models.trained import tflite_encoder, trained_card
from fgbg.models.trained.tflite_encoder import EncoderError
from fgbg.models.training import samples
from fgbg.models.training.samples import COMPACT, DataSet, Settings
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.options.train import AUTO, BUILTIN, NEW
from fgbg.pipeline.progress import say
from fgbg.pipeline.training.run import Run
from fgbg.pipeline.workers.processes import available_cores


@dataclasses.dataclass(frozen=True)
class Start:
    """A training that can begin.

    Attributes:
        settings: Its settings; the precision is no longer "auto".
        threads: CPU threads.
        network: A keras.Model with the first weights.
        for_everywhere: Makes the same in float32, with any weights.
    """

    settings: Settings
    threads: int
    network: Any
    for_everywhere: Callable[[], Any]


def identities(asked: argparse.Namespace) -> tuple[str, str]:
    """What names the first weights and the encoder: by content, for files and folders change.

    Copies of those on gs:// take their place in the options.

    Raises:
        UserError: One is not there, or not what it should be.
    """
    for name in ("init", "encoder"):
        if storage.is_gcs(getattr(asked, name)):
            try:
                setattr(asked, name, network_files.local_copy(getattr(asked, name)))
            except FetchError as error:
                raise UserError(f"--{name}: {error}") from error
    return _identity_of_init(asked.init), _identity_of_encoder(asked.encoder)


def _identity_of_init(init: str) -> str:
    if init == NEW:
        return NEW
    if init == BUILTIN:
        try:
            from fgbg.models.depth import builtin

            return f"{BUILTIN} {file_sha256(str(builtin.WEIGHTS))}"
        except (ImportError, OSError) as error:
            raise UserError("--init builtin: this version has no built-in network") from error
    try:
        trained_card.read(init)
    except ValueError as error:
        raise UserError(f"--init: {error}") from error
    return file_sha256(os.path.join(init, trained_card.KERAS_FILE))


def _identity_of_encoder(path: str) -> str:
    if path == COMPACT:
        return COMPACT
    try:
        return file_sha256(path)
    except OSError as error:
        raise UserError(
            f"--encoder {path}: cannot be read: {error.strerror}; {COMPACT} or a .tflite file is "
            "expected"
        ) from error


def start(
    asked: argparse.Namespace, settings: Settings, data: DataSet, stored: Run | None
) -> Start:
    """Makes the network, and starts TensorFlow for it.

    Args:
        asked: The options.
        settings: Of the training.
        data: Its data set; the files need not be there yet.
        stored: What began it, if it is to go on.

    Raises:
        UserError: The first weights do not fit, or the encoder cannot be used.
    """
    threads = asked.threads or (stored.threads if stored else available_cores())
    if stored and threads != stored.threads:
        say(f"Warning: it began with {stored.threads} threads: the last bits will differ")
    tf = tensorflow_process.start(threads)
    if settings.precision == AUTO:
        chosen = stored.settings.precision if stored else _best_precision(tf)
        settings = dataclasses.replace(settings, precision=chosen)
    from fgbg.models.training import network

    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    heads = samples.heads(data)
    steps = samples.steps_of_epoch(data, settings)[0] * settings.epochs
    encoder = _encoder(asked)

    def build(precision: str) -> Any:
        return network.build(settings, heads, data.depth_range_m, precision, steps, encoder)

    try:
        trained = build(settings.precision)
    except EncoderError as error:
        raise UserError(f"--encoder {asked.encoder}: {error}") from error
    network.begin_at(trained, data.typical_depth_m, data.depth_range_m)
    _initialise(asked.init, trained)
    return Start(settings, threads, trained, lambda: build("float32"))


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


def _encoder(asked: argparse.Namespace) -> Any:
    """What the network begins with, a trained.tflite_encoder.Encoder; None for the compact one."""
    if asked.encoder == COMPACT:
        return None
    try:
        encoder = tflite_encoder.read(asked.encoder)
    except EncoderError as error:
        raise UserError(f"--encoder: {error}") from error
    fed = asked.encoder_range or encoder.input_range
    if fed is None:
        fed = 0.0, 1.0
        say(
            f"Warning: {asked.encoder} does not say what it was fed; it is fed black as 0 and "
            "white as 1. If it was trained with something else, give --encoder_range"
        )
    return dataclasses.replace(encoder, input_range=fed)


def _initialise(init: str, trained: Any) -> None:
    """Gives a new network the weights of another one."""
    if init == NEW:
        return
    from fgbg.models.training import network

    try:
        if init == BUILTIN:
            from fgbg.models.depth import builtin

            source = builtin.load_network()
        else:
            import keras

            path = os.path.join(init, trained_card.KERAS_FILE)
            source = keras.saving.load_model(path, compile=False, safe_mode=True)
        network.transfer(source, trained)
    except ValueError as error:  # a TrainingError is one
        raise UserError(f"--init {init}: {error}") from error
