"""The GPUs that Dataflow workers may have, and the machines that carry them: one table.

Every machine here has one GPU. On a machine with several, each process of a worker would use the
first of them; more workers do what more GPUs on a worker would.

Sources: https://cloud.google.com/compute/docs/gpus (memory, machine series),
https://cloud.google.com/compute/docs/accelerator-optimized-machines (sizes),
https://cloud.google.com/dataflow/docs/gpu/use-l4-gpus (L4 goes with G2 machines alone).
"""

from __future__ import annotations

import dataclasses
import re

NONE = "none"
# N1 machines are of any number of cores up to the GPU's limit; these are the predefined ones.
_N1_SIZES = (1, 2, 4, 8, 16, 32)
_N1_STANDARD = re.compile(r"n1-standard-(\d+)")
_N1_OTHER = re.compile(r"n1-(highmem|highcpu)-(\d+)")
_N1_CUSTOM = re.compile(r"(?:n1-)?custom-(\d+)-(\d+)(?:-ext)?")
_N1_GIB_PER_VCPU = {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9}


@dataclasses.dataclass(frozen=True)
class Machine:
    """A worker's machine.

    Attributes:
        name: As Compute Engine names it.
        vcpus: Its virtual cores: Dataflow starts a process on each.
        memory_gib: Its memory.
    """

    name: str
    vcpus: int
    memory_gib: float


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A GPU that can be asked for.

    Attributes:
        name: As --gpu names it.
        accelerator: As Compute Engine names it.
        memory_gib: Its memory that processes can use.
        series: The machine series that carries it.
        machines: Machines of one GPU; the first is taken unless asked otherwise.
        most_vcpus: Cores that a machine with one such GPU may have.
        capability: Its compute capability, which decides what the image's libraries can do on it.
    """

    name: str
    accelerator: str
    memory_gib: float
    series: str
    machines: tuple[Machine, ...]
    most_vcpus: int
    capability: tuple[int, int]

    def machine(self, name: str) -> Machine | None:
        """The machine of a name, or None if it does not carry one GPU of this kind."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        if self.series != "n1":
            return None
        other = _n1(name)
        return other if other is not None and other.vcpus <= self.most_vcpus else None


def _n1(name: str) -> Machine | None:
    if match := _N1_CUSTOM.fullmatch(name):
        return Machine(name, int(match[1]), int(match[2]) / 1024)
    if match := _N1_OTHER.fullmatch(name):
        return Machine(name, int(match[2]), int(match[2]) * _N1_GIB_PER_VCPU[match[1]])
    if match := _N1_STANDARD.fullmatch(name):
        return Machine(name, int(match[1]), int(match[1]) * _N1_GIB_PER_VCPU["standard"])
    return None


def _n1_standard(most: int) -> tuple[Machine, ...]:
    """Predefined N1 machines, that of 4 cores first."""
    sizes = sorted((n for n in _N1_SIZES if n <= most), key=lambda n: (n != 4, n))
    return tuple(Machine(f"n1-standard-{n}", n, 3.75 * n) for n in sizes)


def _g2() -> tuple[Machine, ...]:
    return tuple(Machine(f"g2-standard-{n}", n, 4.0 * n) for n in (4, 8, 12, 16, 32))


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("t4", "nvidia-tesla-t4", 15, "n1", _n1_standard(32), 48, (7, 5)),
        Gpu("l4", "nvidia-l4", 22.5, "g2", _g2(), 32, (8, 9)),
        Gpu(
            "a100", "nvidia-tesla-a100", 39.5, "a2", (Machine("a2-highgpu-1g", 12, 85),), 12, (8, 0)
        ),
        Gpu(
            *("a100-80gb", "nvidia-a100-80gb", 79, "a2"),
            *((Machine("a2-ultragpu-1g", 12, 170),), 12, (8, 0)),
        ),
        Gpu("h100", "nvidia-h100-80gb", 79, "a3", (Machine("a3-highgpu-1g", 26, 234),), 26, (9, 0)),
    )
}
NAMES = (NONE, *GPUS)

# What the image's libraries can do. TensorFlow: as its wheel says of itself
# (tf.sysconfig.get_build_info()); "sm" is machine code, which later minors of its major run too,
# "compute" is PTX, which the driver compiles at the first use on any later GPU: minutes on an H100.
TENSORFLOW_ARCHITECTURES = ("sm_60", "sm_70", "sm_80", "sm_89", "compute_90")
# cuDNN: the least that it has code for since 9.11, whose release notes end Maxwell, Pascal and
# Volta: https://docs.nvidia.com/deeplearning/cudnn/backend/latest/release-notes.html
CUDNN_VERSION, CUDNN_LEAST = "9.28", (7, 5)


def runs(gpu: Gpu) -> str | None:
    """How the image's libraries run on a GPU: "sm_80", "compute_90" (PTX), or None: not at all."""
    if gpu.capability < CUDNN_LEAST:
        return None
    fitting = []
    for name in TENSORFLOW_ARCHITECTURES:
        kind, _, digits = name.partition("_")
        has = int(digits[:-1]), int(digits[-1])
        if has <= gpu.capability and (kind == "compute" or has[0] == gpu.capability[0]):
            fitting.append(name)
    return fitting[-1] if fitting else None


# Pictures of 448x448 a second that DenseDepth in float32 makes on one GPU. Assumptions: about 0.1
# Tflop a picture (docs/depth.md), at a third of what the maker states for float32 (from A100 on a
# sixth of what is stated for TF32), rounded down. No GPU was at hand to measure on.
DEPTH_SPEED = {
    "t4": 25.0,
    "l4": 80.0,
    "a100": 250.0,
    "a100-80gb": 250.0,
    "h100": 600.0,
}
DEPTH_SPEED_SOURCE = (
    "assumed, not measured: 0.1 Tflop for 448x448, a third of the GPU's stated rate or less"
)


def default_machine() -> Machine:
    """The machine of workers without a GPU, unless another is asked for."""
    return Machine("n1-standard-4", 4, 15.0)


def any_machine(name: str) -> Machine | None:
    """The machine of a name, as far as its name says what it is."""
    for gpu in GPUS.values():
        if (machine := gpu.machine(name)) is not None:
            return machine
    match = re.fullmatch(r"([a-z]\d[a-z]?)-(standard|highmem|highcpu)-(\d+)", name)
    if not match:
        return _n1(name)
    vcpus = int(match[3])
    per_vcpu = {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0}[match[2]]
    return _n1(name) or Machine(name, vcpus, vcpus * per_vcpu)
