"""Verify: reads a data set back and proves that it is what its job gives.

Each background is one element, checked where it is read: commit records, rows of the manifest,
files, sizes, checksums, masks, boxes, the background around the foreground.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator

import apache_beam as beam
import pyarrow as pa

from fgbg.transforms import meter
from fgbg.transforms.dataset.file_samples import FileReader
from fgbg.transforms.dataset.generation import Totals
from fgbg.transforms.dataset.manifest_file import ManifestFile
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import Chunk, chunks_of
from fgbg.transforms.steps.problem import Problem
from fgbg.transforms.steps.verify_background import Found, Given, Place, check_chunk, places_of
from fgbg.transforms.steps.verify_manifest import Difference


class CheckBackground(beam.DoFn):
    """Number of a background -> what is found on it, as one JSON line for each of its chunks.

    Args:
        given: What all workers are told.
    """

    def __init__(self, given: Given) -> None:
        self._given = given
        self._manifest: ManifestFile | None = None
        self._places: dict[Chunk, Place] = {}
        self._reader: FileReader | RecordReader | None = None

    def setup(self) -> None:
        given = self._given
        job = jobs.read_cached(given.output, given.version)
        if given.manifest is not None:
            self._manifest = ManifestFile(given.manifest)
            self._places = places_of(job, dict(given.rows), self._manifest.sizes) or {}
        # Without a plan of the shards there is none, and check_shards says so once.
        with contextlib.suppress(SampleError):
            self._reader = open_reader(given.output, job)

    def process(self, background: int) -> Iterator[str]:
        meter.begin(background)
        job = jobs.read_cached(self._given.output, self._given.version)
        for chunk in chunks_of(job, background):
            found = check_chunk(self._given, chunk, self._stored(chunk), self._reader)
            yield json.dumps([background, dataclasses.asdict(found)])
        meter.end()

    def _stored(self, chunk: Chunk) -> pa.Table | None:
        """The rows of a chunk in the manifest; None where they cannot be told from others."""
        place = self._places.get(chunk)
        if place is None or self._manifest is None:
            return None
        return self._manifest.read(place.group).slice(place.first, place.rows)


def read_found(line: str) -> tuple[int, Found]:
    """The number of a background, and what was found in a chunk of it, of a CheckBackground."""
    background, content = json.loads(line)
    difference = content["manifest"]
    return background, Found(
        [Problem(*problem) for problem in content["problems"]],
        Totals.from_dict(content["totals"]),
        None if difference is None else Difference(**difference),
        [tuple(block) for block in content["blocks"]],
    )


def verify(
    root: beam.Pipeline, given: Given, backgrounds: Iterable[int], found: str
) -> beam.PCollection:
    """Backgrounds -> Reshuffle -> CheckBackground -> a file of what is found.

    Args:
        root: The pipeline.
        given: What all workers are told.
        backgrounds: Numbers of those to check.
        found: Local path of the file.
    """
    return (
        root
        | "Backgrounds" >> beam.Create(backgrounds)  # int
        | "Reshuffle" >> beam.Reshuffle()  # int
        | "CheckBackground" >> beam.ParDo(CheckBackground(given))  # str
        | "Found" >> beam.io.WriteToText(found, shard_name_template="")
    )
