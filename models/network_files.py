"""Networks' files on this machine: copied from gs:// or downloaded, once, whole or not at all.

A graph carries where a network comes from, not where a launcher keeps its copy: a worker on another
machine has no such file. Each machine has a cache (fgbg.files.fetch.default_cache_dir) that its
processes share. What comes from Cloud Storage is kept by its name and its version there, so that
a replaced object is copied anew and never mistaken for the one that was there.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import filelock

from fgbg.files import fetch, storage
from fgbg.files.fetch import FetchError
from fgbg.files.in_place import in_place
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.models.depth import depth_card
from fgbg.models.depth.depth_card import BUILTIN, DepthModel, DepthModelError
from fgbg.models.trained import trained_card


def is_address(source: str) -> bool:
    """Whether a network is downloaded from a web server."""
    return source.startswith(("http://", "https://"))


def on_this_machine(source: str, model: DepthModel) -> str:
    """The local path of a depth network that the graph names; fetched if this machine lacks it.

    Args:
        source: A gs:// file or folder, an http or https address, or a local path.
        model: What it is, from depth.depth_card.inspect at the launcher: any other content is
            refused.

    Raises:
        DepthModelError: It cannot be had, or is not what the job was launched with.
    """
    try:
        if is_address(source):
            cache = fetch.default_cache_dir()
            return str(fetch.fetch(source, model.sha256, None, cache, progress=False))
        if not storage.is_gcs(source):
            if source != BUILTIN and not os.path.exists(source):
                raise DepthModelError(
                    f"{source}: not on this machine; workers elsewhere need --depth_model with a "
                    "gs:// path or the name of a published network"
                )
            return source
        path = local_copy(source)
    except FetchError as error:
        raise DepthModelError(str(error)) from error
    found = depth_card.sha256_of(path)
    if found != model.sha256:
        raise DepthModelError(
            f"{source}: it was replaced since the job was launched: its SHA-256 is {found}, the "
            f"job's is {model.sha256}"
        )
    return path


def local_copy(path: str) -> str:
    """A network's files on the local disk, with the card beside them.

    Args:
        path: A gs:// file or folder; a local path is given back as it is.

    Returns:
        The path of the copy, which has the same name and is not to be changed.

    Raises:
        FetchError: There is nothing of that name, or it cannot be copied.
    """
    if not storage.is_gcs(path):
        return path
    path = path.rstrip("/")
    try:
        return str(_copied(path))
    except OSError as error:
        raise FetchError(f"{path}: cannot be copied to this machine: {error}") from error


def _copied(path: str) -> Path:
    wanted = _wanted(path)
    folder = fetch.default_cache_dir() / "gs" / _key(path, wanted)
    copy = folder / os.path.basename(path)
    if folder.is_dir():
        return copy
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The system gives the lock back should the process die.
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.is_dir():  # else another process was first
            with in_place(str(folder)) as unfinished:
                _copy(path, wanted, Path(unfinished))
    return copy


def _wanted(path: str) -> dict[str, str]:
    """The versions of the objects to copy, by their paths."""
    store = storage.storage_for(path)
    versions = store.versions(path)
    if not versions:
        raise FetchError(f"{path}: no such file or folder")
    for name in versions:
        if {"", ".", ".."} & set(name.split("/")) and name:
            raise FetchError(f"{path}: its object {name!r} has no name that a file could have")
    if trained_card.CARD in versions:  # a folder of fgbg train: its checkpoints are not needed
        kept = (trained_card.CARD, trained_card.KERAS_FILE)
        versions = {name: versions[name] for name in kept if name in versions}
    wanted = {storage.join(path, name) if name else path: v for name, v in versions.items()}
    if "" in versions:
        card = os.path.splitext(path)[0] + ".json"
        version = store.versions(card).get("")
        if version is not None:
            wanted[card] = version
    return wanted


def _key(path: str, wanted: dict[str, str]) -> str:
    text = json.dumps([path, wanted], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _copy(path: str, wanted: dict[str, str], folder: Path) -> None:
    store = storage.storage_for(path)
    parent = path.rpartition("/")[0]

    def copy(source: str) -> None:
        target = folder / source[len(parent) + 1 :]
        target.parent.mkdir(parents=True, exist_ok=True)
        store.download(source, str(target), wanted[source])

    for _ in in_order(copy, wanted, threads_for(path)):
        pass
