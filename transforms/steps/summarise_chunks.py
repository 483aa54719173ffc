"""SummariseChunks: the steps of the graph that sum up a data set, chunk by chunk.

What they do is in summarise_chunk, which a launcher imports too: there is no Beam in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from fgbg.transforms.dataset import manifest_parts
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import Chunk, chunks
from fgbg.transforms.steps.summarise_chunk import Summed, summarise_chunk, summed


class SummariseChunk(beam.DoFn):
    """Chunk -> Summed.

    Args:
        output: The data set.
        version: The version of its job.
    """

    def __init__(self, output: str, version: str) -> None:
        self._output = output
        self._version = version

    def process(self, chunk: tuple[int, int, int]) -> Iterator[Summed]:
        yield summarise_chunk(self._output, self._version, Chunk(*chunk))


class SummariseChunks(beam.PTransform):
    """Anything, once, when all units have ended -> Summed, once, of the whole data set.

    Args:
        output: The data set.
        version: The version of its job.
    """

    def __init__(self, output: str, version: str) -> None:
        super().__init__()
        self._output = output
        self._version = version

    def expand(self, done: beam.PCollection) -> beam.PCollection:
        output, version = self._output, self._version
        return (
            done
            | "Chunks"
            >> beam.FlatMap(_chunks, output, version).with_output_types(
                tuple[int, int, int]
            )  # Chunk, as three numbers
            | "Reshuffle" >> beam.Reshuffle()  # only numbers cross
            | "SummariseChunk" >> beam.ParDo(SummariseChunk(output, version))  # Summed
            | "AllSummed" >> beam.CombineGlobally(summed)  # Summed, once
        )


def _chunks(_: object, output: str, version: str) -> Iterator[tuple[int, int, int]]:
    job = jobs.read_cached(output, version)
    manifest_parts.prepare(output, job)
    yield from map(tuple, chunks(job))
