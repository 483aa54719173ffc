"""`fgbg verify OUT`: reads a data set back, on all cores, and says what is wrong with it."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

from fgbg.files import storage
from fgbg.pipeline.data_set.finished import open_summarised
from fgbg.pipeline.exit_codes import OK, SOME_FAILED
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import Progress
from fgbg.pipeline.workers.processes import ProcessGroup, available_cores
from fgbg.transforms import meter
from fgbg.transforms.dataset import manifest
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import ERRORS, GENERATION, Job
from fgbg.transforms.steps.verify import VerifyArguments, stray_files
from fgbg.transforms.steps.verify_records import check_shards

_SHOWN = 1000


def main(arguments: list[str]) -> int:
    """Runs `fgbg verify`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code: 0 if nothing is wrong, 1 if anything is.
    """
    parser = options.Parser(
        prog="fgbg verify",
        description="Reads every file of a data set back and compares it with the manifest.",
    )
    parser.add_argument("output", metavar="OUT", help="the data set's folder, local or gs://")
    parser.add_argument(
        "--workers",
        type=options.number(1, 1024, int),
        metavar="N",
        help="processes on this machine; None: its cores",
    )
    asked = options.parse_all(parser, arguments)
    output = asked.output.rstrip("/") or "/"
    with open_summarised(output) as data_set, tempfile.TemporaryDirectory() as folder:
        job, local, rows = data_set.job, data_set.manifest, data_set.samples
        problems, size = _check_files(output, job, local, rows, folder, asked.workers)
        problems += _check_whole(output, job, local, data_set.generation, size)
    problems.sort()
    for name, problem in problems[:_SHOWN]:
        print(f"{name}: {problem}")
    if len(problems) > _SHOWN:
        print(f"and {len(problems) - _SHOWN:,} more")
    if problems:
        print(f"{output}: {len(problems):,} problems in {rows:,} samples")
        return SOME_FAILED
    print(f"{output}: all {rows:,} samples are as the manifest says")
    return OK


def _check_files(
    output: str, job: Job, local: str, rows: int, folder: str, workers: int | None
) -> tuple[list[tuple[str, str]], int]:
    """Checks every row's files in worker processes: problems, and bytes read."""
    groups = manifest.row_groups(local)
    count = min(workers or available_cores(), max(1, groups))
    version = jobs.version(job)
    slices = [
        VerifyArguments(
            output,
            version,
            local,
            os.path.join(folder, f"problems-{i}"),
            list(range(groups))[i::count],
        )
        for i in range(count)
    ]
    progress = Progress("samples", rows)
    checked = meter.COUNTERS.index("rows_checked")
    try:
        _, totals = ProcessGroup(meter.ARRAY_LENGTH, 1).run(
            "fgbg.pipeline.workers.tasks:verify_slice",
            slices,
            lambda totals: progress.update(totals[checked]),
        )
    finally:
        progress.close()
    problems = []
    for arguments in slices:
        with open(arguments.problems, encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                problems.append((entry["file"], entry["problem"]))
    return problems, totals[meter.COUNTERS.index("bytes")]


def _check_whole(
    output: str, job: Job, local: str, generation: dict[str, Any], size: int
) -> list[tuple[str, str]]:
    """What no single row shows: counts, keys, splits, sums, commit records."""
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
    done = len(commit.committed(output))
    failed = len(commit.failed(output))
    if done + failed != job.units or failed:
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
