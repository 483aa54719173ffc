"""`fgbg predict`: mask and depth of any pictures, by a network of fgbg train or one of masks."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.files.fetch import FetchError
from fgbg.files.paths import trim_slash
from fgbg.models import network_files, opening, presets
from fgbg.models.resizing import resize
from fgbg.models.segmentation import mask_card
from fgbg.models.segmentation.segmentation import MaskModel, MaskNetwork
from fgbg.models.trained import trained_card
from fgbg.models.trained.compact_network import BACKGROUND, DEPTH
from fgbg.pipeline.data_set import given_pictures
from fgbg.pipeline.exit_codes import OK, UserError
from fgbg.pipeline.options import licences
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import say, tell
from fgbg.pipeline.workers import trial
from fgbg.pipeline.workers.processes import available_cores
from fgbg.transforms.cutout.method import MODEL, Method
from fgbg.transforms.pixels import coding
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.pixels.sheet import Cell, coloured_depth, draw, fit

SHEET = "predictions.jpg"
# Endings of what is written for a picture.
_MASK_OUT, _DEPTH_OUT, _PREVIEW_OUT = ".mask.png", ".depth.png", ".preview.jpg"
# The sheet shows the first pictures: a panel is at most this wide, and a row this high, which
# bounds the sheet whatever the pictures' aspects.
_ON_SHEET, _SHEET_WIDTH, _SHEET_HEIGHT = 12, 320, 640
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
    add(
        "--model",
        required=True,
        metavar="DIR|NAME|FILE",
        help="folder made by fgbg train, local or gs://; or a network that gives a mask: a name "
        "that fgbg networks lists for cut-outs, or a file with its card (docs/cutout.md)",
    )
    licences.add_licence(add)
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
    named = given_pictures.find(asked.images)
    masks = _mask_model(asked.model)
    folder = ""
    if masks is not None:
        licences.check(asked.licence, (asked.model, masks.licence))
        card: dict[str, Any] = {"inputs": {}, "outputs": []}
    else:
        try:
            folder = network_files.local_copy(asked.model)
            card = trained_card.read(trim_slash(folder))
        except (ValueError, FetchError) as error:
            raise UserError(f"--model: {error}") from error
    pair = BACKGROUND in card["inputs"].get("names", ())
    if pair and asked.background is None:
        raise UserError(
            f"--model {asked.model}: this network is shown pairs; give the pictures' --background"
        )
    if not pair and asked.background is not None:
        raise UserError(f"--background: the network in {asked.model} is shown the picture only")
    ends = (_MASK_OUT, *([_DEPTH_OUT] if DEPTH in card["outputs"] else []), _PREVIEW_OUT)
    given_pictures.check_outputs(
        asked.output,
        [*named, *([asked.background] if pair else [])],
        [*(name + end for name in named.values() for end in ends), SHEET],
    )
    background = given_pictures.read(asked.background, tell=True) if pair else None
    _check(named, background)
    network: Any  # of fgbg train, or one of masks
    if masks is not None:
        trial.cutout(Method(MODEL, masks))
        network = MaskNetwork(masks, available_cores())
    else:
        trial.trained(folder)
        from fgbg.models.trained.trained_network import TrainedNetwork

        try:
            network = TrainedNetwork(folder, available_cores())
        except ValueError as error:
            raise UserError(f"--model: {error}") from error
    given_pictures.make_folder(asked.output)
    rows: list[list[Cell]] = []
    for path, name in named.items():
        picture = given_pictures.read(path)
        size = picture.shape[1], picture.shape[0]
        try:
            if masks is not None:
                share, metres = network.predict(picture), None
            else:
                share, metres = network.predict(picture, background)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
        mask = resize(share, size) >= asked.threshold
        depth = None if metres is None else resize(metres, size)
        view = preview(picture, mask, depth)
        _write(asked.output, name, mask, depth, view)
        if len(rows) < _ON_SHEET:
            panels = 2 if depth is None else 3
            box = _SHEET_WIDTH * panels, _SHEET_HEIGHT
            rows.append([Cell(fit(view, box, enlarge=True))])
        words = f"foreground {mask.mean():.1%}"
        if depth is not None:
            words += f", depth {depth.min():.2f} to {depth.max():.2f} m"
        say(f"{path}: {size[0]}x{size[1]}, {words}")
    given_pictures.write(asked.output, {SHEET: draw(rows, box, gap=0)})
    sheet = storage.join(asked.output, SHEET)
    tell(f"{asked.output}: {len(named)} pictures; look at {sheet}")
    return OK


def _mask_model(name: str) -> MaskModel | None:
    """The network of masks that is asked for; None for a folder of fgbg train."""
    preset = presets.PRESETS.get(name)
    try:
        if preset is not None and preset.task == presets.CUTOUT:
            return mask_card.model_of(str(presets.obtain(name)[1]), preset.entries())
        if name.lower().endswith((".onnx", ".tflite", ".keras")):
            path = network_files.local_copy(name)
            opening.kind_of(path)
            return mask_card.read(path, {})
    except (ValueError, FetchError) as error:
        raise UserError(f"--model {name}: {error}") from error
    return None


def _check(named: dict[str, str], background: Array | None) -> None:
    """Raises UserError naming every picture that cannot be used, before any work."""
    problems = []
    by_name: dict[str, str] = {}
    for path, name in named.items():
        if (other := by_name.setdefault(name, path)) != path:
            problems.append(f"{path}: {other} would have the same files; give it once")
        try:
            height, width = given_pictures.read(path, tell=True).shape[:2]
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
        uint8 BGR, shrunk to what a JPEG can hold.
    """
    # Shrunk first: to draw a strip's outline at its own size takes long, and fails in the end.
    box = given_pictures.panel_box(2 if depth is None else 3)
    outlined = fit(bgr, box).copy()
    share = fit(mask.astype(np.uint8) * np.uint8(255), box)
    white = (share >= 128).astype(np.uint8) * np.uint8(255)
    contours, _ = cv2.findContours(white, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, contours, -1, (0, 0, 255), max(1, max(white.shape) // 300))
    panels = [outlined, cv2.cvtColor(white, cv2.COLOR_GRAY2BGR)]
    words = "foreground outlined; mask"
    if depth is not None:
        near, far = (float(v) for v in np.percentile(depth, (1, 99)))
        panels.append(coloured_depth(depth, near, far))
        words += f"; depth, near (bright) {near:.2f} m - far (dark) {far:.2f} m"
    return given_pictures.side_by_side(panels, words)


def _write(
    output: str, name: str, mask: NDArray[np.bool_], depth: NDArray[np.float32] | None, view: Array
) -> None:
    white = mask.astype(np.uint8) * np.uint8(255)
    files: dict[str, given_pictures.File] = {name + _MASK_OUT: white}
    if depth is not None:
        files[name + _DEPTH_OUT] = coding.millimetres(depth)
    files[name + _PREVIEW_OUT] = view
    given_pictures.write(output, files)
