"""Large files written piece by piece that appear under their names when they are whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import IO

from fgbg.files import storage


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[IO[bytes]]:
    """Opens a file for writing; it gets its name when the block has ended without an error.

    Args:
        path: Local or gs://. A local file is written beside its place, as `path`.part, which the
            next attempt replaces if this process is killed.

    Yields:
        A binary file that can be read back and sought in.
    """
    if storage.is_gcs(path):
        with tempfile.NamedTemporaryFile() as file:
            yield file
            file.flush()
            storage.storage_for(path).upload(file.name, path)
        return
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = f"{path}.part"
    try:
        with open(temporary, "w+b") as local:
            yield local
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise


@contextlib.contextmanager
def scratch_file(path: str) -> Iterator[IO[bytes]]:
    """A nameless file on the disk that `path` will be on; nothing is left of it."""
    folder = None if storage.is_gcs(path) else os.path.dirname(path) or "."
    if folder is not None:
        os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        yield file
