"""`fgbg report OUT`: draws the report and the sheets of a finished data set again."""

from __future__ import annotations

from fgbg.files import storage
from fgbg.files.paths import trim_slash
from fgbg.pipeline.data_set.finished import open_finished
from fgbg.pipeline.data_set.output_lock import hold
from fgbg.pipeline.exit_codes import OK, SOME_FAILED
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import say, tell
from fgbg.transforms.job.job import REPORT
from fgbg.transforms.report.findings import Findings
from fgbg.transforms.report.words import count
from fgbg.transforms.steps.draw import draw


def main(arguments: list[str]) -> int:
    """Runs `fgbg report`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    parser = options.Parser(
        prog="fgbg report",
        description=f"Draws {REPORT} of a finished data set again, one page with samples, "
        "distributions, warnings, and how to load it; and its sample sheets.",
    )
    parser.add_argument("output", metavar="OUT", help="the data set's folder, local or gs://")
    asked = options.parse_all(parser, arguments)
    output = trim_slash(asked.output)
    # Looked at before it is locked: the lock is a file, and not every folder is a data set.
    with open_finished(output):
        pass
    with hold(output, "OUT"), open_finished(output) as found:
        drawn = draw(output, found.job, found.generation, found.manifest)
    for problem in drawn.problems:
        say(f"fgbg report: {output}: {problem}")
    if drawn.findings is None:
        return SOME_FAILED
    tell(f"Open {storage.join(output, REPORT)}")
    _tell(drawn.findings)
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
    say(line)
