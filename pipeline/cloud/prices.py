"""What Google Cloud asks for, and how fast GPUs are taken to be: tables with where each is from.

List prices in US dollars for us-central1, without discounts, taxes and free allowances. No price
page could be read directly when these were put together: `seen` says where a figure was seen
instead, and figures without it are from memory. Each is checked by its `source` before anyone
relies on it; --price_per_hour and --depth_speed replace them.
"""

from __future__ import annotations

import dataclasses

from fgbg.pipeline.cloud.dataflow import DISK_GB
from fgbg.pipeline.cloud.workers import Workers

REGION = "us-central1"
DATE = "2026-11-22"
_DATAFLOW = "https://cloud.google.com/dataflow/pricing"
_COMPUTE_GPU = "https://cloud.google.com/compute/gpus-pricing"
_STORAGE = "https://cloud.google.com/storage/pricing"


@dataclasses.dataclass(frozen=True)
class Price:
    """One list price.

    Attributes:
        usd: US dollars for one unit.
        unit: What of.
        source: The page that says it.
        seen: Where it was seen, and when, if not there; "" for from memory.
    """

    usd: float
    unit: str
    source: str
    seen: str = ""

    @property
    def amount(self) -> str:
        """The dollars, with as many decimals as they have."""
        return f"{self.usd:.6f}".rstrip("0").rstrip(".")

    @property
    def checked(self) -> str:
        """How far the figure can be relied on, in words."""
        return f"seen {self.seen}" if self.seen else "from memory, not verified"


_QUOTED = f"quoted in public repositories, found {DATE}"
VCPU_HOUR = Price(0.056, "vCPU hour of a batch worker", _DATAFLOW, _QUOTED)
GIB_HOUR = Price(0.003557, "GiB hour of a worker's memory", _DATAFLOW, _QUOTED)
DISK_GIB_HOUR = Price(0.000054, "GiB hour of a worker's disk", _DATAFLOW, _QUOTED)
STORED_GIB_MONTH = Price(0.020, "GiB month in Cloud Storage, Standard", _STORAGE)
WRITES_1000 = Price(0.005, "1,000 writes to Cloud Storage, Standard", _STORAGE)
# Dataflow's own page lists its GPUs; these are Compute Engine's prices of the same GPUs.
GPU_HOUR = {
    "t4": Price(0.35, "T4 hour", _COMPUTE_GPU, _QUOTED),
    "v100": Price(2.48, "V100 hour", _COMPUTE_GPU, _QUOTED),
    "l4": Price(
        0.56,
        "L4 hour",
        _COMPUTE_GPU,
        "as g2-standard-4 at 0.706832, price list of 2026-09-24 in Cyclenerd/"
        "google-cloud-pricing-cost-calculator, less its cores and memory",
    ),
    "a100": Price(
        2.933905,
        "A100 40 GB hour",
        _COMPUTE_GPU,
        "as a2-highgpu-1g at 3.673385, price list of 2025-03-06 in Cyclenerd/"
        "google-cloud-pricing-cost-calculator, less 0.73948 for its cores and memory",
    ),
    "a100-80gb": Price(3.93, "A100 80 GB hour", _COMPUTE_GPU),
    "h100": Price(
        9.80,
        "H100 hour",
        _COMPUTE_GPU,
        "as a3-highgpu-1g at 10.9791 on 2026-09-26 (Cloud Billing catalogue, in tgarg01/"
        "silybench-data), less an estimate of its cores and memory",
    ),
}

# Pictures of 448x448 a second that DenseDepth in float32 makes on one GPU. Assumptions: about 0.1
# Tflop a picture (docs/depth.md), at a third of what the maker states for float32 (from A100 on a
# sixth of what is stated for TF32), rounded down. No GPU was at hand to measure on.
DEPTH_SPEED = {
    "t4": 25.0,
    "v100": 50.0,
    "l4": 80.0,
    "a100": 250.0,
    "a100-80gb": 250.0,
    "h100": 600.0,
}
DEPTH_SPEED_SOURCE = (
    "assumed, not measured: 0.1 Tflop for 448x448, a third of the GPU's stated rate or less"
)
# Until a worker does its first unit: machine, driver, an image of several GB.
START_MINUTES = {"cpu": 4.0, "gpu": 10.0}
# Writes to Cloud Storage while a core waits: a guess, requests in the same region.
WRITE_SECONDS = 0.05


def worker_hour(workers: Workers) -> tuple[float, list[str]]:
    """What a worker costs in an hour, in US dollars, and how that comes about, in lines."""
    machine = workers.machine
    parts = [
        (machine.vcpus, VCPU_HOUR),
        (machine.memory_gib, GIB_HOUR),
        (DISK_GB, DISK_GIB_HOUR),
    ]
    if workers.gpu is not None:
        parts.append((1, GPU_HOUR[workers.gpu.name]))
    total = sum(count * price.usd for count, price in parts)
    return total, [
        f"{count:g} x ${price.amount}, {price.unit} ({price.source}; {price.checked})"
        for count, price in parts
    ]
