"""What inputs are called in a data set: their own names, with folders only where needed."""

from __future__ import annotations

from collections.abc import Mapping

from fgbg.files.paths import GLOB_CHARACTERS
from fgbg.transforms.job.job import InputPicture


def names(
    hashes: Mapping[str, str], source: str, known: Mapping[str, InputPicture]
) -> dict[str, str]:
    """What each input is called in the data set: each differently, and the same in every run.

    A file is called by its own name. Files of one name in several folders (cats/1.jpg and
    dogs/1.jpg) are called by their paths below the folder that the pattern begins in; but what an
    earlier run called by its own name, before there was another one, keeps it.

    Args:
        hashes: SHA-256 of the files, by path.
        source: The folder or pattern that they were found by.
        known: Inputs of an earlier run, by what they are called.

    Returns:
        By path.
    """
    by_name: dict[str, list[str]] = {}
    for path in hashes:
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    called = {}
    for own, paths in by_name.items():
        if len(paths) == 1:
            called[paths[0]] = own
            continue
        under = {path: below(path, source) for path in paths}
        as_below = {p for p, name in under.items() if _is_known(known, name, hashes[p])}
        kept = [p for p in paths if p not in as_below and _is_known(known, own, hashes[p])]
        if kept and own not in {under[path] for path in as_below}:
            # A file of this name right in the pattern's folder came later.
            under = {path: f"./{own}" if name == own else name for path, name in under.items()}
            under[kept[0]] = own
        called.update(under)
    return called


def below(path: str, source: str) -> str:
    """A path relative to the folder that a pattern begins in."""
    first = next((i for i, c in enumerate(source) if c in GLOB_CHARACTERS), len(source))
    folder = source[: source.rfind("/", 0, first) + 1]
    return path[len(folder) :].lstrip("/") if path.startswith(folder) else path


def _is_known(known: Mapping[str, InputPicture], name: str, sha256: str) -> bool:
    return name in known and known[name].sha256 == sha256
