"""The input pictures: found, checked before any work starts, numbered, and stored as used."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterable

from fgbg.files import durable, foreign, storage
from fgbg.files.ordered_map import LOCAL_THREADS, in_order
from fgbg.files.sealed import DamagedError, seal, unseal
from fgbg.files.tables import TableError
from fgbg.transforms.dataset import input_names, left_out, sources
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import InputPicture, Job
from fgbg.transforms.pixels import formats, pictures
from fgbg.transforms.pixels.picture_error import PictureError, too_large

BACKGROUND, FOREGROUND = "background", "foreground"


class InputError(ValueError):
    """Inputs that cannot be used at all: the message says which and what to do."""


@dataclasses.dataclass(frozen=True)
class Checked:
    """One input file after the check.

    Attributes:
        path: Where it is.
        file: The name that it has in the data set (see `input_names`).
        sha256: Of its bytes; "" if it could not be read.
        width: Of the picture, upright.
        height: Likewise.
        problem: What is wrong with it; "" if nothing is.
        notes: What is to be said of it though it can be used.
        source: Author, licence and page, where a sources.csv knows the file.
    """

    path: str
    file: str
    sha256: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""
    notes: tuple[str, ...] = ()
    source: dict[str, str] = dataclasses.field(default_factory=dict)


def natural_order(path: str) -> list[tuple[int, int | str]]:
    """Sorting key that puts 2.jpg before 10.jpg; the same everywhere."""
    parts = re.split(r"(\d+)", path)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


def find(source: str, what: str) -> tuple[list[str], list[str]]:
    """The input files of a folder or a pattern.

    Args:
        source: A folder (its files, not those of its sub-folders), or a glob pattern with `**`
            for any depth; local or gs://.
        what: The option it was given for, for messages.

    Returns:
        Paths of the inputs in natural order; and paths in the folder that are no pictures by
        their names and were left out. Every match of a pattern is an input, but for sheets that
        fgbg has drawn.

    Raises:
        InputError: There is no such folder, or nothing in it.
    """
    store = storage.storage_for(source)
    if storage.is_pattern(source) and not os.path.isdir(source):
        matches = store.glob(source)
        if not matches:
            raise InputError(f"{what} {source}: no file matches this pattern")
        wanted = left_out.DRAWINGS in source  # such a folder itself is asked for
        drawn = [path for path in matches if left_out.is_drawing(path) and not wanted]
        found = sorted(set(matches) - set(drawn), key=natural_order)
        if not found:
            raise InputError(f"{what} {source}: matches nothing but sheets that fgbg has drawn")
        return found, drawn
    if not store.exists(source):
        raise InputError(f"{what} {source}: no such folder")
    if not storage.is_gcs(source) and not os.path.isdir(source):
        is_what = foreign.kind(source) or "a file"
        raise InputError(f"{what} {source}: {is_what}, not a folder; give its folder or a pattern")
    visible = [name for name in store.files(source) if not name.startswith(".")]
    visible = [name for name in visible if name != sources.SOURCES]
    found = [n for n in visible if os.path.splitext(n)[1].lower() in formats.EXTENSIONS]
    ignored = sorted(set(visible) - set(found))
    if not found:
        endings = " ".join(sorted(formats.EXTENSIONS))
        by_content = left_out.pictures_among([storage.join(source, name) for name in ignored])
        if by_content:
            raise InputError(
                f"{what} {source}: no file in this folder is a picture by its name ({endings}), "
                f"but these are by what they hold: {left_out.few(by_content)}; rename them, or "
                f"give the pattern '{source.rstrip('/')}/*'"
            )
        raise InputError(
            f"{what} {source}: no pictures in this folder ({endings}); for pictures in "
            f"sub-folders give a pattern such as '{source.rstrip('/')}/**/*.jpg'"
        )
    ordered = sorted(found, key=natural_order)
    return [storage.join(source, n) for n in ordered], [storage.join(source, n) for n in ignored]


def check(
    paths: list[str],
    kind: str,
    canvas: tuple[int, int],
    known: dict[str, InputPicture],
    done: Callable[[], object],
    source: str = "",
) -> list[Checked]:
    """Reads every input whole and says what is wrong with those that cannot be used.

    Args:
        paths: The files.
        kind: BACKGROUND or FOREGROUND.
        canvas: Width and height of the canvas.
        known: Inputs of an earlier run, by what they are called: equal bytes are not decoded
            again.
        done: Called after every file.
        source: The folder or pattern that the files were found by.

    Returns:
        One entry per path, in order.

    Raises:
        InputError: A sources.csv beside them cannot be read.
    """
    try:
        origins = sources.read(paths)
    except TableError as error:
        raise InputError(str(error)) from error
    by_hash = {picture.sha256: picture for picture in known.values()}
    one = functools.partial(_check, kind=kind, canvas=canvas, known=by_hash, done=done)
    checked = list(in_order(one, paths, LOCAL_THREADS))
    called = input_names.names({entry.path: entry.sha256 for entry in checked}, source, known)
    return [
        dataclasses.replace(entry, file=called[entry.path], source=origins.get(entry.path, {}))
        for entry in checked
    ]


def _check(
    path: str,
    kind: str,
    canvas: tuple[int, int],
    known: dict[str, InputPicture],
    done: Callable[[], object],
) -> Checked:
    file = path.rpartition("/")[2]
    try:
        data = foreign.read(path)
    except OSError as error:
        return Checked(path, file, problem=f"cannot be read: {error.strerror or error}")
    except MemoryError:
        return Checked(path, file, problem=too_large())
    finally:
        done()
    sha256 = hashlib.sha256(data).hexdigest()
    before = known.get(sha256)
    if before is not None:
        return Checked(path, file, sha256, before.width, before.height)
    notes: list[str] = []
    try:
        picture = pictures.read_picture(data, notes)
        if kind == FOREGROUND:
            pictures.crop_foreground(picture, canvas, notes)
    except PictureError as error:
        return Checked(path, file, sha256, problem=str(error))
    except MemoryError:
        return Checked(path, file, sha256, problem=too_large())
    width, height = picture.shape[1], picture.shape[0]
    return Checked(path, file, sha256, width, height, notes=tuple(notes))


def duplicates(inputs: Iterable[InputPicture]) -> list[list[str]]:
    """Groups of files with equal bytes."""
    by_hash: dict[str, list[str]] = {}
    for picture in inputs:
        by_hash.setdefault(picture.sha256, []).append(picture.file)
    return [files for files in by_hash.values() if len(files) > 1]


def input_files(job: Job) -> dict[str, tuple[str, InputPicture]]:
    """The inputs as a data set keeps them: kind and input by path relative to the data set."""
    files = {
        f"{jobs.BACKGROUNDS}/bg{entry.number}.jpg": (BACKGROUND, entry) for entry in job.backgrounds
    }
    return files | {
        f"{jobs.FOREGROUNDS}/fg_{entry.number}.png": (FOREGROUND, entry)
        for entry in job.foregrounds
    }


def store_inputs(output: str, job: Job, paths: dict[tuple[str, str], str]) -> None:
    """Writes the inputs as used, where they are not there yet or damaged.

    Args:
        output: The data set.
        job: Its job.
        paths: Where each input is, by kind and file name.

    Raises:
        InputError: An input has changed since it was checked.
    """
    canvas = job.configuration.canvas

    def store(name: str) -> None:
        kind, entry = files[name]
        path = paths[kind, entry.file]
        data = foreign.read(path)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise InputError(f"{path}: it changed while it was being read; run again")
        picture = pictures.read_picture(data)
        if kind == BACKGROUND:
            encoded = pictures.encode_background(pictures.fit_background(picture, canvas))
        else:
            encoded = pictures.encode_foreground(pictures.crop_foreground(picture, canvas))
        target = storage.join(output, name)
        storage.storage_for(target).write_atomically(target, encoded, durable=False)
        recorded[name] = checksum(encoded)

    files = input_files(job)
    recorded = recorded_inputs(output)
    missing = list(wrong_inputs(output, job, recorded))
    if missing:
        for _ in in_order(store, missing, LOCAL_THREADS):
            pass
        durable.sync(output)
        record_inputs(output, {name: recorded[name] for name in files})


def checksum(data: bytes) -> list[int]:
    """Length and CRC-32 of a file, as recorded for files that stand beside the samples."""
    return [len(data), zlib.crc32(data)]


def recorded_inputs(output: str) -> dict[str, list[int]]:
    """Checksums of the inputs as used, by path; empty where none are recorded, or damaged ones."""
    try:
        return read_recorded_inputs(output)
    except (FileNotFoundError, NotADirectoryError, DamagedError):
        return {}


def read_recorded_inputs(output: str) -> dict[str, list[int]]:
    """Checksums of the inputs as used, by path.

    Raises:
        FileNotFoundError: None are recorded.
        DamagedError: What is there is not what was written.
    """
    path = storage.join(output, jobs.INPUTS)
    found = unseal(storage.storage_for(path).read(path), path)
    for name, values in found.items():
        if not isinstance(values, list) or [type(value) for value in values] != [int, int]:
            raise DamagedError(path, f"says {values!r} of {name}, not a size and a checksum")
    return found


def record_inputs(output: str, checksums: dict[str, list[int]]) -> None:
    """Records the checksums of the inputs as used."""
    path = storage.join(output, jobs.INPUTS)
    storage.storage_for(path).write_atomically(path, seal(checksums))


def missing_inputs(output: str, job: Job) -> list[str]:
    """The inputs as used that are not there, by path relative to the data set."""
    there = _sizes(output)
    return [name for name in input_files(job) if name not in there]


def _sizes(output: str) -> dict[str, int]:
    """Bytes of what lies among the inputs as used, by path relative to the data set."""
    store = storage.storage_for(output)
    return {
        f"{folder}/{name}": size
        for folder in (jobs.BACKGROUNDS, jobs.FOREGROUNDS)
        for name, size in store.sizes(storage.join(output, folder)).items()
    }


def wrong_inputs(
    output: str, job: Job, recorded: dict[str, list[int]], whole: bool = False
) -> dict[str, str]:
    """What is wrong with the inputs as used, by path relative to the data set.

    On gs://, where an object is whole or not there, sizes are compared and nothing is read, unless
    that is asked for.

    Args:
        output: The data set.
        job: Its job.
        recorded: From `recorded_inputs`.
        whole: Whether to read them on gs:// too.
    """
    store = storage.storage_for(output)
    sizes = _sizes(output)
    found = {}
    for name in input_files(job):
        if name not in sizes:
            found[name] = "missing"
        elif name not in recorded:
            found[name] = "its checksum is not recorded"
        elif sizes[name] != recorded[name][0]:
            found[name] = f"has {sizes[name]} bytes, not {recorded[name][0]}"
        elif storage.is_gcs(output) and not whole:
            continue
        elif checksum(store.read(storage.join(output, name))) != recorded[name]:
            found[name] = "has changed since it was stored"
    return found
