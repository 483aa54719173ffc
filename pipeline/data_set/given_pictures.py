"""Pictures named on a command line and the files made of them: what is wrong is told at once."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fgbg.files import foreign, storage
from fgbg.pipeline import faults
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.progress import say
from fgbg.transforms.dataset import catalogue, left_out, output_names
from fgbg.transforms.dataset.catalogue import InputError
from fgbg.transforms.pixels import codec, pictures
from fgbg.transforms.pixels.pictures import PictureError
from fgbg.transforms.pixels.sheet import Cell, draw, fit

# Longest side of a JPEG file: OpenCV's library refuses more.
JPEG_SIDE_MAX = 65500
_PROBLEMS_SHOWN = 50
_CAPTION_TEXT, _CAPTION_HEIGHT = 16, 28

File = NDArray[np.uint8] | NDArray[np.uint16] | bytes
"""A file to be written: a picture [height, width] or [height, width, 3] (BGR), or its bytes."""


def find(sources: list[str], what: str = "IMAGE") -> dict[str, str]:
    """Pictures: files, and what folders and patterns hold.

    Args:
        sources: As given on a command line.
        what: What the command line calls them.

    Returns:
        What the files made of each begin with, by its path: see `output_names`.

    Raises:
        UserError: There is no such file, or nothing in a folder.
    """
    found_by: dict[str, str] = {}
    for source in sources:
        store = storage.storage_for(source)
        if store.size(source) is not None:
            found_by.setdefault(source, source)
            continue
        if not storage.is_pattern(source) and not store.exists(source):
            raise UserError(f"{source}: no such file or folder")
        try:
            found, ignored = catalogue.find(source, what)
        except InputError as error:
            raise UserError(str(error)) from error
        for path in found:
            found_by.setdefault(path, source)
        for line in left_out.lines(ignored, source):
            say(line)
    return output_names.names(found_by)


def check_outputs(output: str, inputs: Iterable[str], names: Iterable[str]) -> None:
    """Refuses outputs that would replace inputs or each other.

    Args:
        output: The folder of --output, local or gs://.
        inputs: Paths of all files that are read.
        names: Of all files to be written. Equal ones count once.

    Raises:
        UserError: It names every such output.
    """
    given = {_place(path): path for path in inputs}
    made: dict[str, str] = {}
    problems = []
    for name in dict.fromkeys(names):
        path = storage.join(output, name)
        place = _place(path)
        if place in given:
            problems.append(f"{path}: is the input {given[place]}")
        elif made.setdefault(place, path) != path:
            problems.append(f"{path}: is the same file as {made[place]}")
    raise_for(
        problems,
        "outputs would replace inputs or each other; give another --output (what an earlier run "
        "wrote beside the inputs is taken as input, too)",
    )


def _place(path: str) -> str:
    """What tells whether two paths are one file."""
    return path if storage.is_gcs(path) else os.path.realpath(path)


def raise_for(problems: list[str], what: str = "bad inputs") -> None:
    """Raises a UserError that lists the problems below what they are, if there are any."""
    if problems:
        more = len(problems) - _PROBLEMS_SHOWN
        listing = problems[:_PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise UserError("\n  ".join([f"{len(problems)} {what}:", *listing]))


def read(path: str, tell: bool = False) -> pictures.Array:
    """A picture, upright: uint8 BGR [height, width, 3]; transparency is put on white.

    Args:
        path: Where it is.
        tell: Whether to say what is to be said of a picture that can be used.

    Raises:
        UserError: It cannot be read.
    """
    notes: list[str] = []
    try:
        rgb = pictures.read_picture(foreign.read(path), notes)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except PictureError as error:
        raise UserError(f"{path}: {error}") from error
    if tell:
        for note in notes:
            say(f"Warning: {path}: {note}")
    return pictures.fit_background(rgb, (rgb.shape[1], rgb.shape[0]))


def make_folder(output: str) -> None:
    """Makes the folder of --output, where files need one.

    Raises:
        UserError: It cannot be made.
    """
    if storage.is_gcs(output):
        return
    try:
        os.makedirs(output, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be made: {error.strerror}") from error


def write(output: str, files: dict[str, File]) -> None:
    """Writes files into the folder of --output, local or gs://.

    Args:
        output: The folder.
        files: By their names; pictures are encoded as the name's ending says.

    Raises:
        UserError: One cannot be encoded (nothing is written then), or they cannot be written.
    """
    encoded = [
        (storage.join(output, name), file if isinstance(file, bytes) else _encode(name, file))
        for name, file in files.items()
    ]
    store = storage.storage_for(output)
    try:
        if storage.is_gcs(output):
            store.write_many(encoded)
        else:  # a full disk leaves what an earlier run wrote
            for path, data in encoded:
                store.write_atomically(path, data, durable=False)
    except OSError as error:
        if faults.of_machine(error):
            raise
        raise UserError(f"--output {output}: cannot be written: {error.strerror}") from error


def _encode(name: str, image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    try:
        return codec.encode(os.path.splitext(name)[1], image)
    except ValueError as error:
        height, width = image.shape[:2]
        words = f"{name}: OpenCV could not encode a picture of {width}x{height}"
        raise UserError(words) from error


def panel_box(count: int) -> tuple[int, int]:
    """Width and height that each of the panels of side_by_side may have for a JPEG to hold them."""
    return JPEG_SIDE_MAX // count, JPEG_SIDE_MAX - _CAPTION_HEIGHT


def side_by_side(panels: list[pictures.Array], words: str) -> pictures.Array:
    """Pictures beside each other with a line of text below, shrunk where a JPEG needs it.

    Args:
        panels: uint8 BGR [height, width, 3], all of one size.
        words: The text.

    Returns:
        uint8 BGR, no side longer than JPEG_SIDE_MAX.
    """
    box = panel_box(len(panels))
    shrunk = [fit(panel, box) for panel in panels]
    height, width = shrunk[0].shape[:2]
    cells = [Cell(panel) for panel in shrunk]
    return draw([cells], (width, height), footer=[words], text=_CAPTION_TEXT, gap=0)
