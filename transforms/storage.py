"""Files by path, on the local disk or on Cloud Storage (gs://), behind one small interface.

Names are final and deterministic, so that a repeated write replaces equal bytes by equal bytes.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import glob as local_glob
import os
import posixpath
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, Protocol, cast

GCS_PREFIX = "gs://"
GCS_THREADS = 8
# Objects that one compose request takes.
GCS_COMPOSED = 32
# Bytes read ahead from an object that is read in order.
_GCS_CHUNK = 4 << 20
_COPIED_AT_ONCE = 1 << 20
# Characters that make a path a pattern, as in Python's glob module.
GLOB_CHARACTERS = frozenset("*?[")


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

    def write_atomically(self, path: str, data: bytes) -> None:
        """Writes so that a reader sees the whole file or none, also after a crash."""

    def upload(self, local_path: str, path: str) -> None:
        """Puts a finished local file in place at once, without reading it into memory."""

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


def is_gcs(path: str) -> bool:
    """Whether the path names an object on Cloud Storage."""
    return path.startswith(GCS_PREFIX)


def is_pattern(path: str) -> bool:
    """Whether the path is a glob pattern, not a plain name."""
    return bool(GLOB_CHARACTERS & set(path))


def join(folder: str, *names: str) -> str:
    """One path from a folder and names, with '/' (every platform that we run on takes it)."""
    return posixpath.join(folder, *names)


def storage_for(path: str) -> Storage:
    """The storage that holds the path."""
    return _gcs() if is_gcs(path) else _LOCAL


class LocalStorage:
    """The local file system."""

    def __init__(self) -> None:
        # Folders known to exist: one system call less for each of a unit's files.
        self._folders: set[str] = set()

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

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
        with open(path, "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]

    def write_many(self, files: Iterable[tuple[str, bytes]]) -> None:
        for path, data in files:
            self.write(path, data)

    def write_atomically(self, path: str, data: bytes) -> None:
        # A fixed temporary name: the leftovers of a killed process are replaced, not collected.
        temporary = f"{path}.part"
        self.write(temporary, data)
        os.replace(temporary, path)

    def upload(self, local_path: str, path: str) -> None:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        temporary = f"{path}.part"
        shutil.copyfile(local_path, temporary)
        os.replace(temporary, path)

    def concatenate(self, sources: list[str], target: str, workspace: str, size: int) -> None:
        for folder in (workspace, os.path.dirname(target) or "."):
            os.makedirs(folder, exist_ok=True)
        temporary = join(workspace, os.path.basename(target))
        with open(temporary, "wb") as file:
            for source in sources:
                with open(source, "rb") as part:
                    shutil.copyfileobj(part, file, _COPIED_AT_ONCE)
            if file.tell() != size:
                raise ValueError(f"{target}: {file.tell()} bytes to be joined, not {size}")
            # The sources are deleted next: a machine that stops then must have this on its disk.
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)

    def walk(self, folder: str) -> Iterator[str]:
        return iter(sorted(self._walk(folder, "")))

    def _walk(self, folder: str, prefix: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.is_dir():
                yield from self._walk(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name

    def children(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
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


class CloudStorage:
    """Google Cloud Storage: one client per process, one request an object."""

    def __init__(self) -> None:
        import google.cloud.storage as storage

        if os.environ.get("STORAGE_EMULATOR_HOST"):
            from google.auth.credentials import AnonymousCredentials

            self._client = storage.Client(credentials=AnonymousCredentials(), project="emulated")
        else:
            self._client = storage.Client()
        self._pool = ThreadPoolExecutor(GCS_THREADS, thread_name_prefix="gcs")

    def _blob(self, path: str) -> Any:
        bucket, _, name = path.removeprefix(GCS_PREFIX).partition("/")
        return self._client.bucket(bucket).blob(name)

    def read(self, path: str) -> bytes:
        from google.api_core.exceptions import NotFound

        try:
            return self._blob(path).download_as_bytes()
        except NotFound as error:
            raise FileNotFoundError(path) from error

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        from google.api_core.exceptions import NotFound, RequestRangeNotSatisfiable

        try:
            return self._blob(path).download_as_bytes(start=offset, end=offset + length - 1)
        except RequestRangeNotSatisfiable:
            return b""
        except NotFound as error:
            raise FileNotFoundError(path) from error

    def open(self, path: str) -> BinaryIO:
        blob = self._find(path)
        if blob is None:
            raise FileNotFoundError(path)
        return cast(BinaryIO, blob.open("rb", chunk_size=_GCS_CHUNK))

    def size(self, path: str) -> int | None:
        blob = self._find(path)
        return None if blob is None else blob.size

    def _find(self, path: str) -> Any:
        bucket, _, name = path.removeprefix(GCS_PREFIX).partition("/")
        return self._client.bucket(bucket).get_blob(name)

    def write(self, path: str, data: bytes) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY

        # Safe to retry: the name is deterministic and so are the bytes.
        # A page is to be shown by a browser, not to be saved.
        kind = "text/html; charset=utf-8" if path.endswith(".html") else "application/octet-stream"
        self._blob(path).upload_from_string(data, content_type=kind, retry=DEFAULT_RETRY)

    def write_many(self, files: Iterable[tuple[str, bytes]]) -> None:
        for done in [self._pool.submit(self.write, path, data) for path, data in files]:
            done.result()

    write_atomically = write  # an object appears whole or not at all

    def upload(self, local_path: str, path: str) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY

        self._blob(path).upload_from_filename(local_path, retry=DEFAULT_RETRY)

    def concatenate(self, sources: list[str], target: str, workspace: str, size: int) -> None:
        # A tree: every request takes a few objects, so parts are composed of parts.
        parts, made = sources, []
        level = 0
        try:
            while len(parts) > GCS_COMPOSED:
                groups = [parts[i : i + GCS_COMPOSED] for i in range(0, len(parts), GCS_COMPOSED)]
                names = [
                    join(workspace, posixpath.basename(target), f"{level}-{i}")
                    for i in range(len(groups))
                ]
                made += names
                for done in [
                    self._pool.submit(self._compose, group, name)
                    for group, name in zip(groups, names, strict=True)
                ]:
                    done.result()
                parts, level = names, level + 1
            composed = self._compose(parts, target)
            if composed != size:
                self.delete_files([target])
                raise ValueError(f"{target}: {composed} bytes to be joined, not {size}")
        finally:
            self.delete_files(made)

    def _compose(self, sources: list[str], target: str) -> int:
        from google.api_core.exceptions import NotFound
        from google.cloud.storage.retry import DEFAULT_RETRY

        blob = self._blob(target)
        blob.content_type = "application/octet-stream"
        try:
            # Safe to retry: what comes out is a function of the names.
            blob.compose([self._blob(source) for source in sources], retry=DEFAULT_RETRY)
        except NotFound as error:
            raise FileNotFoundError(f"{sources[0]} or one of those joined with it") from error
        return blob.size

    def walk(self, folder: str) -> Iterator[str]:
        prefix = folder.rstrip("/") + "/"
        bucket, _, name = prefix.removeprefix(GCS_PREFIX).partition("/")
        # Object names come back sorted by their UTF-8 bytes, which is Python's order of str.
        fields = "items(name),nextPageToken"
        for blob in self._client.list_blobs(bucket, prefix=name, fields=fields):
            relative = blob.name[len(name) :]
            if relative and not relative.endswith("/"):
                yield relative

    def children(self, folder: str) -> list[str]:
        prefix = folder.rstrip("/") + "/"
        bucket, _, name = prefix.removeprefix(GCS_PREFIX).partition("/")
        found = self._client.list_blobs(bucket, prefix=name, delimiter="/")
        names = {blob.name[len(name) :] for blob in found}
        names |= {below[len(name) :].rstrip("/") for below in found.prefixes}
        return sorted(names - {""})

    def glob(self, pattern: str) -> list[str]:
        first = min(i for i, c in enumerate(pattern) if c in GLOB_CHARACTERS)
        folder = pattern[:first].rpartition("/")[0]
        paths = (join(folder, name) for name in self.walk(folder))
        depth = None if "**" in pattern else pattern.count("/")
        return sorted(
            path
            for path in paths
            if fnmatch.fnmatchcase(path, pattern.replace("**/", "*"))
            and (depth is None or path.count("/") == depth)
        )

    def exists(self, path: str) -> bool:
        return bool(self._blob(path).exists()) or next(iter(self.walk(path)), None) is not None

    def delete(self, path: str) -> None:
        names = list(self.walk(path))
        self.delete_files([join(path, name) for name in names] or [path])

    def delete_files(self, paths: Iterable[str]) -> None:
        for done in [self._pool.submit(self._delete, path) for path in paths]:
            done.result()

    def _delete(self, path: str) -> None:
        from google.api_core.exceptions import NotFound
        from google.cloud.storage.retry import DEFAULT_RETRY

        with contextlib.suppress(NotFound):
            self._blob(path).delete(retry=DEFAULT_RETRY)


_LOCAL = LocalStorage()


@functools.cache
def _gcs() -> CloudStorage:
    return CloudStorage()
