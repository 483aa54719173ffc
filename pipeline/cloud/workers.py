"""What workers in the cloud are to be: from --gpu and Beam's options to machine, hints, batches.

Dataflow starts one process for each core of a worker, and every process opens the depth network on
the worker's one GPU. So the number of processes decides how much of its memory each may use, and
that decides the batch. What is given explicitly is kept; what cannot work is refused here, before
anything is read, written or paid.
"""

from __future__ import annotations

import argparse
import dataclasses
import math

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    WorkerOptions,
)
from apache_beam.transforms.resources import ResourceHint

from fgbg.models.depth.micro_batches import even_batch, units_together
from fgbg.pipeline.cloud import gpus
from fgbg.pipeline.cloud.gpus import Gpu, Machine
from fgbg.pipeline.exit_codes import UserError

PRIME = "enable_prime"
# NVIDIA's driver of the newest series that Dataflow has: CUDA 12.9 and cuDNN 9 need one of 5xx, and
# without a number a T4 gets an older one.
_DRIVER = "install-nvidia-driver:5xx"
_MPS = "use_nvidia_mps"
ONE_PROCESS = "no_use_multiple_sdk_containers"
# Threads of the only process of a worker: with many processes, each has one.
_THREADS_OF_ONE = 4
_LARGEST_BATCH = 32
# Memory in GiB, none of it measured on a GPU. Where it does not suffice, a batch is halved while
# the job runs (depth.micro_batches). DenseDepth's largest maps decide the picture's share.
_GPU_USABLE = 0.9
_GPU_PER_PROCESS = 1.0
_GPU_PER_PICTURE = 0.25
_PICTURE_PIXELS = 448 * 448
# Memory of the machine: 1.25 GiB were measured for a process with TensorFlow on a CPU.
_RAM_PER_PROCESS = 3.0


@dataclasses.dataclass(frozen=True)
class Workers:
    """What workers are to be.

    Attributes:
        machine: Their machine.
        gpu: Their GPU; None without one.
        processes: Processes on each.
        accelerator: The resource hint of Generate; None without a GPU.
        min_ram: Likewise, such as "12GB".
        batch: The most pictures of a call of DenseDepth; None without a GPU.
        beam_options: What is added to Beam's options.
        together: Work units whose pictures are given to a GPU at once.
    """

    machine: Machine
    gpu: Gpu | None = None
    processes: int = 1
    accelerator: str | None = None
    min_ram: str | None = None
    batch: int | None = None
    beam_options: tuple[str, ...] = ()
    together: int = 1


def choose(
    asked: argparse.Namespace, beam_options: list[str], canvas: tuple[int, int], runs: bool
) -> Workers:
    """What the workers of a job are to be.

    Args:
        asked: The options of `fgbg generate`.
        beam_options: Beam's, as given.
        canvas: Width and height of the pictures that the depth network is shown.
        runs: Whether the job runs on workers at all: on this machine no GPU can be chosen.

    Raises:
        UserError: Options contradict each other, or cannot work.
    """
    options = PipelineOptions(beam_options)
    name = options.view_as(WorkerOptions).machine_type
    if asked.gpu == gpus.NONE:
        for option in ("gpu_processes", "accelerator", "min_ram"):
            if getattr(asked, option) is not None:
                raise UserError(f"--{option} goes with --gpu, and no GPU is asked for")
        machine = (gpus.any_machine(name) if name else None) or gpus.default_machine()
        machine = dataclasses.replace(machine, name=name or machine.name)
        return Workers(machine, processes=machine.vcpus)
    if not runs:
        raise UserError(
            f"--gpu {asked.gpu} chooses the GPU of workers in the cloud. On this machine "
            "TensorFlow uses the GPU that is there: leave --gpu out, or add --runner DataflowRunner"
        )
    _refuse_contradictions(asked, options)
    gpu = gpus.GPUS[asked.gpu]
    in_hint = _parts(asked.accelerator).get("machine_type")
    machine, processes = _machine(asked, gpu, in_hint or name, options)
    threads = options.view_as(DebugOptions).number_of_worker_harness_threads
    # The hint brings the machine: steps without a GPU stay on machines without one.
    brought = name or in_hint or not asked.accelerator
    added = [] if brought else [f"--machine_type={machine.name}"]
    if processes == 1 and machine.vcpus > 1 and ONE_PROCESS not in _experiments(options):
        added.append(f"--experiments={ONE_PROCESS}")
    if not threads:
        threads = _THREADS_OF_ONE if processes == 1 else 1
        added.append(f"--number_of_worker_harness_threads={threads}")
    batch = asked.depth_batch_size or _batch(gpu, machine, processes, threads, canvas)
    together = units_together(batch, asked.placements)
    return Workers(
        machine,
        gpu,
        processes,
        asked.accelerator or _hint(gpu, machine, processes),
        asked.min_ram or f"{math.ceil(processes * _RAM_PER_PROCESS)}GB",
        asked.depth_batch_size or even_batch(batch, together * asked.placements),
        tuple(added),
        together,
    )


def _experiments(options: PipelineOptions) -> list[str]:
    found: list[str] = []
    for entry in options.view_as(DebugOptions).experiments or []:
        found += entry.split(",")
    return found


def _refuse_contradictions(asked: argparse.Namespace, options: PipelineOptions) -> None:
    gpu = asked.gpu
    if asked.depth_model == "none":
        raise UserError(
            f"--gpu {gpu}: only the depth network uses a GPU, and --depth_model is none; name a "
            "network, or leave --gpu out"
        )
    if asked.depth_model.endswith(".tflite"):
        raise UserError(
            f"--gpu {gpu}: a .tflite network runs on the processor alone; leave --gpu out, or take "
            "a network of another kind"
        )
    service = options.view_as(GoogleCloudOptions).dataflow_service_options or []
    if any("worker_accelerator" in entry for entry in service):
        raise UserError(
            f"--gpu {gpu} and --dataflow_service_options worker_accelerator=...: Dataflow takes "
            "one of them. --gpu puts the GPU on the steps that need it; leave the other out"
        )
    hints = options.view_as(StandardOptions).resource_hints or []
    if any(str(hint).startswith("accelerator") for hint in hints):
        raise UserError(
            f"--gpu {gpu} and --resource_hints accelerator=...: the second puts a GPU on every "
            "step; leave it out (--accelerator changes the hint that --gpu sets)"
        )
    if options.view_as(GoogleCloudOptions).flexrs_goal:
        raise UserError(
            f"--gpu {gpu} and --flexrs_goal: FlexRS takes no resource hints; leave one of them out"
        )
    accelerator = gpus.GPUS[gpu].accelerator
    given = _parts(asked.accelerator)
    if asked.accelerator and given.get("type") != accelerator:
        raise UserError(
            f"--accelerator {asked.accelerator}: --gpu {gpu} is type:{accelerator}; such as "
            f"'{_hint(gpus.GPUS[gpu], gpus.GPUS[gpu].machines[0], 1)}'"
        )
    if asked.accelerator and given.get("count", "1") != "1":
        raise UserError(
            f"--accelerator {asked.accelerator}: every process uses its worker's first GPU; give "
            "count:1 and more workers"
        )
    if asked.min_ram:
        try:
            ResourceHint.get_by_name("min_ram").parse(asked.min_ram)
        except ValueError as error:
            raise UserError(f"--min_ram {asked.min_ram}: {error}; such as 12GB") from error


def _hint(gpu: Gpu, machine: Machine, processes: int) -> str:
    # Several processes on one GPU take turns unless NVIDIA's Multi-Process Service runs.
    shared = f";{_MPS}" if processes > 1 else ""
    return f"type:{gpu.accelerator};count:1;machine_type:{machine.name};{_DRIVER}{shared}"


def _parts(hint: str | None) -> dict[str, str]:
    """The parts of an accelerator hint; a switch has no value."""
    return dict(part.partition(":")[::2] for part in (hint or "").split(";"))


def _on_prime(options: PipelineOptions) -> bool:
    service = options.view_as(GoogleCloudOptions).dataflow_service_options or []
    return PRIME in [*_experiments(options), *(part for e in service for part in e.split(","))]


def _machine(
    asked: argparse.Namespace, gpu: Gpu, name: str | None, options: PipelineOptions
) -> tuple[Machine, int]:
    """The machine, and the processes on it."""
    processes = asked.gpu_processes
    alone = ONE_PROCESS in _experiments(options)
    if _on_prime(options):
        if processes not in (None, 1) or _MPS in (asked.accelerator or ""):
            what = f"--gpu_processes {processes}" if processes else f"--accelerator ...{_MPS}"
            raise UserError(
                f"{what} and {PRIME}: several processes share a GPU by NVIDIA's MPS, which "
                "Dataflow Prime does not have; give --gpu_processes 1, or leave Prime out"
            )
        processes = 1
    if alone and processes not in (None, 1):
        raise UserError(
            f"--gpu_processes {processes} and --experiments {ONE_PROCESS}, which means one; leave "
            "one of them out"
        )
    processes = 1 if alone else processes
    if name:
        machine = gpu.machine(name)
        if machine is None:
            known = ", ".join(m.name for m in gpu.machines)
            custom = " or another N1 machine" if gpu.series == "n1" else ""
            raise UserError(
                f"--machine_type {name}: a machine with one {gpu.name.upper()} is of the series "
                f"{gpu.series}: {known}{custom}. Leave --machine_type out to have "
                f"{gpu.machines[0].name}"
            )
    else:
        fitting = [m for m in gpu.machines if processes in (None, 1, m.vcpus)]
        machine = fitting[0] if fitting else gpu.machines[0]
    if processes not in (None, 1, machine.vcpus):
        known = ", ".join(sorted({str(m.vcpus) for m in gpu.machines} | {"1"}, key=int))
        raise UserError(
            f"--gpu_processes {processes}: Dataflow starts one process for each core, or one for "
            f"the whole worker. {machine.name} has {machine.vcpus} cores; machines with one "
            f"{gpu.name.upper()} allow {known}"
        )
    return machine, processes or machine.vcpus


def _batch(
    gpu: Gpu, machine: Machine, processes: int, threads: int, canvas: tuple[int, int]
) -> int:
    """The most pictures at once that fit into a process' share of the GPU."""
    share = (_GPU_USABLE * gpu.memory_gib / processes - _GPU_PER_PROCESS) / threads
    picture = _GPU_PER_PICTURE * canvas[0] * canvas[1] / _PICTURE_PIXELS
    if share < picture:
        raise UserError(
            f"--gpu {gpu.name}: {processes} processes on {machine.name} with {threads} threads "
            f"each share {gpu.memory_gib:g} GiB, too little for one picture of "
            f"{canvas[0]}x{canvas[1]} each; give --gpu_processes 1, or --depth_batch_size to try it"
        )
    return min(_LARGEST_BATCH, int(share / picture))
