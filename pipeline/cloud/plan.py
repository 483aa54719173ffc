"""`--plan` of a data set on Cloud Storage: worker hours and money, with what they rest on."""

from __future__ import annotations

import argparse
import dataclasses

from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions

from fgbg.files.ordered_map import GCS_THREADS
from fgbg.pipeline.cloud import prices
from fgbg.pipeline.cloud.workers import Workers
from fgbg.pipeline.data_set.plan import Estimate
from fgbg.pipeline.progress import duration
from fgbg.transforms.job.job import Job

_WORKERS = 10


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a job is estimated to cost.

    Attributes:
        workers: Number of workers.
        wall_hours: From the first worker's start to the end.
        worker_hours: Hours of all workers together.
        compute_usd: What the workers cost.
        writes_usd: What the requests to Cloud Storage cost.
        storage_usd: What the data set costs in a month.
    """

    workers: int
    wall_hours: float
    worker_hours: float
    compute_usd: float
    writes_usd: float
    storage_usd: float


def cost(
    job: Job,
    one: Estimate,
    workers: Workers,
    count: int,
    hour_usd: float,
    depth_speed: float | None,
) -> Cost:
    """The cost of a job.

    Args:
        job: What is to be made.
        one: What a sample costs on this machine.
        workers: What workers are to be.
        count: How many.
        hour_usd: What a worker costs in an hour, in US dollars.
        depth_speed: Samples a second that a worker's GPU makes depth of; None: depth is made by
            the worker's cores, as fast as this machine's.
    """
    objects = _objects(job)
    waiting = objects / job.samples * prices.WRITE_SECONDS / GCS_THREADS
    by_cores = one.seconds + waiting + (one.depth_seconds if depth_speed is None else 0)
    seconds = by_cores / workers.machine.vcpus
    if depth_speed is not None:
        # Processes overlap: while one waits for the GPU, another composes. The slower one decides.
        seconds = max(by_cores / min(workers.processes, workers.machine.vcpus), 1 / depth_speed)
    busy = seconds * job.samples / 3600
    start = prices.START_MINUTES["gpu" if workers.gpu else "cpu"] / 60
    worker_hours = busy + start * count
    gib = one.bytes * job.samples / 2**30
    return Cost(
        count,
        busy / count + start,
        worker_hours,
        worker_hours * hour_usd,
        objects / 1000 * prices.WRITES_1000.usd,
        gib * prices.STORED_GIB_MONTH.usd,
    )


def _objects(job: Job) -> int:
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
    """Prints worker hours and money for a job on Dataflow, and every assumption.

    Args:
        job: What is to be made.
        one: What a sample costs on this machine.
        workers: What workers are to be.
        asked: The options of `fgbg generate`.
        beam_options: Beam's.
    """
    options = PipelineOptions(beam_options).view_as(WorkerOptions)
    count = options.max_num_workers or options.num_workers or _WORKERS
    listed, lines = prices.worker_hour(workers)
    hour = listed if asked.price_per_hour is None else asked.price_per_hour
    speed, speed_from = None, ""
    if workers.gpu is not None:
        speed, speed_from = asked.depth_speed, "--depth_speed"
        if speed is None:
            c = job.configuration
            per_picture = c.canvas[0] * c.canvas[1] / (448 * 448)
            speed = prices.DEPTH_SPEED[workers.gpu.name] / per_picture
            speed_from = prices.DEPTH_SPEED_SOURCE
    estimate = cost(job, one, workers, count, hour, speed)
    gpu = f" with one {workers.gpu.name.upper()}" if workers.gpu else ""
    print(
        f"\nOn Dataflow with {count} workers ({workers.machine.name}{gpu}, {workers.processes} "
        f"processes each):\n"
        f"  {estimate.worker_hours:,.1f} worker hours, {duration(estimate.wall_hours * 3600)}, "
        f"about ${estimate.compute_usd:,.2f} for workers\n"
        f"  and ${estimate.writes_usd:,.2f} for {_objects(job):,} writes, "
        f"${estimate.storage_usd:,.2f} a month for what is stored\n"
        f"Assumptions (list prices in US dollars, {prices.REGION}, table of {prices.DATE}):"
    )
    if asked.price_per_hour is None:
        print(f"  a worker costs ${hour:.4f} an hour (--price_per_hour gives another):")
        for line in lines:
            print(f"    {line}")
    else:
        print(f"  a worker costs ${hour:.4f} an hour (--price_per_hour)")
    if speed is not None:
        print(
            f"  a GPU makes depth of {speed:,.1f} pictures a second ({speed_from}; --depth_speed "
            "gives another)"
        )
    elif one.depth_seconds:
        print(
            f"  depth takes {one.depth_seconds:.3f} s of a core, as measured on this machine; "
            "--gpu makes it faster"
        )
    kind = "gpu" if workers.gpu else "cpu"
    print(
        f"  composing and coding take {one.seconds * 1000:.2f} ms of a core a sample, as measured "
        f"on this machine\n"
        f"  a write takes {prices.WRITE_SECONDS * 1000:.0f} ms, {GCS_THREADS} at a time "
        "(a guess)\n"
        f"  a worker is paid for {prices.START_MINUTES[kind]:.0f} minutes before its first unit (a "
        "guess), and all stay to the end\n"
        f"  writes at ${prices.WRITES_1000.usd:g} per 1,000, storage at "
        f"${prices.STORED_GIB_MONTH.usd:g} a GiB and month ({prices.WRITES_1000.source}; "
        f"{prices.WRITES_1000.checked})\n"
        "  not in it: the launcher, building and storing the image, logs, reading, traffic, taxes, "
        "discounts"
    )
