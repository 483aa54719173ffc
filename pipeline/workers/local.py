"""The main job on this machine: a worker process for each core, then the summary."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import MutableSequence
from typing import TYPE_CHECKING, Any

from fgbg.files import storage
from fgbg.pipeline.exit_codes import OK, SOME_FAILED
from fgbg.pipeline.progress import Progress, byte_size, duration
from fgbg.pipeline.workers.arguments import (
    GraphArguments,
    SliceMade,
    SliceOfGenerate,
    SliceOfShards,
)
from fgbg.pipeline.workers.processes import ProcessGroup, WorkerError, available_cores, peak_memory
from fgbg.transforms import meter
from fgbg.transforms.job import commit
from fgbg.transforms.job.job import ERRORS, GENERATION, REPORT, Job
from fgbg.transforms.job.work_unit import WorkUnit, sample_numbers
from fgbg.transforms.records import shards

if TYPE_CHECKING:
    from fgbg.transforms.steps.summarise import Summary

# Deaths of worker processes at one unit after which it is recorded as failed.
_DEATHS_OF_A_UNIT = 2
_BACKGROUNDS_KEPT = 4


def run(
    output: str,
    job: Job,
    depth_path: str | None,
    workers: int,
    beam_options: list[str],
    started: float,
) -> int:
    """Makes what is missing of a data set, then summarises it.

    Args:
        output: The data set; its job and inputs are stored.
        job: Its job.
        depth_path: Where the depth network lies, or None.
        workers: Number of processes.
        beam_options: Options for Beam, as given.
        started: time.monotonic() at the start of the command.

    Returns:
        The exit code.
    """
    commit.clear_failures(output)
    if job.configuration.in_records and (lost := shards.forget_lost(output)):
        print(f"{lost:,} units have lost their records; they are made again.", file=sys.stderr)
    done = commit.committed(output)
    samples_done = samples_of(job, done)
    missing = job.units - len(done)
    if not missing and samples_summarised(output) == job.samples:
        print(f"All {job.samples:,} samples are there already; nothing to do.", file=sys.stderr)
        print(f"Open {storage.join(output, REPORT)}")
        return OK
    if samples_done:
        print(f"Resuming: {samples_done:,} of {job.samples:,} samples are there.", file=sys.stderr)
    threads = max(1, available_cores() // workers)
    group = ProcessGroup(meter.ARRAY_LENGTH, threads)
    totals, joining = [0] * meter.ARRAY_LENGTH, {}
    made: list[SliceMade] = []
    try:
        if missing:
            # One thread for depth, whatever the number of workers: TensorFlow's sums differ in
            # the last bits between numbers of threads. FnApiRunner keeps the units in the order
            # of their backgrounds, so that a few decoded ones are enough.
            whole = dataclasses.replace(
                GraphArguments.of(output, job, depth_path, threads=1),
                backgrounds_kept=_BACKGROUNDS_KEPT,
            )
            progress = Progress("samples", job.samples, samples_done)
            with contextlib.closing(progress):
                totals, made = _make(group, progress, whole, min(workers, missing), beam_options)
        if job.configuration.in_records:
            joining = join(group, output, workers)
    except WorkerError as error:
        print(
            f"fgbg generate: {error}. Nothing that was made is lost: the same command "
            "resumes; fewer --workers need less memory.",
            file=sys.stderr,
        )
        return SOME_FAILED
    timings = _timings(totals, workers, started, made) | joining
    (summary,), _ = group.run("fgbg.pipeline.workers.tasks:summarise_output", [(output, timings)])
    _report(output, job, summary, time.monotonic() - started)
    return OK if summary.samples == job.samples else SOME_FAILED


def samples_summarised(output: str) -> int | None:
    """How many samples the last summary counted: fewer than there are if a run ended before it."""
    path = storage.join(output, GENERATION)
    try:
        return json.loads(storage.storage_for(path).read(path))["counts"]["samples"]
    except (FileNotFoundError, KeyError, json.JSONDecodeError):
        return None


def samples_of(job: Job, units: set[WorkUnit]) -> int:
    c = job.configuration
    return sum(len(sample_numbers(c.placements, c.mirror, unit)) for unit in units)


def _make(
    group: ProcessGroup,
    progress: Progress,
    whole: GraphArguments,
    workers: int,
    beam_options: list[str],
) -> tuple[list[int], list[SliceMade]]:
    """Runs Generate over all slices: the counters of all, and what is to be told of each."""
    slices = [
        SliceOfGenerate(dataclasses.replace(whole, slice_index=i, slices=workers), beam_options)
        for i in range(workers)
    ]
    samples = meter.COUNTERS.index("samples")
    failed = meter.COUNTERS.index("units_failed")
    deaths: Counter[WorkUnit] = Counter()
    given_up = 0

    def on_tick(totals: list[int]) -> None:
        progress.update(totals[samples], totals[failed] + given_up)

    def on_death(counters: MutableSequence[int], argument: Any, how: str) -> Any:
        nonlocal given_up
        unit = meter.unit_at_death(counters)
        progress.say(
            f"A worker process died ({how})"
            + (f" while making {unit.name}" if unit else "")
            + "; its work goes on in a new one."
        )
        if unit is None:
            return argument
        deaths[unit] += 1
        if deaths[unit] < _DEATHS_OF_A_UNIT:
            return argument
        given_up += 1
        reason = f"the worker process died {deaths[unit]} times while making it: {how}"
        commit.write_failure(whole.output, unit, "Generate", reason)
        without = argument.graph.without | {unit.name}
        return dataclasses.replace(
            argument, graph=dataclasses.replace(argument.graph, without=without)
        )

    made, totals = group.run("fgbg.pipeline.workers.tasks:make_slice", slices, on_tick, on_death)
    totals[failed] += given_up
    return totals, made


def join(group: ProcessGroup, output: str, workers: int) -> dict[str, Any]:
    """Joins the blocks to shards. Gives what generation.json says of it."""
    started = time.monotonic()
    (names,), _ = group.run("fgbg.pipeline.workers.tasks:plan_shards", [output])
    joined = meter.COUNTERS.index("shards_joined")
    count = min(workers, len(names))
    slices = [SliceOfShards(output, names[i::count]) for i in range(count)]
    with contextlib.closing(Progress("shards", len(names))) as progress:
        peaks, _ = group.run(
            "fgbg.pipeline.workers.tasks:join_slice",
            slices,
            lambda totals: progress.update(totals[joined]),
        )
    return {
        "shards_joined": len(names),
        "join_s": round(time.monotonic() - started, 3),
        "peak_memory_of_a_joiner_bytes": max(peaks, default=0),
    }


def _timings(
    totals: list[int], workers: int, started: float, made: list[SliceMade]
) -> dict[str, Any]:
    """What generation.json says of a run."""
    counted = dict(zip(meter.COUNTERS, totals, strict=False))
    return {
        "wall_s": round(time.monotonic() - started, 3),
        "workers": workers,
        "samples": counted["samples"],
        "units_done": counted["units_done"],
        "units_skipped": counted["units_skipped"],
        "units_failed": counted["units_failed"],
        "bytes": counted["bytes"],
        "compose_s": counted["compose_microseconds"] / 1e6,
        "depth_s": counted["depth_microseconds"] / 1e6,
        "write_s": counted["write_microseconds"] / 1e6,
        "depth_batches": meter.batch_sizes(totals),
        "gpus": sorted({one.gpu for one in made if one.gpu}),
        "peak_memory_of_a_worker_bytes": max((one.peak_memory for one in made), default=0),
        "peak_memory_of_the_launcher_bytes": peak_memory(),
    }


def _report(output: str, job: Job, summary: Summary, wall: float) -> None:
    """The closing lines."""
    c = job.configuration
    print(
        f"{summary.samples:,} samples ({c.size[0]}x{c.size[1]}), {byte_size(summary.bytes)}, in "
        f"{duration(wall)}: {output}"
    )
    if summary.empty_masks:
        print(f"Warning: {summary.empty_masks:,} masks are empty: foregrounds too thin to see")
    if summary.failed:
        print(
            f"{summary.failed:,} units failed: {storage.join(output, ERRORS)} says why; the same "
            "command tries them again"
        )
    print(f"Open {storage.join(output, REPORT)}")
