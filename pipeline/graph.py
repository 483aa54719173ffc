"""The whole graph of the main job, on one page."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from fgbg.models.depth.depth_card import DENSEDEPTH
from fgbg.pipeline.arguments import GraphArguments
from fgbg.transforms.job.work_unit import WorkUnit, units_of_background
from fgbg.transforms.steps.compose import FAILED, Compose, DropCommitted
from fgbg.transforms.steps.estimate_depth import DepthModelHandler, EstimateDepth
from fgbg.transforms.steps.join_shards import JoinShards
from fgbg.transforms.steps.run_made import Made, added_up, made_now, timings
from fgbg.transforms.steps.summarise import Summary, conclude
from fgbg.transforms.steps.summarise_chunk import Summed
from fgbg.transforms.steps.summarise_chunks import SummariseChunks
from fgbg.transforms.steps.write import RecordFailure, Write


def work_units(background: int, arguments: GraphArguments) -> Iterator[WorkUnit]:
    """The units on one background that belong to the slice."""
    a = arguments
    units = list(units_of_background(background, a.foregrounds, a.mirror, a.rounds))
    first = (background - 1) * len(units)  # the units' numbers are those of Job.index_of
    for index, unit in enumerate(units):
        # Shifted by the background: every slice gets its share of each foreground.
        if a.part.has(first + index, index + background):
            yield unit


def _handler(a: GraphArguments) -> DepthModelHandler | None:
    """The RunInference handler of the depth network, if there is one."""
    if a.depth_path is None or a.depth_model is None:
        return None
    model = a.depth_model
    # Only here: the stored job does not depend on the GPU that happens to work on it. Networks of
    # other kinds may have a batch of their own.
    if a.gpu_batch is not None and model.kind == DENSEDEPTH and model.batch_size is None:
        model = dataclasses.replace(model, batch_size=a.gpu_batch)
    given_at_once = None if a.unit_size is None else a.together * a.unit_size
    return DepthModelHandler(
        a.depth_path, model, a.canvas, a.depth_threads, given_at_once, a.needs_gpu, a.together
    )


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
        compose = Compose(a.output, a.version, a.backgrounds_kept)
        composed = units | "Compose" >> beam.ParDo(compose).with_outputs(
            FAILED, main="composed"
        )  # ComposedUnit
        written = (
            composed.composed
            | "EstimateDepth" >> EstimateDepth(_handler(a))  # (ComposedUnit, depth)
            | "Write"
            >> beam.ParDo(Write(a.output, a.version, a.fsync)).with_outputs(FAILED, main="written")
        )  # Committed
        (
            (composed[FAILED], written[FAILED])
            | "Failures" >> beam.Flatten()  # FailedUnit
            | "RecordFailure" >> beam.ParDo(RecordFailure(a.output))
        )
        return written.written


def generate(root: beam.Pipeline, arguments: GraphArguments) -> beam.PCollection:
    """Keys, resume, one shuffle of keys, Generate. Gives Committed for every unit made."""
    make: beam.PTransform = Generate(arguments)
    if arguments.hints:
        # On the composite alone: a hint on a single step would cut it off from its neighbours,
        # and pixels would travel between them.
        make = make.with_resource_hints(**dict(arguments.hints))
    return (
        root
        | "Backgrounds" >> beam.Create(range(1, arguments.backgrounds + 1), reshuffle=False)  # int
        | "WorkUnits" >> beam.FlatMap(work_units, arguments).with_output_types(WorkUnit)  # WorkUnit
        | "DropCommitted"
        >> beam.ParDo(
            DropCommitted(
                arguments.output, arguments.version, arguments.awaits, arguments.part.count == 1
            )
        ).with_output_types(WorkUnit)  # WorkUnit
        | "Reshuffle" >> beam.Reshuffle()  # WorkUnit: only keys cross
        | "Generate" >> make  # Committed
    )


def generate_and_summarise(root: beam.Pipeline, arguments: GraphArguments) -> beam.PCollection:
    """The whole job as one graph, for runners that take it whole. Gives one Summary."""
    made = done = (
        generate(root, arguments)
        | "Samples" >> beam.Map(lambda committed: made_now(committed.samples))  # Made
        | "AllDone" >> beam.CombineGlobally(added_up)  # Made, once, when every unit has ended
    )
    if arguments.in_records:
        done = (
            done
            | "JoinShards" >> JoinShards(arguments.output)  # int, bytes of each shard
            | "AllJoined" >> beam.CombineGlobally(sum)  # int, once, when every shard is whole
        )
    return (
        done
        | "SummariseChunks" >> SummariseChunks(arguments.output, arguments.version)  # Summed, once
        | "Conclude"
        >> beam.Map(_conclude, arguments.output, _launched(root), beam.pvalue.AsSingleton(made))
    )  # Summary


def _conclude(total: Summed, output: str, launched: float | None, made: Made) -> Summary:
    return conclude(output, total, timings(made, launched))


def _launched(root: beam.Pipeline) -> float | None:
    """Now, in seconds since 1970; None for a template, which is launched at another time."""
    is_template = root.options.view_as(GoogleCloudOptions).template_location
    return None if is_template else time.time()
