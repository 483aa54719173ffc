"""Write: the files of a work unit, then its commit record.

The files are written under their final names, one after the other; nobody counts them before the
commit record, which appears in one step, says that all of them are whole. A process that dies
between leaves files that the next run writes again with equal bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import cv2
import numpy as np
from numpy.typing import NDArray

from transforms import commit, compositing, meter, storage
from transforms import job as jobs
from transforms.commit import Commit, Moments
from transforms.compose import FAILED, ComposedUnit, FailedUnit
from transforms.job import Configuration
from transforms.pictures import Array
from transforms.work_unit import WorkUnit

# From this JPEG quality on, thresholding at 128 gives back every binary mask. libjpeg's luminance
# table (ITU-T T.81, table K.1) has the sum 3688; at quality q >= 50 its entries are scaled by
# (200 - 2q) %. A coefficient is off by at most half its entry and moves a pixel by at most a
# quarter of that, so at 90 no pixel is off by more than 3688 * 0.2 / 8 + 8 (rounding) = 101 < 127.
MASK_QUALITY = 90
KINDS = ("overlay", "mask", "depth")
MILLIMETRES_MAX = 65535


class Committed(NamedTuple):
    """What leaves Generate for a unit that is done.

    Attributes:
        unit: Its key.
        samples: Number of its samples.
        bytes: Bytes of its files.
    """

    unit: WorkUnit
    samples: int
    bytes: int


def stored_depth(metres: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint16]:
    """Depth as it is stored: millimetres at stored size.

    Args:
        metres: float32 [K, h, w].
        size: Width and height stored; where the network gives just that, nothing is resampled.

    Returns:
        uint16 [K, height, width]; 65.535 m and more is 65535.
    """
    if (metres.shape[2], metres.shape[1]) != size:
        shrinks = size[0] <= metres.shape[2] and size[1] <= metres.shape[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        metres = np.stack([cv2.resize(m, size, interpolation=how) for m in metres])
    return np.rint(np.clip(metres * np.float32(1000), 0, MILLIMETRES_MAX)).astype(np.uint16)


def depth_to_8_bit(millimetres: NDArray[np.uint16], range_m: float) -> Array:
    """Depth on a fixed 8-bit scale: 255 is range_m metres and more."""
    scaled = millimetres * (255 / (1000 * range_m))
    return np.rint(np.minimum(scaled, 255)).astype(np.uint8)


def suffixes(c: Configuration) -> dict[str, str]:
    """The file name extension of every kind that a data set has."""
    found = {"overlay": ".jpg", "mask": f".{c.mask_format}"}
    if c.depth_model is not None:
        found["depth"] = ".png" if c.depth_format == "png16" else ".jpg"
    return found


def encode(kind: str, image: NDArray[Any], c: Configuration) -> bytes:
    """The file of one picture.

    Args:
        kind: "overlay", "mask" or "depth".
        image: uint8 BGR [h, w, 3], uint8 [h, w], or uint16 millimetres [h, w].
        c: The data set's configuration.
    """
    if kind == "mask" and c.mask_format == "png":
        return _imencode(".png", image, [])  # 8 bits: readers give 0 and 255, not booleans
    if kind == "mask":
        quality = max(MASK_QUALITY, c.image_quality)
        return _imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if kind == "depth" and c.depth_format == "png16":
        return _imencode(".png", image, [])
    if kind == "depth":
        image = depth_to_8_bit(image, c.depth_range_m)
    return _imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, c.image_quality])


def _imencode(extension: str, image: NDArray[Any], flags: list[int]) -> bytes:
    done, data = cv2.imencode(extension, image, flags)
    if not done:
        raise ValueError(f"OpenCV could not encode a {extension} of {image.shape}")
    return data.tobytes()


def write_unit(
    output: str, c: Configuration, composed: ComposedUnit, metres: NDArray[np.float32] | None
) -> Commit:
    """Writes all files of a unit, and not yet its commit record.

    Args:
        output: The data set.
        c: Its configuration.
        composed: The unit.
        metres: float32 [K, h, w], or None without depth.

    Returns:
        The commit record to write next.
    """
    pixels = composed.pixels
    images: dict[str, NDArray[Any]] = {"overlay": pixels.overlays, "mask": pixels.masks}
    if metres is not None:
        images["depth"] = stored_depth(metres, c.size)
    folder = storage.join(output, composed.unit.folder)
    checksums: dict[str, list[int]] = {kind: [] for kind in images}
    sizes = dict.fromkeys(images, 0)
    endings = suffixes(c)

    def files() -> Iterator[tuple[str, bytes]]:
        for kind, stack in images.items():
            for number, image in zip(composed.numbers, stack, strict=True):
                data = encode(kind, image, c)
                checksums[kind].append(zlib.crc32(data))
                sizes[kind] += len(data)
                yield storage.join(folder, kind, f"{number}{endings[kind]}"), data

    storage.storage_for(output).write_many(files())
    columns = _columns(composed, images.get("depth"))
    columns |= {f"{kind}_crc32": values for kind, values in checksums.items()}
    return Commit(composed.unit, columns, _moments(pixels, images.get("depth")), sizes)


def _columns(
    composed: ComposedUnit, millimetres: NDArray[np.uint16] | None
) -> dict[str, list[Any]]:
    """The columns of a commit record: placement, box and area per sample, depth in millimetres."""
    columns: dict[str, list[Any]] = {"number": composed.numbers}
    for i, name in enumerate(("x", "y", "width", "height")):
        columns[f"canvas_{name}"] = [place[i] for place in composed.placements]
        columns[name] = [box[i] for box in composed.pixels.boxes]
    columns["mask_area"] = composed.pixels.areas
    if millimetres is not None:
        flat = millimetres.reshape(len(millimetres), -1)
        columns["depth_min_mm"] = flat.min(axis=1).tolist()
        columns["depth_max_mm"] = flat.max(axis=1).tolist()
        columns["depth_sum_mm"] = flat.sum(axis=1, dtype=np.int64).tolist()
    return columns


def _moments(
    pixels: compositing.Composed, millimetres: NDArray[np.uint16] | None
) -> dict[str, Moments]:
    count, height, width = pixels.masks.shape
    values = count * height * width
    moments = {}
    for i, channel in enumerate("bgr"):
        total, squares = (int(s) for s in pixels.sums[:, i])
        moments[f"overlay_{channel}"] = Moments(values, total, squares)
    area = sum(pixels.areas)
    moments["mask"] = Moments(values, 255 * area, 255 * 255 * area)
    if millimetres is not None:
        wide = millimetres.astype(np.int64).ravel()
        moments["depth"] = Moments(values, int(wide.sum()), int(wide @ wide))
    return moments


class Write(beam.DoFn):
    """(ComposedUnit, depth) -> Committed; FailedUnit to the output FAILED.

    Args:
        output: The data set.
        version: The version of its job.
    """

    def __init__(self, output: str, version: str) -> None:
        self._output = output
        self._version = version

    def process(
        self, element: tuple[ComposedUnit, Any]
    ) -> Iterator[Committed | beam.pvalue.TaggedOutput]:
        composed, metres = element
        if isinstance(metres, FailedUnit):
            yield beam.pvalue.TaggedOutput(FAILED, metres)
            return
        configuration = jobs.read_cached(self._output, self._version).configuration
        try:
            with meter.timed("write_microseconds"):
                record = write_unit(self._output, configuration, composed, metres)
                commit.write(self._output, record)
        except Exception as error:
            failure = FailedUnit.of(composed.unit, "Write", error)
            yield beam.pvalue.TaggedOutput(FAILED, failure)
            return
        total = sum(record.sizes.values())
        meter.count("units_done")
        meter.count("samples", len(composed.numbers))
        meter.count("bytes", total)
        meter.end()
        yield Committed(composed.unit, len(composed.numbers), total)


class RecordFailure(beam.DoFn):
    """FailedUnit -> nothing; its reason is kept in the data set, and the job goes on.

    Args:
        output: The data set.
    """

    def __init__(self, output: str) -> None:
        self._output = output

    def process(self, failure: FailedUnit) -> None:
        commit.write_failure(self._output, failure.unit, failure.step, failure.reason)
        meter.count("units_failed")
        meter.end()
