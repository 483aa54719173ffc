"""What a job's steps cost besides pixels, for data sets of millions of samples that are not there.

    python benchmarks/scale.py make /tmp/scale --samples 1e6
    python benchmarks/scale.py measure /tmp/scale
    python benchmarks/scale.py make /tmp/one --samples 1e6 --backgrounds 1
    python benchmarks/scale.py make /tmp/records --samples 1e6 --format tfrecord

`make` writes a job and a commit record for each unit, with made-up numbers: no picture, no input.
`--packed` writes the records as those of a finished data set are. `measure` runs each step in a
process of its own and prints its seconds (of the clock, and of the processor) and the most memory
that it had.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any

from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.commit import Commit, Moments
from fgbg.transforms.job.job import Configuration, InputPicture, Job
from fgbg.transforms.job.splits import assign_splits
from fgbg.transforms.job.work_unit import WorkUnit, sample_numbers

_PLACEMENTS = 20
_FOREGROUNDS = 100
_PIXELS = 224 * 224


def _job(samples: int, backgrounds: int | None, form: str) -> Job:
    """The reference job's shape with more backgrounds; or so many, and more foregrounds."""
    count = backgrounds or max(1, samples // (2 * _PLACEMENTS * _FOREGROUNDS))
    foregrounds = max(1, samples // (2 * _PLACEMENTS * count))
    c = Configuration(
        output_format=form,
        size=(224, 224),
        canvas=(448, 448),
        placements=[_PLACEMENTS],
        mirror=True,
        fg_scale=(0.3, 0.6),
        truncation=0.0,
        seed=0,
        image_quality=90,
        mask_format="png" if form == "tfrecord" else "jpg",
        depth_format="png16" if form == "tfrecord" else "jpg",
        depth_range_m=10.0,
        depth_model={"file": "none", "sha256": "0" * 64},
        splits=[("train", 0.8), ("validation", 0.1), ("test", 0.1)],
    )
    splits = assign_splits([], count, c.splits)
    return Job(
        c,
        [_input(f"background_{i:06d}.jpg", i, splits[i - 1]) for i in range(1, count + 1)],
        [_input(f"foreground_{i:06d}.png", i, "") for i in range(1, foregrounds + 1)],
    )


def _input(name: str, number: int, split: str) -> InputPicture:
    return InputPicture(number, name, hashlib.sha256(name.encode()).hexdigest(), 640, 480, split)


def _record(job: Job, unit: WorkUnit) -> Commit:
    """A commit record as large as a real one."""
    c = job.configuration
    numbers = list(sample_numbers(c.placements, c.mirror, unit))
    noise = [(7919 * job.index_of(unit) + 104729 * n) % 1_000_003 for n in numbers]
    columns: dict[str, list[int]] = {"number": numbers}
    for i, name in enumerate(("x", "y", "width", "height")):
        columns[f"canvas_{name}"] = [20 + (value >> i) % 200 for value in noise]
        columns[name] = [10 + (value >> i) % 100 for value in noise]
    columns["mask_area"] = [1000 + value % 9000 for value in noise]
    columns["depth_min_mm"] = [500 + value % 1000 for value in noise]
    columns["depth_max_mm"] = [4000 + value % 5000 for value in noise]
    columns["depth_sum_mm"] = [_PIXELS * (1500 + value % 2000) for value in noise]
    for i, kind in enumerate(("overlay", "mask", "depth")):
        columns[f"{kind}_crc32"] = [value * (2654435761 + i) % 2**32 for value in noise]
    if job.in_records:
        columns["record_bytes"] = [30_000 + value % 9000 for value in noise]
    pixels = len(numbers) * _PIXELS
    kinds = ("overlay_r", "overlay_g", "overlay_b", "mask", "depth")
    moments = {kind: Moments(pixels, 120 * pixels, 16000 * pixels) for kind in kinds}
    return Commit(unit, columns, moments, {"overlay": 400_000, "mask": 60_000, "depth": 90_000})


def _make(output: str, job: Job, packed_form: bool, part: int, parts: int) -> None:
    for background in range(1 + part, len(job.backgrounds) + 1, parts):
        if packed_form:
            _make_packed(output, job, background)
            continue
        first = (background - 1) * job.units_per_background
        for unit in map(job.unit_at, range(first, first + job.units_per_background)):
            commit.write(output, job, _record(job, unit))


def _make_packed(output: str, job: Job, background: int) -> None:
    """All units of a background have the numbers of its first: that is quicker."""
    from fgbg.transforms.job import packed
    from fgbg.transforms.job.chunk import chunks_of, units_of

    made = {}
    for mirrored in (False, True):
        unit = WorkUnit(background, 1, mirrored, 0)
        body = _record(job, unit).to_bytes().rpartition(b',"crc32"')[0]
        made[mirrored] = body.split(unit.name.encode())

    def record(unit: WorkUnit) -> bytes:
        body = unit.name.encode().join(made[unit.mirrored])
        return b'%s,"crc32":"%08x"}\n' % (body, zlib.crc32(body))

    for chunk in chunks_of(job, background):
        units = units_of(job, chunk)
        rows = ((unit, jobs.unit_identity(job, unit), record(unit)) for unit in units)
        packed.write(output, chunk, rows)


def _resume(output: str) -> Any:
    from fgbg.pipeline.data_set.resume import units_done

    found = units_done(output, _stored(output))
    return len(found) if isinstance(found, set) else found.units


def _drop_committed(output: str) -> Any:
    """What each worker does to know which units are left: 1 of 16 looks at its own."""
    from fgbg.transforms import meter
    from fgbg.transforms.steps.compose import DropCommitted

    meter.count = lambda *_: None  # type: ignore[assignment]
    job = _stored(output)
    drop = DropCommitted(output, jobs.version(job))
    drop.setup()
    last = max(1, len(job.backgrounds) // 16) * job.units_per_background
    return sum(1 for i in range(last) for _ in drop.process(job.unit_at(i)))


def _plan_shards(output: str) -> Any:
    from fgbg.transforms.records import shards

    return len(shards.prepare(output))


def _read_plan(output: str) -> Any:
    """What a process that joins one shard holds of the plan."""
    from fgbg.transforms.records import shards

    if not hasattr(shards, "open_plan"):  # as it was
        return len(shards.read_plan(output).shards)  # type: ignore[union-attr]
    plan = shards.open_plan(output)
    return f"{len(plan.places()):,} units"


def _summarise(output: str) -> Any:
    from fgbg.transforms.steps import summarise

    summarise.draw = lambda *_: _NotDrawn()  # type: ignore[assignment]
    return summarise.summarise(output).samples


@dataclasses.dataclass
class _NotDrawn:
    problems: tuple[str, ...] = ()


def _summarise_chunks(output: str) -> Any:
    """What one of 16 workers does."""
    from fgbg.transforms.dataset import manifest_parts
    from fgbg.transforms.job.chunk import chunks
    from fgbg.transforms.steps.summarise_chunk import summarise_chunk

    job = _stored(output)
    manifest_parts.prepare(output, job)
    every = list(chunks(job))
    own = every[: max(1, len(every) // 16)]
    return sum(summarise_chunk(output, jobs.version(job), chunk).samples for chunk in own)


def _verify_listing(output: str) -> Any:
    from fgbg.transforms.steps.verify_whole import check_commits

    found, problems = check_commits(output, _stored(output))
    number = len(found) if isinstance(found, set) else found.units
    return f"{number} units, {len(problems)} problems"


STEPS: dict[str, Callable[[str], Any]] = {
    "resume": _resume,
    "drop committed": _drop_committed,
    "plan shards": _plan_shards,
    "plan read": _read_plan,
    "summarise": _summarise,
    "summarise a 16th": _summarise_chunks,
    "verify's listing": _verify_listing,
}


def _stored(output: str) -> Job:
    job = jobs.read(output)
    if job is None:
        raise SystemExit(f"{output}: no job")
    return job


def _run(step: str, output: str, sender: Any) -> None:
    started, result, problem = time.monotonic(), None, ""
    try:
        result = STEPS[step](output)
    except ImportError as error:
        problem = str(error)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    sender.send(
        {
            "step": step,
            "wall_s": round(time.monotonic() - started, 2),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
            "memory_mb": round(usage.ru_maxrss * 1024 / 1e6),
            "result": problem or result,
        }
    )


def measure(output: str, steps: list[str]) -> None:
    context = multiprocessing.get_context("spawn")
    for step in steps:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(step, output, sender))
        process.start()
        sender.close()
        try:
            print(json.dumps(receiver.recv()), flush=True)
        except EOFError:
            process.join()
            print(json.dumps({"step": step, "died": process.exitcode}), flush=True)
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=("make", "measure"))
    parser.add_argument("output")
    parser.add_argument("--samples", type=float, default=1e6)
    parser.add_argument("--backgrounds", type=int)
    parser.add_argument("--format", default="images", choices=("images", "tfrecord"))
    parser.add_argument("--packed", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", nargs="+", choices=list(STEPS))
    asked = parser.parse_args()
    if asked.what == "measure":
        of_records = _stored(asked.output).in_records
        every = [step for step in STEPS if of_records or not step.startswith("plan")]
        measure(asked.output, asked.steps or every)
        return
    shutil.rmtree(asked.output, ignore_errors=True)
    os.makedirs(asked.output)
    job = _job(int(asked.samples), asked.backgrounds, asked.format)
    jobs.write(asked.output, job)
    started = time.monotonic()
    makers = [
        multiprocessing.Process(
            target=_make, args=(asked.output, job, asked.packed, part, asked.workers)
        )
        for part in range(asked.workers)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
        if maker.exitcode:
            sys.exit(f"a process that makes records ended with {maker.exitcode}")
    print(
        f"{job.samples:,} samples of {len(job.backgrounds):,} x {len(job.foregrounds):,}, "
        f"{job.units:,} units, in {time.monotonic() - started:.0f} s: {asked.output}"
    )


if __name__ == "__main__":
    main()
