"""Verify: commit records against the job: numbers, placements, sums that follow from columns."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from fgbg.files import storage
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.commit import Commit
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import sample_numbers
from fgbg.transforms.steps.compose import places_of

_BOX = ("x", "y", "width", "height")
_PNG_SIZE = 16  # where a PNG file says its width and height, 4 bytes each


def wrong_record(job: Job, record: Commit) -> str:
    """What makes a commit record unusable, as if it were damaged; "" where nothing does."""
    c = job.configuration
    numbers = list(sample_numbers(c.placements, c.mirror, record.unit))
    depth = c.depth_model is not None
    kinds = {"overlay", "mask"} | ({"depth"} if depth else set())
    expected = {"number", "mask_area", *_BOX, *(f"canvas_{name}" for name in _BOX)}
    expected |= {f"{kind}_crc32" for kind in kinds}
    if depth:
        expected |= {"depth_min_mm", "depth_max_mm", "depth_sum_mm"}
    if job.in_records:
        expected.add("record_bytes")
    if set(record.columns) != expected:
        return f"has not just these columns: {', '.join(sorted(expected))}"
    for name, values in record.columns.items():
        if not isinstance(values, list) or [type(v) for v in values] != [int] * len(numbers):
            return f"its column {name} is not {len(numbers)} whole numbers"
    if record.columns["number"] != numbers:
        return f"numbers its samples {record.columns['number']}, the job gives {numbers}"
    moments = {"overlay_r", "overlay_g", "overlay_b", "mask"} | ({"depth"} if depth else set())
    if set(record.moments) != moments or set(record.sizes) != kinds:
        return "its sums are not of overlay, mask and, if there is any, depth"
    return "; ".join(_wrong_sums(job, record))


def _wrong_sums(job: Job, record: Commit) -> Iterator[str]:
    """Sums that say something else than the columns."""
    values = len(record.columns["number"]) * job.configuration.size[0] * job.configuration.size[1]
    area = sum(record.columns["mask_area"])
    if any(m.count != values for m in record.moments.values()):
        yield f"its sums are not over {values} pixels"
    if (record.moments["mask"].total, record.moments["mask"].squares) != (255 * area, 65025 * area):
        yield "its sums of the masks are not those of their areas"
    depth = record.moments.get("depth")
    if depth is not None and depth.total != sum(record.columns["depth_sum_mm"]):
        yield "its sum of depth is not that of its samples"


def wrong_places(output: str, version: str, record: Commit) -> str:
    """What a usable record says otherwise than the job of where the foreground stands."""
    job = jobs.read_cached(output, version)
    size = _stored_size(output, record.unit.foreground)
    if min(size) < 1:
        return ""  # no picture: composing it again, or its checksum, says so
    _, places = places_of(job, record.unit, size)
    for i, (number, place) in enumerate(zip(record.columns["number"], places, strict=True)):
        found = tuple(record.columns[f"canvas_{name}"][i] for name in _BOX)
        if found != tuple(place):
            return (
                f"places sample {number} at {found} (x, y, width, height on the canvas), the job "
                f"at {tuple(place)}"
            )
    return ""


@functools.lru_cache(maxsize=4096)
def _stored_size(output: str, number: int) -> tuple[int, int]:
    """Width and height of a foreground as used, from the head of its PNG file; 0 if it is none."""
    path = storage.join(output, jobs.FOREGROUNDS, f"fg_{number}.png")
    head = storage.storage_for(path).read_range(path, 0, _PNG_SIZE + 8)
    if not head.startswith(b"\x89PNG"):
        return 0, 0
    head = head[_PNG_SIZE:]
    return int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
