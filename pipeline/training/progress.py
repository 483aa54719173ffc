"""What a training shows while it runs: progress, a line for each epoch, and the event log."""

from __future__ import annotations

import os
from typing import Any

from fgbg.models.training import samples
from fgbg.models.training.samples import TEST, TRAIN, VALIDATION, Settings
from fgbg.pipeline.progress import Progress
from fgbg.pipeline.training import run as training_run
from fgbg.pipeline.training.run import CHECKPOINT
from fgbg.pipeline.training.set import TrainingSet


class Shown:
    """Shows a training; begins with what its checkpoint tells.

    Args:
        working: The local folder that is trained in.
        folder: What that is called in messages: where it goes.
        found: What is trained with.
        settings: Of the training.
        network: The keras.Model.
    """

    def __init__(
        self, working: str, folder: str, found: TrainingSet, settings: Settings, network: Any
    ) -> None:
        from fgbg.models.training import checkpoint
        from fgbg.models.training.event_log import EventLog

        self._settings = settings
        self._log = EventLog(os.path.join(working, training_run.LOGS))
        steps, batch = samples.steps_of_epoch(found.data, settings)
        self._per_epoch = steps * batch
        state = checkpoint.load(os.path.join(working, CHECKPOINT)) or checkpoint.State()
        for row in state.history:
            self._log.epoch(row)
        self._first = len(state.history)
        self._progress = Progress(
            "samples", self._per_epoch * settings.epochs, self._per_epoch * self._first
        )
        if state.history:
            self._progress.say(f"{folder}: going on after epoch {self._first} of {settings.epochs}")
        counts = found.facts["samples"]
        self._progress.say(
            f"{counts[TRAIN]:,} training, {counts[VALIDATION]:,} validation and {counts[TEST]:,} "
            f"test samples; {network.count_params():,} parameters, {settings.precision}"
        )

    def step_done(self, epoch: int, done: int, loss: float) -> None:
        """Of fgbg.models.training.fit.fit."""
        new = (epoch - self._first) * self._per_epoch + done
        note = f"epoch {epoch + 1}/{self._settings.epochs}, loss {loss:.3f}"
        self._progress.update(new, note=note)

    def epoch_done(self, state: Any) -> None:
        """Likewise."""
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
        """Ends the bar and the log."""
        self._progress.close()
        self._log.close()
