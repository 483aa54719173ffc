"""What runs inside the worker processes: one pipeline over one slice of the work."""

from __future__ import annotations

import logging
from collections.abc import MutableSequence
from typing import Any

import apache_beam as beam
import cv2
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.models import network_files
from fgbg.models.depth import depth_network
from fgbg.models.depth.depth_card import DepthModelError
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.graph import generate, join_shards
from fgbg.pipeline.workers.arguments import SliceMade, SliceOfGenerate, SliceOfShards
from fgbg.pipeline.workers.processes import peak_memory
from fgbg.transforms import meter
from fgbg.transforms.records import shards
from fgbg.transforms.steps.summarise import Summary, summarise
from fgbg.transforms.steps.verify import VerifyArguments, verify


def set_up(counters: MutableSequence[int], threads: int) -> None:
    """Prepares this process for its work.

    Args:
        counters: Array shared with the launcher.
        threads: CPU threads that it may use; OpenCV gets one, the processes are its threads.
    """
    logging.getLogger().setLevel(logging.ERROR)  # Beam warns of things that nobody can change
    logging.getLogger("fgbg").setLevel(logging.WARNING)
    cv2.setNumThreads(1)
    meter.share(counters)


def make_slice(task: SliceOfGenerate) -> SliceMade:
    """Makes the units of one slice."""
    graph = task.graph
    gpu = None
    if graph.depth_path and graph.depth_model:
        try:
            # Loaded before the pipeline starts, so that its errors reach the person as they are.
            network = depth_network.load(
                network_files.on_this_machine(graph.depth_path, graph.depth_model),
                graph.depth_model,
                graph.canvas,
                graph.depth_threads,
                graph.unit_size,
            )
            gpu = network.gpu
        except DepthModelError as error:
            raise UserError(str(error)) from error
    with beam.Pipeline(FnApiRunner(), PipelineOptions(task.beam_options)) as root:
        generate(root, graph)
    return SliceMade(peak_memory(), gpu)


def plan_shards(output: str) -> list[str]:
    """Stores the plan of the shards. Returns the names of those that are still to be joined."""
    return shards.prepare(output)


def join_slice(task: SliceOfShards) -> int:
    """Joins the shards of one slice. Returns the process' peak memory in bytes."""
    with beam.Pipeline(FnApiRunner(), PipelineOptions([])) as root:
        join_shards(root, task)
    return peak_memory()


def summarise_output(task: tuple[str, dict[str, Any]]) -> Summary:
    """Writes what stands beside the samples: the data set's path, and timings of the run."""
    return summarise(*task)


def verify_slice(arguments: VerifyArguments) -> None:
    """Checks the rows of one slice."""
    with beam.Pipeline(FnApiRunner(), PipelineOptions([])) as root:
        verify(root, arguments)
