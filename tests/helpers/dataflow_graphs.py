"""Graphs of the main job as the Dataflow runner translates them, without a cloud."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from fgbg.models.depth.depth_card import DENSEDEPTH, DepthCard, DepthModel
from fgbg.pipeline.arguments import GraphArguments
from fgbg.pipeline.cloud.workers import Workers, choose
from fgbg.pipeline.graph import generate_and_summarise

IMAGE = "us-docker.pkg.dev/fgbg-project/fgbg/fgbg:1"
OFFLINE = [
    "--runner=DataflowRunner",
    "--project=fgbg-project",
    "--region=us-central1",
    f"--sdk_container_image={IMAGE}",
    "--no_auth",
]
CANVAS = (448, 448)


def asked(*more: str) -> Any:
    """The options of a job with depth."""
    from fgbg.pipeline.options import parser as options

    command = ["--backgrounds=b", "--foregrounds=f", "--output=gs://fgbg-bucket/set"]
    return options.parse(options.generate_parser(), [*command, "--depth_model=nyu", *more])[0]


def workers(*more: str, beam_options: list[str] | None = None) -> Workers:
    """What workers the options ask for."""
    return choose(asked(*more), OFFLINE if beam_options is None else beam_options, CANVAS, True)


def arguments(chosen: Workers, **changes: Any) -> GraphArguments:
    """A reference job's graph, 20,000 units with depth."""
    hints: tuple[tuple[str, str], ...] = ()
    if chosen.accelerator and chosen.min_ram:
        hints = (("accelerator", chosen.accelerator), ("min_ram", chosen.min_ram))
    settings: dict[str, Any] = {
        "output": "gs://fgbg-bucket/set",
        "version": "0123456789abcdef",
        "backgrounds": 100,
        "foregrounds": 100,
        "mirror": True,
        "rounds": 1,
        "canvas": CANVAS,
        "depth_path": "gs://fgbg-bucket/nyu.h5",
        "depth_model": DepthModel(DENSEDEPTH, "nyu.h5", "0" * 64, DepthCard()),
        "unit_size": 20,
        "hints": hints,
        "gpu_batch": chosen.batch,
    }
    return GraphArguments(**{**settings, **changes})


def translated(chosen: Workers, **changes: Any) -> Any:
    """The job that the Dataflow runner would submit, by its own dry run."""
    temporary = "--temp_location=gs://fgbg-bucket/tmp"  # of another form, Beam looks for a bucket
    options = [*OFFLINE, *chosen.beam_options, "--dry_run=True", temporary]
    root = beam.Pipeline(options=PipelineOptions(options))
    generate_and_summarise(root, arguments(chosen, **changes))
    return root.run().job  # type: ignore[attr-defined]


def network_file(path: Path) -> Path:
    """A file that passes for a .keras file until it is loaded."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
    return path
