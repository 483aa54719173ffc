"""What Google Cloud Dataflow asks for beyond other runners: checked before anything is written."""

from __future__ import annotations

import os
import re
import time

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    TestOptions,
    WorkerOptions,
)

from fgbg.files import storage
from fgbg.models import network_files
from fgbg.models.depth.depth_card import BUILTIN, DepthModel
from fgbg.models.trained import trained_card
from fgbg.pipeline.exit_codes import UserError
from fgbg.transforms.job import job as jobs

# Beside the data set and not in a bucket that Beam would make: nobody is surprised by a new one.
TEMPORARY = "_work/dataflow"
# The image is 7.4 GB unpacked, beside its packed layers and a GPU's driver; Dataflow gives 25 GB.
DISK_GB = 50
_NAMES = ("dataflow", "dataflowrunner")
_LONGEST_NAME = 63


def is_dataflow(runner: str | None) -> bool:
    """Whether a runner's name, as --runner takes it, is Dataflow's."""
    return runner is not None and runner.rpartition(".")[2].lower() in _NAMES


def complete(output: str, beam_options: list[str]) -> list[str]:
    """Beam's options with what a Dataflow job of ours needs and was not given.

    Args:
        output: The data set.
        beam_options: Beam's options, as given.

    Raises:
        UserError: Something is missing that only the person knows.
    """
    options = PipelineOptions(beam_options)
    cloud = options.view_as(GoogleCloudOptions)
    if not storage.is_gcs(output) and not options.view_as(TestOptions).dry_run:
        raise UserError(
            f"--output {output}: workers of Dataflow write to Cloud Storage, not to this machine; "
            "give gs://BUCKET/FOLDER"
        )
    workers = options.view_as(WorkerOptions)
    if not (workers.sdk_container_image or options.view_as(SetupOptions).setup_file):
        raise UserError(
            "--sdk_container_image is missing: workers need an image with fgbg and its libraries "
            "in it; docs/dataflow.md says how to build it"
        )
    added = []
    if not (cloud.temp_location or cloud.staging_location):
        added.append(f"--temp_location={storage.join(output, TEMPORARY)}")
    if not workers.disk_size_gb:
        added.append(f"--disk_size_gb={DISK_GB}")
    if not cloud.job_name:
        added.append(f"--job_name={_job_name(output)}")
    return [*beam_options, *added]


def _job_name(output: str) -> str:
    """A name that tells jobs apart in the console: letters, digits and dashes."""
    own = re.sub(r"[^a-z0-9]+", "-", output.rstrip("/").rpartition("/")[2].lower()).strip("-")
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"fgbg-{own[: _LONGEST_NAME - len(stamp) - 6] or 'set'}-{stamp}".replace("--", "-")


def place_of_depth_model(output: str, path: str | None, model: DepthModel | None) -> str | None:
    """Where workers find a depth network, once it is published there.

    One that is downloaded is published too: workers may have no way to the internet, and its
    server need not stand a download by each of them.

    Args:
        output: The data set, on Cloud Storage.
        path: Where the network comes from: a file, a folder, an http address, gs:// or the
            built-in one's name.
        model: What it is.
    """
    if path is None or model is None or path == BUILTIN or storage.is_gcs(path):
        return path
    if not storage.is_gcs(output):
        return path
    path = network_files.on_this_machine(path, model)
    folder = storage.join(output, jobs.DEPTH_MODEL, model.sha256[:16])
    return storage.join(folder, os.path.basename(os.path.normpath(path)))


def publish_depth_model(output: str, path: str | None, model: DepthModel | None) -> str | None:
    """Puts a depth network of this machine into the data set, where workers find it.

    Args:
        output: The data set, on Cloud Storage.
        path: Where the network comes from, as of `place_of_depth_model`.
        model: What it is.

    Returns:
        Where workers find it.
    """
    target = place_of_depth_model(output, path, model)
    if path is None or model is None or target is None or target == path:
        return target
    path = network_files.on_this_machine(path, model)
    store = storage.storage_for(target)
    if not os.path.isdir(path):
        if not store.exists(target):
            store.upload(path, target)
        return target
    for name in _needed(path):
        if not store.exists(storage.join(target, name)):
            store.upload(os.path.join(path, name), storage.join(target, name))
    return target


def _needed(folder: str) -> list[str]:
    """The files of a network's folder; of one of fgbg train no checkpoints."""
    if trained_card.is_trained(folder):
        return [trained_card.CARD, trained_card.KERAS_FILE]
    return list(storage.storage_for(folder).walk(folder))
