"""Large files written piece by piece that appear under their names when they are whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import IO

from fgbg.files import storage
from fgbg.files.in_place import in_place


@contextlib.contextmanager
def whole_file(path: str, durable: bool = False) -> Iterator[IO[bytes]]:
    """Opens a file for writing; it gets its name when the block has ended without an error.

    Args:
        path: Local or gs://. A local file is written beside its place, as `path`.part, which the
            next attempt replaces if this process is killed.
        durable: Whether a local file is on the disk before it has its name.

    Yields:
        A binary file that can be read back and sought in.
    """
    if storage.is_gcs(path):
        with tempfile.NamedTemporaryFile() as file:
            yield file
            file.flush()
            storage.storage_for(path).upload(file.name, path)
        return
    with in_place(path, durable=durable) as unfinished, open(unfinished, "w+b") as local:
        yield local


@contextlib.contextmanager
def scratch_file(path: str) -> Iterator[IO[bytes]]:
    """A nameless file on the disk that `path` will be on; nothing is left of it."""
    folder = None if storage.is_gcs(path) else os.path.dirname(path) or "."
    if folder is not None:
        os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        yield file
