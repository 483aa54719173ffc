"""The graph of `fgbg label`, and its steps: thin DoFns over the functions beside.

```
Blocks       the blocks of this process                           Block
Reshuffle    the only shuffle; names cross it, pixels do not       Block
Read         pictures at the size that the network is fed          Read
Infer        RunInference: labels at the network's size            (Read, list[Labels | failure])
Write        labels at the pictures' size, then the block's record nothing
```
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, RunInference
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.models.resizing import resize
from fgbg.transforms import meter
from fgbg.transforms.label import record, sources
from fgbg.transforms.label.network import DEPTH, MASK, Labeller, LabelNetwork, Labels, Size
from fgbg.transforms.label.record import FAILED, MADE, REJECTED, Block, Row
from fgbg.transforms.pixels import codec, coding, pictures
from fgbg.transforms.pixels.pictures import PictureError

PNG16, NPY = "png16", "npy"
DEPTH_FORMATS = (PNG16, NPY)


@dataclasses.dataclass(frozen=True)
class Form:
    """How labels are stored.

    Attributes:
        depth_format: PNG16 (millimetres) or NPY (float32 metres).
        threshold: Probability from which a pixel of a mask is foreground; None: the mask is the
            probability itself, 0..255.
    """

    depth_format: str = PNG16
    threshold: float | None = 0.5

    def encode(self, kind: str, values: NDArray[np.float32]) -> tuple[str, bytes]:
        """The ending and the file of a label, [height, width]."""
        if kind == MASK:
            if self.threshold is None:
                image = np.rint(values * np.float32(255)).astype(np.uint8)
            else:
                image = (values >= self.threshold).astype(np.uint8) * np.uint8(255)
            return "mask.png", codec.encode(".png", image)
        if self.depth_format == PNG16:
            return "depth.png", codec.encode(".png", coding.millimetres(values))
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(values, np.float32))
        return "depth.npy", buffer.getvalue()


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a picture has no labels.

    Attributes:
        status: REJECTED or FAILED.
        reason: In words.
    """

    status: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Read:
    """A block in memory.

    Attributes:
        block: Which.
        fed: Of each picture uint8 BGR [height, width, 3], of the size that the network is fed.
        sizes: Width and height of each picture; None where it was not read.
        notes: What is to be said of each picture's file.
    """

    block: Block
    fed: list[NDArray[np.uint8] | Failure]
    sizes: list[Size | None]
    notes: list[tuple[str, ...]]


Answer = tuple[Read, "list[Labels | Failure]"]


def read(block: Block, labeller: Labeller) -> Read:
    """Reads the pictures of a block; one that cannot be used is told of, not raised."""
    found = Read(block, [], [], [])
    for place, item in enumerate(block.items):
        # The launcher is to know which picture this process would die of.
        meter.begin(block.first + place)
        notes: list[str] = []
        size: Size | None = None
        fed: NDArray[np.uint8] | Failure
        try:
            if place in block.given_up:
                fed = Failure(FAILED, "the worker process died at it, more than once")
            else:
                rgb = pictures.read_picture(sources.read(item), notes)
                size = rgb.shape[1], rgb.shape[0]
                bgr = pictures.fit_background(rgb, size)
                fed = np.ascontiguousarray(resize(bgr, labeller.fed_size(size)))
        except PictureError as error:
            fed = Failure(REJECTED, str(error))
        except (OSError, ValueError) as error:
            fed = Failure(FAILED, f"cannot be read: {getattr(error, 'strerror', None) or error}")
        found.fed.append(fed)
        found.sizes.append(size)
        found.notes.append(tuple(notes))
    return found


def infer(found: Read, labeller: Labeller) -> Answer:
    """Labels the pictures of a block; an error costs its picture only."""
    labels: list[Labels | Failure] = []
    for place, fed in enumerate(found.fed):
        meter.begin(found.block.first + place)
        if isinstance(fed, Failure):
            labels.append(fed)
            continue
        try:
            labels.append(labeller.predict(fed))
        except Exception as error:
            labels.append(Failure(FAILED, f"{type(error).__name__}: {error}"))
    return found, labels


def write(answer: Answer, output: str, form: Form) -> Iterator[None]:
    """Writes the labels of a block at their pictures' size, then its record."""
    found, labels = answer
    block = found.block
    rows: list[Row] = []
    members: list[bytes] = []
    for i, item in enumerate(block.items):
        meter.begin(block.first + i)
        row: Row = {"name": item.name, "status": MADE}
        if found.notes[i]:
            row["notes"] = list(found.notes[i])
        said, size = labels[i], found.sizes[i]
        if isinstance(said, Failure) or size is None:
            failure = said if isinstance(said, Failure) else Failure(FAILED, "not read")
            row |= {"status": failure.status, "reason": failure.reason}
            meter.count("units_failed")
        else:
            files = _files(item.name, said, size, form)
            row |= {"files": list(files), "width": size[0], "height": size[1]}
            row |= _measures(said)
            if block.target:
                members += [record.member(name, data) for name, data in files.items()]
            else:
                placed = ((storage.join(output, name), data) for name, data in files.items())
                storage.storage_for(output).write_many(placed)
            meter.count("units_done")
        rows.append(row)
    part = b"".join(members)
    if block.target:
        path = record.part_path(output, block.identity)
        storage.storage_for(path).write_atomically(path, part)
    record.write(output, block, rows, len(part))
    meter.end()
    return iter(())


def _files(name: str, labels: Labels, size: Size, form: Form) -> dict[str, bytes]:
    files = {}
    for kind, values in labels.items():
        ending, data = form.encode(kind, resize(values, size))
        files[f"{name}.{ending}"] = data
    return files


def _measures(labels: Labels) -> Row:
    """What the table says of a picture's labels, as the network gives them."""
    row: Row = {}
    if DEPTH in labels:
        depth = labels[DEPTH]
        low, middle, high = (float(v) for v in (depth.min(), np.median(depth), depth.max()))
        row |= {"depth_min_m": low, "depth_median_m": middle, "depth_max_m": high}
    if MASK in labels:
        row["mask_share"] = float(labels[MASK].mean())
    return row


class LabelHandler(ModelHandler[Read, Answer, Labeller]):
    """A network for RunInference; a block an element, as sizes differ from picture to picture.

    Args:
        network: The network.
        threads: CPU threads that it may use.
    """

    def __init__(self, network: LabelNetwork, threads: int) -> None:
        super().__init__(max_batch_size=1, min_batch_size=1)
        self._network = network
        self._threads = threads

    def load_model(self) -> Labeller:
        return self._network.open_cached(self._threads)

    def run_inference(
        self, batch: Sequence[Read], model: Labeller, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Answer]:
        return [infer(found, model) for found in batch]

    def get_num_bytes(self, batch: Sequence[Read]) -> int:
        # The default pickles the pixels to find out.
        return sum(
            fed.nbytes for found in batch for fed in found.fed if not isinstance(fed, Failure)
        )

    def get_metrics_namespace(self) -> str:
        return meter.NAMESPACE


class _ReadBlock(beam.DoFn):
    """Block -> Read."""

    def __init__(self, network: LabelNetwork, threads: int) -> None:
        self._network = network
        self._threads = threads

    def process(self, block: Block) -> Iterator[Read]:
        yield read(block, self._network.open_cached(self._threads))


def label(
    root: beam.Pipeline,
    output: str,
    blocks: Sequence[Block],
    network: LabelNetwork,
    form: Form,
    threads: int = 1,
) -> None:
    """Builds the graph.

    Args:
        root: The pipeline.
        output: The folder of the labels.
        blocks: The blocks.
        network: The network.
        form: How labels are stored.
        threads: CPU threads that the network may use.
    """
    _ = (
        root
        | "Blocks" >> beam.Create(list(blocks))
        | beam.Reshuffle()
        | "Read" >> beam.ParDo(_ReadBlock(network, threads))
        | "Infer" >> RunInference(LabelHandler(network, threads))
        | "Write" >> beam.FlatMap(write, output, form)
    )
