"""The main job on this machine: a worker process for each core, then the summary."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fgbg.files import storage
from fgbg.pipeline.arguments import GraphArguments, Slice
from fgbg.pipeline.data_set.resume import units_done
from fgbg.pipeline.exit_codes import OK, SOME_FAILED, WorkerError
from fgbg.pipeline.progress import Progress, byte_size, duration, say, tell
from fgbg.pipeline.workers import processes
from fgbg.pipeline.workers.processes import Ran, peak_memory
from fgbg.pipeline.workers.slices import run_slices
from fgbg.transforms import meter
from fgbg.transforms.dataset import drawings, generation, manifest_parts
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import ERRORS, REPORT, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records import shards

if TYPE_CHECKING:
    from fgbg.transforms.steps.summarise import Summary

_BACKGROUNDS_KEPT = 4


def run(
    output: str,
    job: Job,
    depth_path: str | None,
    workers: int,
    beam_options: list[str],
    started: float,
    fsync: bool = True,
) -> int:
    """Makes what is missing of a data set, then summarises it.

    Args:
        output: The data set; its job and inputs are stored.
        job: Its job.
        depth_path: Where the depth network lies, or None.
        workers: Number of processes.
        beam_options: Options for Beam, as given.
        started: time.monotonic() at the start of the command.
        fsync: Whether a unit counts as done only when its files are on the local disk.

    Returns:
        The exit code.
    """
    done = units_done(output, job)
    missing = job.units - done.units
    if not missing and is_whole(output, job, job.samples):
        return nothing_to_do(output, job)
    if done.samples:
        say(f"Resuming: {done.samples:,} of {job.samples:,} samples are there.")
    ran, joining = Ran([], [0] * meter.ARRAY_LENGTH, 0), {}
    if missing:
        # One thread for depth, whatever the number of workers: TensorFlow's sums differ in the
        # last bits between numbers of threads. FnApiRunner keeps the units in the order of their
        # backgrounds, so that a few decoded ones are enough.
        graph = dataclasses.replace(
            GraphArguments.of(output, job, depth_path, threads=1),
            backgrounds_kept=_BACKGROUNDS_KEPT,
            fsync=fsync,
        )
        ran = make_units(
            "fgbg.pipeline.workers.tasks:make_slice",
            min(workers, missing),
            graph,
            beam_options,
            output=output,
            job=job,
            progress=Progress("samples", job.samples, done.samples),
            step="Generate",
        )
    if job.configuration.in_records:
        joining = join(output, workers)
    summary = summarise(output, job, workers, _timings(ran, workers, started) | joining)
    closing_lines(output, job, summary, time.monotonic() - started)
    return OK if summary.samples == job.samples else SOME_FAILED


def nothing_to_do(output: str, job: Job) -> int:
    """Ends a run that finds a whole data set."""
    say(f"All {job.samples:,} samples are there already; nothing to do.")
    draw_missing(output)
    tell(f"Open {storage.join(output, REPORT)}")
    return OK


def is_whole(output: str, job: Job, samples: int) -> bool:
    """Whether the last run came to its end: a summary of so many samples, and all their shards."""
    try:
        summarised = generation.read(output)["counts"]["samples"]
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return False
    return summarised == samples and (not job.in_records or shards.all_joined(output))


def samples_of(job: Job, units: set[WorkUnit]) -> int:
    c = job.configuration
    return sum(c.placements[unit.round] for unit in units)


def make_units(
    task: str,
    slices: int,
    *arguments: Any,
    output: str,
    job: Job,
    progress: Progress,
    step: str,
) -> Ran:
    """Runs a task over slices of a data set's units; one that is given up is recorded as failed.

    Args:
        task: "module:function", as of run_slices.
        slices: Number of slices.
        arguments: Those of every slice.
        output: The data set that is being made.
        job: Its job.
        progress: Where to show the number of samples.
        step: What the record of a failure says of the task.
    """

    def give_up(number: int, reason: str) -> None:
        commit.write_failure(output, job.unit_at(number), step, reason)

    return run_slices(
        task,
        slices,
        *arguments,
        progress=progress,
        shown=["samples"],
        name_of=lambda number: job.unit_at(number).name,
        give_up=give_up,
    )


def join(output: str, workers: int) -> dict[str, Any]:
    """Joins the blocks to shards.

    Returns:
        What generation.json says of it.

    Raises:
        WorkerError: There are shards that could not be joined.
    """
    started = time.monotonic()
    names = processes.run_alone("fgbg.transforms.records.shards:prepare", output)
    left = []
    ran = run_slices(
        "fgbg.pipeline.workers.tasks:join_slice",
        min(workers, len(names)),
        output,
        names,
        progress=Progress("shards", len(names)),
        shown=["shards_joined"],
        name_of=lambda number: names[number],
        give_up=lambda number, reason: left.append(f"{names[number]}: {reason}"),
    )
    if left:  # without one of its shards there is no data set
        raise WorkerError("; ".join(left))
    return {
        "shards_joined": len(names),
        "join_s": round(time.monotonic() - started, 3),
        "peak_memory_of_a_joiner_bytes": ran.peak_memory,
    }


def summarise(output: str, job: Job, workers: int, timings: dict[str, Any]) -> Summary:
    """Writes what stands beside the samples, in processes that may import all that it takes.

    Args:
        output: The data set.
        job: Its job.
        workers: Number of processes; a small data set is done by one.
        timings: For generation.json; empty where no sample was made.
    """
    if job.units <= commit.PACKED_FROM:
        return processes.run_alone("fgbg.transforms.steps.summarise:summarise", output, timings)
    manifest_parts.prepare(output, job)
    version = jobs.version(job)
    parts = [(Slice(i, workers), output, version) for i in range(workers)]
    ran = processes.run("fgbg.pipeline.workers.tasks:summarise_slice", parts)
    return processes.run_alone(
        "fgbg.transforms.steps.summarise:conclude_parts", output, ran.results, timings
    )


def draw_missing(output: str) -> None:
    """Draws sheets and report of a finished data set again if something is wrong with them."""
    wrong = drawings.wrong(output)
    if wrong:
        name, problem = next(iter(wrong.items()))
        say(f"{storage.join(output, name)}: {problem}; drawing sheets and report again.")
        drawn = processes.run_alone("fgbg.transforms.steps.draw:draw_again", output)
        warn_of_drawings(output, drawn.problems)


def warn_of_drawings(output: str, problems: Sequence[str]) -> None:
    """Says what could not be drawn, and how to try again: the data set is whole without it."""
    for problem in problems:
        say(f"Warning: {problem}. The data set itself is whole; fgbg report {output} draws again.")


def _timings(ran: Ran, workers: int, started: float) -> dict[str, Any]:
    """What generation.json says of a run."""
    return {
        "wall_s": round(time.monotonic() - started, 3),
        "workers": workers,
        "samples": ran.count("samples"),
        "units_done": ran.count("units_done"),
        "units_skipped": ran.count("units_skipped"),
        "units_failed": ran.count("units_failed"),
        "bytes": ran.count("bytes"),
        "compose_s": ran.count("compose_microseconds") / 1e6,
        "depth_s": ran.count("depth_microseconds") / 1e6,
        "write_s": ran.count("write_microseconds") / 1e6,
        "depth_batches": meter.batch_sizes(ran.counters),
        "gpus": sorted({gpu for gpu in ran.results if gpu}),
        "peak_memory_of_a_worker_bytes": ran.peak_memory,
        "peak_memory_of_the_launcher_bytes": peak_memory(),
    }


def closing_lines(output: str, job: Job, summary: Summary, wall: float) -> None:
    """Tells what a run has come to."""
    c = job.configuration
    tell(
        f"{summary.samples:,} samples ({c.size[0]}x{c.size[1]}), {byte_size(summary.bytes)}, in "
        f"{duration(wall)}: {output}"
    )
    if summary.empty_masks:
        tell(f"Warning: {summary.empty_masks:,} masks are empty: foregrounds too thin to see")
    if summary.depth_remarks:
        tell(summary.depth_remarks)
    warn_of_drawings(output, summary.not_drawn)
    if summary.failed:
        tell(
            f"{summary.failed:,} units failed: {storage.join(output, ERRORS)} says why; the same "
            "command tries them again"
        )
    tell(f"Open {storage.join(output, REPORT)}")
