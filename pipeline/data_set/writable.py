"""Whether a folder on gs:// can be written: asked before long work, not after it."""

from __future__ import annotations

from fgbg.files import storage
from fgbg.pipeline.exit_codes import UserError

# Beside the lock that a local folder has.
_PROBE = "_work/writable"


def check_writable(folder: str, option: str) -> None:
    """Writes a small object and deletes it again; a local folder is left alone.

    Args:
        folder: Local or gs://.
        option: That it was given for, for the message.

    Raises:
        UserError: There is no such bucket, or no right to write to it.
    """
    if not storage.is_gcs(folder):
        return
    path = storage.join(folder, _PROBE)
    store = storage.storage_for(path)
    try:
        store.write(path, b"")
        store.delete_files([path])
    except OSError as error:
        raise UserError(f"{option} {folder}: cannot be written: {error.strerror}") from error
