"""Export to COCO: one instances_SPLIT.json a split, written while the samples are read.

The format is that of https://cocodataset.org/#format-data; masks are run lengths as pycocotools
writes them. Keys beyond it (where pictures come from, depth files) are left alone by its readers.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fgbg.files import storage
from fgbg.files.ordered_map import in_order
from fgbg.files.whole_file import scratch_file, whole_file
from fgbg.transforms.dataset import credits
from fgbg.transforms.dataset.sample import Sample, SampleError
from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels.coding import LABEL
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.records.record import CLASS, sample_id

CATEGORY = {"id": LABEL, "name": CLASS, "supercategory": CLASS}
IMAGES = "images"
_INSTANCES = re.compile(r"instances_\w+\.json")


@dataclasses.dataclass
class Exported:
    """How much was written.

    Attributes:
        images: Number of pictures.
        annotations: Number of annotations: pictures whose mask is empty have none.
    """

    images: int = 0
    annotations: int = 0


def instances_file(split: str) -> str:
    """The file name of a split's annotations."""
    return f"instances_{split}.json"


@dataclasses.dataclass(frozen=True)
class Export:
    """What an export to COCO is made of.

    Attributes:
        output: The data set.
        job: Its job.
        target: The folder to write to.
        version: Of this program.
        threads: Threads that read and encode.
    """

    output: str
    job: Job
    target: str
    version: str
    threads: int


def export_split(export: Export, split: str, samples: Iterable[Sample]) -> Iterator[Exported]:
    """Writes the instances of one split.

    Args:
        export: What, and where to.
        split: The split's name.
        samples: Those of the split.

    Yields:
        How much is written so far, after every sample. The file is there after the last.

    Raises:
        SampleError: A picture is missing or damaged. No file is written then.
    """
    licences = {name: i for i, name in enumerate(credits.licences(export.job), start=1)}
    in_folders = not export.job.configuration.in_records

    def entries(sample: Sample) -> tuple[bytes, bytes | None]:
        name = sample.row["overlay"] if in_folders else _extract(export.target, split, sample)
        row = sample.row
        identifier = sample_id(export.job, row["bg"], row["fg"], row["number"])
        annotation = _annotation(sample, identifier)
        image = _image(sample, identifier, name, export.job, licences)
        return _line(image), _line(annotation) if annotation else None

    checked = map(_FilesInFolders(export.output).check, samples) if in_folders else samples
    path = storage.join(export.target, instances_file(split))
    written = Exported()
    with whole_file(path) as document, scratch_file(path) as annotations:
        document.write(_head(export, split, licences))
        for image, annotation in in_order(entries, checked, export.threads):
            document.write(b",\n" if written.images else b"\n")
            document.write(image)
            written.images += 1
            if annotation is not None:
                annotations.write(b",\n" if written.annotations else b"\n")
                annotations.write(annotation)
                written.annotations += 1
            yield written
        document.write(b'],\n"annotations": [')
        annotations.seek(0)
        shutil.copyfileobj(annotations, document, 1 << 20)
        document.write(b"]}\n")


def check(export: Export, samples: Iterable[Sample]) -> Iterator[None]:
    """Reads what `export_split` reads, and writes nothing.

    Args:
        export: What is to be exported.
        samples: Those to look at.

    Yields:
        After every sample.

    Raises:
        SampleError: A picture is missing or damaged.
    """
    in_folders = not export.job.configuration.in_records

    def look(sample: Sample) -> None:
        if not in_folders:
            sample.overlay()
        _annotation(sample, 0)

    checked = map(_FilesInFolders(export.output).check, samples) if in_folders else samples
    yield from in_order(look, checked, export.threads)


def _extract(target: str, split: str, sample: Sample) -> str:
    """Puts an overlay out of a record beside the annotations: its path, relative to them."""
    name = f"{IMAGES}/{split}/{sample.row['key']}.jpg"
    path = storage.join(target, name)
    storage.storage_for(path).write(path, sample.overlay())
    return name


class _FilesInFolders:
    """Whether overlays are there, by one listing a background: they are named, but not read."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._background = 0
        self._names: set[str] = set()

    def check(self, sample: Sample) -> Sample:
        number, name = sample.row["bg"], sample.row["overlay"]
        folder = f"bg{number}"
        if number != self._background:
            path = storage.join(self._output, folder)
            found = storage.storage_for(path).walk(path)
            self._names = {file for file in found if "/overlay/" in file}
            self._background = number
        if name.removeprefix(f"{folder}/") not in self._names:
            raise SampleError(f"{name}: missing")
        return sample


def run_lengths(mask: Array) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask.

    Args:
        mask: uint8 [height, width]; what is not 0 is foreground.

    Returns:
        {"size": [height, width], "counts": text}.
    """
    from pycocotools import mask as coco_mask

    encoded = coco_mask.encode(np.asfortranarray(mask != 0).view(np.uint8))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


def _image(
    sample: Sample, identifier: int, name: str, job: Job, licences: dict[str, int]
) -> dict[str, Any]:
    row, c = sample.row, job.configuration
    background = job.backgrounds[row["bg"] - 1]
    image = {
        "id": identifier,
        "file_name": name,
        "width": c.size[0],
        "height": c.size[1],
        "license": licences[background.licence or credits.NOT_STATED],
        "background": f"bg{row['bg']}",
    }
    if not c.in_records and sample.has_depth:
        image["depth_file_name"] = row["depth"]
    return image


def _annotation(sample: Sample, identifier: int) -> dict[str, Any] | None:
    row = sample.row
    mask = sample.mask()
    area = int(np.count_nonzero(mask))
    if area != row["mask_area"]:
        raise SampleError(
            f"{row['mask']}: has {area} pixels, the manifest says {row['mask_area']}; "
            "fgbg verify finds all that is wrong"
        )
    if not area:
        return None  # readers of COCO take no boxes without extent
    return {
        "id": identifier,
        "image_id": identifier,
        "category_id": CATEGORY["id"],
        "bbox": [float(row[name]) for name in ("x", "y", "width", "height")],
        "area": area,
        "iscrowd": 0,
        "segmentation": run_lengths(mask),
        "foreground": f"fg_{row['fg']}",
        "mirrored": row["mirrored"],
    }


def _head(export: Export, split: str, licences: dict[str, int]) -> bytes:
    """The document up to its list of pictures."""
    job = export.job
    info = {
        "description": f"Split {split} of a data set of fgbg: {len(job.foregrounds)} foregrounds "
        f"pasted on {len(job.backgrounds)} backgrounds",
        "version": export.version,
    }
    named = [
        {"id": i, "name": name, "url": credits.licence_address(name)}
        for name, i in licences.items()
    ]
    sources = [
        {
            "id": name,
            "license": licences[picture.licence or credits.NOT_STATED],
            "sha256": picture.sha256,
            **credits.credit(picture),
        }
        for name, picture in credits.inputs(job)
        if picture.split in ("", split)
    ]
    parts = {"info": info, "licenses": named, "categories": [CATEGORY], "sources": sources}
    lines = [f"{json.dumps(name)}: {json.dumps(part)},\n" for name, part in parts.items()]
    return ("{" + "".join(lines) + '"images": [').encode()


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode()


def is_there(target: str) -> bool:
    """Whether there is an earlier export."""
    names = storage.storage_for(target).children(target)
    return any(_INSTANCES.fullmatch(name) for name in names)


def remove_earlier(target: str, splits: Iterable[str]) -> None:
    """Deletes the annotations of an earlier export: they must not count for newer pictures."""
    for split in splits:
        path = storage.join(target, instances_file(split))
        storage.storage_for(path).delete(path)
