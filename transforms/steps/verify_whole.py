"""Verify: what no single sample shows, of a data set as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from fgbg.files import storage
from fgbg.transforms.dataset import manifest
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import ERRORS, GENERATION, Job
from fgbg.transforms.steps.verify import stray_files
from fgbg.transforms.steps.verify_records import check_shards


def check_whole(
    output: str, job: Job, local: str, generation: dict[str, Any], size: int
) -> list[tuple[str, str]]:
    """What no single row shows: counts, keys, splits, sums, commit records.

    Args:
        output: The data set.
        job: Its job.
        local: A local copy of its manifest.
        generation: The content of its generation.json.
        size: Bytes of the pictures that were read.

    Returns:
        Pairs of a file, or a key, and what is wrong with it.
    """
    columns = manifest.columns(local, ["key", "split", "bg", "mask_area"])
    in_records = job.configuration.in_records
    splits = dict(Counter(columns["split"]))
    return [
        *(check_shards(output, job, splits) if in_records else ()),
        *_check_counts(output, job, columns, generation, size),
        *_check_keys(columns),
        *_check_splits(job, columns),
        *_check_commits(output, job),
        *_files_without_rows(output, job, columns),
    ]


def _check_counts(
    output: str, job: Job, columns: dict[str, list[Any]], generation: dict[str, Any], size: int
) -> Iterator[tuple[str, str]]:
    rows = len(columns["key"])
    counts = generation["counts"]
    if counts["samples"] != rows:
        yield GENERATION, f"says {counts['samples']} samples, the manifest has {rows}"
    if rows != job.samples:
        yield ERRORS, f"{job.samples - rows} of {job.samples} samples were not made; run again"
    if sum(generation["bytes"].values()) != size:
        expected = sum(generation["bytes"].values())
        yield GENERATION, f"says {expected} bytes of pictures, {size} were read"
    by_split = Counter(columns["split"])
    for name, count in counts["splits"].items():
        if by_split[name] != count:
            yield GENERATION, f"says {count} samples in {name}, the manifest has {by_split[name]}"
    width, height = job.configuration.size
    pixels = rows * width * height
    mean = 255 * sum(columns["mask_area"]) / pixels if pixels else 0.0
    stated = generation["statistics"]["mask"]["mean"]
    if abs(mean - stated) > 1e-6:
        yield GENERATION, f"says the masks' mean is {stated}, the manifest's areas give {mean}"


def _check_keys(columns: dict[str, list[Any]]) -> Iterator[tuple[str, str]]:
    for key, times in Counter(columns["key"]).items():
        if times > 1:
            yield key, f"is in the manifest {times} times"


def _check_splits(job: Job, columns: dict[str, list[Any]]) -> Iterator[tuple[str, str]]:
    for background, split in sorted(set(zip(columns["bg"], columns["split"], strict=True))):
        expected = job.backgrounds[background - 1].split
        if split != expected:
            yield f"bg{background}", f"has samples in split {split}, it belongs to {expected}"


def _check_commits(output: str, job: Job) -> Iterator[tuple[str, str]]:
    units, others = commit.listed(output, job)
    for name in others:
        yield name, "is no commit record of this job: of another one, a copy, or somebody's file"
    damaged = commit.damaged(output, job, units)
    for error in damaged.values():
        name = error.path.removeprefix(output).lstrip("/")
        yield name, f"{error.problem}; fgbg generate makes its unit again"
    done = len(units) - len(damaged)
    failed = len(commit.failed(output))
    if done != job.units or failed:
        yield jobs.COMMITS, f"{done} of {job.units} units are done, {failed} failed; run again"


def _files_without_rows(
    output: str, job: Job, columns: dict[str, list[Any]]
) -> Iterator[tuple[str, str]]:
    """Samples of backgrounds that have no row at all; the others are checked with their rows."""
    in_records = job.configuration.in_records
    seen = set() if in_records else {f"bg{number}" for number in columns["bg"]}
    for name in storage.storage_for(output).children(output):
        if name.startswith("bg") and name[2:].isdecimal() and name not in seen:
            yield from stray_files(output, int(name[2:]), set())
