"""`fgbg train`: from a data set to a network that predicts mask and depth."""

from __future__ import annotations

import os
from typing import Any

from fgbg.files.paths import trim_slash
from fgbg.models.training import samples
from fgbg.models.training.samples import SPLITS, TEST, TRAIN, VALIDATION, TrainingError
from fgbg.pipeline.exit_codes import OK, UserError
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.options import train as train_options
from fgbg.pipeline.progress import say
from fgbg.pipeline.training import copy as training_copy
from fgbg.pipeline.training import folder as training_folder
from fgbg.pipeline.training import progress as training_progress
from fgbg.pipeline.training import result as training_result
from fgbg.pipeline.training import run as training_run
from fgbg.pipeline.training import set as training_set
from fgbg.pipeline.training import start as training_start
from fgbg.pipeline.training.run import CHECKPOINT, Run
from fgbg.pipeline.training.set import TrainingSet
from fgbg.pipeline.training.start import Start


def main(arguments: list[str]) -> int:
    """Runs `fgbg train`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    asked = options.parse_all(train_options.parser(), arguments)
    folder = trim_slash(asked.model_dir)
    init, encoder = training_start.identities(asked)
    found = training_set.read(asked.data_set, asked.inputs == "pair", asked.limit)
    test = found
    if asked.test_set is not None:
        test = training_set.read(
            asked.test_set, asked.inputs == "pair", asked.limit, (training_set.TEST,)
        )
        found.facts["test_set"] = training_set.check_test_set(found, test)
    if found.depth_remarks:
        say(found.depth_remarks)
    if test.measured != TEST:
        say(
            f"{test.path}: no background is in the test split, so the network is measured on the "
            "validation split, which also chose its best epoch: its figures flatter"
        )
    settings = train_options.settings(asked, found.data.size, init, encoder)
    stored = None
    if not asked.overwrite:
        stored = training_run.stored_run(folder)
    else:
        training_run.check_ours(folder)
        training_run.check_apart(folder, "init", asked.init)
        training_run.check_apart(folder, "encoder", asked.encoder)
    if stored:
        test_sha256 = _sha256_of_test(found, test)
        training_run.check_same(folder, stored, settings, found.sha256, test_sha256)
        if training_run.is_finished(folder):
            say(f"{folder}: this training is finished; --overwrite trains anew")
            return OK
    try:
        samples.check(found.data, settings)
    except TrainingError as error:
        raise UserError(f"{asked.data_set}: {error}") from error
    begun = training_start.start(asked, settings, found.data, stored)
    with training_folder.opened(folder) as working:
        found, test = _on_this_machine(found, test)
        if asked.overwrite:
            # All is read once: what cannot be trained on must not undo what was trained.
            if training_run.has_run(folder) and (damaged := _any_damaged(found, test)):
                raise UserError(f"{damaged}. Nothing was deleted")
            training_run.delete(folder)
        training_folder.fetch_checkpoint(folder, working)
        try:
            return _train(begun, working, folder, found, test, stored)
        except TrainingError as error:
            damaged = _damaged(found, test) if _is_damage(error) else ""
            raise UserError(damaged or str(error).replace(working, folder)) from error


def _sha256_of_test(found: TrainingSet, test: TrainingSet) -> str | None:
    return None if test is found else test.sha256


def _on_this_machine(found: TrainingSet, test: TrainingSet) -> tuple[TrainingSet, TrainingSet]:
    """What is trained with and what is measured on, as local files."""
    if test is found:
        found = training_copy.on_this_machine(found, SPLITS)
        return found, found
    return (
        training_copy.on_this_machine(found, (TRAIN, VALIDATION)),
        training_copy.on_this_machine(test, (TEST,)),
    )


def _damaged(found: TrainingSet, test: TrainingSet) -> str:
    return training_set.damaged_record(found.data) or training_set.damaged_record(test.data)


def _any_damaged(found: TrainingSet, test: TrainingSet) -> str:
    """What is damaged of all that is trained with or measured on, pictures included."""
    sets = [found] if test is found else [found, test]
    return _damaged(found, test) or next(
        filter(None, (training_set.damaged_picture(one) for one in sets)), ""
    )


def _is_damage(error: TrainingError) -> bool:
    from fgbg.models.training.fit import DamagedRecordsError

    return isinstance(error, DamagedRecordsError)


def _train(
    begun: Start,
    working: str,
    folder: str,
    found: TrainingSet,
    test: TrainingSet,
    stored: Run | None,
) -> int:
    """Trains, evaluates and writes, after all checks."""
    from fgbg.models.training import fit

    settings, threads, trained = begun.settings, begun.threads, begun.network
    if stored is None:
        Run(settings, found.sha256, threads, _sha256_of_test(found, test)).write(folder)
    shown = training_progress.Shown(working, folder, found, settings, trained)

    def epoch_done(state: Any) -> None:
        shown.epoch_done(state)
        training_folder.put_epoch(working, folder)

    try:
        state = fit.fit(
            found.data,
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
    final = begun.for_everywhere()
    final.set_weights(trained.get_weights())
    training_result.write(working, folder, found, test, settings, final, state, threads)
    training_folder.put_finished(working, folder)
    return OK
