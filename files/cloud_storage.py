"""Google Cloud Storage behind fgbg.files.storage's interface: one client, one request an object.

Every request has a time-out and is repeated, with growing pauses, after answers 408, 429 and 5xx,
broken connections and time-outs. That is safe because names and bytes are deterministic: a write
that had succeeded unseen is repeated with equal bytes, a delete finds nothing, and what compose
makes is a function of its sources. Each of these can be asked for twice.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import itertools
import math
import os
import posixpath
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, TypeVar, cast

from fgbg.files.ordered_map import GCS_THREADS
from fgbg.files.paths import GCS_PREFIX, GLOB_CHARACTERS, join

_T = TypeVar("_T")
# Objects that one compose request takes.
GCS_COMPOSED = 32
# Environment variable with the seconds that a server may be silent before a request is repeated.
TIMEOUT_VARIABLE = "FGBG_GCS_TIMEOUT"
TIMEOUT_S = 60.0
# A request is repeated for so long, in seconds: some tries also where each of them times out.
RETRIED_FOR_S = 600.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
# So often an object is asked for whose bytes have another checksum than the server says.
_TRIES = 5
# Bytes read ahead from an object that is read in order.
_GCS_CHUNK = 4 << 20
# Else the library asks for each bucket's metadata, for traces: a request that nobody wants, and
# that a role for objects alone is refused.
_NO_BUCKET_METADATA = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
# Connections kept open: threads of ours, and those of the runner that share the client.
_CONNECTIONS = 64


def timeout_s() -> float:
    """Seconds that a server may be silent: $FGBG_GCS_TIMEOUT, or TIMEOUT_S.

    Raises:
        ValueError: The variable holds no positive number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE)
    if not text:
        return TIMEOUT_S
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{TIMEOUT_VARIABLE}={text}: a positive number of seconds is expected")
    return value


def _client() -> Any:
    """A client with connections enough for all threads."""
    import google.cloud.storage as gcs
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError
    from requests.adapters import HTTPAdapter

    os.environ.setdefault(_NO_BUCKET_METADATA, "true")
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        client = gcs.Client(credentials=AnonymousCredentials(), project="emulated")
    else:
        try:
            client = gcs.Client()
        except (DefaultCredentialsError, OSError) as error:
            # OSError: there are credentials, but no project is known.
            raise PermissionError(
                errno.EACCES,
                "no access to Cloud Storage: no credentials, or no project; gcloud auth "
                "application-default login, and GOOGLE_CLOUD_PROJECT, give them",
                GCS_PREFIX,
            ) from error
    adapter = HTTPAdapter(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS)
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, adapter)  # by default, ten are kept and others thrown away
    return client


def _split(path: str) -> tuple[str, str]:
    """Bucket and object of a path."""
    bucket, _, name = path.removeprefix(GCS_PREFIX).partition("/")
    return bucket, name


@contextlib.contextmanager
def _os_errors(path: str) -> Iterator[None]:
    """Raises what the library raises as the OSErrors that local files would give."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption
    from requests.exceptions import RequestException

    try:
        yield
    except exceptions.NotFound as error:
        raise FileNotFoundError(errno.ENOENT, "no such object or bucket", path) from error
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        why = f"no access to it ({error.message})"
        raise PermissionError(errno.EACCES, why, path) from error
    except (
        exceptions.GoogleAPIError,
        GoogleAuthError,
        RequestException,
        DataCorruption,
    ) as error:
        raise OSError(errno.EIO, f"Cloud Storage: {error}", path) from error
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = path
        raise


def _whole(request: Callable[[], _T]) -> _T:
    """Makes a request again whose bytes were damaged on their way, with growing pauses."""
    from google.cloud.storage.exceptions import DataCorruption

    for attempt in range(_TRIES - 1):
        try:
            return request()
        except DataCorruption:
            time.sleep(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt))
    try:
        return request()
    except DataCorruption as error:
        why = f"its bytes arrived damaged {_TRIES} times, by their checksum"
        raise OSError(errno.EIO, why) from error


class CloudStorage:
    """Google Cloud Storage by one client. Errors are OSErrors, as of local files.

    Args:
        silent_s: Seconds that a server may be silent before a request is repeated; None: what
            `timeout_s` says.
        retried_for_s: Seconds for which a request is repeated before it fails.
    """

    def __init__(self, silent_s: float | None = None, retried_for_s: float = RETRIED_FOR_S) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY

        self._client = _client()
        self._pool = ThreadPoolExecutor(GCS_THREADS, thread_name_prefix="gcs")
        pauses = DEFAULT_RETRY.with_delay(initial=_FIRST_PAUSE_S, maximum=_LONGEST_PAUSE_S)
        # Given with every request: some of the library's would not be repeated by default.
        self._how: dict[str, Any] = {
            "timeout": silent_s or timeout_s(),
            "retry": pauses.with_timeout(retried_for_s),
        }

    def _blob(self, path: str, generation: int | None = None) -> Any:
        bucket, name = _split(path)
        return self._client.bucket(bucket).blob(name, generation=generation)

    def read(self, path: str) -> bytes:
        with _os_errors(path):
            return _whole(lambda: self._blob(path).download_as_bytes(**self._how))

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        try:
            with _os_errors(path):
                return self._blob(path).download_as_bytes(
                    start=offset, end=offset + length - 1, **self._how
                )
        except OSError as error:
            if isinstance(error.__cause__, RequestRangeNotSatisfiable):
                return b""
            raise

    def open(self, path: str) -> BinaryIO:
        blob = self._find(path)
        if blob is None:
            raise FileNotFoundError(errno.ENOENT, "no such object or bucket", path)
        return cast(BinaryIO, blob.open("rb", chunk_size=_GCS_CHUNK, **self._how))

    def size(self, path: str) -> int | None:
        blob = self._find(path)
        return None if blob is None else blob.size

    def _find(self, path: str) -> Any:
        bucket, name = _split(path)
        if not name:
            return None
        with _os_errors(path):
            return self._client.bucket(bucket).get_blob(name, **self._how)

    def write(self, path: str, data: bytes) -> None:
        # A page is to be shown by a browser, not to be saved.
        kind = "text/html; charset=utf-8" if path.endswith(".html") else "application/octet-stream"
        with _os_errors(path):
            _whole(
                lambda: self._blob(path).upload_from_string(data, content_type=kind, **self._how)
            )

    def write_many(self, files: Iterable[tuple[str, bytes]]) -> None:
        for done in [self._pool.submit(self.write, path, data) for path, data in files]:
            done.result()

    def write_atomically(self, path: str, data: bytes, durable: bool = True) -> None:
        self.write(path, data)  # an object appears whole or not at all, and stays

    def write_generation(self, path: str, data: bytes, generation: int) -> int:
        """Writes an object if it is of a known generation by now.

        Args:
            path: The object.
            data: Its new content.
            generation: Of the object to replace; 0: there must be none.

        Returns:
            The new generation.

        Raises:
            FileExistsError: The object is of another generation. A request that was repeated may
                say so of what it has written itself: the content tells.
        """
        from google.api_core.exceptions import PreconditionFailed

        blob = self._blob(path)
        try:
            with _os_errors(path):
                blob.upload_from_string(
                    data,
                    content_type="application/json",
                    if_generation_match=generation,
                    **self._how,
                )
        except OSError as error:
            if isinstance(error.__cause__, PreconditionFailed):
                raise FileExistsError(errno.EEXIST, "somebody else has written it", path) from error
            raise
        return int(blob.generation)

    def read_generation(self, path: str) -> tuple[bytes, int]:
        """An object and its generation. Raises FileNotFoundError where there is none."""
        blob = self._find(path)
        if blob is None:
            raise FileNotFoundError(errno.ENOENT, "no such object or bucket", path)
        generation = int(blob.generation)  # before the download, whose answer may lack it
        with _os_errors(path):
            whole = _whole(lambda: self._blob(path, generation).download_as_bytes(**self._how))
            return whole, generation

    def upload(self, local_path: str, path: str) -> None:
        with _os_errors(path):
            _whole(lambda: self._blob(path).upload_from_filename(local_path, **self._how))

    def download(self, path: str, local_path: str, version: str | None = None) -> None:
        generation = int(version.partition(" ")[0]) if version else None
        with _os_errors(path):
            blob = self._blob(path, generation)
            _whole(lambda: blob.download_to_filename(local_path, **self._how))

    def versions(self, path: str) -> dict[str, str]:
        bucket, name = _split(path)
        fields = "items(name,generation,crc32c),nextPageToken"
        found = {}
        with contextlib.suppress(FileNotFoundError), _os_errors(path):
            for blob in self._list(bucket, prefix=name, fields=fields):
                relative = blob.name[len(name) :]
                if relative == "" or (relative.startswith("/") and not relative.endswith("/")):
                    found[relative[1:]] = f"{blob.generation} {blob.crc32c}"
        return found

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
        blob = self._blob(target)
        blob.content_type = "application/octet-stream"
        with _os_errors(f"{sources[0]} or one of those joined with it"):
            blob.compose([self._blob(source) for source in sources], **self._how)
        return blob.size

    def _list(self, bucket: str, **what: Any) -> Any:
        """Objects by pages; a page is one request."""
        return self._client.list_blobs(bucket, **what, **self._how)

    def _walk(self, folder: str, fields: str) -> Iterator[tuple[str, Any]]:
        bucket, prefix = _split(folder.rstrip("/") + "/")
        # Object names come back sorted by their UTF-8 bytes, which is Python's order of str.
        with contextlib.suppress(FileNotFoundError), _os_errors(folder):
            for blob in self._list(bucket, prefix=prefix, fields=fields):
                relative = blob.name[len(prefix) :]
                if relative and not relative.endswith("/"):
                    yield relative, blob

    def walk(self, folder: str) -> Iterator[str]:
        for relative, _ in self._walk(folder, "items(name),nextPageToken"):
            yield relative

    def sizes(self, folder: str) -> dict[str, int]:
        found = self._walk(folder, "items(name,size),nextPageToken")
        return {relative: blob.size for relative, blob in found}

    def files(self, folder: str) -> list[str]:
        return self._level(folder)[0]

    def children(self, folder: str) -> list[str]:
        return sorted(set(itertools.chain(*self._level(folder))))

    def _level(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of the files and of the folders directly in a folder."""
        bucket, prefix = _split(folder.rstrip("/") + "/")
        try:
            with _os_errors(folder):
                found = self._list(bucket, prefix=prefix, delimiter="/")
                files = [blob.name[len(prefix) :] for blob in found]
        except FileNotFoundError:
            return [], []
        folders = [below[len(prefix) :].rstrip("/") for below in found.prefixes]
        return sorted(set(files) - {""}), sorted(set(folders) - {""})

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
        if _split(path)[1]:
            with _os_errors(path):
                if self._blob(path).exists(**self._how):
                    return True
        return next(self.walk(path), None) is not None

    def delete(self, path: str) -> None:
        names = list(self.walk(path))
        self.delete_files([join(path, name) for name in names] or [path])

    def delete_files(self, paths: Iterable[str]) -> None:
        for done in [self._pool.submit(self._delete, path) for path in paths]:
            done.result()

    def delete_empty(self, folders: Iterable[str]) -> None:
        pass  # there are no folders

    def _delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError), _os_errors(path):
            self._blob(path).delete(**self._how)
