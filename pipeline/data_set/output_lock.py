"""One writer at a time for an output folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from fgbg.files import storage
from fgbg.files.lease import LeaseError, lease
from fgbg.pipeline.exit_codes import UserError
from fgbg.transforms.job.job import LEASE

LOCK = "_work/lock"


@contextlib.contextmanager
def hold(output: str, option: str = "--output") -> Iterator[None]:
    """Keeps a second run away from the same folder, until this process has ended."""
    if storage.is_gcs(output):
        try:
            with lease(storage.join(output, LEASE)):
                yield
        except LeaseError as error:
            raise UserError(f"{option} {output}: {error}") from error
        return
    path = os.path.join(output, LOCK)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = open(path, "w")  # noqa: SIM115 - held open, and with it the lock
    except OSError as error:
        raise UserError(f"{option} {output}: cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{option} {output}: another fgbg is writing to it") from error
        yield
