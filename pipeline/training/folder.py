"""Where a training works: its folder, or for one on gs:// a local folder that is put there.

What is on gs:// is the training. The local folder is empty when a run begins, and gets the
checkpoint from there, so that it does not matter which machine a training is taken up on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator

from fgbg.files import fetch, storage
from fgbg.files.ordered_map import GCS_THREADS, in_order
from fgbg.models.trained import trained_card
from fgbg.pipeline.data_set.output_lock import LOCK, hold
from fgbg.pipeline.data_set.writable import check_writable
from fgbg.pipeline.training.run import CHECKPOINT, LOGS, WORK

_OPTION = "--model_dir"


@contextlib.contextmanager
def opened(folder: str) -> Iterator[str]:
    """Keeps a second run of this machine away from a training.

    Args:
        folder: Its folder, local or gs://.

    Yields:
        The local folder to work in; of a training on gs:// it is empty.

    Raises:
        UserError: Another run works in it, or it cannot be written.
    """
    if not storage.is_gcs(folder):
        with hold(folder, _OPTION):
            yield folder
        return
    check_writable(folder, _OPTION)
    key = hashlib.sha256(folder.encode()).hexdigest()[:16]
    working = os.path.join(fetch.default_cache_dir(), "trainings", key)
    with hold(working, f"{_OPTION} {folder}: its local folder"):
        _empty(working)  # of what a killed run has left
        try:
            yield working
        finally:
            _empty(working)


def _empty(working: str) -> None:
    """Deletes all but the lock, which is held."""
    store = storage.storage_for(working)
    for name in store.children(working):
        if name != WORK:
            store.delete(storage.join(working, name))
    inside = (storage.join(WORK, name) for name in store.files(storage.join(working, WORK)))
    store.delete_files(storage.join(working, name) for name in inside if name != LOCK)


def fetch_checkpoint(folder: str, working: str) -> None:
    """Copies the checkpoint of a training on gs:// into its local folder, if there is one."""
    if folder == working:
        return
    path, copy = storage.join(folder, CHECKPOINT), storage.join(working, CHECKPOINT)
    store = storage.storage_for(path)
    if store.size(path) is not None:
        store.download(path, copy)


def put_epoch(working: str, folder: str) -> None:
    """Puts the checkpoint, which is one object and so whole, and the logs on gs://."""
    if folder == working:
        return
    store = storage.storage_for(folder)
    store.upload(storage.join(working, CHECKPOINT), storage.join(folder, CHECKPOINT))
    _put_logs(working, folder)


def put_finished(working: str, folder: str) -> None:
    """Puts all that a finished training has left on gs://, the card last."""
    if folder == working:
        return
    names = list(storage.storage_for(working).walk(working))
    before = (CHECKPOINT, LOCK, trained_card.CARD)
    _put(working, folder, [n for n in names if n not in before and not n.startswith(f"{LOGS}/")])
    _put_logs(working, folder)
    _put(working, folder, [trained_card.CARD])


def _put_logs(working: str, folder: str) -> None:
    """Puts the event files and deletes older ones, whose names hold the time of their start."""
    names = list(storage.storage_for(working).walk(storage.join(working, LOGS)))
    store = storage.storage_for(folder)
    there = store.walk(storage.join(folder, LOGS))
    store.delete_files([storage.join(folder, LOGS, name) for name in there if name not in names])
    _put(working, folder, [f"{LOGS}/{name}" for name in names])


def _put(working: str, folder: str, names: list[str]) -> None:
    store = storage.storage_for(folder)

    def put(name: str) -> None:
        store.upload(storage.join(working, name), storage.join(folder, name))

    for _ in in_order(put, names, GCS_THREADS):
        pass
