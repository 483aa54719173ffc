"""`fgbg depth`: depth of given pictures, before paying for 400,000, and how right it is."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.models import network_files
from fgbg.models.depth import depth_metrics, depth_network
from fgbg.models.depth.depth_card import DepthModel, DepthModelError
from fgbg.models.depth.depth_metrics import Metrics
from fgbg.models.opening import TFLITE
from fgbg.models.resizing import resize
from fgbg.pipeline.data_set import given_pictures
from fgbg.pipeline.data_set.pairs import Pair, find_pairs, read_true
from fgbg.pipeline.exit_codes import OK, UserError
from fgbg.pipeline.options import depth_model, licences
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import say, tell
from fgbg.pipeline.workers import trial
from fgbg.pipeline.workers.processes import available_cores
from fgbg.transforms.pixels import coding, pictures
from fgbg.transforms.pixels.sheet import coloured_depth

# Endings of what is written for a picture.
_ARRAY_OUT, _DEPTH_OUT, _PREVIEW_OUT = ".depth.npy", ".depth.png", ".preview.jpg"


def _parser() -> options.Parser:
    parser = options.Parser(
        prog="fgbg depth",
        description="Makes depth of pictures: NAME.depth.npy (float32 metres as the network gives "
        "them), NAME.depth.png (16 bits, millimetres, of the picture's size) and "
        "NAME.preview.jpg. A network without a unit gives relative inverse depth, and no "
        "NAME.depth.png. --evaluate compares with measured depth.",
    )
    add = parser.add_argument
    add("images", nargs="*", metavar="IMAGE", help="picture files, folders or glob patterns")
    add("--output", required=True, metavar="FOLDER", help="where to, local or gs://")
    add(
        "--input_size",
        type=options.size,
        default=None,
        metavar="N|WxH",
        help="size fed to a network that takes any; None: the picture's own, rounded to multiples "
        f"of {depth_network.USUAL_STRIDE} or of what its card says",
    )
    add(
        "--evaluate",
        default=None,
        metavar="FOLDER",
        help="folder of pairs NAME_rgb.* and NAME_depth.png (16 bits, millimetres, 0 is unknown), "
        "compared and printed by picture and by data set: column dataset of its meta.csv if there "
        "is one, else the name up to the first underscore",
    )
    licences.add_licence(add)
    options.add_depth_model(parser.add_argument_group("depth").add_argument, none=False)
    return parser


def main(arguments: list[str]) -> int:
    """Runs `fgbg depth`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    asked = options.parse_all(_parser(), arguments)
    pairs = _given(asked.images)
    if asked.evaluate is not None:
        pairs += find_pairs(asked.evaluate)
    if not pairs:
        raise UserError("give pictures, or --evaluate a folder of pairs")
    given_pictures.check_outputs(
        asked.output,
        [path for pair in pairs for path in (pair.path, pair.true_path) if path],
        [pair.name + end for pair in pairs for end in (_ARRAY_OUT, _DEPTH_OUT, _PREVIEW_OUT)],
    )
    _check(pairs)
    model, path = depth_model.choose(asked)
    if model is None or path is None:
        raise UserError("--depth_model none makes no depth; give a network")
    if not model.card.metric and asked.evaluate is not None:
        raise UserError(
            f"--evaluate: {asked.depth_model} gives relative inverse depth, which has no unit to "
            "compare in metres; take a network that has one"
        )
    licences.check(asked.licence, (asked.depth_model, model.licence))
    if asked.input_size:
        model = _with_input_size(model, asked.input_size)
    try:
        path = network_files.on_this_machine(path, model)
    except DepthModelError as error:
        raise UserError(str(error)) from error
    shown = given_pictures.read(pairs[0].path)
    trial.depth(path, model, _fed_size(model, (shown.shape[1], shown.shape[0])))
    given_pictures.make_folder(asked.output)
    plain, scaled = {}, {}
    for pair in pairs:
        predicted, true = _make(pair, model, path, asked.output)
        if true is not None:
            plain[pair] = depth_metrics.measure(predicted, true)
            scaled[pair] = depth_metrics.measure(predicted, true, median_scaling=True)
    if plain:
        tell(table("as predicted", plain))
        tell()
        tell(table("with median scaling", scaled))
    return OK


def _with_input_size(model: DepthModel, size: tuple[int, int]) -> DepthModel:
    stride = 1 if model.kind == TFLITE else depth_network.stride_of(model)
    if any(side % stride for side in size):
        raise UserError(
            f"--input_size {size[0]}x{size[1]}: the sides must be multiples of {stride}"
        )
    return dataclasses.replace(model, card=dataclasses.replace(model.card, input_size=size))


def _fed_size(model: DepthModel, size: tuple[int, int]) -> tuple[int, int]:
    """What a network of any size is fed of a picture of a width and height."""
    return depth_network.fed_size(size, depth_network.stride_of(model))


def _given(sources: list[str]) -> list[Pair]:
    """The pictures of the command line: files, and what folders and patterns hold."""
    return [Pair(name, path) for path, name in given_pictures.find(sources).items()]


def _check(pairs: list[Pair]) -> None:
    """Raises UserError naming every file that cannot be used, before any work."""
    problems = []
    by_name: dict[str, str] = {}
    for pair in pairs:
        other = by_name.setdefault(pair.name, pair.path)
        if other != pair.path:
            problems.append(f"{pair.path}: {other} would have the same files; rename one of them")
        try:
            shape = given_pictures.read(pair.path, tell=True).shape[:2]
            if pair.true_path and (found := read_true(pair.true_path).shape) != shape:
                problems.append(
                    f"{pair.true_path}: {found[1]}x{found[0]}, its picture is {shape[1]}x{shape[0]}"
                )
        except UserError as error:
            problems.append(str(error))
    given_pictures.raise_for(problems)


def _make(
    pair: Pair, model: DepthModel, path: str, output: str
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Writes the files of a picture; its depth at its own size, and the true depth if known."""
    picture = given_pictures.read(pair.path)
    size = picture.shape[1], picture.shape[0]
    try:
        fed = _fed_size(model, size)
        network = depth_network.load(path, model, fed, available_cores(), 1)
        depth = network.predict(picture[None])[0]
    except DepthModelError as error:
        raise UserError(str(error)) from error
    except ValueError as error:
        raise UserError(f"{pair.path}: {error}") from error
    at_size = resize(depth, size)
    true = read_true(pair.true_path) if pair.true_path else None
    array = io.BytesIO()
    np.save(array, depth)
    files: dict[str, given_pictures.File] = {pair.name + _ARRAY_OUT: array.getvalue()}
    shown = f"{pair.path}: {size[0]}x{size[1]}, fed as {network.size[0]}x{network.size[1]}, "
    if model.card.metric:
        files[pair.name + _DEPTH_OUT] = coding.millimetres(at_size)
        files[pair.name + _PREVIEW_OUT] = preview(picture, at_size, true)
        shown += f"depth {depth.min():.2f} to {depth.max():.2f} m, median {np.median(depth):.2f} m"
    else:
        files[pair.name + _PREVIEW_OUT] = relative_preview(picture, at_size)
        shown += (
            f"relative inverse depth {depth.min():.3g} to {depth.max():.3g}, without a unit, near "
            "is larger"
        )
    given_pictures.write(output, files)
    say(shown)
    return at_size, true


def relative_preview(bgr: pictures.Array, inverse: NDArray[np.float32]) -> pictures.Array:
    """The picture and its relative inverse depth side by side; near is bright.

    Args:
        bgr: uint8 [height, width, 3].
        inverse: [height, width], near is larger.
    """
    far, near = (float(v) for v in np.percentile(inverse, (1, 99)))
    words = f"near (bright) {near:.3g} - far (dark) {far:.3g}; relative inverse depth, no unit"
    return given_pictures.side_by_side([bgr, coloured_depth(-inverse, -near, -far)], words)


def preview(
    bgr: pictures.Array, depth: NDArray[np.float32], true: NDArray[np.float32] | None
) -> pictures.Array:
    """The picture, its depth and the true depth if known, side by side in one scale of colours.

    Args:
        bgr: uint8 [height, width, 3].
        depth: Metres [height, width].
        true: Metres [height, width], 0 (drawn black) where there is none; or None.

    Returns:
        uint8 BGR, shrunk to what a JPEG can hold; near is bright. The ends of the scale are
        written on it.
    """
    values = depth.ravel() if true is None else np.concatenate((depth.ravel(), true[true > 0]))
    near, far = (float(v) for v in np.percentile(values, (1, 99)))
    panels = [bgr, coloured_depth(depth, near, far)]
    if true is not None:
        panels.append(coloured_depth(true, near, far, holes=True))
    words = f"near (bright) {near:.2f} m - far (dark) {far:.2f} m"
    words += "; predicted, measured" if true is not None else ""
    return given_pictures.side_by_side(panels, words)


def table(title: str, measured: dict[Pair, Metrics]) -> str:
    """Measures by picture, by data set and over all, as text."""
    by_dataset: dict[str, list[Any]] = {}
    for pair, metrics in measured.items():
        by_dataset.setdefault(pair.dataset, []).append(metrics)
    lines = [(pair.name, metrics) for pair, metrics in measured.items()]
    lines += [
        (f"{name} (mean of {len(found)})", depth_metrics.mean(found))
        for name, found in by_dataset.items()
    ]
    lines.append((f"all (mean of {len(measured)})", depth_metrics.mean(measured.values())))
    width = max(len(title), *(len(name) for name, _ in lines))
    head = f"{title:{width}} " + " ".join(f"{name:>8}" for name in Metrics._fields)
    rows = [f"{name:{width}} " + " ".join(f"{v:8.3f}" for v in metrics) for name, metrics in lines]
    return "\n".join([head, *rows])
