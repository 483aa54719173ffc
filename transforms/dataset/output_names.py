"""What the files made of pictures are called: as the pictures are, in the same sub-folders."""

from __future__ import annotations

import itertools
import os
import posixpath
from collections.abc import Mapping, Sequence

from fgbg.files import storage
from fgbg.transforms import escaping
from fgbg.transforms.dataset import input_names


def names(sources: Mapping[str, str]) -> dict[str, str]:
    """A name for each picture, without ending: each differently, whatever else is there.

    A picture is called by its path below the folder that it was found in, or that its pattern
    begins in: cats/1 and dogs/1 of photos/*/1.jpg, 1 of the folder photos. Pictures of one name
    with different endings have these in their names (dog_jpg, dog_png); others of one name, as of
    two folders, are called by their paths below the folder that all of them lie in.

    Args:
        sources: The file, folder or pattern that each picture was found by, by its path.

    Returns:
        By path. Equal ones are left only where both are one file.
    """
    stems = {path: _stem(_below(path, source)) for path, source in sources.items()}
    for paths in _alike(stems):
        if not _differ_by_ending(paths):
            stems.update(_apart(paths))
    for paths in _alike(stems):
        if _differ_by_ending(paths):
            stems.update((p, f"{stems[p]}_{os.path.splitext(p)[1].lstrip('.')}") for p in paths)
    return stems


def kept(called: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Names, but those of an earlier run where it only had other folders before them.

    A picture that was called by its own name stays so when another one of that name comes.

    Args:
        called: From `names`.
        before: What an earlier run called pictures, by path.
    """
    found = dict(called)
    for path, name in called.items():
        earlier = before.get(path, name)
        if earlier != name and posixpath.basename(earlier) == posixpath.basename(name):
            found[path] = earlier
    return found


def _below(path: str, source: str) -> str:
    """A picture's path below the folder that it was found in."""
    folder = source.rstrip("/") + "/"
    if path == source:
        return path.rpartition("/")[2]
    if path.startswith(folder):
        return path[len(folder) :]
    parts = posixpath.normpath(input_names.below(path, source)).split("/")
    return "/".join(part for part in parts if part != "..")


def _stem(path: str) -> str:
    # Names that no file can be called by are refused with the file, and told of in a way to print.
    return escaping.name(os.path.splitext(path.lstrip("/"))[0])


def _alike(stems: Mapping[str, str]) -> list[list[str]]:
    """Paths whose names are equal where upper and lower case are one."""
    by_stem: dict[str, list[str]] = {}
    for path, stem in stems.items():
        by_stem.setdefault(stem.lower(), []).append(path)
    return [paths for paths in by_stem.values() if len(paths) > 1]


def _differ_by_ending(paths: Sequence[str]) -> bool:
    return len({os.path.splitext(path)[1].lower() for path in paths}) == len(paths)


def _apart(paths: Sequence[str]) -> dict[str, str]:
    """Names by the paths below the folder that all lie in."""
    parts = {path: _parts(path) for path in paths}
    levels = zip(*(own[:-1] for own in parts.values()))
    shared = sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, levels))
    return {path: _stem("/".join(own[shared:])) for path, own in parts.items()}


def _parts(path: str) -> list[str]:
    whole = path.removeprefix(storage.GCS_PREFIX) if storage.is_gcs(path) else os.path.abspath(path)
    return whole.strip("/").split("/")
