"""Convert: a work unit of one data set into the other form, without making it again.

Overlays are taken over byte by byte, masks and depth are decoded and encoded as the new form wants
them. Placements, boxes and sums come from the unit's commit record: what was measured before JPEG
coding cannot be measured again.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from fgbg.transforms.dataset.sample import SampleReader
from fgbg.transforms.dataset.store import store_unit
from fgbg.transforms.job import commit
from fgbg.transforms.job.commit import Commit, Moments
from fgbg.transforms.job.job import Configuration, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.pixels.coding import encode


def depth_step_m(c: Configuration) -> float | None:
    """Metres between two values of stored depth; None without depth."""
    if c.depth_model is None:
        return None
    exact = c.in_records or c.depth_format == "png16"
    return 0.001 if exact else c.depth_range_m / 255


def _with_depth(record: Commit, millimetres: NDArray[np.uint16]) -> Commit:
    """A commit record with the depth that is there, not the one that was there before coding."""
    flat = millimetres.reshape(len(millimetres), -1).astype(np.int64)
    columns = record.columns | {
        "depth_min_mm": flat.min(axis=1).tolist(),
        "depth_max_mm": flat.max(axis=1).tolist(),
        "depth_sum_mm": flat.sum(axis=1).tolist(),
    }
    moments = Moments(flat.size, int(flat.sum()), int((flat * flat).sum()))
    return dataclasses.replace(record, columns=columns, moments=record.moments | {"depth": moments})


def convert_unit(reader: SampleReader, target: str, job: Job, unit: WorkUnit) -> Commit:
    """Writes a unit in its new form, and not yet its commit record.

    Args:
        reader: Of the data set that is converted.
        target: The new data set.
        job: The new data set's job.
        unit: The unit.

    Returns:
        The commit record to write next.

    Raises:
        SampleError: A picture is missing or damaged.
    """
    record = commit.read(reader.output, reader.job, unit)
    samples = reader.unit(record)
    c = job.configuration
    coded = {
        "overlay": [sample.overlay() for sample in samples],
        "mask": [encode("mask", sample.mask(), c) for sample in samples],
    }
    step_m = depth_step_m(reader.job.configuration)
    if step_m is not None:
        depth = [sample.millimetres() for sample in samples]
        coded["depth"] = [encode("depth", one, c) for one in depth]
        if step_m > 0.001:  # stored less exactly than the commit record has it
            record = _with_depth(record, np.stack(depth))
    columns = {
        name: values
        for name, values in record.columns.items()
        if not name.endswith("_crc32") and name != "record_bytes"
    }
    sizes = store_unit(target, job, unit, columns, coded)
    return Commit(unit, columns, record.moments, sizes)
