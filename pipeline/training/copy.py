"""A data set on gs:// that is trained with: its files on this machine's disk, each copied once.

    $FGBG_CACHE/data_sets/KEY/   files as they are named in the data set

Training reads every file in every epoch. KEY is of the job and the manifest, which holds a checksum
of every picture: equal keys mean equal pictures, wherever the data set lies. A file gets its name
when it is whole and was checked, so that what has one is neither asked for nor checked again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence

import filelock

from fgbg.files import fetch, storage
from fgbg.files.in_place import in_place
from fgbg.files.ordered_map import GCS_THREADS, in_order
from fgbg.models.training.samples import Files, Records
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.progress import Progress, byte_size, say
from fgbg.pipeline.training import set as training_set
from fgbg.pipeline.training.set import TrainingSet
from fgbg.transforms.records import file as tfrecord_file
from fgbg.transforms.records.file import RecordError

# What a file takes on the disk is a multiple of this, on most file systems.
_BLOCK = 4096


def on_this_machine(found: TrainingSet, splits: tuple[str, ...]) -> TrainingSet:
    """The same data set with the files of some splits on the local disk.

    Args:
        found: The data set; a local one is given back as it is.
        splits: Those that will be read. Files of others are left where they are.

    Raises:
        UserError: A file is missing or damaged, or the disk has no room for them.
    """
    if not storage.is_gcs(found.path):
        return found
    folder = os.path.join(fetch.default_cache_dir(), "data_sets", found.sha256[:16])
    needed = [path for split in splits for path in _files(found.data.splits[split])]
    names = [path[len(found.path) + 1 :] for path in needed]
    if strange := [name for name in names if {"", ".", ".."} & set(name.split("/"))]:
        raise UserError(f"{found.path}: {strange[0]!r} in its manifest names no file of a data set")
    with _alone(folder):
        # An empty file is what a machine that lost its power may leave.
        there = {name for name, size in storage.storage_for(folder).sizes(folder).items() if size}
        missing = [name for name in names if name not in there]
        if missing:
            _copy(found, missing, len(names), folder)
        else:
            say(f"{found.path}: read from its copy in {folder}")
    copied = dict(found.data.splits)
    for split in splits:
        samples = copied[split] = _moved(found.data.splits[split], found.path, folder)
        if isinstance(samples, Records):
            training_set.check_count(found, split, samples.shards)
    return dataclasses.replace(found, data=dataclasses.replace(found.data, splits=copied))


def _files(samples: Files | Records) -> list[str]:
    if isinstance(samples, Records):
        return list(samples.shards)
    return [*samples.overlays, *samples.masks, *samples.depths]


def _moved(samples: Files | Records, path: str, folder: str) -> Files | Records:
    """The samples with their files in another folder."""

    def moved(files: Sequence[str]) -> list[str]:
        return [storage.join(folder, file[len(path) + 1 :]) for file in files]

    if isinstance(samples, Records):
        return dataclasses.replace(samples, shards=moved(samples.shards))
    return dataclasses.replace(
        samples,
        overlays=moved(samples.overlays),
        masks=moved(samples.masks),
        depths=moved(samples.depths),
    )


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Keeps other processes of this machine from copying the same; they wait."""
    lock = filelock.FileLock(f"{folder}.lock")
    try:
        os.makedirs(folder, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            say(f"{folder}: waiting for another fgbg that copies to it")
            lock.acquire()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _copy(found: TrainingSet, names: list[str], needed: int, folder: str) -> None:
    """Copies files by their names in the data set, in a few threads."""
    sizes = _sizes(found.path, names)
    if absent := [storage.join(found.path, name) for name in names if name not in sizes]:
        raise training_set.missing(found.path, absent)
    bytes_ = sum(-(-size // _BLOCK) * _BLOCK for size in sizes.values())
    free = shutil.disk_usage(folder).free
    if bytes_ > free:
        raise UserError(
            f"{found.path}: {len(names):,} files of {byte_size(bytes_)} are to be copied to "
            f"{folder}, where {byte_size(free)} are free; set FGBG_CACHE to a folder with more room"
        )
    say(
        f"{found.path}: copying {len(names):,} of {needed:,} files, {byte_size(bytes_)}, to "
        f"{folder}; they stay there for the next training"
    )

    def copy(name: str) -> None:
        path, target = storage.join(found.path, name), storage.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if path in found.checksums:
            _copy_picture(path, target, found.checksums[path])
        else:
            _copy_shard(path, target)

    progress = Progress("files", needed, needed - len(names))
    try:
        for done, _ in enumerate(in_order(copy, names, GCS_THREADS), start=1):
            progress.update(done, note="copied to this machine")
    except OSError as error:
        path = str(error.filename or "")
        if storage.is_gcs(path) and isinstance(error, FileNotFoundError):
            raise training_set.missing(found.path, [path]) from error
        if storage.is_gcs(path):
            raise
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from error
    finally:
        progress.close()


def _sizes(path: str, names: list[str]) -> dict[str, int]:
    """Bytes of those files that are there, by listings of the folders that they are in."""
    wanted = set(names)
    store = storage.storage_for(path)
    folders = sorted({name.partition("/")[0] for name in names})

    def listed(folder: str) -> dict[str, int]:
        found = store.sizes(storage.join(path, folder)).items()
        return {f"{folder}/{name}": n for name, n in found if f"{folder}/{name}" in wanted}

    sizes: dict[str, int] = {}
    for some in in_order(listed, folders, GCS_THREADS):
        sizes.update(some)
    return sizes


def _copy_picture(path: str, target: str, checksum: int) -> None:
    data = storage.storage_for(path).read(path)
    if zlib.crc32(data) != checksum:
        raise UserError(
            f"{path}: damaged or replaced: its checksum is not the manifest's; fgbg verify lists "
            "all such files"
        )
    storage.storage_for(target).write_atomically(target, data)


def _copy_shard(path: str, target: str) -> None:
    with in_place(target) as unfinished:
        storage.storage_for(path).download(path, unfinished)
        try:
            with open(unfinished, "rb") as file:
                for _ in tfrecord_file.read_frames(file):
                    pass
        except RecordError as error:
            raise UserError(
                f"{path}: {error}. Make the shard again: delete it and run fgbg generate"
            ) from error
