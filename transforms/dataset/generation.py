"""What generation.json and errors.jsonl say of a data set: functions of its job and commit records.

Timings and versions of libraries alone are not: they say how it was made.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any

from fgbg.files import storage
from fgbg.transforms.dataset.precision import Levels
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.commit import Commit, Moments
from fgbg.transforms.job.job import GENERATION, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records.plan import Plan

# Libraries that have a say in the bytes.
_LIBRARIES = ("fgbg", "apache-beam", "tensorflow", "numpy", "opencv-python-headless", "pyarrow")


@dataclasses.dataclass
class Totals:
    """Sums over commit records, in whatever order they are added.

    Attributes:
        units: How many.
        samples: Their samples.
        splits: Samples by split.
        empty_masks: Samples whose mask has no pixel.
        moments: By name, as in the records.
        sizes: Bytes by kind.
        levels: How many grey levels the depth maps would lie across in 8 bits.
    """

    units: int = 0
    samples: int = 0
    splits: dict[str, int] = dataclasses.field(default_factory=dict)
    empty_masks: int = 0
    moments: dict[str, Moments] = dataclasses.field(default_factory=dict)
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    levels: Levels = dataclasses.field(default_factory=Levels)

    def add(self, job: Job, record: Commit) -> None:
        """Takes in a commit record."""
        self.add_all(job, [record])

    def add_all(self, job: Job, records: Iterable[Commit]) -> None:
        """Takes in several commit records."""
        levels = Levels()
        ends: tuple[list[int], list[int]] = ([], [])
        for record in records:
            samples = len(record.columns["number"])
            split = job.backgrounds[record.unit.background - 1].split
            empty = record.columns["mask_area"].count(0)
            if "depth_sum_mm" in record.columns:
                for values, end in zip(ends, ("min", "max"), strict=True):
                    values += record.columns[f"depth_{end}_mm"]
            self.merge(Totals(1, samples, {split: samples}, empty, record.moments, record.sizes))
        levels.add(job.configuration.depth_range_m, *ends)
        self.levels.merge(levels)

    def merge(self, other: Totals) -> None:
        """Takes in the sums over other records."""
        self.units += other.units
        self.samples += other.samples
        self.empty_masks += other.empty_masks
        for name, count in other.splits.items():
            self.splits[name] = self.splits.get(name, 0) + count
        for name, values in other.moments.items():
            self.moments.setdefault(name, Moments()).add(values)
        for kind, size in other.sizes.items():
            self.sizes[kind] = self.sizes.get(kind, 0) + size
        self.levels.merge(other.levels)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Totals:
        """Of what `to_dict` gave, after JSON."""
        moments = {name: Moments(**values) for name, values in content["moments"].items()}
        # JSON has no keys but texts.
        maps = {int(across): count for across, count in content["levels"]["maps"].items()}
        return cls(**{**content, "moments": moments, "levels": Levels(maps)})


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


def content(
    job: Job, totals: Totals, failed: int, plan: Plan | None, made_with: dict[str, str]
) -> dict[str, Any]:
    """What generation.json holds, but for the timings.

    Args:
        job: The data set's job.
        totals: Over its commit records.
        failed: Number of units that failed.
        plan: Of its shards; None where samples are files of their own.
        made_with: Versions of libraries.
    """
    c = job.configuration
    depth: dict[str, Any] | None = None
    if c.depth_model is not None:
        depth = {
            "unit": "metre",
            "convention": "far is larger; along the optical axis if the network's is",
            "format": c.depth_format,
            "range_m": c.depth_range_m if c.depth_format == "jpg" else 65.535,
            "metres_per_level": c.depth_range_m / 255 if c.depth_format == "jpg" else 0.001,
            "model": c.depth_model,
        }
        if c.depth_format == "jpg":
            depth["levels_median"] = totals.levels.median()
    found = {
        "format_version": jobs.FORMAT_VERSION,
        "configuration": c.to_dict(),
        "depth": depth,
        "inputs": {
            "backgrounds": [dataclasses.asdict(b) for b in job.backgrounds],
            "foregrounds": [dataclasses.asdict(f) for f in job.foregrounds],
            "skipped": job.skipped,
        },
        "counts": {
            "samples": totals.samples,
            "samples_planned": job.samples,
            "units": totals.units,
            "units_planned": job.units,
            "units_failed": failed,
            "backgrounds": len(job.backgrounds),
            "foregrounds": len(job.foregrounds),
            "empty_masks": totals.empty_masks,
            "splits": {name: totals.splits.get(name, 0) for name, _ in c.splits},
        },
        "bytes": dict(sorted(totals.sizes.items())),
        "statistics": statistics(totals.moments, c.depth_model is not None),
        "versions": made_with,
    }
    if plan is not None:
        found["shards"] = {
            shard.name: {"records": shard.records, "bytes": shard.bytes} for shard in plan.shards
        }
    return found


def read(output: str) -> dict[str, Any]:
    """The content of generation.json.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no JSON object.
    """
    path = storage.join(output, GENERATION)
    found = json.loads(storage.storage_for(path).read(path))
    if not isinstance(found, dict):
        raise ValueError(f"it holds {type(found).__name__}, not an object")
    return found


def wrong_of_the_runs(stored: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the two sections that cannot be recomputed: of their form alone."""
    found = stored.get("versions")
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        yield "versions", "is no table of versions"
    elif missing := {"python", "numpy", "pyarrow"} - set(found):
        yield "versions", f"lacks {', '.join(sorted(missing))}"
    runs = stored["timings"].get("runs") if isinstance(stored.get("timings"), dict) else None
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        yield "timings", "holds no list of runs"


def order(unit: WorkUnit) -> tuple[int, int, int, bool]:
    """Sorting key of units in the order in which everything is summed up and listed."""
    return unit.background, unit.foreground, unit.round, unit.mirrored


def errors(output: str, job: Job) -> tuple[bytes | None, int]:
    """What errors.jsonl holds: None where nothing failed; and the number of units that failed."""
    units = sorted(commit.failed(output), key=order)
    if not units:
        return None, 0
    lines = []
    for unit in units:
        entry = commit.read_failure(output, unit)
        entry["background"] = job.backgrounds[unit.background - 1].file
        entry["foreground"] = job.foregrounds[unit.foreground - 1].file
        entry["retry"] = "run the same command again: only units that are missing are made"
        lines.append(json.dumps(entry, sort_keys=True))
    return ("\n".join(lines) + "\n").encode(), len(units)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that have a say in the bytes."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # fgbg itself may run from a checkout
    return found
