"""The samples of a finished data set: here alone it is decided which form they are read in.

A sample knows its row of the manifest and reads its pictures when it is asked for them, so that
whoever needs masks only reads nothing else, and `ordered_map.in_order` can do the reading and
decoding of many at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from fgbg.transforms.dataset.file_samples import FileReader
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.dataset.rows import mixed_rows, ordered_rows
from fgbg.transforms.dataset.sample import Sample
from fgbg.transforms.job.job import Job


def open_reader(output: str, job: Job) -> FileReader | RecordReader:
    """The reader of a data set's samples, for the form that it has.

    Args:
        output: The data set.
        job: Its job.

    Raises:
        SampleError: There are no shards where there should be.
    """
    return (RecordReader if job.configuration.in_records else FileReader)(output, job)


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
    reader = open_reader(output, job)
    for row in (mixed_rows if mixed else ordered_rows)(manifest_path, split):
        yield reader.sample(row)
