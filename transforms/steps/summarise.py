"""Summarise: from the commit records to manifest, statistics, card, errors; then the drawings.

The records are read in the order of the manifest, one background at a time, so that memory does
not grow with the data set. Everything written here is a function of the records and of the job
alone, but for the timings in generation.json and in the report. The data set is finished when
generation.json is there: sheets and report come after it, and their errors are warnings.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from fgbg.files import durable, storage
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.transforms.dataset import manifest, precision
from fgbg.transforms.dataset.card import card
from fgbg.transforms.dataset.precision import Levels
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.commit import Moments
from fgbg.transforms.job.job import CARD, ERRORS, GENERATION, RECORDS, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records import shards
from fgbg.transforms.records.description import descriptions
from fgbg.transforms.records.plan import Plan
from fgbg.transforms.steps.draw import draw

# Libraries that have a say in the bytes.
_LIBRARIES = ("fgbg", "apache-beam", "tensorflow", "numpy", "opencv-python-headless", "pyarrow")


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a data set holds.

    Attributes:
        samples: Number of samples.
        units: Number of units that are done.
        failed: Number of units that failed.
        bytes: Bytes of all samples' pictures.
        empty_masks: Number of samples whose mask has no pixel.
        depth_loss: What 8-bit depth loses, in a sentence; "" where nothing is lost.
        not_drawn: Why sheets or report could not be drawn, in words; empty if they were.
    """

    samples: int
    units: int
    failed: int
    bytes: int
    empty_masks: int
    depth_loss: str = ""
    not_drawn: tuple[str, ...] = ()


def summarise(output: str, run: dict[str, Any] | None = None) -> Summary:
    """Writes everything that stands beside the samples.

    Args:
        output: The data set; records are in shards by now.
        run: Timings of the run that ends with this, for generation.json.
    """
    job = jobs.read(output)
    if job is None:
        raise FileNotFoundError(f"{output} holds no data set")
    plan = shards.finish(output) if job.configuration.in_records else None
    places = plan.places() if plan else None
    units = sorted(commit.committed(output, job), key=lambda unit: _order(job, unit))
    moments: dict[str, Moments] = {}
    sizes: dict[str, int] = {}
    splits = {name: 0 for name, _ in job.configuration.splits}
    levels = Levels(job.configuration.depth_range_m)
    rows = empty = 0
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, manifest.MANIFEST)
        with manifest.ManifestWriter(local) as writer:
            for records in _by_background(output, job, units):
                for record in records:
                    for name, values in record.moments.items():
                        moments.setdefault(name, Moments()).add(values)
                    for kind, size in record.sizes.items():
                        sizes[kind] = sizes.get(kind, 0) + size
                    empty += record.columns["mask_area"].count(0)
                table = manifest.table(job, records, places)
                writer.write(table)
                levels.add(*(table[f"depth_{end}_m"].to_pylist() for end in ("min", "max")))
                rows += table.num_rows
                splits[job.backgrounds[records[0].unit.background - 1].split] += table.num_rows
        path = storage.join(output, manifest.MANIFEST)
        storage.storage_for(path).upload(local, path)
        failures = _write_errors(output, job)
        summary = Summary(rows, len(units), failures, sum(sizes.values()), empty)
        content = _finish(output, job, summary, moments, sizes, splits, levels, plan, run)
        return dataclasses.replace(
            summary,
            depth_loss=precision.loss(content["depth"]),
            not_drawn=draw(output, job, content, local).problems,
        )


def _finish(
    output: str,
    job: Job,
    summary: Summary,
    moments: dict[str, Moments],
    sizes: dict[str, int],
    splits: dict[str, int],
    levels: Levels,
    plan: Plan | None,
    run: dict[str, Any] | None,
) -> dict[str, Any]:
    """Writes what makes the data set a finished one. Returns the content of generation.json."""
    content = _generation(job, summary, moments, sizes, splits)
    if content["depth"] is not None and content["depth"]["format"] == "jpg":
        content["depth"]["levels_median"] = levels.median()
    if plan is not None:
        content["shards"] = {
            shard.name: {"records": shard.records, "bytes": shard.bytes} for shard in plan.shards
        }
        for name, data in descriptions(job, plan).items():
            _put(output, f"{RECORDS}/{name}", data)
    content["timings"] = _timings(output, run)
    _put(output, CARD, card(job, content).encode())
    durable.sync(output)
    # Last: whoever sees it sees a whole data set.
    _put(output, GENERATION, (json.dumps(content, indent=1) + "\n").encode())
    return content


def _order(job: Job, unit: WorkUnit) -> tuple[int, int, int, bool]:
    return unit.background, unit.foreground, unit.round, unit.mirrored


def _by_background(output: str, job: Job, units: list[WorkUnit]) -> Iterator[list[commit.Commit]]:
    """The commit records, a background's at a time, in order."""
    records = in_order(lambda unit: commit.read(output, job, unit), units, threads_for(output))
    for _, group in itertools.groupby(records, lambda record: record.unit.background):
        yield list(group)


def _write_errors(output: str, job: Job) -> int:
    """Writes errors.jsonl, or removes it where nothing failed. Returns the number of units."""
    path = storage.join(output, ERRORS)
    units = sorted(commit.failed(output), key=lambda unit: _order(job, unit))
    if not units:
        storage.storage_for(path).delete(path)
        return 0
    lines = []
    for unit in units:
        entry = commit.read_failure(output, unit)
        entry["background"] = job.backgrounds[unit.background - 1].file
        entry["foreground"] = job.foregrounds[unit.foreground - 1].file
        entry["retry"] = "run the same command again: only units that are missing are made"
        lines.append(json.dumps(entry, sort_keys=True))
    storage.storage_for(path).write_atomically(path, ("\n".join(lines) + "\n").encode())
    return len(units)


def statistics(moments: dict[str, Moments], depth: bool) -> dict[str, Any]:
    """Mean, standard deviation and count per kind, as generation.json has them.

    Overlays and masks are in 0..255, before JPEG coding; depth is in metres.
    """
    found: dict[str, Any] = {
        "overlay": {
            channel: _describe(moments.get(f"overlay_{channel[0]}", Moments()), 1.0)
            for channel in ("red", "green", "blue")
        },
        "mask": _describe(moments.get("mask", Moments()), 1.0),
    }
    if depth:
        found["depth_m"] = _describe(moments.get("depth", Moments()), 0.001)
    return found


def _describe(m: Moments, unit: float) -> dict[str, Any]:
    return {"mean": m.mean() * unit, "std": m.std() * unit, "count": m.count}


def _generation(
    job: Job,
    summary: Summary,
    moments: dict[str, Moments],
    sizes: dict[str, int],
    splits: dict[str, int],
) -> dict[str, Any]:
    c = job.configuration
    depth = None
    if c.depth_model is not None:
        depth = {
            "unit": "metre",
            "convention": "far is larger; along the optical axis if the network's is",
            "format": c.depth_format,
            "range_m": c.depth_range_m if c.depth_format == "jpg" else 65.535,
            "metres_per_level": c.depth_range_m / 255 if c.depth_format == "jpg" else 0.001,
            "model": c.depth_model,
        }
    return {
        "format_version": jobs.FORMAT_VERSION,
        "configuration": dataclasses.asdict(c),
        "depth": depth,
        "inputs": {
            "backgrounds": [dataclasses.asdict(b) for b in job.backgrounds],
            "foregrounds": [dataclasses.asdict(f) for f in job.foregrounds],
            "skipped": job.skipped,
        },
        "counts": {
            "samples": summary.samples,
            "samples_planned": job.samples,
            "units": summary.units,
            "units_planned": job.units,
            "units_failed": summary.failed,
            "backgrounds": len(job.backgrounds),
            "foregrounds": len(job.foregrounds),
            "empty_masks": summary.empty_masks,
            "splits": splits,
        },
        "bytes": sizes,
        "statistics": statistics(moments, c.depth_model is not None),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that have a say in the bytes."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # fgbg itself may run from a checkout
    return found


def _timings(output: str, run: dict[str, Any] | None) -> dict[str, Any]:
    """The timings of all runs so far: a resumed data set was made by several."""
    runs: list[dict[str, Any]] = []
    try:
        path = storage.join(output, GENERATION)
        runs = json.loads(storage.storage_for(path).read(path))["timings"]["runs"]
    except (FileNotFoundError, KeyError, json.JSONDecodeError):
        pass
    return {"runs": [*runs, run] if run else runs}


def _put(output: str, name: str, data: bytes) -> None:
    path = storage.join(output, name)
    storage.storage_for(path).write_atomically(path, data)
