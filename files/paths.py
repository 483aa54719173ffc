"""Names of files and objects: which are on Cloud Storage, which are patterns."""

from __future__ import annotations

import posixpath

GCS_PREFIX = "gs://"
# Characters that make a path a pattern, as in Python's glob module.
GLOB_CHARACTERS = frozenset("*?[")


def is_gcs(path: str) -> bool:
    """Whether the path names an object on Cloud Storage."""
    return path.startswith(GCS_PREFIX)


def is_pattern(path: str) -> bool:
    """Whether the path is a glob pattern, not a plain name."""
    return bool(GLOB_CHARACTERS & set(path))


def join(folder: str, *names: str) -> str:
    """One path from a folder and names, with '/' (every platform that we run on takes it)."""
    return posixpath.join(folder, *names)


def trim_slash(path: str) -> str:
    """The path without '/' at its end: one name for a folder, however it was typed."""
    return path.rstrip("/") or "/"
