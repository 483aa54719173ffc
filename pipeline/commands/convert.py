"""`fgbg convert OUT --output NEW --format FORM`: a data set in its other form, without networks."""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from typing import Any

from fgbg.files import durable, storage
from fgbg.files.ordered_map import LOCAL_THREADS, in_order, threads_for
from fgbg.files.paths import trim_slash
from fgbg.pipeline.data_set.finished import Finished, open_finished
from fgbg.pipeline.data_set.output_lock import hold
from fgbg.pipeline.data_set.resume import units_done
from fgbg.pipeline.data_set.stored import check_shards, delete, stored_job
from fgbg.pipeline.exit_codes import OK, SOME_FAILED, UserError
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.options.formats import formats
from fgbg.pipeline.progress import Progress, byte_size, duration, say, tell
from fgbg.pipeline.workers import local, processes
from fgbg.pipeline.workers.slices import run_slices
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Configuration, Job
from fgbg.transforms.steps.convert import depth_step_m


def main(arguments: list[str]) -> int:
    """Runs `fgbg convert`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    asked = _parse(arguments)
    started = time.monotonic()
    processes.warm_up()
    source = trim_slash(asked.data_set)
    asked.output = trim_slash(asked.output)
    _check_apart(source, asked.output)
    with open_finished(source) as data_set:
        job = dataclasses.replace(
            data_set.job, configuration=_configuration(asked, data_set.job.configuration)
        )
        stored = stored_job(asked.output, asked.overwrite)
        if stored is not None and stored != job:
            raise UserError(
                f"--output {asked.output}: holds another data set than this one would become; "
                "give another folder, or --overwrite to delete what is there"
            )
        check_shards(asked.output, None, job)
        _check_inputs(source, data_set.job)
        if asked.overwrite and _is_there(asked.output):
            _check_samples(data_set, asked.workers)
        loss = _loss(data_set.job.configuration, job.configuration)
        if loss:
            say(f"Depth loses precision: {loss}")
        with hold(asked.output):
            if asked.overwrite:
                delete(asked.output)
            return _convert(data_set, job, asked, loss, started)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = options.Parser(
        prog="fgbg convert",
        description="Makes a whole data set of TFRecords out of one of image files, or the other "
        "way round, without running a network. Run it again to resume.",
    )
    add = parser.add_argument
    add("data_set", metavar="OUT", help="the finished data set, local or gs://")
    add("--output", required=True, metavar="NEW", help="folder of the new one, local or gs://")
    add("--format", required=True, choices=(jobs.IMAGES, jobs.TFRECORD), help="its form")
    options.add_switch(add, "--overwrite", "delete the data set that is in NEW")
    options.add_no_fsync(add)
    add("--mask_format", choices=("jpg", "png"), help="of images; None: jpg")
    add("--depth_format", choices=("jpg", "png16"), help="of images; None: jpg")
    add(
        "--shards",
        type=options.number(1, 99_999, int),
        metavar="N",
        help="of tfrecord: shards of all splits; None: as many as make them about 128 MB",
    )
    add(
        "--workers",
        type=options.number(1, 1024, int),
        metavar="N",
        help="processes on this machine; None: its cores",
    )
    return options.parse_all(parser, arguments)


def _check_apart(source: str, target: str) -> None:
    """Raises where one data set would lie in the other."""
    a, b = (p if storage.is_gcs(p) else os.path.realpath(p) for p in (source, target))
    if (a + "/").startswith(b + "/") or (b + "/").startswith(a + "/"):
        raise UserError(
            f"--output {target}: {source} is there; the new data set needs a folder of its own"
        )


def _configuration(asked: argparse.Namespace, c: Configuration) -> Configuration:
    """The configuration that fgbg generate would have for the new form."""
    if asked.format == c.output_format:
        raise UserError(f"{asked.data_set}: is a data set of --format {asked.format} already")
    mask_format, depth_format = formats(asked)
    return dataclasses.replace(
        c,
        output_format=asked.format,
        mask_format=mask_format,
        depth_format=depth_format,
        shards=asked.shards,
    )


def _loss(old: Configuration, new: Configuration) -> str | None:
    """What is lost of the depth, in words; None where nothing is."""
    before, after = depth_step_m(old), depth_step_m(new)
    if before is None or after is None or max(before, after) <= 0.001:
        return None
    text = f"{1000 * max(before, after):.4g} mm a step (8 bits over {old.depth_range_m:g} m)"
    if before > after:
        return f"the images have {text}, and JPEG's errors; records of 1 mm a step keep them"
    return f"the records have 1 mm a step, the new images {text}"


def _convert(
    data_set: Finished, job: Job, asked: argparse.Namespace, loss: str | None, started: float
) -> int:
    """Writes what is missing of the new data set. Returns the exit code."""
    target = asked.output
    jobs.write(target, job)
    _copy_inputs(data_set.output, target, job)
    done = units_done(target, job)
    _copy_failures(data_set.output, target)
    missing = max(0, data_set.generation["counts"]["units"] - done.units)
    if not missing and local.is_whole(target, job, data_set.samples):
        say(f"All {data_set.samples:,} samples are there already; nothing to do.")
        local.draw_missing(target)
        return OK
    if done.samples:
        say(f"Resuming: {done.samples:,} of {data_set.samples:,} samples are there.")
    count = max(1, min(asked.workers or processes.available_cores(), missing))
    timings: dict[str, Any] = {"workers": count, "converted_from": _form(data_set.job)}
    if loss:
        timings["depth_lost"] = loss
    if missing:
        ran = local.make_units(
            "fgbg.pipeline.workers.tasks:convert_slice",
            count,
            data_set.output,
            jobs.version(data_set.job),
            target,
            jobs.version(job),
            not asked.no_fsync,
            output=target,
            job=job,
            progress=Progress("samples", data_set.samples, done.samples),
            step="Convert",
        )
        timings |= {name: ran.count(name) for name in ("samples", "units_done", "units_failed")}
        timings["peak_memory_of_a_worker_bytes"] = ran.peak_memory
    if job.configuration.in_records:
        timings |= local.join(target, count)
    timings["wall_s"] = round(time.monotonic() - started, 3)
    summary = local.summarise(target, job, count, timings)
    tell(
        f"{summary.samples:,} samples, {byte_size(summary.bytes)}, in "
        f"{duration(time.monotonic() - started)}: {target}"
    )
    if summary.depth_remarks:
        tell(summary.depth_remarks)
    if summary.failed:
        tell(f"{summary.failed:,} units failed: {storage.join(target, jobs.ERRORS)} says why")
    return OK if summary.samples == data_set.samples else SOME_FAILED


def _form(job: Job) -> str:
    c = job.configuration
    depth = f", depth {c.depth_format}" if c.depth_model and not c.in_records else ""
    return c.output_format + depth


def _check_inputs(source: str, job: Job) -> None:
    """Raises for inputs as used that could not be copied: before anything is deleted for them."""
    wrong = catalogue.wrong_inputs(source, job, catalogue.recorded_inputs(source))
    for name, problem in wrong.items():
        more = f", and so are {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UserError(
            f"{storage.join(source, name)}: {problem}{more}; fgbg generate mends it, fgbg verify "
            f"{source} lists all that is wrong"
        )


def _is_there(target: str) -> bool:
    """Whether there is a data set that --overwrite would delete, be it readable or not."""
    store = storage.storage_for(target)
    return any(store.exists(storage.join(target, n)) for n in (jobs.JOB_FILE, jobs.JOB_SPARE))


def _check_samples(data_set: Finished, workers: int | None) -> None:
    """Raises for a sample that could not be converted: before a whole data set is deleted for it.

    Without one in the way a unit with a damaged sample fails alone.
    """
    source, job = data_set.output, data_set.job
    units = commit.count(source, job)
    damaged: list[str] = []
    ran = run_slices(
        "fgbg.pipeline.workers.tasks:look_slice",
        max(1, min(workers or processes.available_cores(), units)),
        source,
        jobs.version(job),
        progress=Progress("samples", data_set.samples),
        shown=["rows_checked"],
        name_of=lambda number: job.unit_at(number).name,
        give_up=lambda number, reason: damaged.append(f"{job.unit_at(number).name}: {reason}"),
    )
    damaged += [problem for problem in ran.results if problem]
    if damaged:
        raise UserError(
            f"{source}: {damaged[0]}. Nothing was deleted; fgbg verify {source} lists all that is "
            "wrong, and without --overwrite, into a new folder, the other units are converted"
        )


def _copy_inputs(source: str, target: str, job: Job) -> None:
    """Copies the inputs as used, where they are not there yet, and their checksums."""
    recorded = catalogue.recorded_inputs(source)
    store = storage.storage_for(target)

    def copy(name: str) -> None:
        path = storage.join(source, name)
        try:
            data = storage.storage_for(path).read(path)
        except FileNotFoundError as error:
            raise UserError(f"{path}: missing; fgbg verify {source} lists all that is") from error
        if catalogue.checksum(data) != recorded.get(name):
            raise UserError(f"{path}: has changed since it was stored; fgbg generate mends it")
        store.write_atomically(storage.join(target, name), data, durable=False)

    missing = catalogue.wrong_inputs(target, job, catalogue.recorded_inputs(target))
    threads = max(LOCAL_THREADS, threads_for(source), threads_for(target))
    for _ in in_order(copy, missing, threads):
        pass
    if missing:
        durable.sync(target)
        catalogue.record_inputs(
            target, {name: recorded[name] for name in catalogue.input_files(job)}
        )


def _copy_failures(source: str, target: str) -> None:
    """What could not be made is missing in the new data set for the same reason."""
    for unit in commit.failed(source):
        failure = commit.read_failure(source, unit)
        commit.write_failure(target, unit, failure["step"], failure["reason"])
