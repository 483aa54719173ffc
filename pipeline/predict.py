"""`fgbg predict`: mask and depth of any pictures, by a network of fgbg train."""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from models import trained_card
from models.compact_network import BACKGROUND
from models.fetch import FetchError
from pipeline import given_pictures, options
from pipeline.exit_codes import OK, UserError
from pipeline.processes import available_cores
from transforms import network_files, storage
from transforms.pictures import Array

SHEET = "predictions.jpg"
# The sheet shows the first pictures, each this wide in a row.
_ON_SHEET, _SHEET_WIDTH = 12, 320
# Greatest difference of the aspects of a picture and its background.
_ASPECT_TOLERANCE = 0.01


def _parser() -> options.Parser:
    parser = options.Parser(
        prog="fgbg predict",
        description="Predicts mask and depth of pictures of any size: NAME.mask.png (8 bits, 0 or "
        "255), NAME.depth.png (16 bits, millimetres), both of the picture's size, and "
        f"NAME.preview.jpg, picture, mask and depth in colours; {SHEET} shows the first ones.",
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="picture files, folders or glob patterns")
    add("--model", required=True, metavar="DIR", help="folder made by fgbg train, local or gs://")
    add("--output", required=True, metavar="FOLDER", help="where to, local or gs://")
    add(
        "--background",
        default=None,
        metavar="FILE",
        help="the pictures' background, for a network trained with --inputs pair",
    )
    add(
        "--threshold",
        type=options.number(0, 1),
        default=0.5,
        metavar="P",
        help="probability from which a pixel is foreground",
    )
    return parser


def main(arguments: list[str]) -> int:
    """Runs `fgbg predict`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    asked = options.parse_all(_parser(), arguments)
    paths = given_pictures.find(asked.images)
    try:
        folder = network_files.local_copy(asked.model)
        card = trained_card.read(folder.rstrip("/") or "/")
    except (ValueError, FetchError) as error:
        raise UserError(f"--model: {error}") from error
    pair = BACKGROUND in card["inputs"].get("names", ())
    if pair and asked.background is None:
        raise UserError(
            f"--model {asked.model}: this network is shown pairs; give the pictures' --background"
        )
    if not pair and asked.background is not None:
        raise UserError(f"--background: the network in {asked.model} is shown the picture only")
    background = given_pictures.read(asked.background) if pair else None
    _check(paths, background)
    given_pictures.make_folder(asked.output)
    from models.trained_network import TrainedNetwork

    try:
        network = TrainedNetwork(folder, available_cores())
    except ValueError as error:
        raise UserError(f"--model: {error}") from error
    rows: list[Array] = []
    for path in paths:
        picture = given_pictures.read(path)
        size = picture.shape[1], picture.shape[0]
        try:
            said = network.predict(picture, background)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
        mask = given_pictures.resize_map(said.mask, size) >= asked.threshold
        depth = None if said.depth is None else given_pictures.resize_map(said.depth, size)
        view = preview(picture, mask, depth)
        _write(asked.output, given_pictures.name_of(path), mask, depth, view)
        if len(rows) < _ON_SHEET:
            rows.append(_sheet_row(view, 2 if depth is None else 3))
        words = f"foreground {mask.mean():.1%}"
        if depth is not None:
            words += f", depth {depth.min():.2f} to {depth.max():.2f} m"
        print(f"{path}: {size[0]}x{size[1]}, {words}", file=sys.stderr)
    given_pictures.write(asked.output, {SHEET: cv2.imencode(".jpg", np.concatenate(rows))[1]})
    sheet = storage.join(asked.output, SHEET)
    print(f"{asked.output}: {len(paths)} pictures; look at {sheet}")
    return OK


def _check(paths: list[str], background: Array | None) -> None:
    """Raises UserError naming every picture that cannot be used, before any work."""
    problems = given_pictures.same_names(paths)
    for path in paths:
        try:
            height, width = given_pictures.read(path).shape[:2]
        except UserError as error:
            problems.append(str(error))
            continue
        if background is not None:
            aspect = width / height
            other = background.shape[1] / background.shape[0]
            if abs(other / aspect - 1) > _ASPECT_TOLERANCE:
                problems.append(
                    f"{path}: {width}x{height}, its background {background.shape[1]}x"
                    f"{background.shape[0]} has another aspect"
                )
    given_pictures.raise_for(problems)


def preview(bgr: Array, mask: NDArray[np.bool_], depth: NDArray[np.float32] | None) -> Array:
    """The picture with the mask's outline, the mask, and depth in colours, side by side.

    Args:
        bgr: uint8 [height, width, 3].
        mask: [height, width].
        depth: Metres [height, width], or None.

    Returns:
        uint8 BGR.
    """
    white = mask.astype(np.uint8) * np.uint8(255)
    outlined = bgr.copy()
    contours, _ = cv2.findContours(white, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, contours, -1, (0, 0, 255), max(1, max(bgr.shape) // 300))
    panels = [outlined, cv2.cvtColor(white, cv2.COLOR_GRAY2BGR)]
    words = "foreground outlined; mask"
    if depth is not None:
        near, far = (float(v) for v in np.percentile(depth, (1, 99)))
        panels.append(given_pictures.coloured(depth, near, far))
        words += f"; depth, near (bright) {near:.2f} m - far (dark) {far:.2f} m"
    return given_pictures.captioned(np.concatenate(panels, axis=1), words)


def _sheet_row(view: Array, panels: int) -> Array:
    width = _SHEET_WIDTH * panels
    height = max(1, round(view.shape[0] * width / view.shape[1]))
    return np.asarray(cv2.resize(view, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _write(
    output: str, name: str, mask: NDArray[np.bool_], depth: NDArray[np.float32] | None, view: Array
) -> None:
    white = mask.astype(np.uint8) * np.uint8(255)
    files: dict[str, Array | bytes] = {f"{name}.mask.png": cv2.imencode(".png", white)[1]}
    if depth is not None:
        files[f"{name}.depth.png"] = given_pictures.depth_png(depth)
    files[f"{name}.preview.jpg"] = cv2.imencode(".jpg", view)[1]
    given_pictures.write(output, files)
