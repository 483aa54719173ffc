"""`--plan`: what would be made, measured on a few units, and nothing written."""

from __future__ import annotations

import dataclasses
import tempfile
import time

import numpy as np

from fgbg.models import network_files
from fgbg.models.depth import depth_network
from fgbg.models.depth.depth_card import DepthModel
from fgbg.pipeline.progress import byte_size, duration, tell
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit, sample_numbers
from fgbg.transforms.records.plan import shard_counts, units_by_split
from fgbg.transforms.steps.compose import canvases_of, compose
from fgbg.transforms.steps.write import write_unit

_MEASURED_UNITS = 6


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What one sample costs, measured on this machine.

    Attributes:
        seconds: Seconds of one process, without depth.
        depth_seconds: Seconds of one process for its depth; 0 without depth.
        bytes: Bytes of its files, or of its record.
        samples: Number of samples that this is measured on.
    """

    seconds: float
    depth_seconds: float
    bytes: float
    samples: int


def show(
    job: Job,
    stored: Job | None,
    paths: dict[tuple[str, str], str],
    depth_path: str | None,
    workers: int,
) -> Estimate:
    """Prints counts and an estimate of bytes and time.

    Args:
        job: What the data set is to be.
        stored: What it is; None where there is none.
        paths: Where each input is, by kind and file name.
        depth_path: Where the depth network lies, or None.
        workers: Number of processes.

    Returns:
        What one sample costs.
    """
    c = job.configuration
    directions = "as given and mirrored" if c.mirror else "as given"
    tell(
        f"{len(job.backgrounds):,} backgrounds x {len(job.foregrounds):,} foregrounds "
        f"({directions}) x {sum(c.placements):,} placements = {job.samples:,} samples in "
        f"{job.units:,} units"
    )
    if stored is not None:
        tell(f"The data set that is there was to have {stored.samples:,}; it is extended")
    files = job.samples * (3 if c.depth_model else 2)
    form = " in records" if c.in_records else ""
    tell(
        f"{files:,} pictures of {c.size[0]}x{c.size[1]}{form}, composed at "
        f"{c.canvas[0]}x{c.canvas[1]}"
    )
    for name, _ in c.splits:
        count = sum(b.split == name for b in job.backgrounds)
        tell(f"  split {name}: {count:,} backgrounds, {count * _per_background(job):,} samples")
    one = _measure(job, paths, depth_path)
    seconds = one.seconds + one.depth_seconds
    tell(
        f"About {byte_size(one.bytes * job.samples)}, "
        f"{duration(seconds * job.samples / workers)} with {workers} workers (measured on "
        f"{one.samples} samples: {1 / seconds:,.0f} a second and worker)"
    )
    if c.in_records:
        _show_shards(job, one.bytes)
    return one


def _show_shards(job: Job, record_bytes: float) -> None:
    """Says how many shards there would be, and how large."""
    units = units_by_split(job)
    samples = {name: count * job.samples // job.units for name, count in units.items()}
    sizes = {name: count * record_bytes for name, count in samples.items()}
    counts = shard_counts(job.configuration.shards, units, sizes)
    listing = ", ".join(
        f"{name} {count:,} of about {byte_size(sizes[name] / count)}"
        for name, count in counts.items()
    )
    tell(f"Shards, {sum(counts.values()):,} in all: {listing}")


def _per_background(job: Job) -> int:
    return job.samples // len(job.backgrounds)


def _measure(job: Job, paths: dict[tuple[str, str], str], depth_path: str | None) -> Estimate:
    """Makes a few units in a temporary folder."""
    count = min(_MEASURED_UNITS, len(job.backgrounds) * len(job.foregrounds))
    # A small data set of the same kind, with inputs from all over.
    backgrounds = _spread(job.backgrounds, count)
    foregrounds = _spread(job.foregrounds, count)
    small = dataclasses.replace(job, backgrounds=backgrounds, foregrounds=foregrounds)
    c = small.configuration
    with tempfile.TemporaryDirectory() as output:
        jobs.write(output, small)
        catalogue.store_inputs(output, small, paths)
        version = jobs.version(small)
        network = None
        if depth_path and c.depth_model:
            model = DepthModel.from_dict(c.depth_model)
            path = network_files.on_this_machine(depth_path, model)
            network = depth_network.load(path, model, c.canvas, 1, c.placements[0])
        units = [
            WorkUnit(i % len(backgrounds) + 1, i % len(foregrounds) + 1, False, 0)
            for i in range(count)
        ]

        in_depth = 0.0

        def make(unit: WorkUnit) -> int:
            nonlocal in_depth
            composed = compose(output, version, unit)
            before = time.perf_counter()
            metres = network.predict(canvases_of(composed)) if network else None
            in_depth += time.perf_counter() - before
            record = write_unit(output, small, composed, metres)
            commit.write(output, small, record)
            return sum(record.columns.get("record_bytes", record.sizes.values()))

        for unit in units:
            make(unit)  # the first time is not like the others: decoding, tracing
        in_depth = 0.0
        start = time.perf_counter()
        size = sum(make(unit) for unit in units)
        seconds = time.perf_counter() - start
        samples = sum(len(sample_numbers(c.placements, c.mirror, unit)) for unit in units)
        others = seconds - in_depth
        return Estimate(others / samples, in_depth / samples, size / samples, samples)


def _spread(entries: list[jobs.InputPicture], count: int) -> list[jobs.InputPicture]:
    """A few of the inputs from all over, numbered anew."""
    chosen = np.unique(np.linspace(0, len(entries) - 1, count).astype(int))
    return [dataclasses.replace(entries[i], number=n) for n, i in enumerate(chosen, 1)]
