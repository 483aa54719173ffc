"""What the worker processes of `fgbg cutout` do: a pipeline over a slice of the photos in each."""

from __future__ import annotations

import dataclasses

from fgbg.models.segmentation.segmentation import SegmentationModelError
from fgbg.pipeline.exit_codes import UserError
from fgbg.transforms.cutout.method import Method
from fgbg.transforms.cutout.record import Task


@dataclasses.dataclass(frozen=True)
class Slice:
    """What one worker process does.

    Attributes:
        output: The folder of the cut-outs.
        tasks: Its photos.
        method: How they are cut out.
        fingerprint: Of the method.
        threads: CPU threads of a network.
    """

    output: str
    tasks: tuple[Task, ...]
    method: Method
    fingerprint: str
    threads: int


def cut_out_slice(work: Slice) -> None:
    """Cuts out the photos of one slice.

    Raises:
        UserError: The network cannot be used.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from fgbg.transforms.cutout import method, steps

    if work.method.model is not None:
        try:
            # Opened before the pipeline starts, so that its errors reach the person as they are.
            method.open_network(work.method, work.threads)
        except SegmentationModelError as error:
            raise UserError(str(error)) from error
    arguments = steps.CutOutArguments(
        work.output, work.tasks, work.method, work.fingerprint, work.threads
    )
    with beam.Pipeline(FnApiRunner(), PipelineOptions([])) as root:
        steps.cut_out(root, arguments)
