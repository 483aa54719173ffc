"""The main job on a runner that takes the whole graph: Dataflow, Flink, Spark, Prism..."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    TestOptions,
)

from fgbg.models.depth.depth_card import BUILTIN
from fgbg.pipeline import faults
from fgbg.pipeline.arguments import GraphArguments
from fgbg.pipeline.cloud import dataflow, watch
from fgbg.pipeline.cloud.workers import Workers
from fgbg.pipeline.data_set.resume import units_done
from fgbg.pipeline.exit_codes import INTERRUPTED, OK, SOME_FAILED, UserError, WorkerError
from fgbg.pipeline.graph import generate_and_summarise
from fgbg.pipeline.progress import say
from fgbg.pipeline.workers import local
from fgbg.transforms import meter
from fgbg.transforms.dataset import drawings, generation, precision
from fgbg.transforms.job import commit, launching
from fgbg.transforms.job.job import Job
from fgbg.transforms.steps.summarise import Summary


def run(
    output: str,
    job: Job,
    depth_path: str | None,
    beam_options: list[str],
    workers: Workers,
    prepare: Callable[[], None],
    started: float,
) -> int:
    """Runs the whole graph and waits for it, or writes it down as a template.

    Args:
        output: The data set; it is held.
        job: Its job.
        depth_path: Where the depth network lies; or None.
        beam_options: Options for Beam, with the runner.
        workers: What the workers are to be.
        prepare: Deletes what is to be overwritten, and stores job and inputs. For Dataflow that is
            done when it has accepted the job, on which its workers wait; for other runners before.
        started: time.monotonic() at the start of the command.

    Returns:
        The exit code.

    Raises:
        UserError: The runner refuses the options or the job.
    """
    options = PipelineOptions([*beam_options, *workers.beam_options])
    cloud = options.view_as(GoogleCloudOptions)
    on_dataflow = dataflow.is_dataflow(options.view_as(StandardOptions).runner)
    arguments = GraphArguments.of(output, job, depth_path, threads=1)
    if on_dataflow:
        place = dataflow.place_of_depth_model(output, depth_path, arguments.depth_model)
        arguments = dataclasses.replace(arguments, depth_path=place)
    arguments = dataclasses.replace(
        arguments,
        hints=_hints(workers),
        gpu_batch=workers.batch,
        needs_gpu=workers.gpu is not None,
        together=workers.together,
        awaits=on_dataflow,
    )
    if not on_dataflow:
        if depth_path and depth_path != BUILTIN and os.path.exists(depth_path):
            arguments = dataclasses.replace(arguments, depth_path=os.path.abspath(depth_path))
        prepare()
        return _elsewhere(output, job, options, arguments, started)
    result = _handed_in(options, arguments)
    if options.view_as(TestOptions).dry_run:
        say("Dry run: the graph was translated, and no job was made")
        return OK
    with _cancelled_if_this_fails(result):
        prepare()
        dataflow.publish_depth_model(output, depth_path, arguments.depth_model)
        units_done(output, job)
    launching.end(output)
    if cloud.template_location:
        # There is no job yet, and so neither an id nor metrics: a launcher makes it of the file.
        say(f"The job's graph is written: {cloud.template_location}")
        return OK
    code = _wait(result, cloud)
    if code == INTERRUPTED:
        return code
    _show_metrics(result)
    return _close(output, job, code, started)


def _elsewhere(
    output: str, job: Job, options: PipelineOptions, arguments: GraphArguments, started: float
) -> int:
    """Runs the graph on a runner that is no Dataflow. Ctrl-C ends the job there."""
    found = units_done(output, job)
    done = found.samples
    if found.units == job.units and local.is_whole(output, job, job.samples):
        return local.nothing_to_do(output, job)
    if done:
        say(f"Resuming: {done:,} of {job.samples:,} samples are there.")
    code, problem, interrupts = OK, "", watch.Interrupts()
    interrupts.take()
    with watch.quiet(), watch.Watch(output, job, done) as watched:
        try:
            watched.result = _submit(options, arguments)
            interrupts.take()  # again: a runner's own way ends its server, and not the job
            watched.result.wait_until_finish()
        except KeyboardInterrupt:
            watch.cancel(watched.result)
            raise
        except UserError:
            raise
        except Exception as error:  # each runner has its own kind
            if interrupts.pressed:
                watch.cancel(watched.result)
                raise KeyboardInterrupt from None
            code = SOME_FAILED
            problem = faults.with_traceback(faults.explain(error, output), error)
        finally:
            interrupts.give_back()
    if watched.result is not None:
        _show_metrics(watched.result)
    code = _close(output, job, code, started)
    if problem:
        raise WorkerError(f"the job failed: {problem.rstrip('.')}")
    return code


def _close(output: str, job: Job, code: int, started: float) -> int:
    """The closing lines of a job that has ended, those of a local run. Returns the exit code."""
    missing = job.units - commit.count(output, job)
    say(f"{job.units - missing:,} of {job.units:,} units are done: {output}")
    summary = None if code else _summary(output)
    if summary is not None:
        local.closing_lines(output, job, summary, time.monotonic() - started)
    return code or (SOME_FAILED if missing else OK)


def _handed_in(options: PipelineOptions, arguments: GraphArguments) -> Any:
    """The job that Dataflow has accepted, whose workers wait; or what was translated."""
    if not options.view_as(TestOptions).dry_run:
        launching.begin(arguments.output)
    try:
        return _submit(options, arguments)
    except UserError:
        launching.end(arguments.output)  # there is no job that could wait
        raise


@contextlib.contextmanager
def _cancelled_if_this_fails(result: Any) -> Iterator[None]:
    """Has a job not wait, and be paid for, whose inputs do not come."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            result.cancel()
        raise


def _summary(output: str) -> Summary | None:
    """What a worker has summed up; None where it has not."""
    try:
        content = generation.read(output)
        counts = content["counts"]
        return Summary(
            counts["samples"],
            counts["units"],
            counts["units_failed"],
            sum(content["bytes"].values()),
            counts["empty_masks"],
            depth_remarks=precision.remarks(content.get("depth")),
            not_drawn=tuple(f"{name}: {text}" for name, text in drawings.wrong(output).items()),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hints(workers: Workers) -> tuple[tuple[str, str], ...]:
    if workers.accelerator is None or workers.min_ram is None:
        return ()
    return ("accelerator", workers.accelerator), ("min_ram", workers.min_ram)


def _submit(options: PipelineOptions, arguments: GraphArguments) -> Any:
    """Builds the graph and hands it to the runner."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    try:
        root = beam.Pipeline(options=options)
    except ValueError as error:  # options that Beam finds wrong or missing
        raise UserError(str(error)) from error
    generate_and_summarise(root, arguments)
    try:
        return root.run()
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise UserError(
            f"Google Cloud refuses the job: {error}\ndocs/dataflow.md lists the roles that are "
            "needed and what usually goes wrong"
        ) from error


def _wait(result: Any, cloud: GoogleCloudOptions) -> int:
    """Waits until the job has ended. Ctrl-C leaves a job in the cloud running."""
    where = f"--project={cloud.project} --region={cloud.region}"
    say(
        f"Job {result.job_id()} is {result.state}\n"
        f"Watch: https://console.cloud.google.com/dataflow/jobs/{cloud.region}/"
        f"{result.job_id()}?project={cloud.project}\n"
        f"Stop:  gcloud dataflow jobs cancel {result.job_id()} {where}",
    )
    try:
        with _messages_shown():
            state = result.wait_until_finish()
    except KeyboardInterrupt:
        say(
            f"\nNo longer watching. The job goes on, and so does its price; to stop it:\n"
            f"gcloud dataflow jobs cancel {result.job_id()} {where}",
        )
        return INTERRUPTED
    except Exception as error:  # each runner has its own kind
        say(
            f"fgbg generate: {error}\nNothing that was made is lost: the same command resumes.",
        )
        return SOME_FAILED
    say(f"The job has ended: {state}")
    return OK


@contextlib.contextmanager
def _messages_shown() -> Iterator[None]:
    """Shows the job's states and messages, which the Dataflow runner only logs."""
    logger = logging.getLogger("apache_beam.runners.dataflow.dataflow_runner")
    handler = logging.StreamHandler()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def _show_metrics(result: Any) -> None:
    """Prints our counters; a job is not given up because they cannot be read."""
    try:
        totals = watch.totals(result)
        found = result.metrics().query(MetricsFilter().with_namespace(meter.NAMESPACE))
    except Exception as error:
        say(f"The job's counters cannot be read: {error}")
        return
    for name, value in sorted(totals.items()):
        if name.endswith("_microseconds"):
            say(f"  {name.removesuffix('_microseconds')} {value / 1e6:,.1f} s")
        else:
            say(f"  {name} {value:,}")
    for distribution in found["distributions"]:
        sizes = watch.value(distribution)
        if distribution.key.metric.name == meter.BATCH_SIZE and sizes is not None:
            say(
                f"  {meter.BATCH_SIZE} {sizes.min} to {sizes.max}, {sizes.mean:.1f} on average",
            )
