"""What is labelled: pictures in folders, in WebDataset shards, or the overlays of a data set.

Labels are called after their picture: by its path below the folder that was given, by its key in
its shard, or by its key in the data set's manifest.
"""

from __future__ import annotations

import functools
import os
import re
import tarfile
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fgbg.files import foreign, storage
from fgbg.transforms import escaping
from fgbg.transforms.dataset import catalogue, left_out, manifest
from fgbg.transforms.dataset.catalogue import InputError
from fgbg.transforms.dataset.sample import SampleReader
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job import job as jobs
from fgbg.transforms.pixels import formats

WHAT = "SOURCE"
# Fields of a WebDataset sample that hold its picture, where several members are pictures.
USUAL_FIELDS = ("jpg", "jpeg", "png", "webp", "image.jpg", "image.png", "overlay.jpg")
_SHARD = ".tar"


class Item(NamedTuple):
    """A picture to be labelled.

    Attributes:
        name: What its labels are called, without their ending.
        path: The file, the shard, or the folder of the data set that it is in.
        version: What tells its content from a later one.
        offset: Of its first byte in a shard.
        length: Its bytes in a shard.
        row: Of a data set's manifest, from 0; None: a file, or in a shard.
        target: The shard that its labels go to; "" for files of their own.
    """

    name: str
    path: str
    version: str
    offset: int = 0
    length: int = 0
    row: int | None = None
    target: str = ""

    @property
    def told(self) -> str:
        """Where it is, for messages."""
        if self.target:
            return f"{self.path}: {self.name}"
        return self.path if self.row is None else storage.join(self.path, self.name)


def find(sources: Iterable[str], field: str | None = None) -> tuple[list[Item], list[str]]:
    """The pictures of all sources.

    Args:
        sources: Picture files, shards (.tar), data sets, folders of pictures or of shards, or glob
            patterns; local or gs://.
        field: Of WebDataset samples, the ending of the member that is the picture, such as "jpg";
            None: the only picture, or the first of USUAL_FIELDS.

    Returns:
        The pictures in order, and what is to be said of files that were left out.

    Raises:
        InputError: A source cannot be used, or two pictures would have the same labels.
    """
    items: list[Item] = []
    notes: list[str] = []
    for source in dict.fromkeys(sources):
        if storage.storage_for(source).exists(storage.join(source, jobs.JOB_FILE)):
            items += _of_data_set(source)
            continue
        paths, folder, ignored = _files(source)
        notes += left_out.lines(ignored, source)
        versions = _versions(paths, folder)
        for path in paths:
            if path.endswith(_SHARD):
                items += _of_shard(path, versions[path], field)
            else:
                name = os.path.splitext(path.removeprefix(folder))[0]
                items.append(Item(name, path, versions[path]))
    _refuse_clashes(items)
    return items, notes


def _files(source: str) -> tuple[list[str], str, list[str]]:
    """The files of a source; the folder, with its slash, that names go from; what is left out."""
    store = storage.storage_for(source)
    if not storage.is_pattern(source) and store.size(source) is not None:
        return [source], source[: source.rfind("/") + 1], []
    shards: list[str] = []
    if not storage.is_pattern(source):
        names = (name for name in store.files(source) if name.endswith(_SHARD))
        shards = [storage.join(source, name) for name in names]
    if shards:
        return sorted(shards, key=catalogue.natural_order), _with_slash(source), []
    paths, ignored = catalogue.find(source, WHAT)
    if storage.is_pattern(source) and not os.path.isdir(source):
        fixed = re.split(r"[*?\[]", source, maxsplit=1)[0]
        return paths, fixed[: fixed.rfind("/") + 1], ignored
    return paths, _with_slash(source), ignored


def _with_slash(folder: str) -> str:
    return folder.rstrip("/") + "/"


def _versions(paths: list[str], folder: str) -> dict[str, str]:
    """What tells the content of each file from a later one."""
    if len(paths) == 1 or not storage.is_gcs(folder):
        return {path: storage.storage_for(path).versions(path).get("", "") for path in paths}
    found = storage.storage_for(folder).versions(folder)  # one listing, not a request a file
    return {path: found.get(path.removeprefix(folder), "") for path in paths}


def _of_data_set(output: str) -> list[Item]:
    job = jobs.read(output)
    path = storage.join(output, manifest.MANIFEST)
    if job is None or not storage.storage_for(path).exists(path):
        raise InputError(f"{WHAT} {output}: the data set is not finished; run fgbg generate again")
    with storage.storage_for(path).open(path) as file:
        columns = pq.read_table(file, columns=["key", "overlay_crc32"]).to_pydict()
    return [
        Item(key, output, f"{crc:08x}", row=row)
        for row, (key, crc) in enumerate(zip(*columns.values(), strict=True))
    ]


def _of_shard(path: str, version: str, field: str | None) -> list[Item]:
    """The pictures of a shard, one a sample, by reading its headers."""
    by_key: dict[str, dict[str, tarfile.TarInfo]] = {}
    try:
        with (
            storage.storage_for(path).open(path) as file,
            tarfile.open(fileobj=file, mode="r:") as shard,
        ):
            for member in shard:
                folder, _, base = member.name.rpartition("/")
                stem, _, ending = base.partition(".")
                picture = os.path.splitext(base)[1].lower() in formats.EXTENSIONS
                if member.isfile() and stem and picture:
                    key = storage.join(folder, stem) if folder else stem
                    by_key.setdefault(key, {})[ending.lower()] = member
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{WHAT} {path}: no tar archive that can be read: {error}") from error
    target = path.rpartition("/")[2]
    items = []
    for key, members in by_key.items():
        chosen = _choose(path, key, members, field)
        place = chosen.offset_data, chosen.size
        items.append(Item(key, path, version, *place, target=target))
    if not items:
        raise InputError(f"{WHAT} {path}: no pictures in this archive")
    return items


def _choose(
    path: str, key: str, members: dict[str, tarfile.TarInfo], field: str | None
) -> tarfile.TarInfo:
    wanted = [field.lower()] if field else list(USUAL_FIELDS)
    if not field and len(members) == 1:
        wanted = list(members)
    for name in wanted:
        if name in members:
            return members[name]
    raise InputError(
        f"{WHAT} {path}: sample {escaping.name(key)} has the pictures "
        f"{', '.join(escaping.name(name) for name in members)}; say by --image_field which is "
        "labelled"
    )


def _refuse_clashes(items: list[Item]) -> None:
    if not items:
        raise InputError("no pictures to label")
    by_name: dict[tuple[str, str], Item] = {}
    targets: dict[str, str] = {}
    for item in items:
        other = by_name.setdefault((item.target, item.name.lower()), item)
        if other is not item:
            raise InputError(
                f"{other.path} and {item.path} would both be labelled as "
                f"{escaping.name(item.name)}; label them into two folders"
            )
        if item.target and targets.setdefault(item.target, item.path) != item.path:
            raise InputError(
                f"{targets[item.target]} and {item.path} would both be labelled as {item.target}; "
                "label them into two folders"
            )
        if item.name.startswith("/") or ".." in item.name.split("/"):
            raise InputError(f"{item.path}: {escaping.name(item.name)} leads out of its folder")


def read(item: Item) -> bytes:
    """The file of a picture.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not what the data set's manifest says.
    """
    if item.target:
        return storage.storage_for(item.path).read_range(item.path, item.offset, item.length)
    if item.row is None:
        return foreign.read(item.path)
    reader, rows = _data_set(item.path)
    return reader.sample(rows.slice(item.row, 1).to_pylist()[0]).overlay()


@functools.lru_cache(maxsize=1)
def _data_set(output: str) -> tuple[SampleReader, pa.Table]:
    """The reader of a data set and its manifest, as Arrow: about 150 bytes a sample."""
    job = jobs.read(output)
    if job is None:
        raise FileNotFoundError(f"{output} holds no data set")
    path = storage.join(output, manifest.MANIFEST)
    with storage.storage_for(path).open(path) as file:
        return open_reader(output, job), pq.read_table(file)
