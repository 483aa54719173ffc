"""The graph of `fgbg cutout`, and its steps: thin DoFns over the functions beside.

```
Photos       the photos of this process                         Task
Reshuffle    the only shuffle; names cross it, pixels do not     Task
Read         file -> pixels                                     Photo
Find         grabcut, or a network by RunInference              (Photo, Found | why not)
Write        edge, colours, crop; the PNG, then its record      nothing
```
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import cv2
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, RunInference
from numpy.typing import NDArray

from fgbg.files import foreign, storage
from fgbg.transforms import meter
from fgbg.transforms.cutout import finish, method, record
from fgbg.transforms.cutout.found import Found, Rejected
from fgbg.transforms.cutout.method import Method
from fgbg.transforms.cutout.record import FAILED, MADE, REJECT, Record, Task
from fgbg.transforms.pixels import pictures, visible
from fgbg.transforms.pixels.pictures import PictureError


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo in memory.

    Attributes:
        task: Which.
        sha256: Of its file.
        pixels: uint8 BGR [height, width, 3], BGRA with alpha of its own; None if it was not read.
        failure: Why not.
        notes: What is to be said of its file.
    """

    task: Task
    sha256: str
    pixels: NDArray[np.uint8] | None
    failure: Rejected | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_alpha(self) -> bool:
        """Whether it is a cut-out already."""
        return self.pixels is not None and self.pixels.shape[2] == 4


Answer = tuple[Photo, "Found | Exception | None"]


def read(task: Task) -> Photo:
    """Reads a photo; one that cannot be used is told of, not raised."""
    # The launcher is to know which photo this process would die of.
    meter.begin(task.number)
    data = b""
    notes: list[str] = []
    try:
        data = foreign.read(task.path)
        rgb = pictures.read_picture(data, notes)
    except OSError as error:
        return Photo(task, "", None, Rejected(f"cannot be read: {error.strerror or error}"))
    except PictureError as error:
        return Photo(task, hashlib.sha256(data).hexdigest(), None, Rejected(str(error)))
    if rgb.shape[2] == 4 and not visible.is_opaque(rgb[..., 3]):
        pixels = cv2.cvtColor(rgb, cv2.COLOR_RGBA2BGRA)
    else:
        pixels = cv2.cvtColor(np.ascontiguousarray(rgb[..., :3]), cv2.COLOR_RGB2BGR)
    return Photo(task, hashlib.sha256(data).hexdigest(), pixels, notes=tuple(notes))


def find(photo: Photo, how: Method, network: Any = None) -> Answer:
    """Finds the thing in a photo; an error is given back, so that it costs this photo only."""
    if photo.pixels is None or photo.has_alpha:
        return photo, None
    try:
        return photo, method.find(photo.pixels, how, network)
    except Exception as error:
        return photo, error


class CutOutHandler(ModelHandler[Photo, Answer, Any]):
    """A segmentation network for RunInference; a photo an element, as sizes differ.

    Args:
        how: The method, with its network.
        threads: CPU threads that it may use.
    """

    def __init__(self, how: Method, threads: int) -> None:
        super().__init__(max_batch_size=1, min_batch_size=1)
        self._method = how
        self._threads = threads

    def load_model(self) -> Any:
        return method.open_network(self._method, self._threads)

    def run_inference(
        self, batch: Sequence[Photo], model: Any, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Answer]:
        return [find(photo, self._method, model) for photo in batch]

    def get_num_bytes(self, batch: Sequence[Photo]) -> int:
        # The default pickles the pixels to find out.
        return sum(photo.pixels.nbytes for photo in batch if photo.pixels is not None)

    def get_metrics_namespace(self) -> str:
        return meter.NAMESPACE


def write(answer: Answer, output: str, how: Method, fingerprint: str) -> Iterator[None]:
    """Finishes a cut-out and writes it, then the record of what became of the photo."""
    photo, found = answer
    task = photo.task
    made = functools.partial(Record, task.name, task.told, photo.sha256, fingerprint)
    try:
        if photo.failure is not None:
            raise photo.failure
        if isinstance(found, Exception):
            raise found
        cut = _finish(photo, found, how)
        path = storage.join(output, task.file)
        storage.storage_for(path).write_atomically(path, pictures.encode_foreground(cut.bgra))
        result = made(MADE, row=_row(photo, cut, how))
    except Rejected as error:
        result = made(REJECT, str(error))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1:]
        where = f" ({last[0].name})" if last else ""
        result = made(FAILED, f"{type(error).__name__}: {error}{where}")
    made_now = result.status == MADE
    if photo.failure is not None or result.status == FAILED:
        # Not a judgement of the photo: what an earlier run made of it is not lost for that.
        result = record.kept(output, result) or result
    elif not made_now:  # what an earlier run with other options made is no longer true
        path = storage.join(output, task.file)
        storage.storage_for(path).delete(path)
    record.write(output, result)
    meter.count("units_done" if made_now else "units_failed")
    meter.end()
    return iter(())


def _finish(photo: Photo, found: Found | None, how: Method) -> finish.CutOut:
    pixels = photo.pixels
    if pixels is None:
        raise Rejected("cannot be read")
    if found is None:
        return finish.keep(pixels)
    cut = finish.finish(pixels, found, refine=how.edges == "matting")
    if cut.measures.confidence < how.min_confidence:
        raise Rejected(
            f"unsure: confidence {cut.measures.confidence:.2f}, under --min_confidence "
            f"{how.min_confidence:g}"
        )
    return cut


def _row(photo: Photo, cut: finish.CutOut, how: Method) -> dict[str, Any]:
    """The cut-out's row in the table."""
    height, width = photo.pixels.shape[:2] if photo.pixels is not None else (0, 0)
    measures = dataclasses.asdict(cut.measures)
    return {
        "photo": photo.task.path,
        "method": "alpha" if photo.has_alpha else how.name,
        "what": cut.what,
        "notes": [*photo.notes, *cut.notes],
        **measures,
        "unsure": "yes" if cut.measures.confidence < record.UNSURE else "",
        "width": cut.bgra.shape[1],
        "height": cut.bgra.shape[0],
        "photo_width": width,
        "photo_height": height,
        "x": cut.x,
        "y": cut.y,
    }


def cut_out(
    root: beam.Pipeline,
    output: str,
    tasks: Sequence[Task],
    how: Method,
    fingerprint: str,
    threads: int = 1,
) -> None:
    """Builds the graph.

    Args:
        root: The pipeline.
        output: The folder of the cut-outs.
        tasks: The photos.
        how: How they are cut out.
        fingerprint: Of the method.
        threads: CPU threads that a network may use.
    """
    photos = (
        root | "Photos" >> beam.Create(list(tasks)) | beam.Reshuffle() | "Read" >> beam.Map(read)
    )
    if how.model is None:
        answers = photos | "Find" >> beam.Map(find, how)
    else:
        answers = photos | "Find" >> RunInference(CutOutHandler(how, threads))
    _ = answers | "Write" >> beam.FlatMap(write, output, how, fingerprint)
