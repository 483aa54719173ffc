"""The command line of `fgbg cutout`."""

from __future__ import annotations

import argparse
from collections.abc import Container
from typing import Any

from fgbg.files.fetch import FetchError
from fgbg.models import network_files, opening, presets
from fgbg.models.opening import NetworkError
from fgbg.models.segmentation import mask_card
from fgbg.models.segmentation.segmentation import MaskModel
from fgbg.models.segmentation.segmentation_detection import class_number
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.options.licences import add_licence
from fgbg.transforms.cutout.method import GRABCUT, MASKRCNN, METHODS, MODEL, Method

# Options that only one method takes, as argparse calls them.
_OF_MASKRCNN = ("classes", "min_score", "instances")
_OF_MODEL = (
    *("input_range", "input_mean", "input_std", "input_channels", "input_size", "output_name"),
    *("output_activation", "edges"),
)


# The network that is taken by itself where it was fetched: measured to be better than grabcut and
# faster (docs/cutout.md). The larger ones are for who asks for them.
_BEST = "u2netp"


def cutout_parser() -> options.Parser:
    """The parser of `fgbg cutout`. Options of single methods have no default here: a given one
    is told from one left out, and the defaults stand in Method and MaskModel."""
    parser = options.Parser(
        prog="fgbg cutout",
        description="Cuts the thing out of each photo: NAME.png with transparency, cutouts.csv "
        "with measures, rejected.csv with reasons, and PlotImages/sheet.png to look at. The folder "
        "is one of foregrounds for fgbg generate. Pictures with transparency are kept as they are. "
        "Run it again to resume.",
        argument_default=argparse.SUPPRESS,
    )
    parser.formatter_class = argparse.HelpFormatter
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE_OR_DIR", help="photos, folders or glob patterns")
    add("--output", required=True, metavar="FOLDER", help="where the cut-outs are written")
    add(
        "--method",
        choices=(*METHODS, *presets.of_task(presets.CUTOUT)),
        default=None,
        help="grabcut finds what stands out from the borders, without a network; maskrcnn takes "
        "what a detection network sees; model takes a network's mask; the other names are networks "
        f"that are downloaded once (default: {_BEST} if it was fetched, else grabcut)",
    )
    add(
        "--min_confidence",
        type=options.number(0, 1),
        default=0.0,
        metavar="C",
        help="reject cut-outs that are less sure (default: 0, all; under 0.5 is called unsure)",
    )
    add(
        "--workers",
        type=options.number(1, 256, int),
        default=None,
        metavar="N",
        help="processes (default: the cores)",
    )
    add(
        "--model",
        default=None,
        metavar="PATH",
        help="the network: a SavedModel folder (maskrcnn, model), a .onnx, .keras or .tflite file "
        "(model)",
    )
    add_licence(add)
    add = parser.add_argument_group("maskrcnn").add_argument
    add(
        "--class",
        dest="classes",
        metavar="NAME,...",
        help="COCO names or class numbers to be cut out (default: any)",
    )
    add(
        "--min_score",
        type=options.number(0, 1),
        metavar="S",
        help="least score of a detection (default: 0.5)",
    )
    add(
        "--instances",
        choices=("best", "all"),
        help="the one with the highest score, or all of the classes in one cut-out (default: best)",
    )
    add = parser.add_argument_group("model").add_argument
    add(
        "--input_range",
        type=options.numbers(2, "LOW,HIGH, such as 0,1"),
        metavar="LOW,HIGH",
        help="what pixel values 0 and 255 are fed as (default: 0,1)",
    )
    for name, what, default in (
        ("mean", "subtracted from", "0,0,0"),
        ("std", "that divides", "1,1,1"),
    ):
        add(
            f"--input_{name}",
            type=options.numbers(3, "R,G,B, such as 0.485,0.456,0.406"),
            metavar="A,B,C",
            help=f"{what} the channels after that, in the order fed (default: {default})",
        )
    add("--input_channels", choices=("rgb", "bgr"), help="order of the channels (default: rgb)")
    add(
        "--input_size",
        type=options.size,
        metavar="N|WxH",
        help="size fed to a network that takes any (default: 320)",
    )
    add("--output_name", metavar="NAME", help="which output is the mask, if there are several")
    add(
        "--output_activation",
        choices=("none", "sigmoid"),
        help="sigmoid makes 0..1 of logits (default: none)",
    )
    add(
        "--edges",
        choices=("matting", "keep"),
        help="matting makes the edge anew from a mask; keep takes the network's values as alpha "
        "(default: matting)",
    )
    return parser


def method_of(asked: argparse.Namespace, begun: Container[str] = ()) -> Method:
    """The method that is asked for; without one the best that is at hand, told in a line.

    Args:
        asked: The options.
        begun: Fingerprints of the methods that made what the output holds: a folder that was begun
            is gone on with as it was, whatever was fetched since.

    Raises:
        UserError: Options that do not belong together, or a network that is not there.
    """
    if asked.method is not None:
        return _method(asked)
    names = [GRABCUT] if presets.cached(_BEST) is None else [_BEST, GRABCUT]
    methods = [_method(argparse.Namespace(**{**vars(asked), "method": name})) for name in names]
    return next((method for method in methods if method.fingerprint() in begun), methods[0])


def _method(asked: argparse.Namespace) -> Method:
    given = vars(asked)
    preset = presets.PRESETS.get(asked.method)
    for owner, names in ((MASKRCNN, _OF_MASKRCNN), (MODEL, _OF_MODEL)):
        for name in names:
            if name in given and asked.method != owner and not (preset and owner == MODEL):
                flag = "class" if name == "classes" else name
                raise UserError(f"--{flag} belongs to --method {owner}, not to {asked.method}")
    if asked.model is not None and asked.method not in (MASKRCNN, MODEL):
        raise UserError("--model wants --method maskrcnn or model")
    if asked.method == GRABCUT:
        return Method(min_confidence=asked.min_confidence)
    if preset is not None:
        return _of_preset(asked)
    if asked.model is None:
        raise UserError(f"--method {asked.method} wants a network: --model PATH")
    try:
        path = network_files.local_copy(asked.model.rstrip("/"))
        opening.kind_of(path)
    except (NetworkError, FetchError) as error:
        raise UserError(f"--model {error}") from error
    own = {name: given[name] for name in ("min_score", "instances", "edges") if name in given}
    try:
        model = (
            MaskModel(path) if asked.method == MASKRCNN else mask_card.read(path, _entries(given))
        )
    except NetworkError as error:
        raise UserError(f"--model {asked.model}: {error}") from error
    return Method(
        asked.method,
        model,
        _classes(given.get("classes", "")),
        min_confidence=asked.min_confidence,
        **own,
    )


def _of_preset(asked: argparse.Namespace) -> Method:
    """A network that is known by its name, fetched if need be."""
    given, name = vars(asked), asked.method
    try:
        path = str(presets.obtain(name)[1])
        entries = {**presets.PRESETS[name].entries(), **_entries(given)}
        model = mask_card.model_of(path, entries)
    except (FetchError, ValueError) as error:
        raise UserError(f"--method {name}: {error}") from error
    edges = given.get("edges", Method.edges)
    return Method(name, model, edges=edges, min_confidence=asked.min_confidence)


def _entries(given: dict[str, Any]) -> dict[str, Any]:
    """The card's entries of the command line."""
    return {
        "activation" if name == "output_activation" else name: given[name]
        for name in _OF_MODEL
        if name in given and name != "edges"
    }


def _classes(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({class_number(part) for part in text.split(",") if part.strip()}))
    except ValueError as error:
        raise UserError(f"--class: {error}") from error
