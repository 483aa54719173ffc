"""`fgbg label`: depth or masks of any number of pictures, resumable, on this machine's cores."""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fgbg import __version__
from fgbg.files import storage
from fgbg.files.fetch import FetchError, file_sha256
from fgbg.files.paths import trim_slash
from fgbg.files.whole_file import whole_file
from fgbg.models import network_files, presets
from fgbg.models.depth.depth_card import DepthModelError
from fgbg.models.presets import Preset
from fgbg.models.segmentation import mask_card
from fgbg.models.trained import trained_card
from fgbg.pipeline.data_set.output_lock import hold
from fgbg.pipeline.exit_codes import OK, SOME_FAILED, UserError
from fgbg.pipeline.options import depth_model, licences
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import Progress, duration, say, tell
from fgbg.pipeline.workers import trial
from fgbg.pipeline.workers.processes import available_cores
from fgbg.pipeline.workers.slices import run_slices
from fgbg.transforms import escaping
from fgbg.transforms.dataset.catalogue import InputError
from fgbg.transforms.label import record, sources
from fgbg.transforms.label.network import LabelNetwork, digest
from fgbg.transforms.label.record import MADE, Row
from fgbg.transforms.label.sources import Item
from fgbg.transforms.label.steps import DEPTH_FORMATS, PNG16, Form

TABLE, ABOUT = "labels.parquet", "label.json"
_REASONS_SHOWN = 10
_COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("name", "path", "shard", "status", "reason")),
        ("files", pa.list_(pa.string())),
        *((name, pa.int32()) for name in ("width", "height")),
        *((f"depth_{name}_m", pa.float32()) for name in ("min", "median", "max")),
        ("mask_share", pa.float32()),
    ]
)


def _parser() -> options.Parser:
    parser = options.Parser(
        prog="fgbg label",
        description="Labels pictures by a network: NAME.depth.png (16 bits, millimetres) and, by a "
        "network of fgbg train, NAME.mask.png, at the pictures' own sizes; of WebDataset shards, "
        "shards of the same names with the same keys. Run it again to resume: what is new, changed "
        "or lost is labelled.",
    )
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="folders of pictures or of WebDataset shards (.tar), data sets of fgbg, files, or "
        "glob patterns; local or gs://",
    )
    add("--output", required=True, metavar="FOLDER", help="where to, local or gs://")
    add(
        "--image_field",
        metavar="ENDING",
        help="which member of a WebDataset sample is labelled, such as overlay.jpg; None: the only "
        "picture, or the first of " + ", ".join(sources.USUAL_FIELDS),
    )
    add(
        "--fed_side",
        type=options.number(32, 4096, int),
        default=448,
        metavar="N",
        help="longer side of the picture shown to a network of any size, in pixels",
    )
    add(
        "--depth_format",
        choices=DEPTH_FORMATS,
        default=PNG16,
        help="png16: millimetres in 16 bits; npy: metres in float32",
    )
    add(
        "--threshold",
        type=options.number(0, 1),
        default=0.5,
        metavar="P",
        help="probability from which a pixel of a mask is foreground",
    )
    options.add_switch(add, "--soft_masks", "store the probability, 0 to 255, instead of 0 or 255")
    add(
        "--workers",
        type=options.number(1, 256, int),
        default=None,
        metavar="N",
        help="processes; None: the cores",
    )
    group = parser.add_argument_group("network").add_argument
    options.add_depth_model(group, none=False, name="--network")
    licences.add_licence(group)
    return parser


def main(arguments: list[str]) -> int:
    """Runs `fgbg label`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    started = time.monotonic()
    asked = options.parse_all(_parser(), arguments)
    output = trim_slash(asked.output)
    network, about = _network(asked)
    form = Form(asked.depth_format, None if asked.soft_masks else asked.threshold)
    fingerprint = f"{network.fingerprint()} {form}"
    try:
        items, notes = sources.find(
            [trim_slash(source) for source in asked.sources], asked.image_field
        )
    except InputError as error:
        raise UserError(str(error)) from error
    _check_output(output, items)
    for note in notes:
        say(note)
    if record.to_make(output, items, fingerprint, record.read(output, items, fingerprint)):
        trial.labelling(network)
    with hold(output):
        known = record.read(output, items, fingerprint)
        workers = asked.workers or available_cores()
        blocks = record.to_make(output, items, fingerprint, known, workers)
        record.withdraw(output, blocks)
        left = sum(len(block.items) for block in blocks)
        if left < len(items):
            say(f"Resuming: {len(items) - left:,} of {len(items):,} pictures are done.")
        if blocks:
            _make(output, blocks, len(items), network, form, min(workers, len(blocks)))
        known = record.read(output, items, fingerprint)
        for target, members in record.shards(items, fingerprint).items():
            record.join(output, target, members, known)
        _write_table(output, items, known.rows)
        _write_about(output, items, known.rows, about)
    return _report(output, items, known.rows, started)


def _network(asked: argparse.Namespace) -> tuple[LabelNetwork, dict[str, Any]]:
    """The network, and what label.json says of it."""
    try:
        folder = network_files.local_copy(trim_slash(asked.depth_model))
        if trained_card.is_trained(folder):
            trained_card.read(folder)
            network = LabelNetwork(folder, digest(folder), fed_side=asked.fed_side)
            return network, {"kind": trained_card.MADE_BY, "sha256": network.sha256}
    except (FetchError, ValueError) as error:
        raise UserError(f"--network {error}") from error
    preset = presets.PRESETS.get(asked.depth_model)
    if preset is not None and preset.task == presets.CUTOUT:
        return _mask_network(asked, preset)
    model, source = depth_model.choose(asked)
    if model is None or source is None:
        raise UserError("--network none labels nothing; give a network")
    depth_model.check_metric(f"--network {asked.depth_model}", model)
    licences.check(asked.licence, (asked.depth_model, model.licence))
    try:
        path = network_files.on_this_machine(source, model)
    except DepthModelError as error:
        raise UserError(str(error)) from error
    return LabelNetwork(path, model.sha256, depth=model, fed_side=asked.fed_side), model.to_dict()


def _mask_network(asked: argparse.Namespace, preset: Preset) -> tuple[LabelNetwork, dict[str, Any]]:
    """A network that cuts out, by its name: it gives masks."""
    licences.check(asked.licence, (preset.name, preset.licence))
    try:
        path = str(presets.obtain(preset.name, asked.depth_model_url)[1])
        model = mask_card.model_of(path, preset.entries())
    except (FetchError, ValueError) as error:
        raise UserError(f"--network {preset.name}: {error}") from error
    about = {"kind": "mask", "file": preset.file, "sha256": file_sha256(path), **preset.entries()}
    return LabelNetwork(path, about["sha256"], mask=model, fed_side=asked.fed_side), about


def _check_output(output: str, items: list[Item]) -> None:
    """Refuses a folder of something else, and one of the pictures themselves."""
    if os.path.exists(output) and not os.path.isdir(output):
        raise UserError(f"--output {output}: a file, not a folder")
    for item in items:
        if item.target and _same(item.path, storage.join(output, item.target)):
            raise UserError(f"--output {output}: would replace the shard {item.path}")
        if item.row is not None and _same(item.path, output):
            raise UserError(f"--output {output}: the data set itself; give another folder")
    names = set(storage.storage_for(output).children(output))
    if names - {"_work"} and not storage.storage_for(output).exists(
        storage.join(output, record.FOLDER)
    ):
        raise UserError(
            f"--output {output}: the folder is not empty and holds no labels of fgbg; give an "
            "empty or a new one"
        )


def _same(path: str, other: str) -> bool:
    return path == other or os.path.realpath(path) == os.path.realpath(other)


def _make(
    output: str,
    blocks: list[record.Block],
    total: int,
    network: LabelNetwork,
    form: Form,
    workers: int,
) -> None:
    """Runs a worker process for each slice, and shows how far they are."""
    items = [item for block in blocks for item in block.items]
    if not storage.is_gcs(output):
        # Before the first label: a rerun after a crash must know the folder as ours.
        os.makedirs(os.path.join(output, record.RECORDS), exist_ok=True)
    run_slices(
        "fgbg.pipeline.workers.tasks:label_slice",
        workers,
        output,
        blocks,
        network,
        form,
        # One, whatever the cores: TensorFlow's sums differ between numbers of threads.
        1,
        progress=Progress("pictures", total, total - len(items)),
        shown=["units_done", "units_failed"],
        name_of=lambda number: items[number].told,
        give_up=lambda number, reason: None,  # its block is recorded with it
    )


def _write_table(output: str, items: list[Item], rows: dict[record.Key, Row]) -> None:
    """Writes labels.parquet, a row a picture."""
    path = storage.join(output, TABLE)
    with whole_file(path) as file, pq.ParquetWriter(file, _COLUMNS) as writer:
        for start in range(0, len(items), 50_000):
            part = []
            for item in items[start : start + 50_000]:
                row = rows.get((item.target, item.name), {"status": record.FAILED})
                part.append({**row, "name": item.name, "path": item.path, "shard": item.target})
            writer.write_table(pa.Table.from_pylist(part, _COLUMNS))


def _write_about(
    output: str, items: list[Item], rows: dict[record.Key, Row], about: dict[str, Any]
) -> None:
    made = sum(row["status"] == MADE for row in rows.values())
    content = {
        "made_by": f"fgbg label {__version__}",
        "network": about,
        "depth": "metres, far is larger; 16-bit PNG in millimetres, .npy in metres",
        "masks": "255 is foreground",
        "pictures": len(items),
        "labelled": made,
    }
    path = storage.join(output, ABOUT)
    data = (json.dumps(content, indent=1) + "\n").encode()
    storage.storage_for(path).write_atomically(path, data)


def _report(output: str, items: list[Item], rows: dict[record.Key, Row], started: float) -> int:
    """The closing lines, and the exit code."""
    bad = []
    made = 0
    for item in items:
        row = rows.get((item.target, item.name), {"status": record.FAILED, "reason": "not made"})
        made += row["status"] == MADE
        if row["status"] != MADE:
            bad.append((item, row["reason"]))
        for note in row.get("notes", ()):
            tell(f"Warning: {escaping.name(item.told)}: {note}")
    tell(
        f"{made:,} of {len(items):,} pictures labelled in {duration(time.monotonic() - started)}: "
        f"{output}"
    )
    if bad:
        tell(f"{len(bad):,} without labels: {storage.join(output, TABLE)}")
        for item, reason in bad[:_REASONS_SHOWN]:
            tell(f"  {escaping.name(item.told)}: {reason}")
    return SOME_FAILED if bad else OK
