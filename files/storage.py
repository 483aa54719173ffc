"""Files by path, on the local disk or on Cloud Storage (gs://), behind one small interface.

Names are final and deterministic, so that a repeated write replaces equal bytes by equal bytes.
"""

from __future__ import annotations

import contextlib
import errno
import glob as local_glob
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol

from fgbg.files.in_place import in_place, naming, put
from fgbg.files.paths import GCS_PREFIX, is_gcs, is_pattern, join
from fgbg.files.sealed import DamagedError

__all__ = [
    "GCS_PREFIX",
    "Storage",
    "forget_client",
    "is_gcs",
    "is_pattern",
    "join",
    "storage_for",
]

_COPIED_AT_ONCE = 1 << 20


class Storage(Protocol):
    """What the rest of the code may do with files."""

    def read(self, path: str) -> bytes:
        """The whole file. Raises FileNotFoundError where there is none."""

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Part of a file; less of it where it ends before. Raises FileNotFoundError."""

    def open(self, path: str) -> BinaryIO:
        """Opens a file to read it in order. Raises FileNotFoundError where there is none."""

    def size(self, path: str) -> int | None:
        """The file's bytes, or None where there is no such file."""

    def write(self, path: str, data: bytes) -> None:
        """Writes under the final name; a reader may see a part while it runs (local disk)."""

    def write_many(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Writes several files that nobody reads until a commit record says they are whole."""

    def write_atomically(self, path: str, data: bytes, durable: bool = True) -> None:
        """Writes so that a reader sees the whole file or none, also after a crash.

        Args:
            path: The file.
            data: Its content.
            durable: Whether that holds after a power cut too. Without it, such a file may be empty
                then: for what is checked when it is read, or synced together with others.
        """

    def upload(self, local_path: str, path: str) -> None:
        """Puts a finished local file in place at once, without reading it into memory."""

    def download(self, path: str, local_path: str, version: str | None = None) -> None:
        """Copies a file to a local one, which may be partly there if this fails.

        Args:
            path: The file.
            local_path: The copy.
            version: As `versions` gave it: no other one is copied.

        Raises:
            FileNotFoundError: There is no such file, or it is of another version by now.
        """

    def versions(self, path: str) -> dict[str, str]:
        """What tells the contents of a file, or of the files in a folder, from later ones.

        Returns:
            By name relative to the folder, "" for the file itself; empty where there is nothing.
        """

    def concatenate(self, sources: list[str], target: str, workspace: str, size: int) -> None:
        """Joins files end to end; the target appears at once and whole.

        Args:
            sources: One file at least.
            target: The file to make; another of that name is replaced.
            workspace: A folder of nobody else for what is unfinished.
            size: Bytes that it must have.

        Raises:
            FileNotFoundError: A source is missing; there is no new target then.
            ValueError: The sources have another size together; there is no new target then.
        """

    def walk(self, folder: str) -> Iterator[str]:
        """Paths below the folder, relative to it with '/', sorted; nothing if it is absent."""

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of each file below the folder, by its path relative to it."""

    def files(self, folder: str) -> list[str]:
        """Names of the files directly in the folder, sorted; nothing if it is absent."""

    def children(self, folder: str) -> list[str]:
        """Names of what is directly in the folder, sorted; nothing if it is absent."""

    def glob(self, pattern: str) -> list[str]:
        """Full paths of the files that match a pattern, sorted."""

    def exists(self, path: str) -> bool:
        """Whether there is a file, or anything below a folder, of that name."""

    def delete(self, path: str) -> None:
        """Deletes a file or a folder with all that is in it; absent is fine."""

    def delete_files(self, paths: Iterable[str]) -> None:
        """Deletes files; absent is fine."""

    def delete_empty(self, folders: Iterable[str]) -> None:
        """Deletes those of some folders, and of the folders in them, that hold nothing."""


def storage_for(path: str) -> Storage:
    """The storage that holds the path."""
    return _gcs() if is_gcs(path) else _LOCAL


class LocalStorage:
    """The local file system."""

    def __init__(self) -> None:
        # Folders known to exist: one system call less for each of a unit's files.
        self._folders: set[str] = set()

    def read(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            if error.errno == errno.EBADMSG:  # a power cut has left it half on the disk
                raise DamagedError(path, f"cannot be read: {error.strerror}") from error
            raise

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(length)

    def open(self, path: str) -> BinaryIO:
        return open(path, "rb")

    def size(self, path: str) -> int | None:
        return os.path.getsize(path) if os.path.isfile(path) else None

    def write(self, path: str, data: bytes) -> None:
        folder = os.path.dirname(path)
        if folder not in self._folders:
            os.makedirs(folder or ".", exist_ok=True)
            if len(self._folders) > 10_000:
                self._folders.clear()
            self._folders.add(folder)
        try:
            self._write(path, data)
        except FileNotFoundError:  # the folder was deleted since
            os.makedirs(folder or ".", exist_ok=True)
            self._write(path, data)

    @staticmethod
    def _write(path: str, data: bytes) -> None:
        with naming(path), open(path, "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]

    def write_many(self, files: Iterable[tuple[str, bytes]]) -> None:
        for path, data in files:
            self.write(path, data)

    def write_atomically(self, path: str, data: bytes, durable: bool = True) -> None:
        # Without in_place, for the fewest system calls: each unit's commit record comes here.
        unfinished = f"{path}.part"
        self.write(unfinished, data)
        put(unfinished, path, durable)

    def upload(self, local_path: str, path: str) -> None:
        with in_place(path) as unfinished:
            shutil.copyfile(local_path, unfinished)

    def download(self, path: str, local_path: str, version: str | None = None) -> None:
        if version is not None and self._version(path) != version:
            raise FileNotFoundError(errno.ENOENT, "it has changed", path)
        shutil.copyfile(path, local_path)

    def versions(self, path: str) -> dict[str, str]:
        if os.path.isfile(path):
            return {"": self._version(path)}
        return {name: self._version(join(path, name)) for name in self.walk(path)}

    @staticmethod
    def _version(path: str) -> str:
        status = os.stat(path)
        return f"{status.st_mtime_ns} {status.st_size}"

    def concatenate(self, sources: list[str], target: str, workspace: str, size: int) -> None:
        os.makedirs(workspace, exist_ok=True)
        unfinished = join(workspace, os.path.basename(target))
        # The sources are deleted next: a machine that stops then must have this on its disk.
        with in_place(target, unfinished, durable=True), open(unfinished, "wb") as file:
            for source in sources:
                with open(source, "rb") as part:
                    shutil.copyfileobj(part, file, _COPIED_AT_ONCE)
            if file.tell() != size:
                raise ValueError(f"{target}: {file.tell()} bytes to be joined, not {size}")

    def walk(self, folder: str) -> Iterator[str]:
        return self._walk(folder, "")

    def _walk(self, folder: str, prefix: str) -> Iterator[str]:
        # Folder by folder, for there may be millions of files; in the order of whole paths.
        try:
            with os.scandir(folder) as found:
                entries = [(f"{e.name}/" if e.is_dir() else e.name) for e in found]
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in sorted(entries):
            if name.endswith("/"):
                yield from self._walk(join(folder, name[:-1]), prefix + name)
            else:
                yield prefix + name

    def sizes(self, folder: str) -> dict[str, int]:
        return {name: os.path.getsize(join(folder, name)) for name in self.walk(folder)}

    def files(self, folder: str) -> list[str]:
        return [name for name in self.children(folder) if not os.path.isdir(join(folder, name))]

    def children(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def glob(self, pattern: str) -> list[str]:
        return sorted(p for p in local_glob.glob(pattern, recursive=True) if not os.path.isdir(p))

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def delete(self, path: str) -> None:
        self._folders.clear()
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.remove(path)

    def delete_files(self, paths: Iterable[str]) -> None:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)

    def delete_empty(self, folders: Iterable[str]) -> None:
        for folder in folders:
            for below, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(below)
                    self._folders.discard(below)


_LOCAL = LocalStorage()
_cloud: Storage | None = None
_making_cloud = threading.Lock()


def _gcs() -> Storage:
    """The process' only client of Cloud Storage; threads may ask for it at once."""
    global _cloud
    with _making_cloud:
        if _cloud is None:
            from fgbg.files.cloud_storage import CloudStorage  # here: the library takes a second

            _cloud = CloudStorage()
        return _cloud


def forget_client() -> None:
    """Has a new client made at the next use, of the environment as it is then."""
    global _cloud
    with _making_cloud:
        _cloud = None
