"""JoinShards: the graph's steps from blocks to shards. Only names cross its shuffle."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from fgbg.transforms import meter
from fgbg.transforms.records import shards
from fgbg.transforms.records.stored_plan import StoredPlan


class PlanShards(beam.DoFn):
    """Anything, once, when all units have ended -> names of the shards that are to be joined.

    Args:
        output: The data set.
    """

    def __init__(self, output: str) -> None:
        self._output = output

    def process(self, element: object) -> Iterator[str]:
        yield from shards.prepare(self._output)


class JoinShard(beam.DoFn):
    """Name of a shard -> its size in bytes.

    Args:
        output: The data set. Its plan is stored.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self._plan: StoredPlan | None = None

    def process(self, name: str) -> Iterator[int]:
        if self._plan is None:  # not in setup(): that may run before the plan is stored
            self._plan = shards.open_plan(self._output)
        size = shards.join(self._output, self._plan, name)
        meter.count("shards_joined")
        yield size


class JoinShards(beam.PTransform):
    """Anything, once -> sizes of the shards that were joined, in bytes.

    Args:
        output: The data set.
    """

    def __init__(self, output: str) -> None:
        super().__init__()
        self._output = output

    def expand(self, done: beam.PCollection) -> beam.PCollection:
        return (
            done
            | "PlanShards" >> beam.ParDo(PlanShards(self._output)).with_output_types(str)  # str
            | "Reshuffle" >> beam.Reshuffle()  # str: only names cross
            | "JoinShard" >> beam.ParDo(JoinShard(self._output)).with_output_types(int)  # int
        )
