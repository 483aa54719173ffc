"""The command line of `fgbg generate`: every option, its check and its default."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from fgbg.models.depth.depth_card import BUILTIN, PRECISIONS
from fgbg.pipeline.exit_codes import WRONG_USE
from fgbg.pipeline.options import cloud as cloud_options
from fgbg.pipeline.options.licences import add_licence
from fgbg.pipeline.options.names import HelpFormatter, as_known, spelled, suggest
from fgbg.pipeline.options.types import add_switch, boolean, number, numbers, scale, size, splits
from fgbg.transforms.escaping import terminal
from fgbg.transforms.job.job import BY_AREA, BY_HEIGHT, BY_LONGER_SIDE, PER_PLACEMENT, PER_UNIT

__all__ = [
    "Parser",
    "add_depth_model",
    "add_switch",
    "boolean",
    "generate_parser",
    "number",
    "numbers",
    "parse",
    "parse_all",
    "scale",
    "size",
    "splits",
    "suggest",
]


class Parser(argparse.ArgumentParser):
    """An argparse parser that takes options as people write them: see options/names.py."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = sys.argv[1:] if args is None else args
        return super().parse_known_args(as_known(given, self._option_string_actions), namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {terminal(message)}\nTry: {self.prog} --help\n")


def add_no_fsync(add: Callable[..., Any]) -> None:
    """Adds --no_fsync."""
    add_switch(
        add,
        "--no_fsync",
        "do not wait for the local disk: for scratch disks, which a power cut may spoil",
    )


def generate_parser() -> Parser:
    """The parser of `fgbg generate`; what it leaves over are Beam's options."""
    parser = Parser(
        prog="fgbg generate",
        description="Pastes foregrounds at random positions on backgrounds and writes overlay, "
        "mask and depth of every one. Run it again with the same options to resume; with more "
        "inputs or placements to extend. Options of Apache Beam are passed through.",
    )
    add = parser.add_argument_group("input and output").add_argument
    add(
        "--backgrounds",
        required=True,
        metavar="FOLDER",
        help="folder or glob pattern of the background photos, local or gs://",
    )
    add(
        "--foregrounds",
        required=True,
        metavar="FOLDER",
        help="folder or glob pattern of the cut-outs with transparency, local or gs://",
    )
    add("--output", required=True, metavar="FOLDER", help="the data set's folder, local or gs://")
    add(
        "--format",
        choices=("images", "tfrecord"),
        default="images",
        help="form of the samples: files of their own, or records in shards (docs/tfrecord.md)",
    )
    add(
        "--shards",
        type=number(1, 99_999, int),
        default=None,
        metavar="N",
        help="shards of --format tfrecord, all splits together; None: as many as make them about "
        "128 MB",
    )
    add_switch(add, "--overwrite", "delete the data set that is there and start anew")
    add_switch(add, "--skip_bad_inputs", "leave out inputs that cannot be used instead of stopping")
    add_licence(add)
    add_no_fsync(add)
    add = parser.add_argument_group("pictures").add_argument
    add("--size", type=size, default="224", metavar="N|WxH", help="size stored, in pixels")
    add(
        "--canvas",
        type=size,
        default=None,
        metavar="N|WxH",
        help="size composed at and shown to the depth network; None: twice --size",
    )
    add(
        "--placements",
        type=number(1, 1_000_000, int),
        default=20,
        metavar="K",
        help="positions of each foreground on each background",
    )
    add_switch(add, "--mirror", "place the mirror image of every foreground too", default=True)
    add(
        "--fg_scale",
        type=scale,
        default="0.3,0.6",
        metavar="MIN,MAX",
        help="height of the foreground as a share of the canvas, drawn for each foreground on "
        "each background",
    )
    add(
        "--scale_per",
        choices=(PER_UNIT, PER_PLACEMENT),
        default=PER_UNIT,
        help="unit: one size of a foreground for all its positions on a background; placement: a "
        "size for each, log-uniform over --fg_scale, which may exceed 1 then",
    )
    add(
        "--scale_by",
        choices=(BY_HEIGHT, BY_LONGER_SIDE, BY_AREA),
        default=BY_HEIGHT,
        help="what --fg_scale is a share of the canvas' height of: the foreground's height, its "
        "longer side, or the square root of its area",
    )
    add(
        "--truncation",
        type=number(0, 0.95),
        default=0.0,
        metavar="SHARE",
        help="share of the foreground's box that may lie outside the picture",
    )
    add(
        "--seed",
        type=number(0, 2**63 - 1, int),
        default=0,
        metavar="N",
        help="seed of the placements",
    )
    add(
        "--image_quality",
        type=number(1, 100, int),
        default=95,
        metavar="Q",
        help="JPEG quality; masks get at least 90, from where thresholding is exact",
    )
    add(
        "--mask_format",
        choices=("jpg", "png"),
        default=None,
        help="file format of masks; None: jpg, and png in records",
    )
    add(
        "--splits",
        type=splits,
        default="train=0.8,validation=0.1,test=0.1",
        metavar="NAME=SHARE,...",
        help="shares of the backgrounds in each split",
    )
    add = parser.add_argument_group("depth").add_argument
    add_depth_model(add, none=True)
    add(
        "--depth_format",
        choices=("jpg", "png16"),
        default=None,
        help="8 bits over --depth_range, or 16-bit PNG in millimetres; None: jpg, and png16 in "
        "records",
    )
    add(
        "--depth_range",
        type=number(0.1, 1000),
        default=None,
        metavar="METRES",
        help="metres that 255 stands for in 8-bit depth; None: the model's range (--depth_max)",
    )
    add = parser.add_argument_group("running").add_argument
    add(
        "--workers",
        type=number(1, 1024, int),
        default=None,
        metavar="N",
        help="processes on this machine; None: its cores",
    )
    add_switch(
        add, "--plan", "say what would be made, how many bytes and how long it would take, and stop"
    )
    cloud_options.add(parser)
    return parser


def add_depth_model(add: Callable[..., Any], none: bool, name: str = "--depth_model") -> None:
    """Adds the options that say which depth network is used, and how it is run.

    Args:
        add: add_argument of the parser, or of a group of it.
        none: Whether a data set without depth can be asked for.
        name: Of the option that names the network; its value is `depth_model` in any case.
    """
    add(
        name,
        dest="depth_model",
        default=BUILTIN,
        metavar="builtin|none|NAME|PATH" if none else "builtin|NAME|PATH",
        help="builtin: a small network that comes with fgbg, to try things with; a name that fgbg "
        "networks lists, such as moge2-small (downloaded once); or a file: .onnx, .tflite, .keras "
        "or DenseDepth .h5; or a SavedModel folder, or a folder of fgbg train",
    )
    add(
        "--depth_model_url",
        default=None,
        metavar="ADDRESS",
        help="where a network known by name is downloaded from; None: the addresses of "
        "docs/networks.md, or $FGBG_NYU_URL or $FGBG_KITTI_URL",
    )
    add(
        "--depth_batch_size",
        type=number(1, 1024, int),
        default=None,
        metavar="N",
        help="pictures in one call of the depth network; None: at most 4 on a CPU, 32 on a GPU",
    )
    add(
        "--depth_precision",
        choices=PRECISIONS,
        default=None,
        help="what DenseDepth computes in, bfloat16 faster where the processor has it; None: as "
        "the data set that is there has it, else float16 with --gpu and float32 without",
    )
    add(
        "--depth_input_range",
        type=numbers(2, "LOW,HIGH, such as 0,1"),
        default=None,
        metavar="LOW,HIGH",
        help="what pixel values 0 and 255 are fed as; None: the model's card says, or 0,1",
    )
    add(
        "--depth_output_unit",
        type=number(1e-9, 1e9),
        default=None,
        metavar="METRES",
        help="metres that one unit of the network's output stands for; None: the model's card "
        "says, or 1",
    )
    add(
        "--depth_max",
        type=number(0.1, 1000),
        default=None,
        metavar="METRES",
        help="the network's range; DenseDepth's scale ends there. None: the model's card says, or "
        "80 for kitti (or a DenseDepth file so named) and 10 for others",
    )


def parse(parser: Parser, arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parses a command's own options, and checks that the rest are Beam's.

    Returns:
        The options, and Beam's options as given.
    """
    own, rest = parser.parse_known_args(arguments)
    if rest:
        _check_beam_options(parser, rest)
    return own, rest


def _check_beam_options(parser: Parser, rest: list[str]) -> None:
    from fgbg.pipeline.options.beam import beam_option_names, left_over

    known = [name for name in parser._option_string_actions if name.startswith("--")]
    beam = beam_option_names()
    for i, token in enumerate(rest):
        if token.startswith("--"):
            name, equals, value = token.partition("=")
            rest[i] = token = spelled(name, beam) + equals + value
        if token.startswith("-") and token.partition("=")[0] not in beam:
            parser.error(suggest(token, known + sorted(beam)))
    wrong = left_over(rest)
    if wrong:
        parser.error(f"{wrong[0]!r} belongs to no option")


def parse_all(parser: Parser, arguments: list[str]) -> argparse.Namespace:
    """Parses a command that takes no options of Beam."""
    own, rest = parser.parse_known_args(arguments)
    if rest:
        known = [name for name in parser._option_string_actions if name.startswith("--")]
        first = rest[0]
        parser.error(
            suggest(first, known) if first.startswith("-") else f"{first!r} belongs to no option"
        )
    return own
