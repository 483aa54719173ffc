"""`fgbg cutout`: from photos to cut-outs, on this machine's cores."""

from __future__ import annotations

import dataclasses
import os
import time

from fgbg.files import storage
from fgbg.files.paths import trim_slash
from fgbg.files.tables import TableError
from fgbg.pipeline.data_set import given_pictures
from fgbg.pipeline.data_set.output_lock import hold
from fgbg.pipeline.exit_codes import OK, SOME_FAILED, UserError
from fgbg.pipeline.options import licences
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.options.cutout import cutout_parser, method_of
from fgbg.pipeline.progress import Progress, duration, say, tell
from fgbg.pipeline.workers import trial
from fgbg.pipeline.workers.processes import available_cores
from fgbg.pipeline.workers.slices import run_slices
from fgbg.transforms import escaping
from fgbg.transforms.cutout import record, sheet
from fgbg.transforms.cutout.method import Method
from fgbg.transforms.cutout.record import FAILED, MADE, Record, Task
from fgbg.transforms.dataset import catalogue, output_names

_REASONS_SHOWN = 10


def main(arguments: list[str]) -> int:
    """Runs `fgbg cutout`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    started = time.monotonic()
    asked = options.parse_all(cutout_parser(), arguments)
    output = trim_slash(asked.output)
    if asked.method is not None:  # a network is fetched before anything else is looked at
        method_of(asked)
    tasks = _tasks(asked.images, output, record.read_all(output))
    _check_output(output)
    try:  # before any work: its licences are not to be lost at the end
        record.check_sources([task.path for task in tasks])
    except TableError as error:
        raise UserError(str(error)) from error
    before = record.read_all(output)
    _check_names(tasks, before, output)
    method = method_of(asked, {entry.fingerprint for entry in before.values()})
    network = (method.name, method.model.licence) if method.model is not None else None
    licences.check(asked.licence, network, record.licences([task.path for task in tasks]))
    if asked.method is None:
        say(f"Cutting out by {method.name}; --method takes another way.")
    if not any(entry.fingerprint == method.fingerprint() for entry in before.values()):
        trial.cutout(method)
    with hold(output):
        if not storage.is_gcs(output):
            # Before the first cut-out: a rerun after a crash must know the folder as ours.
            os.makedirs(os.path.join(output, record.RECORDS), exist_ok=True)
        before = record.read_all(output)
        _check_names(tasks, before, output)
        fingerprint = method.fingerprint()
        missing = [
            task
            for task in tasks
            if not record.is_done(task, before.get(task.name), fingerprint, output)
        ]
        if len(missing) < len(tasks):
            say(f"Resuming: {len(tasks) - len(missing):,} of {len(tasks):,} photos are done.")
        if missing:
            workers = min(asked.workers or available_cores(), len(missing))
            _make(output, missing, len(tasks), method, fingerprint, workers)
        records = record.read_all(output)
        ordered = [records[name] for name in sorted(records, key=catalogue.natural_order)]
        record.write_tables(output, ordered)
        sheet.write_sheets(output, ordered)
    return _report(output, [records[t.name] for t in tasks if t.name in records], started)


def _tasks(sources: list[str], output: str, before: dict[str, Record] | None = None) -> list[Task]:
    """The photos of the command line, each with the name of its cut-out."""
    for source in sources:
        if os.path.isdir(source) and os.path.realpath(source) == os.path.realpath(output):
            raise UserError(f"--output {output}: the folder of the photos; give another one")
    named = given_pictures.find(sources, "IMAGE_OR_DIR")
    earlier = {entry.path: entry.name for entry in (before or {}).values()}
    named = output_names.kept(named, earlier)
    tasks = [Task(number, path, name) for number, (path, name) in enumerate(named.items())]
    _check_clashes(tasks)
    return tasks


def _check_clashes(tasks: list[Task]) -> None:
    by_name: dict[str, Task] = {}
    for task in tasks:
        other = by_name.setdefault(task.name.lower(), task)
        if other is not task:
            raise UserError(
                f"{other.path} and {task.path} would both be cut out as {task.file}; rename one, "
                "or cut them out into two folders"
            )
    for task in tasks:
        first, _, rest = task.name.lower().partition("/")
        if rest and first in (record.RECORDS.partition("/")[0], sheet.FOLDER.lower()):
            raise UserError(
                f"{task.path}: --output has a folder {first} of its own; rename the photo's, or "
                "give its folder instead of a pattern"
            )


def _check_output(output: str) -> None:
    if storage.is_gcs(output):
        return
    if os.path.exists(output) and not os.path.isdir(output):
        raise UserError(f"--output {output}: a file, not a folder")
    ours = os.path.isdir(os.path.join(output, record.RECORDS))
    if os.path.isdir(output) and not ours and set(os.listdir(output)) - {"_work"}:
        raise UserError(
            f"--output {output}: the folder is not empty and holds no cut-outs of fgbg; give an "
            "empty or a new one"
        )


def _check_names(tasks: list[Task], before: dict[str, Record], output: str) -> None:
    """An earlier run may have cut out another photo of the same name."""
    for task in tasks:
        other = before.get(task.name)
        if other and other.path != task.path and _exists(other.path):
            raise UserError(
                f"{output} holds {task.file} of {other.path} already; cut {task.path} out into "
                "another folder"
            )


def _exists(path: str) -> bool:
    return storage.storage_for(path).exists(path)


def _make(
    output: str, missing: list[Task], total: int, method: Method, fingerprint: str, workers: int
) -> None:
    """Runs a worker process for each slice, and shows how far they are."""
    missing = [dataclasses.replace(task, number=i) for i, task in enumerate(missing)]

    def give_up(number: int, reason: str) -> None:
        photo = missing[number]
        record.write(output, Record(photo.name, photo.told, "", fingerprint, FAILED, reason))

    run_slices(
        "fgbg.pipeline.workers.tasks:cut_out_slice",
        workers,
        output,
        missing,
        method,
        fingerprint,
        max(1, available_cores() // workers),
        progress=Progress("photos", total, total - len(missing)),
        shown=["units_done", "units_failed"],
        name_of=lambda number: missing[number].path,
        give_up=give_up,
    )


def _report(output: str, records: list[Record], started: float) -> int:
    """The closing lines, and the exit code."""
    made = [r for r in records if r.status == MADE]
    kept = [r for r in made if r.reason]
    bad = [r for r in records if r.status != MADE]
    unsure = [r.name for r in made if r.row.get("unsure")]
    taken = duration(time.monotonic() - started)
    tell(f"{len(made):,} of {len(records):,} photos cut out in {taken}: {output}")
    if unsure:
        tell(f"Unsure of {len(unsure):,}, look at them: {_few(unsure)}")
    if bad:
        tell(f"{len(bad):,} rejected: {storage.join(output, record.REJECTED)}")
        for entry in bad[:_REASONS_SHOWN]:
            tell(f"  {entry.path}: {entry.reason}")
    if kept:
        tell(f"{len(kept):,} could not be cut out again; their earlier cut-outs are kept:")
        for entry in kept[:_REASONS_SHOWN]:
            tell(f"  {entry.path}: {entry.reason}")
    for entry in made:
        for note in entry.row.get("notes", ()):
            say(f"Warning: {entry.path}: {note}")
    if any("/" in entry.name for entry in made):
        tell(f"fgbg generate takes them by --foregrounds '{output}/**/*.png'")
    if made:
        tell(f"Look at {storage.join(output, sheet.FOLDER, sheet.SHEET)}")
    return SOME_FAILED if bad or kept else OK


def _few(names: list[str]) -> str:
    short = ", ".join(escaping.name(name) for name in names[:8])
    return short + (f" and {len(names) - 8} more" if len(names) > 8 else "")
