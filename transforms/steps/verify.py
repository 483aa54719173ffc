"""Verify: reads a data set back and proves that it is what its manifest says.

Each row group of the manifest is one element, checked where it is read: files, sizes, checksums,
masks, boxes, the background around the foreground. Problems come out as one line each.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator

import apache_beam as beam

from fgbg.files import storage
from fgbg.transforms import meter
from fgbg.transforms.dataset import manifest
from fgbg.transforms.dataset.file_samples import FileReader, FileSample
from fgbg.transforms.dataset.record_samples import RecordReader
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job import job as jobs
from fgbg.transforms.pixels.coding import KINDS, suffixes
from fgbg.transforms.steps.verify_pictures import check_pictures
from fgbg.transforms.steps.verify_records import check_rows


class CheckGroup(beam.DoFn):
    """Number of a row group of the manifest -> problems, as JSON lines {"file", "problem"}.

    Args:
        output: The data set.
        version: The version of its job.
        manifest_path: A local copy of its manifest.
    """

    def __init__(self, output: str, version: str, manifest_path: str) -> None:
        self._output = output
        self._version = version
        self._manifest = manifest_path
        self._reader: FileReader | RecordReader | None = None

    def setup(self) -> None:
        # Without a plan of the shards there is none, and check_shards says so once.
        with contextlib.suppress(SampleError):
            self._reader = open_reader(self._output, jobs.read_cached(self._output, self._version))

    def process(self, group: int) -> Iterator[str]:
        meter.begin(group)
        for file, problem in self._problems(group):
            yield json.dumps({"file": file, "problem": problem})
        meter.end()

    def _problems(self, group: int) -> Iterator[tuple[str, str]]:
        rows = manifest.read_group(self._manifest, group)
        if not isinstance(self._reader, FileReader):
            yield from check_rows(self._output, self._version, rows, self._reader)
            meter.count("rows_checked", len(rows))
            return
        names: dict[int, set[str]] = {}
        for row in rows:
            yield from check_row(self._version, self._reader.sample(row))
            files = names.setdefault(row["bg"], set())
            files.update(row[kind] for kind in KINDS if row[kind])
            meter.count("rows_checked")
        # All rows of a background are in one row group: see fgbg.transforms.steps.summarise.
        for background, files in names.items():
            yield from stray_files(self._output, background, files)


def verify(
    root: beam.Pipeline,
    output: str,
    version: str,
    manifest_path: str,
    groups: Iterable[int],
    problems: str,
) -> beam.PCollection:
    """Row groups -> Reshuffle -> CheckGroup -> a file of problems.

    Args:
        root: The pipeline.
        output: The data set.
        version: The version of its job.
        manifest_path: A local copy of its manifest.
        groups: Row groups of the manifest to check.
        problems: Local path of the file that problems are written to.
    """
    return (
        root
        | "RowGroups" >> beam.Create(groups)  # int
        | "Reshuffle" >> beam.Reshuffle()  # int
        | "CheckGroup" >> beam.ParDo(CheckGroup(output, version, manifest_path))  # str
        | "Problems" >> beam.io.WriteToText(problems, shard_name_template="")
    )


def check_row(version: str, sample: FileSample) -> Iterator[tuple[str, str]]:
    """Checks all files of one sample.

    Args:
        version: The version of the data set's job.
        sample: The sample.

    Yields:
        Pairs of a file and what is wrong with it.
    """
    row, coded = sample.row, {}
    for kind in KINDS:
        name = row[kind]
        if (kind in suffixes(sample.configuration)) != (name is not None):
            yield row["key"], f"the manifest has {'a' if name else 'no'} {kind} file for it"
        if name is None:
            continue
        try:
            coded[kind] = sample.coded(kind)
        except SampleError:
            yield name, "missing"
    for kind, problem in check_pictures(sample.output, version, row, coded):
        yield row[kind], problem


def stray_files(output: str, background: int, names: set[str]) -> Iterator[tuple[str, str]]:
    """Files in a background's folder that belong to no row.

    Args:
        output: The data set.
        background: Number of the background.
        names: The files that its rows have, relative to the data set.
    """
    folder = f"bg{background}"
    for file in storage.storage_for(output).walk(storage.join(output, folder)):
        if f"{folder}/{file}" not in names:
            yield f"{folder}/{file}", "belongs to no row of the manifest"
