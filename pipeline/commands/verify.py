"""`fgbg verify OUT`: reads a data set back, on all cores, and says what is wrong with it."""

from __future__ import annotations

import json
import os
import tempfile

from fgbg.files.paths import trim_slash
from fgbg.pipeline.data_set.finished import open_summarised
from fgbg.pipeline.exit_codes import OK, SOME_FAILED
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import Progress, tell
from fgbg.pipeline.workers.processes import available_cores
from fgbg.pipeline.workers.slices import run_slices
from fgbg.transforms.dataset import manifest
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job
from fgbg.transforms.steps.verify_whole import check_whole

_SHOWN = 1000


def main(arguments: list[str]) -> int:
    """Runs `fgbg verify`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code: 0 if nothing is wrong, 1 if anything is.
    """
    parser = options.Parser(
        prog="fgbg verify",
        description="Reads every file of a data set back and compares it with the manifest.",
    )
    parser.add_argument("output", metavar="OUT", help="the data set's folder, local or gs://")
    parser.add_argument(
        "--workers",
        type=options.number(1, 1024, int),
        metavar="N",
        help="processes on this machine; None: its cores",
    )
    asked = options.parse_all(parser, arguments)
    output = trim_slash(asked.output)
    with open_summarised(output) as data_set, tempfile.TemporaryDirectory() as folder:
        job, local, rows = data_set.job, data_set.manifest, data_set.samples
        problems, size = _check_files(output, job, local, rows, folder, asked.workers)
        problems += check_whole(output, job, local, data_set.generation, size)
    problems.sort()
    for name, problem in problems[:_SHOWN]:
        tell(f"{name}: {problem}")
    if len(problems) > _SHOWN:
        tell(f"and {len(problems) - _SHOWN:,} more")
    if problems:
        tell(f"{output}: {len(problems):,} problems in {rows:,} samples")
        return SOME_FAILED
    tell(f"{output}: all {rows:,} samples are as the manifest says")
    return OK


def _check_files(
    output: str, job: Job, local: str, rows: int, folder: str, workers: int | None
) -> tuple[list[tuple[str, str]], int]:
    """Checks every row's files in worker processes: problems, and bytes read."""
    groups = manifest.row_groups(local)
    count = min(workers or available_cores(), max(1, groups))
    problems = []
    ran = run_slices(
        "fgbg.pipeline.workers.tasks:verify_slice",
        count,
        output,
        jobs.version(job),
        local,
        groups,
        folder,
        progress=Progress("samples", rows),
        shown=["rows_checked"],
        name_of=lambda group: f"row group {group} of {manifest.MANIFEST}",
        give_up=lambda group, reason: problems.append(
            (manifest.MANIFEST, f"row group {group} is not checked: {reason}")
        ),
    )
    for i in range(count):
        with open(os.path.join(folder, str(i)), encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                problems.append((entry["file"], entry["problem"]))
    return problems, sum(ran.results)
