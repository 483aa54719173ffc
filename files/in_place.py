"""Local files and folders that appear under their names when they are whole."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator


class naming:
    """Gives errors of the block that do not say which file they are of, such as writes, a path.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = self._path


def put(unfinished: str, path: str, durable: bool = False) -> None:
    """Gives a finished file or folder its name, in place of what has that name.

    Everything that is to be whole or absent is named here.

    Args:
        unfinished: The file, or the folder, on the same disk.
        path: Its name from now on.
        durable: Whether a file is on the disk first, should the machine stop.
    """
    if durable:
        file = os.open(unfinished, os.O_RDWR)
        try:
            os.fsync(file)
        finally:
            os.close(file)
    try:
        os.replace(unfinished, path)
    except OSError:
        if not os.path.isdir(unfinished):
            raise
        shutil.rmtree(path, ignore_errors=True)  # no folder can replace one that holds files
        os.replace(unfinished, path)


@contextlib.contextmanager
def in_place(path: str, unfinished: str = "", durable: bool = False) -> Iterator[str]:
    """Names what the block writes when it has ended without an error; otherwise deletes it.

    Args:
        path: The file or folder.
        unfinished: Its name until then, `path`.part unless given. A fixed name: the leftovers of
            a killed process are replaced, not collected.
        durable: As `put` takes it.

    Yields:
        `unfinished`, where there is nothing yet.
    """
    unfinished = unfinished or f"{path}.part"
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    _delete(unfinished)
    try:
        with naming(path):
            yield unfinished
            put(unfinished, path, durable)
    except BaseException:
        _delete(unfinished)
        raise


def _delete(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
