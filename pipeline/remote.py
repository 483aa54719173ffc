"""The main job on a runner that takes the whole graph: Dataflow, Flink, Spark, Prism..."""

from __future__ import annotations

import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.exit_codes import OK, SOME_FAILED
from pipeline.graph import generate_and_summarise
from pipeline.graph_arguments import GraphArguments
from transforms import commit, shards
from transforms.job import Job


def run(output: str, job: Job, depth_path: str | None, beam_options: list[str]) -> int:
    """Runs the whole graph and waits for it.

    Args:
        output: The data set; its job and inputs are stored.
        job: Its job.
        depth_path: Where the depth network lies, for the workers; or None.
        beam_options: Options for Beam, with the runner.

    Returns:
        The exit code.
    """
    commit.clear_failures(output)
    if job.configuration.in_records:
        shards.forget_lost(output)
    root = beam.Pipeline(options=PipelineOptions(beam_options))
    generate_and_summarise(root, GraphArguments.of(output, job, depth_path, threads=1))
    root.run().wait_until_finish()
    missing = job.units - len(commit.committed(output))
    print(f"{job.units - missing:,} of {job.units:,} units are done: {output}", file=sys.stderr)
    return SOME_FAILED if missing else OK
