"""What runs inside the worker processes: one pipeline over one slice of the work."""

from __future__ import annotations

import dataclasses
import logging
import resource
import sys
from collections.abc import MutableSequence
from typing import Any

import apache_beam as beam
import cv2
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from models import depth_network
from models.depth_card import DepthModelError
from pipeline.exit_codes import UserError
from pipeline.graph import GraphArguments, generate
from transforms import meter
from transforms.summarise import Summary, summarise
from transforms.verify import VerifyArguments, verify


@dataclasses.dataclass(frozen=True)
class SliceOfGenerate:
    """One slice of the main job.

    Attributes:
        graph: What the graph is built from.
        beam_options: Beam options, as given on the command line.
    """

    graph: GraphArguments
    beam_options: list[str]


def set_up(counters: MutableSequence[int], threads: int) -> None:
    """Prepares this process for its work.

    Args:
        counters: Array shared with the launcher.
        threads: CPU threads that it may use; OpenCV gets one, the processes are its threads.
    """
    logging.getLogger().setLevel(logging.ERROR)  # Beam warns of things that nobody can change
    cv2.setNumThreads(1)
    meter.share(counters)


def peak_memory() -> int:
    """The greatest memory that this process has used so far, in bytes."""
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def make_slice(task: SliceOfGenerate) -> int:
    """Makes the units of one slice. Returns the process' peak memory in bytes."""
    graph = task.graph
    if graph.depth_path and graph.depth_model:
        try:
            # Loaded before the pipeline starts, so that its errors reach the person as they are.
            depth_network.load(
                graph.depth_path, graph.depth_model, graph.canvas, graph.depth_threads
            )
        except DepthModelError as error:
            raise UserError(str(error)) from error
    with beam.Pipeline(FnApiRunner(), PipelineOptions(task.beam_options)) as root:
        generate(root, graph)
    return peak_memory()


def summarise_output(task: tuple[str, dict[str, Any]]) -> Summary:
    """Writes what stands beside the samples: the data set's path, and timings of the run."""
    return summarise(*task)


def verify_slice(arguments: VerifyArguments) -> None:
    """Checks the rows of one slice."""
    with beam.Pipeline(FnApiRunner(), PipelineOptions([])) as root:
        verify(root, arguments)
