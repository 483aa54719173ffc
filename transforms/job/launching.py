"""A job that is accepted by its service before its data set is prepared: its workers wait for that.

A service may refuse a job for its options, a quota or a permission, and what is there must not be
deleted for it. So the launcher marks the folder, hands in the job, and only when that is accepted
deletes what is to be overwritten, and stores job and inputs. Then it removes the mark. Workers that
are quicker than it wait as long as its lease on the folder is renewed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from fgbg.files import storage
from fgbg.files.lease import is_held
from fgbg.transforms.job.job import LAUNCHING, LEASE, OtherJobError

_PAUSE_S = 5.0


def begin(output: str) -> None:
    """Marks a data set as not prepared yet; its lease is held."""
    path = storage.join(output, LAUNCHING)
    storage.storage_for(path).write_atomically(path, b"")


def end(output: str) -> None:
    """Lets the workers begin."""
    path = storage.join(output, LAUNCHING)
    storage.storage_for(path).delete_files([path])


def wait(output: str, pause: Callable[[float], None] = time.sleep) -> None:
    """Returns when a data set is prepared.

    Args:
        output: The data set.
        pause: Waits for so many seconds.

    Raises:
        OtherJobError: Nobody prepares it any more.
    """
    path = storage.join(output, LAUNCHING)
    store = storage.storage_for(path)
    while store.size(path) is not None:
        if not is_held(storage.join(output, LEASE)) and store.size(path) is not None:
            raise OtherJobError(
                f"{output}: what launched this job ended before job and inputs were stored; give "
                "the same command again"
            )
        pause(_PAUSE_S)
