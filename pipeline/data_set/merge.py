"""An existing data set and what is asked for now: the same, an extension, or a contradiction."""

from __future__ import annotations

import dataclasses
from typing import Any

from fgbg.models.depth.depth_card import DepthModel
from fgbg.transforms.dataset.catalogue import Checked
from fgbg.transforms.job.job import Configuration, InputPicture, Job
from fgbg.transforms.job.splits import assign_splits


class JobConflict(ValueError):
    """What is asked for contradicts the existing data set; the message says in what."""


def merge(
    stored: Job | None,
    asked: Configuration,
    backgrounds: list[Checked],
    foregrounds: list[Checked],
    skipped: list[dict[str, str]],
) -> Job:
    """The job that is to be done: everything stored, and what is new after it.

    Numbers already given stay; new inputs are numbered after them, more placements become a new
    round.

    Args:
        stored: The data set's job; None for a new one.
        asked: The configuration asked for, with one round of placements.
        backgrounds: Inputs without a problem, in order.
        foregrounds: Likewise.
        skipped: Inputs left out, with their problems.

    Raises:
        JobConflict: What is there would have to be made again.
    """
    if stored is None:
        return Job(
            asked,
            _extend("background", [], backgrounds, asked.splits),
            _extend("foreground", [], foregrounds, []),
            skipped,
        )
    differences = _differences(stored.configuration, asked)
    differences += _input_differences("background", stored.backgrounds, backgrounds)
    differences += _input_differences("foreground", stored.foregrounds, foregrounds)
    if differences:
        raise JobConflict("\n".join(differences))
    rounds = list(stored.configuration.placements)
    more = asked.placements[0] - sum(rounds)
    if more:
        rounds.append(more)
    return Job(
        dataclasses.replace(stored.configuration, placements=rounds),
        _extend("background", stored.backgrounds, backgrounds, asked.splits),
        _extend("foreground", stored.foregrounds, foregrounds, []),
        skipped,
    )


def _differences(stored: Configuration, asked: Configuration) -> list[str]:
    found = []
    for field in dataclasses.fields(Configuration):
        old, new = getattr(stored, field.name), getattr(asked, field.name)
        if field.name == "placements":
            if new[0] < sum(old):
                found.append(
                    f"placements: {sum(old)} there, {new[0]} asked for "
                    "(a data set can get more, not fewer)"
                )
        elif field.name == "depth_model":
            if _identity(old) != _identity(new):
                found.append(f"depth_model: {_model(old)} there, {_model(new)} asked for")
        elif old != new:
            found.append(f"{field.name}: {_show(old)} there, {_show(new)} asked for")
    return found


def _identity(model: dict[str, Any] | None) -> Any:
    """What of a depth model matters: not its file's name."""
    return DepthModel.from_dict(model).identity() if model else None


def _model(model: dict[str, Any] | None) -> str:
    if not model:
        return "none"
    how = f"{model['precision']}, batches of {model['batch_size'] or 'the default size'}"
    return f"{model['file']} ({model['sha256'][:12]}, {how}, {model['card']})"


def _show(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(f"{name}={share:g}" for name, share in value)
    return ",".join(str(v) for v in value) if isinstance(value, tuple) else str(value)


def _input_differences(kind: str, stored: list[InputPicture], asked: list[Checked]) -> list[str]:
    given = {entry.file: entry.sha256 for entry in asked}
    found = []
    for picture in stored:
        sha256 = given.get(picture.file)
        if sha256 is None:
            found.append(f"{kind} {picture.file}: in the data set, but not among the inputs")
        elif sha256 != picture.sha256:
            found.append(f"{kind} {picture.file}: its content has changed")
    return found


def _extend(
    kind: str,
    stored: list[InputPicture],
    asked: list[Checked],
    splits: list[tuple[str, float]],
) -> list[InputPicture]:
    names = {picture.file for picture in stored}
    new = [entry for entry in asked if entry.file not in names]
    chosen = [""] * len(new)
    if kind == "background":
        chosen = assign_splits([picture.split for picture in stored], len(new), splits)
    added = [
        InputPicture(
            number, entry.file, entry.sha256, entry.width, entry.height, split, **entry.source
        )
        for number, (entry, split) in enumerate(zip(new, chosen, strict=True), len(stored) + 1)
    ]
    return [*stored, *added]
