"""What runs inside the worker processes: tasks, each called with its slice of the work."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.files import storage
from fgbg.files.sealed import DamagedError
from fgbg.models import network_files
from fgbg.models.depth import depth_network
from fgbg.models.depth.depth_card import DepthModelError
from fgbg.models.opening import NetworkError
from fgbg.pipeline import faults
from fgbg.pipeline.arguments import GraphArguments, Slice
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.graph import generate
from fgbg.transforms import meter
from fgbg.transforms.cutout import method as methods
from fgbg.transforms.cutout import record as cutouts
from fgbg.transforms.cutout.method import Method
from fgbg.transforms.cutout.record import Task
from fgbg.transforms.cutout.steps import cut_out
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import chunks
from fgbg.transforms.job.commit_queue import CommitQueue, Settled
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.label import record as labels
from fgbg.transforms.label.network import LabelNetwork
from fgbg.transforms.label.steps import Form, label
from fgbg.transforms.records import shards
from fgbg.transforms.steps.convert import convert_unit
from fgbg.transforms.steps.summarise_chunk import Summed, summarise_chunk, summed
from fgbg.transforms.steps.verify import verify
from fgbg.transforms.steps.verify_background import Given
from fgbg.transforms.steps.verify_recompute import is_as_composed


def _pipeline(beam_options: list[str] | None = None) -> beam.Pipeline:
    return beam.Pipeline(FnApiRunner(), PipelineOptions(beam_options or []))


def _network_error(error: Exception) -> Exception:
    """What ends a task whose network cannot be opened: wrong use, unless memory is short."""
    return MemoryError(str(error)) if faults.is_memory(error) else UserError(str(error))


def make_slice(part: Slice, graph: GraphArguments, beam_options: list[str]) -> str | None:
    """Makes the units of a slice that are not done.

    Args:
        part: The slice, of numbers of units.
        graph: What the graph is built from.
        beam_options: Beam options, as given on the command line.

    Returns:
        Name of the GPU that made the depth; None for the processor, or without depth.

    Raises:
        UserError: The depth network cannot be used.
    """
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
            raise _network_error(error) from error
    with _pipeline(beam_options) as root:
        generate(root, dataclasses.replace(graph, part=part))
    return gpu


def join_slice(part: Slice, output: str, names: list[str]) -> None:
    """Joins shards.

    Args:
        part: The slice, of places in `names`.
        output: The data set; its plan is stored.
        names: The shards that are to be joined by all slices.
    """
    plan = shards.open_plan(output)
    for i, name in enumerate(names):
        if part.has(i):
            meter.begin(i)
            shards.join(output, plan, name)
            meter.count("shards_joined")
            meter.end()


def summarise_slice(part: Slice, output: str, version: str) -> Summed:
    """Sums up the chunks of a slice.

    Args:
        part: The slice, of places of chunks in the job.
        output: The data set; records are in shards by now.
        version: The version of its job.
    """
    own = (
        chunk for i, chunk in enumerate(chunks(jobs.read_cached(output, version))) if part.has(i)
    )
    return summed(summarise_chunk(output, version, chunk) for chunk in own)


def verify_slice(part: Slice, given: Given, backgrounds: int, folder: str) -> None:
    """Checks the backgrounds of a slice, and writes what is found to a file of its number.

    Args:
        part: The slice, of numbers of backgrounds.
        given: What all slices are told.
        backgrounds: How many the data set has.
        folder: Local folder of the files.
    """
    with _pipeline() as root:
        own = filter(part.has, range(1, backgrounds + 1))
        verify(root, given, own, os.path.join(folder, str(part.index)))


def proven_inputs(output: str, version: str) -> bool:
    """Whether the inputs as used are those that the samples were made of: one of each is proof.

    Args:
        output: The data set.
        version: The version of its job.
    """
    job = jobs.read_cached(output, version)
    backgrounds = {entry.number for entry in job.backgrounds}
    foregrounds = {entry.number for entry in job.foregrounds}
    for unit in sorted(commit.committed(output, job)):
        if unit.background in backgrounds or unit.foreground in foregrounds:
            with contextlib.suppress(DamagedError, FileNotFoundError):
                if is_as_composed(output, version, commit.read(output, job, unit)):
                    backgrounds.discard(unit.background)
                    foregrounds.discard(unit.foreground)
    return not backgrounds and not foregrounds


def convert_slice(
    part: Slice,
    source: str,
    source_version: str,
    target: str,
    version: str,
    fsync: bool = True,
) -> None:
    """Converts the units of a slice that are not done.

    Args:
        part: The slice, of numbers of units.
        source: The data set that is converted.
        source_version: The version of its job.
        target: The new data set.
        version: The version of its job.
        fsync: Whether a unit counts as done only when its files are on the local disk.
    """
    source_job = jobs.read_cached(source, source_version)
    reader = open_reader(source, source_job)
    job = jobs.read_cached(target, version)
    done = commit.committed(target, job)
    queue = CommitQueue(target, job, fsync)
    for place, unit in enumerate(sorted(commit.committed(source, source_job))):
        number = job.index_of(unit)
        if unit in done or not part.has(number, place):
            continue
        meter.begin(number)
        try:
            record = convert_unit(reader, target, job, unit)
        except (SampleError, DamagedError, FileNotFoundError) as error:
            _not_converted(target, unit, error)
        else:
            _count_converted(target, queue.put(record))
        meter.end()
    _count_converted(target, queue.drain())


def look_slice(part: Slice, source: str, version: str) -> str:
    """Reads the samples of a slice's units as a conversion does, and writes nothing.

    Args:
        part: The slice, of numbers of units.
        source: The data set.
        version: The version of its job.

    Returns:
        What is wrong with the first that is missing or damaged; "" if none is.
    """
    job = jobs.read_cached(source, version)
    reader = open_reader(source, job)
    for place, unit in enumerate(sorted(commit.committed(source, job))):
        number = job.index_of(unit)
        if not part.has(number, place):
            continue
        meter.begin(number)
        try:
            for sample in reader.unit(commit.read(source, job, unit)):
                sample.overlay()
                sample.mask()
                if sample.has_depth:
                    sample.millimetres()
                meter.count("rows_checked")
        except (SampleError, DamagedError, FileNotFoundError) as error:
            return str(error)
        finally:
            meter.end()
    return ""


def _count_converted(target: str, settled: Iterable[Settled]) -> None:
    for record, error in settled:
        if error is not None:
            _not_converted(target, record.unit, error)
            continue
        meter.count("units_done")
        meter.count("samples", len(record.columns["number"]))
        meter.count("bytes", sum(record.sizes.values()))


def _not_converted(target: str, unit: WorkUnit, error: Exception) -> None:
    commit.write_failure(target, unit, "Convert", str(error))
    meter.count("units_failed")


def cut_out_slice(
    part: Slice, output: str, tasks: list[Task], method: Method, fingerprint: str, threads: int
) -> None:
    """Cuts out the photos of a slice that are not done.

    Args:
        part: The slice, of numbers of tasks.
        output: The folder of the cut-outs.
        tasks: The photos of all slices.
        method: How they are cut out.
        fingerprint: Of the method.
        threads: CPU threads of a network.

    Raises:
        UserError: The network cannot be used.
    """
    if method.model is not None:
        try:
            # Opened before the pipeline starts, so that its errors reach the person as they are.
            methods.open_network(method, threads)
        except NetworkError as error:
            raise _network_error(error) from error
    own = [task for task in tasks if part.has(task.number)]
    before = cutouts.read_all(output, {task.name for task in own})
    left = [t for t in own if not cutouts.is_done(t, before.get(t.name), fingerprint, output)]
    with _pipeline() as root:
        cut_out(root, output, left, method, fingerprint, threads)


def label_slice(
    part: Slice,
    output: str,
    blocks: list[labels.Block],
    network: LabelNetwork,
    form: Form,
    threads: int,
) -> None:
    """Labels the pictures of a slice that are not labelled.

    Args:
        part: The slice, of numbers of blocks; without pictures by their own numbers.
        output: The folder of the labels.
        blocks: The blocks of all slices.
        network: The network.
        form: How labels are stored.
        threads: CPU threads of the network.

    Raises:
        UserError: The network cannot be used.
    """
    try:
        # Opened before the pipeline starts, so that its errors reach the person as they are.
        network.open_cached(threads)
    except ValueError as error:
        raise UserError(str(error)) from error
    left = []
    for block in blocks:
        path = labels.record_path(output, block.identity)
        if block.number % part.count == part.index and not storage.storage_for(path).exists(path):
            places = range(len(block.items))
            given_up = frozenset(i for i in places if block.first + i in part.without)
            left.append(dataclasses.replace(block, given_up=given_up))
    with _pipeline() as root:
        label(root, output, left, network, form, threads)
