"""What is conspicuous about a data set, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from fgbg.transforms.dataset import credits
from fgbg.transforms.job.job import Job
from fgbg.transforms.report.bands import bands
from fgbg.transforms.report.inputs import Inputs
from fgbg.transforms.report.looks import Looks
from fgbg.transforms.report.survey import FLAT_M, Survey
from fgbg.transforms.report.words import are, count, named

# Of the width or height of its placed box: what spans less is pasted smaller than asked for.
SMALL_SPAN = 0.6
# Of files that cannot be read: samples in files of their own would fill the page.
_FILES_NAMED = 4


@dataclasses.dataclass(frozen=True)
class Findings:
    """What was looked for, and what was found.

    Attributes:
        warnings: One or two sentences each; the worst first.
        looked_for: What there was to look for in this data set, in the same order.
        unread: How many of the samples looked at cannot be read back.
        looked_at: How many were looked at.
    """

    warnings: list[str]
    looked_for: list[str]
    unread: int
    looked_at: int


def findings(
    job: Job, generation: dict[str, Any], survey: Survey, looks: Looks, inputs: Inputs
) -> Findings:
    """Everything conspicuous."""
    checks: list[tuple[str, Iterator[str]]] = [
        ("failed units", _failed(generation)),
        ("missing samples", _missing(generation)),
        ("inputs left out", _left_out(generation)),
    ]
    if survey.samples:
        checks += [
            ("empty masks", _empty_masks(job, generation, survey)),
            ("foregrounds much smaller than their box", _small(job, survey, inputs)),
        ]
    checks += [
        ("near-blank backgrounds", _blank(inputs)),
        ("the same file several times", _same(inputs)),
        ("inputs that look alike", _alike(inputs)),
    ]
    if sum(share > 0 for _, share in job.configuration.splits) > 1:
        checks.append(("one scene in several splits", _shared_scenes(job, inputs)))
    if survey.samples and survey.depth:
        checks += [
            ("flat depth", _flat(survey)),
            ("flat depth over the foreground", _flat_foregrounds(looks)),
        ]
        if job.configuration.depth_format == "jpg":
            checks.append(("depth beyond the range of 8 bits", _beyond_range(job, survey)))
    if survey.samples:
        checks.append(("means and deviations out of their bands", _statistics(job, generation)))
    checks += [
        ("splits without samples", _splits(job, generation)),
        ("licences that do not allow sharing changed pictures", _licences(job)),
        ("inputs that cannot be read back", _unread_inputs(inputs)),
    ]
    if survey.samples:
        checks.append(("samples that cannot be read back", _unread(looks)))
    return Findings(
        [warning for _, found in checks for warning in found],
        [name for name, _ in checks],
        sum(bool(look.problem) for look in looks.all),
        len(looks.all),
    )


def _failed(generation: dict[str, Any]) -> Iterator[str]:
    counts = generation["counts"]
    if counts["units_failed"]:
        yield (
            f"{counts['units_failed']:,} of {count(counts['units_planned'], 'work unit')} failed: "
            "errors.jsonl says why. The command that made this data set tries them again."
        )


def _missing(generation: dict[str, Any]) -> Iterator[str]:
    planned = generation["counts"]["samples_planned"]
    missing = planned - generation["counts"]["samples"]
    if missing:
        yield f"{missing:,} of {count(planned, 'sample')} {are(missing)} missing."


def _left_out(generation: dict[str, Any]) -> Iterator[str]:
    files = [entry["file"] for entry in generation["inputs"]["skipped"]]
    if files:
        were = "was" if len(files) == 1 else "were"
        yield f"{count(len(files), 'input')} could not be used and {were} left out: {named(files)}."


def _empty_masks(job: Job, generation: dict[str, Any], survey: Survey) -> Iterator[str]:
    empty = generation["counts"]["empty_masks"]
    if empty:
        which = [
            f"{job.foregrounds[i].file} ({number:,})"
            for i, number in enumerate(survey.empty_masks_of_foreground)
            if number
        ]
        yield (
            f"{count(empty, 'mask')} {are(empty)} empty: the foreground is too thin or too "
            f"transparent to cover half a pixel anywhere. {named(which)}."
        )


def _small(job: Job, survey: Survey, inputs: Inputs) -> Iterator[str]:
    # Faint pixels are not of the mask; specks are, and stretch its box if they are stored at all.
    spans = np.minimum(survey.span_of_foreground(job.configuration), inputs.spans)
    small = [
        f"{job.foregrounds[i].file} ({spans[i, 0]:.0%} x {spans[i, 1]:.0%})"
        for i in np.flatnonzero(spans.min(axis=1) < SMALL_SPAN)
        if survey.masks_of_foreground[i]
    ]
    if small:
        yield (
            "Foregrounds much smaller than their box: faint pixels or specks far from the thing "
            "make the box large, and the thing is pasted smaller than asked for. Share of the "
            f"box's width x height that it spans: {named(small)}."
        )


def _blank(inputs: Inputs) -> Iterator[str]:
    if inputs.blank:
        files = [entry.file for entry in inputs.blank]
        yield f"Near-blank backgrounds, with next to nothing to see on them: {named(files)}."


def _same(inputs: Inputs) -> Iterator[str]:
    for kind, groups in inputs.same.items():
        for files in groups:
            yield f"The same file several times among the {kind}s: {named(files)}."


def _alike(inputs: Inputs) -> Iterator[str]:
    for kind, groups in inputs.alike.items():
        for files in groups:
            yield f"These {kind}s look alike, scaled or saved again perhaps: {named(files)}."


def _shared_scenes(job: Job, inputs: Inputs) -> Iterator[str]:
    splits = {b.file: b.split for b in job.backgrounds}
    for files in (*inputs.same["background"], *inputs.alike["background"]):
        names = sorted({splits[file] for file in files})
        if len(names) > 1:
            yield (
                f"One scene in several splits ({', '.join(names)}): {named(files)}. What is "
                "measured on one is not independent of the other."
            )


def _flat(survey: Survey) -> Iterator[str]:
    flat = survey.flat_depth
    if flat:
        whose = "its depth varies" if flat == 1 else "their depth varies"
        yield (
            f"{count(flat, 'depth map')} {are(flat)} flat: {whose} by less than "
            f"{FLAT_M:g} m over the whole picture."
        )


def _flat_foregrounds(looks: Looks) -> Iterator[str]:
    flat = [look.row["key"] for look in looks.all if look.flat]
    if flat:
        yield (
            f"In {len(flat)} of {count(len(looks.all), 'sample')} looked at, depth is flat over "
            f"the foreground, as if its shape were not seen: {named(flat)}."
        )


def _beyond_range(job: Job, survey: Survey) -> Iterator[str]:
    beyond = survey.beyond_range
    if beyond:
        has = "has" if beyond == 1 else "have"
        yield (
            f"{count(beyond, 'picture')} {has} depth beyond "
            f"{job.configuration.depth_range_m:g} m, where 8-bit depth ends: it is cut off there. "
            "A larger --depth_range or --depth_format png16 keeps it."
        )


def _statistics(job: Job, generation: dict[str, Any]) -> Iterator[str]:
    for band in bands(job, generation["statistics"]):
        if not band.inside:
            unit = f" {band.unit}" if band.unit else ""
            yield (
                f"The {band.what} of {band.kind} is {band.value:.4g}{unit}, outside "
                f"{band.low:g} to {band.high:g}{unit}: {band.hint}."
            )


def _splits(job: Job, generation: dict[str, Any]) -> Iterator[str]:
    for name, share in job.configuration.splits:
        if share > 0 and not generation["counts"]["splits"].get(name):
            there = len(job.backgrounds)
            yield (
                f"Split {name} has no samples: whole backgrounds are held out, and there "
                f"{are(there)} {there:,}."
            )


def _licences(job: Job) -> Iterator[str]:
    refusing = [
        f"{picture.file} ({picture.licence})"
        for _, picture in credits.inputs(job)
        if "ND" in picture.licence.upper().replace("-", " ").split()
    ]
    if refusing:
        yield (
            "Licences that do not allow sharing changed pictures, which these samples are: "
            f"{named(refusing)}."
        )


def _unread_inputs(inputs: Inputs) -> Iterator[str]:
    if inputs.unread:
        yield f"Inputs that cannot be read back: {named(inputs.unread)}."


def _unread(looks: Looks) -> Iterator[str]:
    problems = [look.problem for look in looks.all if look.problem]
    if problems:
        files: dict[str, list[str]] = {}
        for problem in problems:
            # Samples of one shard have one cause.
            files.setdefault(problem.partition(": ")[0].partition("#")[0], []).append(problem)
        each = [
            found[0] if len(found) == 1 else f"{file} ({count(len(found), 'sample')})"
            for file, found in files.items()
        ]
        yield (
            f"{len(problems)} of {count(len(looks.all), 'sample')} looked at cannot be read back: "
            f"{named(each, _FILES_NAMED)}. fgbg verify reads them all."
        )
