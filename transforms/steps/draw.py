"""Draw: the sheets and the report of a finished data set.

They are for people to look at. A data set is whole without them, so an error here is told and
undoes nothing; `fgbg report` and the next `fgbg generate` draw again what is missing.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import Any

from fgbg.files import storage
from fgbg.transforms.dataset import drawings, manifest, sheets
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import GENERATION, Job
from fgbg.transforms.report import page
from fgbg.transforms.report.findings import Findings

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What became of sheets and report.

    Attributes:
        problems: What could not be drawn and why, in words.
        findings: What the report finds conspicuous; None where it could not be made.
    """

    problems: tuple[str, ...]
    findings: Findings | None


def draw(output: str, job: Job, generation: dict[str, Any], local: str) -> Drawn:
    """Draws sheets and report, and records their checksums.

    Args:
        output: The data set, finished.
        job: Its job.
        generation: The content of its generation.json.
        local: A local copy of its manifest.
    """
    drawings.forget(output)
    problems = []
    found = None
    try:
        sheets.write_sheets(output, job, manifest.spread_rows(local, sheets.ROWS))
    except Exception as error:
        problems.append(_problem("the sample sheets", error))
    try:
        found = page.write(output, job, generation, local)
    except Exception as error:
        problems.append(_problem("the report", error))
    if not problems:
        drawings.record(output)
    return Drawn(tuple(problems), found)


def _problem(what: str, error: Exception) -> str:
    _LOG.debug("%s", what, exc_info=error)
    why = str(error) if isinstance(error, SampleError | OSError) else repr(error)
    return f"{what} cannot be drawn: {why}"


def draw_again(output: str) -> Drawn:
    """Draws sheets and report of a finished data set."""
    job = jobs.read(output)
    if job is None:
        raise FileNotFoundError(f"{output} holds no data set")
    path = storage.join(output, GENERATION)
    generation = json.loads(storage.storage_for(path).read(path))
    with manifest.local_copy(output) as local:
        return draw(output, job, generation, local)
