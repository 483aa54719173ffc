"""`fgbg generate`: from the command line to a data set."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from typing import TYPE_CHECKING

from fgbg.files import storage
from fgbg.pipeline.data_set.merge import JobConflict, merge
from fgbg.pipeline.data_set.output_lock import hold
from fgbg.pipeline.exit_codes import OK, UserError
from fgbg.pipeline.options import depth_model
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.workers import processes
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.dataset.catalogue import BACKGROUND, FOREGROUND, Checked, InputError
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Configuration, Job
from fgbg.transforms.records.plan import units_by_split

if TYPE_CHECKING:
    from fgbg.pipeline.cloud.workers import Workers

# What a data set of ours consists of, besides the folders bgN: all that --overwrite deletes.
_OURS = (
    jobs.BACKGROUNDS,
    jobs.FOREGROUNDS,
    "PlotImages",
    jobs.RECORDS,
    "coco",
    "webdataset",
    "_work",
    "manifest.parquet",
    "generation.json",
    "errors.jsonl",
    "index.html",
    "README.md",
)
_PROBLEMS_SHOWN = 200


@dataclasses.dataclass(frozen=True)
class Request:
    """What a run is asked to do, after all checks.

    Attributes:
        output: The data set's folder.
        job: What the data set is to be.
        stored: What it is; None where there is none.
        paths: Where each input is, by kind and file name.
        depth_path: Where the depth network lies, or None.
        workers: Number of processes.
        beam_options: Options for Beam, completed for its runner.
        cloud: What workers in the cloud are to be; None where the job runs on this machine.
    """

    output: str
    job: Job
    stored: Job | None
    paths: dict[tuple[str, str], str]
    depth_path: str | None
    workers: int
    beam_options: list[str]
    cloud: Workers | None = None


def main(arguments: list[str]) -> int:
    """Runs `fgbg generate`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    parser = options.generate_parser()
    started = time.monotonic()
    asked, beam_options = options.parse(parser, arguments)
    asked.output = asked.output.rstrip("/") or "/"
    runner = _other_runner(beam_options)
    cloud, beam_options = _cloud(asked, runner, beam_options)
    if not asked.plan and not runner:
        processes.warm_up()  # imports Beam meanwhile, which takes as long as the checks
    configuration = _configuration(asked)
    stored = stored_job(asked)
    request = _request(asked, configuration, stored, beam_options)
    request = dataclasses.replace(request, cloud=cloud)
    if asked.plan:
        from fgbg.pipeline.data_set import plan

        estimate = plan.show(
            request.job, request.stored, request.paths, request.depth_path, request.workers
        )
        if cloud is not None:
            from fgbg.pipeline.cloud import plan as cloud_plan

            cloud_plan.show(request.job, estimate, cloud, asked, beam_options)
        return OK
    with hold(asked.output):
        if asked.overwrite:
            delete(asked.output)
        _store(request)
        if runner and cloud is not None:
            from fgbg.pipeline.cloud import remote

            return remote.run(request.output, request.job, request.depth_path, beam_options, cloud)
        from fgbg.pipeline.workers import local

        return local.run(
            request.output,
            request.job,
            request.depth_path,
            request.workers,
            beam_options,
            started,
        )


def _other_runner(beam_options: list[str]) -> str | None:
    """The runner to hand the whole graph to; None to use this machine's cores."""
    if not beam_options:
        return None
    from fgbg.pipeline.options.beam import runner_of

    runner = runner_of(beam_options)
    return None if runner in (None, "FnApiRunner") else runner


def _cloud(
    asked: argparse.Namespace, runner: str | None, beam_options: list[str]
) -> tuple[Workers | None, list[str]]:
    """What workers in the cloud are to be, and Beam's options completed for the runner."""
    elsewhere = runner is not None or (asked.plan and storage.is_gcs(asked.output))
    of_gpu = (asked.gpu_processes, asked.accelerator, asked.min_ram)
    if not elsewhere and asked.gpu == "none" and of_gpu == (None, None, None):
        return None, beam_options  # without importing Beam
    from fgbg.pipeline.cloud import dataflow
    from fgbg.pipeline.cloud import workers as cloud_workers

    if dataflow.is_dataflow(runner) and not asked.plan:
        beam_options = dataflow.complete(asked.output, beam_options)
    workers = cloud_workers.choose(asked, beam_options, _canvas(asked), elsewhere)
    return workers, beam_options


def _canvas(asked: argparse.Namespace) -> tuple[int, int]:
    return asked.canvas or (2 * asked.size[0], 2 * asked.size[1])


def _configuration(asked: argparse.Namespace) -> Configuration:
    mask_format, depth_format = formats(asked)
    canvas = _canvas(asked)
    if asked.size[0] * canvas[1] != asked.size[1] * canvas[0]:
        raise UserError(
            f"--size {asked.size[0]}x{asked.size[1]} and --canvas {canvas[0]}x{canvas[1]} have "
            "different aspects: pictures would be distorted"
        )
    model, asked.depth_path = depth_model.choose(asked)
    depth_range = asked.depth_range or (model.card.max_depth_m if model else 10.0)
    return Configuration(
        output_format=asked.format,
        size=asked.size,
        canvas=canvas,
        placements=[asked.placements],
        mirror=asked.mirror,
        fg_scale=asked.fg_scale,
        truncation=asked.truncation,
        seed=asked.seed,
        image_quality=asked.image_quality,
        mask_format=mask_format,
        depth_format=depth_format,
        depth_range_m=depth_range,
        depth_model=model.to_dict() if model else None,
        splits=asked.splits,
        shards=asked.shards,
    )


def formats(asked: argparse.Namespace) -> tuple[str, str]:
    """Coding of masks and depth: a choice in an image tree, without loss in records."""
    chosen = {"mask": asked.mask_format, "depth": asked.depth_format}
    if asked.format == jobs.IMAGES:
        if asked.shards is not None:
            raise UserError("--shards: only --format tfrecord has shards")
        return chosen["mask"] or "jpg", chosen["depth"] or "jpg"
    lossless = {"mask": "png", "depth": "png16"}
    for kind, value in chosen.items():
        if value not in (None, lossless[kind]):
            raise UserError(
                f"--{kind}_format {value}: records hold {kind} as {lossless[kind]}, without loss; "
                "leave the option out"
            )
    return lossless["mask"], lossless["depth"]


def stored_job(asked: argparse.Namespace) -> Job | None:
    """The job of the data set that is there, or None if there is none or it is to be deleted."""
    output = asked.output
    if not storage.is_gcs(output) and os.path.exists(output) and not os.path.isdir(output):
        raise UserError(f"--output {output}: a file, not a folder")
    try:
        stored = jobs.read(output)
    except ValueError as error:
        if asked.overwrite:
            return None  # unreadable, but ours: the file is there
        raise UserError(f"{error}; --overwrite starts anew") from error
    if stored is None and _is_occupied(output):
        raise UserError(
            f"--output {output}: the folder is not empty and holds no data set of fgbg; give an "
            "empty or a new one (--overwrite deletes data sets of fgbg, nothing else)"
        )
    return None if asked.overwrite else stored


def _is_occupied(output: str) -> bool:
    names = storage.storage_for(output).children(output)
    # A run that found bad inputs leaves no more than the folder of its lock.
    return bool(set(names) - {"_work"})


def _request(
    asked: argparse.Namespace,
    configuration: Configuration,
    stored: Job | None,
    beam_options: list[str],
) -> Request:
    """Finds and checks the inputs, and merges them with what is there."""
    found: dict[str, list[str]] = {}
    for kind, source in ((BACKGROUND, asked.backgrounds), (FOREGROUND, asked.foregrounds)):
        try:
            found[kind], ignored = catalogue.find(source, f"--{kind}s")
        except InputError as error:
            raise UserError(str(error)) from error
        if ignored:
            names = ", ".join(path.rpartition("/")[2] for path in ignored[:5])
            more = f" and {len(ignored) - 5} more" if len(ignored) > 5 else ""
            _say(f"Not pictures by their names, left out of --{kind}s: {names}{more}")
    both = sorted(set(found[BACKGROUND]) & set(found[FOREGROUND]))
    if both:
        raise UserError(f"{both[0]} is among both --backgrounds and --foregrounds")
    checked = {
        kind: catalogue.check(paths, kind, configuration.canvas, _known(stored, kind), _nothing)
        for kind, paths in found.items()
    }
    skipped = _handle_problems(checked, asked.skip_bad_inputs)
    good = {kind: [c for c in entries if not c.problem] for kind, entries in checked.items()}
    for kind, entries in good.items():
        if not entries:
            raise UserError(f"--{kind}s: not one of the {len(found[kind])} files can be used")
    try:
        job = merge(stored, configuration, good[BACKGROUND], good[FOREGROUND], skipped)
    except JobConflict as error:
        raise UserError(
            f"{asked.output} holds a data set of another configuration:\n{error}\nGive the same "
            "options to resume it, another --output, or --overwrite to start anew"
        ) from error
    check_shards(asked.output, stored, job)
    _warn(job)
    paths = {(kind, c.file): c.path for kind, entries in good.items() for c in entries}
    return Request(
        asked.output,
        job,
        stored,
        paths,
        asked.depth_path,
        asked.workers or processes.available_cores(),
        beam_options,
    )


def check_shards(output: str, stored: Job | None, job: Job) -> None:
    """Raises for shards that cannot be, and for extensions of what is already joined."""
    if not job.configuration.in_records:
        return
    if stored is not None and stored.samples != job.samples:
        raise UserError(
            f"{output} holds shards of {stored.samples:,} samples, and {job.samples:,} are asked "
            "for. Shards have their number in their names and mix all backgrounds, so they are "
            "not extended: make a new data set with another --output (its samples will be the "
            "same where they are the same), or start anew with --overwrite. An image tree "
            "(--format images) can be extended, and fgbg convert makes shards of it"
        )
    units = units_by_split(job)
    asked = job.configuration.shards
    if asked is not None and not len(units) <= asked <= sum(units.values()):
        raise UserError(
            f"--shards {asked}: with {len(units)} splits and {sum(units.values()):,} work units "
            f"there can be {len(units)} to {sum(units.values()):,}, for a shard belongs to one "
            "split and a unit is not divided"
        )


def _known(stored: Job | None, kind: str) -> dict[str, jobs.InputPicture]:
    if stored is None:
        return {}
    entries = stored.backgrounds if kind == BACKGROUND else stored.foregrounds
    return {entry.file: entry for entry in entries}


def _handle_problems(
    checked: dict[str, list[Checked]], skip_bad_inputs: bool
) -> list[dict[str, str]]:
    """Raises for bad inputs, or tells which are left out."""
    bad = [(kind, c) for kind, entries in checked.items() for c in entries if c.problem]
    if not bad:
        return []
    lines = [f"  {kind} {c.path}: {c.problem}" for kind, c in bad[:_PROBLEMS_SHOWN]]
    if len(bad) > _PROBLEMS_SHOWN:
        lines.append(f"  and {len(bad) - _PROBLEMS_SHOWN} more")
    total = sum(len(entries) for entries in checked.values())
    listing = "\n".join(lines)
    if not skip_bad_inputs:
        raise UserError(
            f"{len(bad)} of {total} inputs cannot be used:\n{listing}\nMend or remove them, or "
            "go on without them by --skip_bad_inputs"
        )
    _say(f"{len(bad)} of {total} inputs are left out:\n{listing}")
    return [{"kind": kind, "file": c.file, "problem": c.problem} for kind, c in bad]


def _warn(job: Job) -> None:
    for kind, entries in ((BACKGROUND, job.backgrounds), (FOREGROUND, job.foregrounds)):
        for files in catalogue.duplicates(entries):
            _say(f"Warning: these {kind}s are the same file: {', '.join(files)}")
    present = {background.split for background in job.backgrounds}
    for name, share in job.configuration.splits:
        if share > 0 and name not in present:
            _say(
                f"Warning: split {name} gets no background: whole backgrounds are held out, and "
                f"there are {len(job.backgrounds)}"
            )


def delete(output: str) -> None:
    """Deletes a data set of ours and nothing else.

    Commit records go first, so that no unit counts as done whose files are gone already; the job
    goes last, so that what is left after a crash is still known to be ours.
    """
    store = storage.storage_for(output)
    for name in (
        jobs.COMMITS,
        jobs.FAILED,
        jobs.SHARDS,
        jobs.BLOCKS,
        jobs.JOINING,
        jobs.DEPTH_MODEL,
    ):
        store.delete(storage.join(output, name))
    for name in store.children(output):
        if (name in _OURS and name != "_work") or (name.startswith("bg") and name[2:].isdecimal()):
            store.delete(storage.join(output, name))
    store.delete(storage.join(output, jobs.JOB_FILE))


def _store(request: Request) -> None:
    """Writes the job and the inputs as used, before any work."""
    if request.stored is None or request.stored != request.job:
        jobs.write(request.output, request.job)
    try:
        catalogue.store_inputs(request.output, request.job, request.paths)
    except InputError as error:
        raise UserError(str(error)) from error


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _nothing() -> None:
    pass
