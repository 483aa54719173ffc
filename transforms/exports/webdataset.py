"""Export to WebDataset: tar shards in which a sample is four files that stand together.

    bg1_fg_1_7.overlay.jpg   as in the data set
    bg1_fg_1_7.mask.png      0 or 255
    bg1_fg_1_7.depth.png     16 bits, millimetres; absent without depth
    bg1_fg_1_7.json          the sample's row of the manifest, authors and licences

Readers take what is before the first dot as the sample's key.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.files.ordered_map import in_order
from fgbg.files.whole_file import whole_file
from fgbg.transforms.dataset import credits
from fgbg.transforms.dataset.sample import Sample
from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels import codec
from fgbg.transforms.pixels.coding import KINDS

INDEX = "index.json"
_SHARD = re.compile(r"fgbg-[A-Za-z][A-Za-z0-9_]*-\d{6,}\.tar(\.part)?")
# Columns that say where the data set itself keeps a picture: of no meaning inside a shard.
_PLACES = (*KINDS, *(f"{kind}_crc32" for kind in KINDS))
_BLOCK = tarfile.BLOCKSIZE


def shard_file(split: str, number: int) -> str:
    """The file name of a shard."""
    return f"fgbg-{split}-{number:06d}.tar"


def export_split(
    job: Job, split: str, samples: Iterable[Sample], target: str, shard_bytes: int, threads: int
) -> Iterator[dict[str, int]]:
    """Writes the shards of one split.

    Args:
        job: The data set's job.
        split: The split's name.
        samples: Those of the split, in the order to write them.
        target: The folder to write to.
        shard_bytes: Size that no shard exceeds, unless a single sample does.
        threads: Threads that read and encode.

    Yields:
        Number of samples by shard, after every sample; a shard is there when the next is begun.

    Raises:
        SampleError: A picture is missing or damaged. Its shard is not written then.
    """
    written: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        shard: IO[bytes] | None = None
        for members in in_order(lambda sample: _members(job, sample), samples, threads):
            if shard is None or shard.tell() + len(members) + tarfile.RECORDSIZE > shard_bytes:
                if shard is not None:
                    _finish(shard)
                    stack.close()
                name = shard_file(split, len(written))
                shard = stack.enter_context(whole_file(storage.join(target, name)))
                written[name] = 0
            shard.write(members)
            written[name] += 1
            yield written
        if shard is not None:
            _finish(shard)


def check(samples: Iterable[Sample], threads: int) -> Iterator[None]:
    """Reads what `export_split` reads, and writes nothing.

    Args:
        samples: Those to look at.
        threads: Threads that read and decode.

    Yields:
        After every sample.

    Raises:
        SampleError: A picture is missing or damaged.
    """

    def look(sample: Sample) -> None:
        sample.overlay()
        sample.mask()
        if sample.has_depth:
            sample.millimetres()

    yield from in_order(look, samples, threads)


def _finish(shard: IO[bytes]) -> None:
    """Ends an archive as tar does: two empty blocks, then up to a whole record."""
    shard.write(bytes(2 * _BLOCK))
    shard.write(bytes(-shard.tell() % tarfile.RECORDSIZE))


def _members(job: Job, sample: Sample) -> bytes:
    """A sample as it stands in an archive."""
    files = {"overlay.jpg": sample.overlay(), "mask.png": _png(sample.mask())}
    if sample.has_depth:
        files["depth.png"] = _png(sample.millimetres())
    files["json"] = _description(job, sample)
    with io.BytesIO() as buffer:
        for ending, data in files.items():
            # Owner, group and time of a new TarInfo are 0 and nameless: equal samples, equal bytes.
            member = tarfile.TarInfo(f"{sample.name}.{ending}")
            member.size = len(data)
            member.mode = 0o644
            buffer.write(member.tobuf(tarfile.USTAR_FORMAT))
            buffer.write(data)
            buffer.write(bytes(-len(data) % _BLOCK))
        return buffer.getvalue()


def _png(image: NDArray[Any]) -> bytes:
    return codec.encode(".png", np.ascontiguousarray(image))


def _description(job: Job, sample: Sample) -> bytes:
    row = {name: value for name, value in sample.row.items() if name not in _PLACES}
    row["background"] = credits.credit(job.backgrounds[row["bg"] - 1])
    row["foreground"] = credits.credit(job.foregrounds[row["fg"] - 1])
    if sample.has_depth:
        row["depth_metres_per_unit"] = 0.001
    return json.dumps(row).encode()


def is_there(target: str) -> bool:
    """Whether there is an earlier export."""
    names = storage.storage_for(target).children(target)
    return any(name == INDEX or _SHARD.fullmatch(name) for name in names)


def remove_earlier(target: str) -> None:
    """Deletes an earlier export, so that its shards are not read together with new ones."""
    store = storage.storage_for(target)
    store.delete(storage.join(target, INDEX))
    for name in store.children(target):
        if _SHARD.fullmatch(name):
            store.delete(storage.join(target, name))


def write_index(target: str, shards: dict[str, dict[str, int]]) -> None:
    """Writes the list of all shards and their samples: the last file of an export.

    Args:
        target: The folder.
        shards: Number of samples by shard, by split.
    """
    content = {
        split: [{"file": name, "samples": count} for name, count in counts.items()]
        for split, counts in shards.items()
    }
    path = storage.join(target, INDEX)
    text = json.dumps(content, indent=1) + "\n"
    storage.storage_for(path).write_atomically(path, text.encode())
