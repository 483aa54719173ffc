"""The samples of a finished data set, one after the other, whatever form they are stored in.

A sample knows its row of the manifest and reads its pictures when it is asked for them, so that
whoever needs masks only reads nothing else, and `ordered_map.in_order` can do the reading and
decoding of many at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fgbg.transforms.dataset.file_samples import FileSample
from fgbg.transforms.dataset.record_samples import RecordReader, RecordSample
from fgbg.transforms.dataset.rows import mixed_rows, ordered_rows
from fgbg.transforms.dataset.sample import Sample
from fgbg.transforms.job.job import Job


def opener(output: str, job: Job) -> Callable[[dict[str, Any]], Sample]:
    """A function from a row of the manifest to its sample, for either form of data set.

    Raises:
        SampleError: There are no shards where there should be.
    """
    c = job.configuration
    if not c.in_records:
        return lambda row: FileSample(row, c, output)
    reader = RecordReader(output, job)
    return lambda row: RecordSample(row, c, reader)


def read_samples(
    output: str, job: Job, manifest_path: str, split: str | None = None, mixed: bool = False
) -> Iterator[Sample]:
    """The samples of a finished data set; memory does not grow with their number.

    Args:
        output: The data set.
        job: Its job.
        manifest_path: A local copy of its manifest.
        split: Only this split's; None: all.
        mixed: In an order that mixes the backgrounds, always the same one, instead of the
            manifest's.

    Yields:
        Samples. Pictures that are missing show when they are asked for.

    Raises:
        SampleError: There are no shards where there should be.
    """
    yield from map(
        opener(output, job), (mixed_rows if mixed else ordered_rows)(manifest_path, split)
    )
