"""What is conspicuous about a data set, in words; and what its means and deviations should be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from transforms import credits
from transforms.job import Job
from transforms.report.inputs import Inputs
from transforms.report.looks import Looks
from transforms.report.survey import FLAT_M, Survey

# A mask that fills less of the placed box has specks far from it, or next to nothing in it.
SMALL_FILL = 0.15
_NAMED = 12


@dataclasses.dataclass(frozen=True)
class Band:
    """A statistic and where it should lie.

    Attributes:
        kind: Such as "overlay, red".
        what: "mean" or "standard deviation".
        value: What it is.
        low: The least that is usual.
        high: The most that is usual.
        unit: Such as "m"; "" for values in 0..255.
        hint: What may be the cause where it lies outside.
    """

    kind: str
    what: str
    value: float
    low: float
    high: float
    unit: str
    hint: str

    @property
    def inside(self) -> bool:
        return self.low <= self.value <= self.high


def bands(job: Job, statistics: dict[str, Any]) -> list[Band]:
    """Mean and standard deviation of every kind, each with its band.

    Args:
        job: The data set's job.
        statistics: As generation.json has them.
    """
    found = []
    for name, values in statistics["overlay"].items():
        found += [
            Band(
                f"overlay, {name}", "mean", values["mean"], 50, 205, "",
                "very dark or very bright pictures, or a colour cast",
            ),
            Band(
                f"overlay, {name}", "standard deviation", values["std"], 25, 100, "",
                "pictures with next to no contrast, or nearly black and white",
            ),
        ]  # fmt: skip
    mask = statistics["mask"]
    found += [
        Band("mask", "mean", mask["mean"], 2.5, 128, "", "foregrounds very small or very large"),
        Band("mask", "standard deviation", mask["std"], 25, 127.5, "", "masks nearly empty"),
    ]
    if "depth_m" in statistics:
        depth = statistics["depth_m"]
        end = job.configuration.depth_range_m
        hint = "a depth network with another unit, or fed in another way"
        found += [
            Band("depth", "mean", depth["mean"], 0.02 * end, 0.9 * end, "m", hint),
            Band("depth", "standard deviation", depth["std"], 0.01 * end, 0.5 * end, "m", hint),
        ]
    return found


def warnings(
    job: Job, generation: dict[str, Any], survey: Survey, looks: Looks, inputs: Inputs
) -> list[str]:
    """Everything conspicuous, one sentence or two each; the worst first."""
    return [
        *_missing(generation),
        *_about_masks(job, generation, survey),
        *_about_inputs(job, inputs),
        *_about_depth(job, survey, looks),
        *_about_statistics(job, generation),
        *_about_splits(job, generation),
        *_about_licences(job),
        *_unread(inputs, looks),
    ]


def _missing(generation: dict[str, Any]) -> Iterator[str]:
    counts = generation["counts"]
    missing = counts["samples_planned"] - counts["samples"]
    if counts["units_failed"]:
        yield (
            f"{counts['units_failed']:,} of {counts['units_planned']:,} work units failed: "
            "errors.jsonl says why. The command that made this data set tries them again."
        )
    if missing:
        yield f"{missing:,} of {counts['samples_planned']:,} samples are missing."
    skipped = generation["inputs"]["skipped"]
    if skipped:
        files = [entry["file"] for entry in skipped]
        yield f"{_inputs(len(files))} could not be used and left out: {_named(files)}."


def _about_masks(job: Job, generation: dict[str, Any], survey: Survey) -> Iterator[str]:
    empty = generation["counts"]["empty_masks"]
    if empty:
        which = [
            f"{job.foregrounds[i].file} ({count:,})"
            for i, count in enumerate(survey.empty_masks_of_foreground)
            if count
        ]
        yield (
            f"{empty:,} masks are empty: the foreground is too thin or too transparent to cover "
            f"half a pixel anywhere. {_named(which)}."
        )
    fill = survey.fill_of_foreground()
    small = [
        f"{job.foregrounds[i].file} ({fill[i]:.0%})"
        for i in np.flatnonzero((fill > 0) & (fill < SMALL_FILL))
    ]
    if small:
        yield (
            "Foregrounds much smaller than their box: faint pixels or specks far from the thing "
            "make the box large, and the thing is pasted smaller than asked for. Share of the box "
            f"that the mask fills: {_named(small)}."
        )


def _about_inputs(job: Job, inputs: Inputs) -> Iterator[str]:
    if inputs.blank:
        files = [entry.file for entry in inputs.blank]
        yield f"Near-blank backgrounds, with next to nothing to see on them: {_named(files)}."
    for kind, groups in inputs.same.items():
        for files in groups:
            yield f"The same file several times among the {kind}s: {_named(files)}."
    for kind, groups in inputs.alike.items():
        for files in groups:
            yield f"These {kind}s look alike, scaled or saved again perhaps: {_named(files)}."
    splits = {b.file: b.split for b in job.backgrounds}
    for files in (*inputs.same["background"], *inputs.alike["background"]):
        names = sorted({splits[file] for file in files})
        if len(names) > 1:
            yield (
                f"One scene in several splits ({', '.join(names)}): {_named(files)}. What is "
                "measured on one is not independent of the other."
            )


def _about_depth(job: Job, survey: Survey, looks: Looks) -> Iterator[str]:
    if not survey.depth:
        return
    if survey.flat_depth:
        yield (
            f"{survey.flat_depth:,} depth maps are flat: their depth varies by less than "
            f"{FLAT_M:g} m over the whole picture."
        )
    flat = [look.row["key"] for look in looks.all if look.flat]
    if flat:
        yield (
            f"In {len(flat)} of {len(looks.all)} samples looked at, depth is flat over the "
            f"foreground, as if its shape were not seen: {_named(flat)}."
        )
    if survey.beyond_range:
        yield (
            f"{survey.beyond_range:,} pictures have depth beyond "
            f"{job.configuration.depth_range_m:g} m, where 8-bit depth ends: it is cut off there. "
            "A larger --depth_range or --depth_format png16 keeps it."
        )


def _about_statistics(job: Job, generation: dict[str, Any]) -> Iterator[str]:
    if not generation["counts"]["samples"]:
        return
    for band in bands(job, generation["statistics"]):
        if not band.inside:
            unit = f" {band.unit}" if band.unit else ""
            yield (
                f"The {band.what} of {band.kind} is {band.value:.4g}{unit}, outside "
                f"{band.low:g} to {band.high:g}{unit}: {band.hint}."
            )


def _about_splits(job: Job, generation: dict[str, Any]) -> Iterator[str]:
    for name, share in job.configuration.splits:
        if share > 0 and not generation["counts"]["splits"].get(name):
            yield (
                f"Split {name} has no samples: whole backgrounds are held out, and there are "
                f"{len(job.backgrounds):,}."
            )


def _about_licences(job: Job) -> Iterator[str]:
    refusing = [
        f"{picture.file} ({picture.licence})"
        for _, picture in credits.inputs(job)
        if "ND" in picture.licence.upper().replace("-", " ").split()
    ]
    if refusing:
        yield (
            "Licences that do not allow sharing changed pictures, which these samples are: "
            f"{_named(refusing)}."
        )


def _unread(inputs: Inputs, looks: Looks) -> Iterator[str]:
    if inputs.unread:
        yield f"Inputs that cannot be read back: {_named(inputs.unread)}."
    problems = [look.problem for look in looks.all if look.problem]
    if problems:
        yield (
            f"{len(problems)} of {len(looks.all)} samples looked at cannot be read back: "
            f"{_named(problems)}. fgbg verify reads them all."
        )


def _inputs(count: int) -> str:
    return f"{count:,} input" + ("" if count == 1 else "s")


def _named(names: list[str]) -> str:
    """Names with commas between them, the first of many."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
