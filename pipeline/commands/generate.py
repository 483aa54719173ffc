"""`fgbg generate`: from the command line to a data set."""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

from fgbg.files import storage
from fgbg.files.paths import trim_slash
from fgbg.pipeline import faults
from fgbg.pipeline.data_set import request
from fgbg.pipeline.data_set.output_lock import hold
from fgbg.pipeline.data_set.stored import delete
from fgbg.pipeline.exit_codes import OK, UserError
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import say
from fgbg.pipeline.workers import processes

if TYPE_CHECKING:
    from fgbg.pipeline.cloud.workers import Workers


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
    asked.output = trim_slash(asked.output)
    runner = _other_runner(beam_options)
    cloud, beam_options = _cloud(asked, runner, beam_options)
    if runner and cloud is not None and not asked.plan:
        from fgbg.pipeline.cloud import runners

        complete = [*beam_options, *cloud.beam_options]
        beam_options = [*beam_options, *runners.check(runner, complete)]
        if not storage.is_gcs(asked.output):
            asked.output = os.path.abspath(asked.output)  # workers have other working folders
            if runners.writes_elsewhere(runner, beam_options):
                say(
                    f"Workers elsewhere write to {asked.output}: it has to be the same folder on "
                    "each of their machines."
                )
    if not runner:
        faults.check_limit_of_memory()
    if not asked.plan and not runner:
        processes.warm_up()  # imports Beam meanwhile, which takes as long as the checks
    asked_for = request.read(asked)
    if not runner:
        faults.check_limit_of_memory(with_tensorflow=asked_for.needs_tensorflow)
    output, job, depth_path = asked_for.output, asked_for.job, asked_for.depth_path
    workers = asked.workers or processes.available_cores()
    if asked.overwrite:
        request.check_apart(asked_for)
    if asked.plan:
        from fgbg.pipeline.data_set import plan

        estimate = plan.show(job, asked_for.stored, asked_for.paths, depth_path, workers)
        if cloud is not None:
            from fgbg.pipeline.cloud import plan as cloud_plan

            cloud_plan.show(job, estimate, cloud, asked, beam_options)
        return OK
    if (
        not runner
    ):  # elsewhere it is the workers' machines that must bear it, and a launcher is small
        request.try_network(asked_for)
    with hold(output):

        def prepare() -> None:
            if asked.overwrite:
                delete(output)
            request.store(asked_for)

        if runner and cloud is not None:
            from fgbg.pipeline.cloud import remote

            return remote.run(output, job, depth_path, beam_options, cloud, prepare, started)
        prepare()
        from fgbg.pipeline.workers import local

        return local.run(
            output, job, depth_path, workers, beam_options, started, not asked.no_fsync
        )


def _other_runner(beam_options: list[str]) -> str | None:
    """The runner to hand the whole graph to; None to use this machine's cores."""
    if not beam_options:
        return None
    from fgbg.pipeline.options.beam import runner_of

    asked = runner_of(beam_options)
    if asked is None:
        return None
    from fgbg.pipeline.cloud.runners import canonical

    runner = canonical(asked)
    return None if runner == "FnApiRunner" else runner


def _cloud(
    asked: argparse.Namespace, runner: str | None, beam_options: list[str]
) -> tuple[Workers | None, list[str]]:
    """What workers in the cloud are to be, and Beam's options completed for the runner."""
    elsewhere = runner is not None or (asked.plan and storage.is_gcs(asked.output))
    of_gpu = (asked.gpu_processes, asked.accelerator, asked.min_ram)
    if not elsewhere and asked.gpu == "none" and of_gpu == (None, None, None):
        return None, beam_options  # without importing Beam
    from fgbg.pipeline.cloud import dataflow, gpus
    from fgbg.pipeline.cloud import workers as cloud_workers

    if asked.gpu != gpus.NONE and runner is not None and not dataflow.is_dataflow(runner):
        raise UserError(
            f"--gpu {asked.gpu} and --runner {runner}: only Dataflow gives workers a GPU that a "
            "job asks for. Leave --gpu out: where the workers' machines have a GPU, TensorFlow "
            "uses it"
        )
    if dataflow.is_dataflow(runner) and not asked.plan:
        beam_options = dataflow.complete(asked.output, beam_options)
    workers = cloud_workers.choose(asked, beam_options, request.canvas_of(asked), elsewhere)
    return workers, beam_options
