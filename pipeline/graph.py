"""The whole graph of the main job, on one page."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import apache_beam as beam

from models.depth_card import DepthModel
from transforms import job as jobs
from transforms.compose import FAILED, Compose, DropCommitted
from transforms.estimate_depth import DepthModelHandler, EstimateDepth
from transforms.summarise import summarise
from transforms.work_unit import WorkUnit, units_of_background
from transforms.write import RecordFailure, Write


@dataclasses.dataclass(frozen=True)
class GraphArguments:
    """What the graph is built from; everything else is read from the data set by the workers.

    Attributes:
        output: The data set.
        version: The version of its job.
        backgrounds: Number of backgrounds.
        foregrounds: Number of foregrounds.
        mirror: Whether there are mirrored units.
        rounds: Number of rounds of placements.
        canvas: Width and height of the canvas.
        depth_path: Where the depth network lies; None for a data set without depth.
        depth_model: What it is.
        depth_threads: CPU threads that a depth network may use.
        slice_index: Which slice of the units to make, from 0.
        slices: Number of slices.
        without: Names of units that are not to be made.
    """

    output: str
    version: str
    backgrounds: int
    foregrounds: int
    mirror: bool
    rounds: int
    canvas: tuple[int, int]
    depth_path: str | None = None
    depth_model: DepthModel | None = None
    depth_threads: int = 1
    slice_index: int = 0
    slices: int = 1
    without: frozenset[str] = frozenset()

    @classmethod
    def of(cls, output: str, job: jobs.Job, depth_path: str | None, threads: int) -> GraphArguments:
        """Of a stored job, all units in one slice."""
        c = job.configuration
        return cls(
            output,
            jobs.version(job),
            len(job.backgrounds),
            len(job.foregrounds),
            c.mirror,
            len(c.placements),
            c.canvas,
            depth_path,
            DepthModel.from_dict(c.depth_model) if c.depth_model else None,
            threads,
        )

    def handler(self) -> DepthModelHandler | None:
        """The RunInference handler of the depth network, if there is one."""
        if self.depth_path is None or self.depth_model is None:
            return None
        return DepthModelHandler(self.depth_path, self.depth_model, self.canvas, self.depth_threads)


def work_units(background: int, arguments: GraphArguments) -> Iterator[WorkUnit]:
    """The units on one background that belong to the slice."""
    a = arguments
    units = units_of_background(background, a.foregrounds, a.mirror, a.rounds)
    for index, unit in enumerate(units):
        # Shifted by the background: every slice gets its share of each foreground.
        if (index + background) % a.slices == a.slice_index:
            yield unit


class Generate(beam.PTransform):
    """WorkUnit -> Committed: the pixels live in here, in one fused stage, and nowhere else.

    Args:
        arguments: What the graph is built from.
    """

    def __init__(self, arguments: GraphArguments) -> None:
        super().__init__()
        self._arguments = arguments

    def expand(self, units: beam.PCollection) -> beam.PCollection:
        a = self._arguments
        composed = units | "Compose" >> beam.ParDo(Compose(a.output, a.version)).with_outputs(
            FAILED, main="composed"
        )  # ComposedUnit
        written = (
            composed.composed
            | "EstimateDepth" >> EstimateDepth(a.handler())  # (ComposedUnit, depth)
            | "Write" >> beam.ParDo(Write(a.output, a.version)).with_outputs(FAILED, main="written")
        )  # Committed
        (
            (composed[FAILED], written[FAILED])
            | "Failures" >> beam.Flatten()  # FailedUnit
            | "RecordFailure" >> beam.ParDo(RecordFailure(a.output))
        )
        return written.written


def generate(root: beam.Pipeline, arguments: GraphArguments) -> beam.PCollection:
    """Keys, resume, one shuffle of keys, Generate. Gives Committed for every unit made."""
    return (
        root
        | "Backgrounds"
        >> beam.Create(range(1, arguments.backgrounds + 1), reshuffle=False)  # int
        | "WorkUnits" >> beam.FlatMap(work_units, arguments).with_output_types(WorkUnit)  # WorkUnit
        | "DropCommitted"
        >> beam.ParDo(DropCommitted(arguments.output, arguments.without)).with_output_types(
            WorkUnit
        )  # WorkUnit
        | "Reshuffle" >> beam.Reshuffle()  # WorkUnit: only keys cross
        | "Generate" >> Generate(arguments)  # Committed
    )


def generate_and_summarise(root: beam.Pipeline, arguments: GraphArguments) -> beam.PCollection:
    """The whole job as one graph, for runners that take it whole. Gives one Summary."""
    return (
        generate(root, arguments)
        | "Samples" >> beam.Map(lambda committed: committed.samples)  # int
        | "AllDone" >> beam.CombineGlobally(sum)  # int, once, when every unit has ended
        | "Summarise"
        >> beam.Map(lambda made, output: summarise(output), arguments.output)  # Summary
    )
