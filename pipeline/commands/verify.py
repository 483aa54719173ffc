"""`fgbg verify OUT`: reads a data set back, on all cores, says what is wrong, and mends it."""

from __future__ import annotations

import argparse

from fgbg.files.paths import trim_slash
from fgbg.pipeline.data_set import repair
from fgbg.pipeline.data_set.depth_source import NotHad, depth_source
from fgbg.pipeline.data_set.output_lock import hold
from fgbg.pipeline.data_set.verifying import Verified, open_job, verify
from fgbg.pipeline.exit_codes import OK, SOME_FAILED
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import say, tell
from fgbg.pipeline.workers.processes import available_cores
from fgbg.transforms.job.job import Job
from fgbg.transforms.steps.problem import FOREIGN

_SHOWN = 1000
_RECOMPUTED = 4


def main(arguments: list[str]) -> int:
    """Runs `fgbg verify`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code: 0 if nothing is wrong (any more), 1 if anything is.
    """
    asked = _parse(arguments)
    output = trim_slash(asked.output)
    workers = asked.workers or available_cores()
    job = open_job(output, asked.repair)
    if not asked.repair:
        depth_path = _depth_to_compare(asked, job)
        count = _RECOMPUTED if asked.recompute is None else asked.recompute
        units = None if count == "all" else int(count)
        return _tell(output, verify(output, job, workers, units, depth_path))
    with hold(output, "OUT"):
        return _tell(output, repair.repair(output, job, workers, asked.depth_model))


def _units(text: str) -> int | str:
    """The value of --recompute."""
    return text if text == "all" else options.number(0, 10**9, int)(text)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = options.Parser(
        prog="fgbg verify",
        description="Reads every file of a data set back and compares it with what its job gives.",
    )
    add = parser.add_argument
    add("output", metavar="OUT", help="the data set's folder, local or gs://")
    add(
        "--recompute",
        type=_units,
        metavar="N",
        help="compose N units again, spread over the data set, or all, and compare every pixel, "
        f"depth too; None: {_RECOMPUTED}, without depth",
    )
    options.add_switch(
        add, "--repair", "make again what is wrong, and nothing else; files of others are left"
    )
    add(
        "--depth_model",
        metavar="PATH",
        help="the data set's depth network, for --repair and --recompute; None: the built-in one "
        "and those that were downloaded before are found by themselves",
    )
    add(
        "--workers",
        type=options.number(1, 1024, int),
        metavar="N",
        help="processes on this machine; None: its cores",
    )
    return options.parse_all(parser, arguments)


def _depth_to_compare(asked: argparse.Namespace, job: Job) -> str | None:
    """Where the depth network is; None where depth is not compared, which is said if asked for."""
    if job.configuration.depth_model is None or not asked.recompute:
        return None
    try:
        return depth_source(job, asked.depth_model)
    except NotHad as error:
        say(f"Depth is not compared: {error}")
        return None


def _tell(output: str, verified: Verified) -> int:
    """Prints what is wrong. Returns the exit code."""
    problems, samples = verified.problems, verified.samples
    for problem in problems[:_SHOWN]:
        tell(f"{problem.file}: {problem.problem}")
    if len(problems) > _SHOWN:
        tell(f"and {len(problems) - _SHOWN:,} more")
    if problems:
        foreign = sum(problem.cure == FOREIGN for problem in problems)
        others = f", {foreign:,} of them files of others" if foreign else ""
        tell(f"{output}: {len(problems):,} problems in {samples:,} samples{others}")
        if repair.can_mend(problems):
            tell(f"fgbg verify {output} --repair makes again what is wrong")
        return SOME_FAILED
    tell(
        f"{output}: all {samples:,} samples are as the manifest says, and all else as the job "
        f"gives it; {verified.composed:,} units composed again are the same"
    )
    return OK
