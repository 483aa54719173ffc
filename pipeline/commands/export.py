"""`fgbg export FORMAT OUT`: a finished data set in a form that other tools read."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import time
from collections.abc import Callable

import cv2

from fgbg import __version__
from fgbg.files import storage
from fgbg.files.paths import trim_slash
from fgbg.pipeline import faults
from fgbg.pipeline.data_set.finished import Finished, open_finished
from fgbg.pipeline.exit_codes import INTERRUPTED, OK, UserError
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import Progress, duration, say, tell
from fgbg.pipeline.workers.processes import available_cores
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.dataset.samples import read_samples
from fgbg.transforms.exports import coco as export_coco
from fgbg.transforms.exports import webdataset as export_webdataset

COCO, WEBDATASET = "coco", "webdataset"
_FORMATS = (COCO, WEBDATASET)
_SHARD_MEGABYTES = 128


def main(arguments: list[str]) -> int:
    """Runs `fgbg export`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    asked = _parse(arguments)
    started = time.monotonic()
    output = trim_slash(asked.data_set)
    target = trim_slash(asked.output or storage.join(output, asked.format))
    if not storage.is_gcs(target) and os.path.exists(target) and not os.path.isdir(target):
        raise UserError(f"--output {target}: a file, not a folder")
    cv2.setNumThreads(1)  # its threads would be in the way of those of the export
    with open_finished(output) as data_set:
        _warn(data_set)
        if _is_there(asked.format, target):
            _look(data_set, asked.format, target, asked.workers)
        progress = Progress("samples", data_set.samples)
        try:
            if asked.format == COCO:
                line = _coco(data_set, target, asked.workers, progress.update)
            else:
                shard_bytes = round(asked.shard_size * 1e6)
                line = _webdataset(data_set, target, shard_bytes, asked.workers, progress.update)
        except SampleError as error:
            raise _damaged(output, error, "The export is not complete") from error
        except KeyboardInterrupt:
            say("\nfgbg export: interrupted; what is there is whole. The same command starts anew")
            return INTERRUPTED
        except OSError as error:
            if faults.of_machine(error):
                raise
            raise UserError(f"--output {target}: cannot be written: {error}") from error
        finally:
            progress.close()
    tell(f"{line} in {duration(time.monotonic() - started)}: {target}")
    return OK


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = options.Parser(
        prog="fgbg export",
        description="Writes a finished data set, of images or TFRecords, in a form that other "
        "tools read: coco (instances_SPLIT.json) or webdataset (tar shards).",
    )
    add = parser.add_argument
    add("format", metavar="coco|webdataset", help="what to write")
    add("data_set", metavar="OUT", help="the data set's folder, local or gs://")
    add("--output", metavar="DIR", help="where to; None: OUT/coco or OUT/webdataset")
    add(
        "--shard_size",
        type=options.number(0.01, 100_000),
        default=None,
        metavar="MB",
        help=f"webdataset only: size of a shard in megabytes; None: {_SHARD_MEGABYTES}",
    )
    add(
        "--workers",
        type=options.number(1, 1024, int),
        default=None,
        metavar="N",
        help="threads; None: this machine's cores",
    )
    asked = options.parse_all(parser, arguments)
    if asked.format not in _FORMATS:
        near = difflib.get_close_matches(asked.format, _FORMATS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        parser.error(f"unknown format {asked.format}, known are {', '.join(_FORMATS)}{hint}")
    if asked.shard_size is not None and asked.format != WEBDATASET:
        parser.error("--shard_size is for webdataset only")
    asked.shard_size = asked.shard_size or _SHARD_MEGABYTES
    asked.workers = asked.workers or available_cores()
    return asked


def _is_there(form: str, target: str) -> bool:
    """Whether there is an earlier export, which would be replaced."""
    return (export_coco if form == COCO else export_webdataset).is_there(target)


def _look(data_set: Finished, form: str, target: str, threads: int) -> None:
    """Looks at all samples before an earlier export is replaced: a damaged one is not to cost it.

    Raises:
        UserError: One is missing or damaged.
    """
    samples = read_samples(data_set.output, data_set.job, data_set.manifest)
    if form == COCO:
        export = export_coco.Export(data_set.output, data_set.job, target, __version__, threads)
        looked_at = export_coco.check(export, samples)
    else:
        looked_at = export_webdataset.check(samples, threads)
    with contextlib.closing(Progress("samples", data_set.samples)) as progress:
        try:
            for done, _ in enumerate(looked_at, start=1):
                progress.update(done, note="looked at, for an earlier export is replaced")
        except SampleError as error:
            raise _damaged(
                data_set.output, error, f"The earlier export in {target} is left as it was"
            ) from error


def _damaged(output: str, error: SampleError, what: str) -> UserError:
    return UserError(f"{output}: {error}. {what}; fgbg verify {output} lists all that is wrong")


def _warn(data_set: Finished) -> None:
    missing = data_set.job.samples - data_set.samples
    if missing:
        say(f"Warning: {missing:,} of {data_set.job.samples:,} samples were not made")


def _splits(data_set: Finished) -> list[str]:
    """The splits that have samples."""
    return [name for name, count in data_set.generation["counts"]["splits"].items() if count]


def _coco(data_set: Finished, target: str, threads: int, tick: Callable[[int], None]) -> str:
    """Writes COCO's files. Returns what to say of it."""
    export = export_coco.Export(data_set.output, data_set.job, target, __version__, threads)
    export_coco.remove_earlier(target, [name for name, _ in data_set.job.configuration.splits])
    images = annotations = 0
    for split in _splits(data_set):
        samples = read_samples(data_set.output, data_set.job, data_set.manifest, split)
        written = export_coco.Exported()
        for written in export_coco.export_split(export, split, samples):
            tick(images + written.images)
        images += written.images
        annotations += written.annotations
    if not data_set.job.configuration.in_records:
        root = f"relative to {data_set.output}"
    else:
        root = "beside the annotations"
    return f"{annotations:,} annotations of {images:,} pictures (file names are {root})"


def _webdataset(
    data_set: Finished,
    target: str,
    shard_bytes: int,
    threads: int,
    tick: Callable[[int], None],
) -> str:
    """Writes WebDataset's shards. Returns what to say of it."""
    export_webdataset.remove_earlier(target)
    job = data_set.job
    shards: dict[str, dict[str, int]] = {}
    done = 0
    for split in _splits(data_set):
        samples = read_samples(data_set.output, job, data_set.manifest, split, mixed=True)
        written = export_webdataset.export_split(job, split, samples, target, shard_bytes, threads)
        for counts in written:
            shards[split] = counts
            done += 1
            tick(done)
    export_webdataset.write_index(target, shards)
    return f"{done:,} samples in {sum(len(s) for s in shards.values()):,} shards"
