"""A finished data set, opened to be read by another command."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from fgbg.files import storage
from fgbg.pipeline.exit_codes import UserError
from fgbg.transforms.dataset import manifest
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import GENERATION, Job

_COUNTS = {"samples", "units", "units_failed"}


@dataclasses.dataclass(frozen=True)
class Finished:
    """A data set that is not being made any more.

    Attributes:
        output: Its folder.
        job: Its job.
        generation: The content of its generation.json.
        manifest: A local copy of its manifest.
        samples: Number of its samples.
    """

    output: str
    job: Job
    generation: dict[str, Any]
    manifest: str
    samples: int


@contextlib.contextmanager
def open_finished(output: str) -> Iterator[Finished]:
    """Opens a data set whose last run came to its end; units may have failed in it.

    Args:
        output: The data set's folder, local or gs://.

    Raises:
        UserError: There is none, or it is not finished.
    """
    with open_summarised(output) as data_set:
        counts = data_set.generation["counts"]
        # A run that was killed while it extended the data set leaves the older two.
        if (
            counts["units"] + counts["units_failed"] != data_set.job.units
            or counts["samples"] != data_set.samples
        ):
            raise UserError(_unfinished(output))
        yield data_set


@contextlib.contextmanager
def open_summarised(output: str) -> Iterator[Finished]:
    """Opens a data set that some run has summarised, be it whole or not.

    Args:
        output: The data set's folder, local or gs://.

    Raises:
        UserError: There is none, or its manifest or generation.json cannot be read.
    """
    job = _job(output)
    store = storage.storage_for(output)
    with contextlib.ExitStack() as stack:
        try:
            local = stack.enter_context(manifest.local_copy(output))
            generation = json.loads(store.read(storage.join(output, GENERATION)))
            if missing := _COUNTS - generation["counts"].keys():
                raise ValueError(f"{GENERATION} does not count {', '.join(sorted(missing))}")
            rows = manifest.rows(local)
        except FileNotFoundError as error:
            raise UserError(_unfinished(output)) from error
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise UserError(
                f"{output}: {manifest.MANIFEST} or {GENERATION} cannot be read: {error}"
            ) from error
        yield Finished(output, job, generation, local, rows)


def _job(output: str) -> Job:
    try:
        job = jobs.read(output)
    except ValueError as error:
        raise UserError(str(error)) from error
    if job is None:
        raise UserError(f"{output}: no data set of fgbg (no {jobs.JOB_FILE})")
    return job


def _unfinished(output: str) -> str:
    return f"{output}: the data set is not finished; run fgbg generate again to finish it"
