"""`fgbg show OUT --key bg1/fg_1/7`: one sample of a finished data set as a picture."""

from __future__ import annotations

import os
import re
from typing import Any

import pyarrow.compute as pc

from fgbg.files import storage
from fgbg.files.paths import trim_slash
from fgbg.pipeline.data_set.finished import Finished, open_finished
from fgbg.pipeline.exit_codes import OK, UserError
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import tell
from fgbg.transforms.dataset.manifest_file import ManifestFile
from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.report import looks
from fgbg.transforms.report.sheet import sheet

_KEY = re.compile(r"bg([1-9]\d*)/fg_([1-9]\d*)/([1-9]\d*)")


def main(arguments: list[str]) -> int:
    """Runs `fgbg show`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    parser = options.Parser(
        prog="fgbg show",
        description="Draws one sample: overlay, mask, depth in grey and in colours, and its "
        "numbers, as a PNG.",
    )
    parser.add_argument("output", metavar="OUT", help="the data set's folder, local or gs://")
    parser.add_argument(
        "--key",
        required=True,
        metavar="bgN/fg_M/K",
        help="the sample, as the column key of the manifest names it",
    )
    parser.add_argument(
        "--output",
        dest="file",
        default=None,
        metavar="FILE",
        help="the PNG to write, local or gs://; None: bgN_fg_M_K.png here",
    )
    asked = options.parse_all(parser, arguments)
    if not _KEY.fullmatch(asked.key):
        raise UserError(f"--key {asked.key}: not a sample's key, such as bg1/fg_1/7")
    file = asked.file or asked.key.replace("/", "_") + ".png"
    if not file.lower().endswith(".png"):
        raise UserError(f"--output {file}: what is written is a PNG; give a name that ends in .png")
    with open_finished(trim_slash(asked.output)) as found:
        row = _row(found, asked.key)
        try:
            sample = open_reader(found.output, found.job).sample(row)
            drawn = sheet(row, looks.read(sample))
        except (SampleError, OSError) as error:
            raise UserError(f"{found.output}: {error}") from error
    try:
        storage.storage_for(file).write_atomically(file, drawn)
    except OSError as error:
        raise UserError(f"--output {file}: cannot be written: {error.strerror}") from error
    tell(f"{asked.key}: {file if storage.is_gcs(file) else os.path.normpath(file)}")
    return OK


def _row(found: Finished, key: str) -> dict[str, Any]:
    """The sample's row of the manifest."""
    with ManifestFile(found.manifest) as file:
        for group in range(len(file.sizes)):
            at = pc.index(file.read(group, ["key"])["key"], key).as_py()
            if at >= 0:
                return file.read(group).slice(at, 1).to_pylist()[0]
    raise UserError(f"--key {key}: {found.output} has no such sample; {_what_there_is(found, key)}")


def _what_there_is(found: Finished, key: str) -> str:
    job = found.job
    background, foreground, number = map(int, _KEY.fullmatch(key).groups())  # type: ignore[union-attr]
    if background > len(job.backgrounds) or foreground > len(job.foregrounds):
        return f"it has bg1 to bg{len(job.backgrounds)} and fg_1 to fg_{len(job.foregrounds)}"
    c = job.configuration
    numbers = sum(c.placements) * (2 if c.mirror else 1)
    if number > numbers:
        return f"bg{background}/fg_{foreground} has samples 1 to {numbers}"
    return "its work unit failed, see errors.jsonl"
