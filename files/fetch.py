"""Downloads weight files once, into a cache that processes share.

A download goes to NAME.part and gets its final name only when it is whole and checked, so a file
under its final name can be used without asking. A broken connection is resumed where it broke, by
the same process or by a later one. A lock lets one process download while others wait for it.

Beside each file lies NAME.json with its address, size and SHA-256. Where no SHA-256 is known
beforehand, the first download's is recorded there and every later use is checked against it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import filelock

from fgbg.files.download import Download, FetchError, beside, file_sha256, read_record
from fgbg.files.http import shown

__all__ = [
    "PUBLISHED",
    "FetchError",
    "PublishedModel",
    "cache_name",
    "default_cache_dir",
    "fetch",
    "file_sha256",
    "read_record",
]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishedModel:
    """A weight file that DenseDepth's authors published.

    Attributes:
      url: its address in the README of ialhashim/DenseDepth.
      variable: the environment variable that overrides the address.
      max_depth_m: the depth in metres that the network's range ends at.
      sha256: of the file at url, lower-case hex; None while not known for certain.
      size: of the file at url in bytes; None while not known for certain.
    """

    url: str
    variable: str
    max_depth_m: float
    sha256: str | None = None
    size: int | None = None


PUBLISHED: dict[str, PublishedModel] = {
    "nyu": PublishedModel(
        "https://s3-eu-west-1.amazonaws.com/densedepth/nyu.h5", "FGBG_NYU_URL", 10.0
    ),
    "kitti": PublishedModel(
        "https://s3-eu-west-1.amazonaws.com/densedepth/kitti.h5", "FGBG_KITTI_URL", 80.0
    ),
}


def default_cache_dir() -> Path:
    """$FGBG_CACHE, or ~/.cache/fgbg."""
    folder = os.environ.get("FGBG_CACHE")
    return Path(folder) if folder else Path.home() / ".cache" / "fgbg"


def fetch(
    url: str,
    sha256: str | None,
    size: int | None,
    cache_dir: str | os.PathLike[str],
    *,
    md5: str | None = None,
    tries: int = 5,
    pause_s: float = 1.0,
    timeout_s: float = 30.0,
    progress: bool = True,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Returns the path of a file's copy in the cache, downloaded if it is not there yet.

    Args:
      url: its http or https address. Each address has its own place in the cache.
      sha256: its SHA-256 in hex; None to record the first download's and check against that.
      size: its size in bytes, or None.
      cache_dir: the folder; made if missing. Processes may share it.
      md5: its MD5 in hex, where that is what is known of it; the first download is checked by it.
      tries: tries in a row that bring the download no further before it fails.
      pause_s: seconds before the second try, doubled for each further one up to a minute; a
        server's Retry-After goes before.
      timeout_s: seconds that connecting may take, and that the server may send nothing.
      progress: whether to show a progress bar on stderr.
      sleep: waits that many seconds.

    Raises:
      FetchError: the file cannot be had, or is not the one expected.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise FetchError(
            f"{shown(url)}: not an http or https address; give a file on disk as its path"
        )
    path = Path(cache_dir) / cache_name(url)
    try:
        if _is_good(path, sha256, size):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            if _is_good(path, sha256, size):  # another process was first
                return path
            download = Download(url, path, sha256, size, timeout_s, progress, md5)
            download.run(tries, pause_s, sleep)
    except OSError as error:
        raise FetchError(f"{shown(url)}: cannot be kept at {path}: {error}") from error
    return path


def cache_name(url: str) -> str:
    """The name of an address's file in the cache: its own, and digits that tell mirrors apart.

    Behind a "#", which no server is sent, an address may say what the file is called.
    """
    parts = urlsplit(url)
    name = Path(unquote(parts.fragment or parts.path)).name or "download"
    name = re.sub(r"[^A-Za-z0-9._-]", "_", name)[-100:]
    stem, suffix = os.path.splitext(name)
    return f"{stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}{suffix}"


def _is_good(path: Path, sha256: str | None, size: int | None) -> bool:
    """Whether the file is there and is the expected, or else the recorded, one."""
    if not path.is_file():
        return False
    record = read_record(path)
    found = path.stat().st_size
    if found != (record.get("size", found) if size is None else size):
        _LOG.warning("%s has %d bytes, not those expected: fetching it again", path, found)
        return False
    wanted = sha256 or record.get("sha256")
    if wanted is None:
        return False  # nothing to check it by: whoever put it there, it is not known to be whole
    if file_sha256(path) != str(wanted).lower():
        _LOG.warning("%s does not have the SHA-256 %s: fetching it again", path, wanted)
        return False
    return True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the file's lock, which the system gives back should the process die."""
    lock = filelock.FileLock(str(beside(path, ".lock")))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        _LOG.warning("another process is downloading %s: waiting for it", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
