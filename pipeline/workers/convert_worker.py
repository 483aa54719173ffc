"""What the worker processes of `fgbg convert` do: a slice of the units in each."""

from __future__ import annotations

import dataclasses

from fgbg.pipeline.workers.processes import peak_memory


@dataclasses.dataclass(frozen=True)
class Slice:
    """What one worker process does.

    Attributes:
        source: The data set that is converted.
        source_version: The version of its job.
        target: The new data set.
        version: The version of its job.
        index: Which slice of the units it makes, from 0.
        slices: Number of slices.
    """

    source: str
    source_version: str
    target: str
    version: str
    index: int
    slices: int


def convert_slice(task: Slice) -> int:
    """Converts the units of one slice that are not done. Returns the peak memory in bytes."""
    from fgbg.transforms import meter
    from fgbg.transforms.dataset.sample import SampleError
    from fgbg.transforms.job import commit
    from fgbg.transforms.job import job as jobs
    from fgbg.transforms.steps.convert import Source, convert_unit

    source = Source(task.source, jobs.read_cached(task.source, task.source_version))
    job = jobs.read_cached(task.target, task.version)
    missing = commit.committed(task.source) - commit.committed(task.target)
    for unit in sorted(commit.committed(task.source))[task.index :: task.slices]:
        if unit not in missing:
            continue
        meter.begin(unit)
        try:
            record = convert_unit(source, task.target, job, unit)
            commit.write(task.target, record)
        except (SampleError, FileNotFoundError) as error:
            commit.write_failure(task.target, unit, "Convert", str(error))
            meter.count("units_failed")
        else:
            meter.count("units_done")
            meter.count("samples", len(record.columns["number"]))
            meter.count("bytes", sum(record.sizes.values()))
        meter.end()
    return peak_memory()
