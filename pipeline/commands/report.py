"""`fgbg report OUT`: makes the report of a finished data set again."""

from __future__ import annotations

import sys

from fgbg.files import storage
from fgbg.files.paths import trim_slash
from fgbg.pipeline.data_set.finished import open_finished
from fgbg.pipeline.data_set.output_lock import hold
from fgbg.pipeline.exit_codes import OK, UserError
from fgbg.pipeline.options import parser as options
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.job.job import REPORT
from fgbg.transforms.report import page
from fgbg.transforms.report.findings import Findings
from fgbg.transforms.report.words import count


def main(arguments: list[str]) -> int:
    """Runs `fgbg report`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    parser = options.Parser(
        prog="fgbg report",
        description=f"Makes {REPORT} of a finished data set again: one page with samples, "
        "distributions, warnings, and how to load it.",
    )
    parser.add_argument("output", metavar="OUT", help="the data set's folder, local or gs://")
    asked = options.parse_all(parser, arguments)
    output = trim_slash(asked.output)
    # Looked at before it is locked: the lock is a file, and not every folder is a data set.
    with open_finished(output):
        pass
    with hold(output, "OUT"), open_finished(output) as found:
        try:
            findings = page.write(output, found.job, found.generation, found.manifest)
        except (SampleError, OSError) as error:
            raise UserError(f"{output}: the report cannot be made: {error}") from error
    print(f"Open {storage.join(output, REPORT)}")
    _tell(findings)
    return OK


def _tell(findings: Findings) -> None:
    """On standard error, that there is something to look at first."""
    if not findings.warnings:
        return
    line = count(len(findings.warnings), "warning")
    if findings.unread:
        line += (
            f"; {findings.unread} of the {count(findings.looked_at, 'sample')} looked at cannot "
            "be read"
        )
    print(line, file=sys.stderr)
