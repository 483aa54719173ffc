"""Options of `fgbg generate` for workers in the cloud, and for the estimate of --plan."""

from __future__ import annotations

import argparse

from fgbg.pipeline.cloud import gpus
from fgbg.pipeline.options.types import number


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options to the parser of `fgbg generate`."""
    add = parser.add_argument_group("workers in the cloud (docs/dataflow.md)").add_argument
    add(
        "--gpu",
        choices=gpus.NAMES,
        default=gpus.NONE,
        help="GPU of the workers that make depth: chooses their machine, driver, processes and "
        "batches",
    )
    add(
        "--gpu_processes",
        type=number(1, 96, int),
        default=None,
        metavar="N",
        help="processes on a worker's GPU: 1, or the cores of its machine; None: the cores",
    )
    add(
        "--accelerator",
        default=None,
        metavar="HINT",
        help="the resource hint that --gpu sets, such as "
        "type:nvidia-tesla-t4;count:1;machine_type:n1-standard-4;install-nvidia-driver:5xx; None: "
        "by --gpu",
    )
    add(
        "--min_ram",
        default=None,
        metavar="SIZE",
        help="memory of a worker with a GPU, such as 12GB; None: 3 GB for each process",
    )
    add = parser.add_argument_group("estimate (--plan)").add_argument
    add(
        "--price_per_hour",
        type=number(0, 100_000),
        default=None,
        metavar="AMOUNT",
        help="price of one worker for an hour, in any currency: --plan then prints the price of "
        "all worker hours; None: hours and bytes only",
    )
    add(
        "--depth_speed",
        type=number(1e-3, 1e6),
        default=None,
        metavar="N",
        help="pictures a second that a worker's GPU makes depth of; None: by the table of speeds",
    )
