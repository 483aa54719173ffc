"""What `fgbg generate` is asked to make: options and inputs, checked before any work."""

from __future__ import annotations

import argparse
import dataclasses
import os

from fgbg.files import storage
from fgbg.models import network_files
from fgbg.models.depth.depth_card import DENSEDEPTH, DepthModel, DepthModelError
from fgbg.models.opening import ONNX
from fgbg.pipeline.cloud.gpus import NONE as NO_GPU
from fgbg.pipeline.data_set.merge import JobConflict, merge
from fgbg.pipeline.data_set.stored import check_shards, stored_job
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.options import depth_model, licences
from fgbg.pipeline.options.formats import formats
from fgbg.pipeline.progress import say
from fgbg.pipeline.workers import trial
from fgbg.transforms import escaping
from fgbg.transforms.dataset import catalogue, left_out
from fgbg.transforms.dataset.catalogue import BACKGROUND, FOREGROUND, Checked, InputError
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import PER_UNIT, Configuration, Job
from fgbg.transforms.job.splits import assign_splits

_PROBLEMS_SHOWN = 200
_SPLITS_SHOWN = 8
# GPUs have units for it, and of the two formats of 16 bits it is the nearer to float32.
GPU_PRECISION = "float16"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a run is asked to do, after all checks.

    Attributes:
        output: The data set's folder.
        job: What the data set is to be.
        stored: What it is; None where there is none.
        paths: Where each input is, by kind and file name.
        depth_path: Where the depth network lies, or None.
    """

    output: str
    job: Job
    stored: Job | None
    paths: dict[tuple[str, str], str]
    depth_path: str | None

    @property
    def needs_tensorflow(self) -> bool:
        """Whether depth is made, by a network that TensorFlow runs."""
        model = self.job.configuration.depth_model
        return model is not None and DepthModel.from_dict(model).kind != ONNX


def read(asked: argparse.Namespace) -> Request:
    """Checks options and inputs, and merges them with what is there.

    Args:
        asked: The options of `fgbg generate`.

    Raises:
        UserError: Something is wrong with them, or contradicts what is there.
    """
    stored = stored_job(asked.output, asked.overwrite)
    configuration = _configuration(asked, stored)
    found: dict[str, list[str]] = {}
    for kind, source in ((BACKGROUND, asked.backgrounds), (FOREGROUND, asked.foregrounds)):
        try:
            found[kind], ignored = catalogue.find(source, f"--{kind}s")
        except InputError as error:
            raise UserError(str(error)) from error
        for line in left_out.lines(ignored, f"--{kind}s"):
            say(line)
    both = sorted(set(found[BACKGROUND]) & set(found[FOREGROUND]))
    if both:
        raise UserError(f"{both[0]} is among both --backgrounds and --foregrounds")
    checked = {
        kind: _check(found[kind], kind, configuration.canvas, stored, source)
        for kind, source in ((BACKGROUND, asked.backgrounds), (FOREGROUND, asked.foregrounds))
    }
    skipped = _handle_problems(checked, asked.skip_bad_inputs)
    for entry in (c for entries in checked.values() for c in entries if not c.problem):
        for note in entry.notes:
            say(f"Warning: {entry.path}: {note}")
    good = {kind: [c for c in entries if not c.problem] for kind, entries in checked.items()}
    for kind, entries in good.items():
        if not entries:
            raise UserError(f"--{kind}s: not one of the {len(found[kind])} files can be used")
    try:
        job = merge(stored, configuration, good[BACKGROUND], good[FOREGROUND], skipped)
    except JobConflict as error:
        raise UserError(
            f"{asked.output} holds a data set of another configuration:\n{error}\nGive the same "
            "options to resume it, another --output, or --overwrite to start anew"
        ) from error
    licences.check(
        asked.licence,
        _network(asked.depth_model, job),
        [dataclasses.asdict(p) for p in (*job.backgrounds, *job.foregrounds)],
    )
    check_shards(asked.output, stored, job)
    _warn(job, stored)
    paths = {(kind, c.file): c.path for kind, entries in good.items() for c in entries}
    return Request(asked.output, job, stored, paths, asked.depth_path)


def _network(name: str, job: Job) -> tuple[str, str] | None:
    """The depth network as it is asked for, and its licence."""
    model = job.configuration.depth_model
    return (name, model.get("licence", "")) if model is not None else None


def check_apart(request: Request) -> None:
    """Raises UserError for inputs or a network that --overwrite would delete with the data set."""
    for path in (*request.paths.values(), *filter(None, [request.depth_path])):
        if _place(path).startswith(_place(request.output) + "/"):
            raise UserError(
                f"--overwrite: {path} lies in --output {request.output} and would be deleted; "
                "copy it elsewhere, or give another --output"
            )


def _place(path: str) -> str:
    return path if storage.is_gcs(path) else os.path.realpath(path)


def try_network(request: Request) -> None:
    """Raises UserError for a depth network that cannot be run; a resumed job's was tried before."""
    configuration = request.job.configuration
    stored = request.stored.configuration.depth_model if request.stored else None
    if request.depth_path is None or configuration.depth_model in (None, stored):
        return
    model = DepthModel.from_dict(configuration.depth_model)
    try:
        path = network_files.on_this_machine(request.depth_path, model)
    except DepthModelError as error:
        raise UserError(str(error)) from error
    trial.depth(path, model, configuration.canvas)


def canvas_of(asked: argparse.Namespace) -> tuple[int, int]:
    """Width and height of the canvas, in pixels."""
    return asked.canvas or (2 * asked.size[0], 2 * asked.size[1])


def _precision(asked: argparse.Namespace, model: DepthModel, stored: Job | None) -> str:
    """What a network computes in: as asked for, else as the data set has it, else by the GPU."""
    if asked.depth_precision is not None or model.kind != DENSEDEPTH:
        return model.precision
    before = stored.configuration.depth_model if stored else None
    if before:
        return DepthModel.from_dict(before).precision
    return GPU_PRECISION if asked.gpu != NO_GPU else model.precision


def _configuration(asked: argparse.Namespace, stored: Job | None) -> Configuration:
    mask_format, depth_format = formats(asked)
    canvas = canvas_of(asked)
    if asked.size[0] * canvas[1] != asked.size[1] * canvas[0]:
        raise UserError(
            f"--size {asked.size[0]}x{asked.size[1]} and --canvas {canvas[0]}x{canvas[1]} have "
            "different aspects: pictures would be distorted"
        )
    if asked.scale_per == PER_UNIT and asked.fg_scale[1] > 1:
        raise UserError(
            f"--fg_scale {asked.fg_scale[0]:g},{asked.fg_scale[1]:g}: above 1 goes with "
            "--scale_per placement (and --truncation: without it nothing exceeds the canvas)"
        )
    model, asked.depth_path = depth_model.choose(asked)
    depth_model.check_metric(f"--depth_model {asked.depth_model}", model)
    if model is not None:
        precision = _precision(asked, model, stored)
        model = dataclasses.replace(model, precision=precision)
        if precision != "float32" and asked.depth_precision is None:
            say(
                f"DenseDepth computes in {precision}: see the precision in docs/depth.md; "
                "--depth_precision gives another"
            )
    depth_range = asked.depth_range or (model.card.max_depth_m if model else 10.0)
    return Configuration(
        output_format=asked.format,
        size=asked.size,
        canvas=canvas,
        placements=[asked.placements],
        mirror=asked.mirror,
        fg_scale=asked.fg_scale,
        scale_per=asked.scale_per,
        scale_by=asked.scale_by,
        truncation=asked.truncation,
        seed=asked.seed,
        image_quality=asked.image_quality,
        mask_format=mask_format,
        depth_format=depth_format,
        depth_range_m=depth_range,
        depth_model=model.to_dict() if model else None,
        splits=asked.splits,
        shards=asked.shards,
    )


def _check(
    paths: list[str], kind: str, canvas: tuple[int, int], stored: Job | None, source: str
) -> list[Checked]:
    try:
        return catalogue.check(paths, kind, canvas, _known(stored, kind), lambda: None, source)
    except InputError as error:
        raise UserError(str(error)) from error


def _known(stored: Job | None, kind: str) -> dict[str, jobs.InputPicture]:
    if stored is None:
        return {}
    entries = stored.backgrounds if kind == BACKGROUND else stored.foregrounds
    return {entry.file: entry for entry in entries}


def _handle_problems(
    checked: dict[str, list[Checked]], skip_bad_inputs: bool
) -> list[dict[str, str]]:
    """Raises for bad inputs, or tells which are left out."""
    bad = [(kind, c) for kind, entries in checked.items() for c in entries if c.problem]
    if not bad:
        return []
    lines = [f"  {kind} {escaping.name(c.path)}: {c.problem}" for kind, c in bad[:_PROBLEMS_SHOWN]]
    if len(bad) > _PROBLEMS_SHOWN:
        lines.append(f"  and {len(bad) - _PROBLEMS_SHOWN} more")
    total = sum(len(entries) for entries in checked.values())
    listing = "\n".join(lines)
    if not skip_bad_inputs:
        raise UserError(
            f"{len(bad)} of {total} inputs cannot be used:\n{listing}\nMend or remove them, or "
            "go on without them by --skip_bad_inputs"
        )
    say(f"{len(bad)} of {total} inputs are left out:\n{listing}")
    return [{"kind": kind, "file": escaping.name(c.file), "problem": c.problem} for kind, c in bad]


def _warn(job: Job, stored: Job | None) -> None:
    for kind, entries in ((BACKGROUND, job.backgrounds), (FOREGROUND, job.foregrounds)):
        for files in catalogue.duplicates(entries):
            say(f"Warning: these {kind}s are the same file: {', '.join(files)}")
    present = {background.split for background in job.backgrounds}
    for name, share in job.configuration.splits:
        if share > 0 and name not in present:
            say(
                f"Warning: split {name} gets no background: whole backgrounds are held out, and "
                f"there are {len(job.backgrounds)}"
            )
    if stored is not None and len(stored.backgrounds) < len(job.backgrounds):
        splits = [background.split for background in job.backgrounds]
        at_once = assign_splits([], len(splits), job.configuration.splits)
        others = [f"bg{i}" for i, (a, b) in enumerate(zip(splits, at_once), start=1) if a != b]
        if others:
            shown = ", ".join(others[:_SPLITS_SHOWN]) + (" ..." if others[_SPLITS_SHOWN:] else "")
            say(
                "Backgrounds that are there keep their splits, so these are in another one than "
                f"they would be had all been made at once: {shown}"
            )


def store(request: Request) -> None:
    """Writes the job and the inputs as used, before any work.

    Raises:
        UserError: An input has changed since it was checked.
    """
    jobs.write(request.output, request.job)
    try:
        catalogue.store_inputs(request.output, request.job, request.paths)
    except InputError as error:
        raise UserError(str(error)) from error
