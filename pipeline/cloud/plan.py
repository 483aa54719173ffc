"""`--plan` of a data set on Cloud Storage: worker hours and bytes, with what they rest on."""

from __future__ import annotations

import argparse
import dataclasses

from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions

from fgbg.files.ordered_map import GCS_THREADS
from fgbg.pipeline.cloud import gpus
from fgbg.pipeline.cloud.workers import Workers
from fgbg.pipeline.data_set.plan import Estimate
from fgbg.pipeline.progress import byte_size, duration, tell
from fgbg.transforms.job.job import Job

_WORKERS = 10
# Until a worker does its first unit: machine, driver, an image of several GB.
START_MINUTES = {"cpu": 4.0, "gpu": 10.0}
# Where the libraries have no machine code for a GPU, the driver makes it in each process: a guess.
PTX_MINUTES = 10.0
# Writes to Cloud Storage while a core waits: a guess, requests in the same region.
_WRITE_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a job is estimated to take.

    Attributes:
        wall_hours: From the first worker's start to the end.
        worker_hours: Hours of all workers together.
        writes: Requests to Cloud Storage that write an object.
        stored_bytes: Bytes of the data set.
    """

    wall_hours: float
    worker_hours: float
    writes: int
    stored_bytes: float


def cost(job: Job, one: Estimate, workers: Workers, count: int, depth_speed: float | None) -> Cost:
    """The cost of a job.

    Args:
        job: What is to be made.
        one: What a sample costs on this machine.
        workers: What workers are to be.
        count: How many.
        depth_speed: Samples a second that a worker's GPU makes depth of; None: depth is made by
            the worker's cores, as fast as this machine's.
    """
    writes = _writes(job)
    waiting = writes / job.samples * _WRITE_SECONDS / GCS_THREADS
    by_cores = one.seconds + waiting + (one.depth_seconds if depth_speed is None else 0)
    seconds = by_cores / workers.machine.vcpus
    if depth_speed is not None:
        # Processes overlap: while one waits for the GPU, another composes. The slower one decides.
        seconds = max(by_cores / min(workers.processes, workers.machine.vcpus), 1 / depth_speed)
    busy = seconds * job.samples / 3600
    start = start_minutes(workers) / 60
    return Cost(busy / count + start, busy + start * count, writes, one.bytes * job.samples)


def start_minutes(workers: Workers) -> float:
    """Until a worker does its first unit."""
    if workers.gpu is None:
        return START_MINUTES["cpu"]
    compiles = (gpus.runs(workers.gpu) or "").startswith("compute")
    return START_MINUTES["gpu"] + (PTX_MINUTES if compiles else 0)


def _writes(job: Job) -> int:
    """Objects that the job writes: a commit record or block a unit, and the pictures."""
    if job.configuration.in_records:
        return 2 * job.units
    return job.samples * (3 if job.configuration.depth_model else 2) + job.units


def show(
    job: Job,
    one: Estimate,
    workers: Workers,
    asked: argparse.Namespace,
    beam_options: list[str],
) -> None:
    """Prints worker hours, writes and bytes for a job on Dataflow, and every assumption.

    Args:
        job: What is to be made.
        one: What a sample costs on this machine.
        workers: What workers are to be.
        asked: The options of `fgbg generate`; with --price_per_hour, the price of the worker hours
            is printed too.
        beam_options: Beam's.
    """
    options = PipelineOptions(beam_options).view_as(WorkerOptions)
    count = options.max_num_workers or options.num_workers or _WORKERS
    speed, speed_from = None, ""
    if workers.gpu is not None:
        speed, speed_from = asked.depth_speed, "--depth_speed"
        if speed is None:
            c = job.configuration
            per_picture = c.canvas[0] * c.canvas[1] / (448 * 448)
            speed = gpus.DEPTH_SPEED[workers.gpu.name] / per_picture
            speed_from = gpus.DEPTH_SPEED_SOURCE
    estimate = cost(job, one, workers, count, speed)
    gpu = f" with one {workers.gpu.name.upper()}" if workers.gpu else ""
    tell(
        f"\nOn Dataflow with {count} workers ({workers.machine.name}{gpu}, {workers.processes} "
        f"processes each):\n"
        f"  {estimate.worker_hours:,.1f} worker hours, {duration(estimate.wall_hours * 3600)}\n"
        f"  {estimate.writes:,} writes to Cloud Storage, {byte_size(estimate.stored_bytes)} stored"
    )
    if asked.price_per_hour is not None:
        tell(
            f"  {estimate.worker_hours * asked.price_per_hour:,.2f} for workers at "
            f"{asked.price_per_hour:g} an hour (--price_per_hour)"
        )
    tell("Assumptions:")
    if speed is not None:
        tell(
            f"  a GPU makes depth of {speed:,.1f} pictures a second ({speed_from}; --depth_speed "
            "gives another)"
        )
    elif one.depth_seconds:
        tell(
            f"  depth takes {one.depth_seconds:.3f} s of a core, as measured on this machine; "
            "--gpu makes it faster"
        )
    tell(
        f"  composing and coding take {one.seconds * 1000:.2f} ms of a core a sample, as measured "
        f"on this machine\n"
        f"  a write takes {_WRITE_SECONDS * 1000:.0f} ms, {GCS_THREADS} at a time (a guess)\n"
        f"  a worker is paid for {start_minutes(workers):.0f} minutes before its first unit (a "
        "guess), and all stay to the end\n"
        "  not in it: the launcher, building and storing the image, logs, reading, traffic"
    )
