"""The command line of `fgbg train`, and from it the settings of a training."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from fgbg.models.trained.compact_network import BLOCKS, STRIDE, WIDTHS
from fgbg.models.training.samples import COMPACT, INPUTS, PRECISIONS, Settings
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.options import parser as options

BUILTIN, NEW = "builtin", "new"
AUTO = "auto"
_ADAM_LIMIT = 2**31 - 1


def _whole_numbers(least: int) -> Callable[[str], tuple[int, ...]]:
    def parse(text: str) -> tuple[int, ...]:
        try:
            values = tuple(int(part) for part in text.split(","))
        except ValueError:
            values = ()
        if not 2 <= len(values) <= 5 or min(values) < least:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not 2 to 5 whole numbers from {least} with commas between them"
            )
        return values

    return parse


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise argparse.ArgumentTypeError(f"{text!r} is not two numbers, the lower first")
    return low, high


def _fed_size(text: str) -> tuple[int, int]:
    size = options.size(text)
    if any(side % STRIDE for side in size):
        raise argparse.ArgumentTypeError(f"{text!r}: sides must be multiples of {STRIDE}")
    return size


def parser() -> options.Parser:
    """The parser of `fgbg train`."""
    parser = options.Parser(
        prog="fgbg train",
        description="Trains one network that predicts mask and depth on a data set, evaluates it "
        "on the test split and writes it to a folder that fgbg predict and fgbg generate "
        "--depth_model take. Run it again with the same options to go on after an interruption.",
    )
    add = parser.add_argument
    add(
        "data_set",
        metavar="DATASET",
        help="folder of a data set made by fgbg generate, local or gs://",
    )
    add(
        "--model_dir",
        required=True,
        metavar="DIR",
        help="folder that the network goes to, local or gs://",
    )
    options.add_switch(
        add, "--overwrite", "delete the training that is in --model_dir and start anew"
    )
    add(
        "--test_set",
        default=None,
        metavar="DATASET",
        help="measure on the test split of this data set instead, such as one of the same "
        "backgrounds and other foregrounds",
    )
    add = parser.add_argument_group("network").add_argument
    add(
        "--inputs",
        choices=INPUTS,
        default="overlay",
        help="what the network is shown: the overlay, or with it its background",
    )
    add(
        "--size",
        type=_fed_size,
        default=None,
        metavar="N|WxH",
        help=f"size fed, multiples of {STRIDE}; None: the stored size, rounded up to them",
    )
    add(
        "--init",
        default=NEW,
        metavar="new|builtin|DIR",
        help="first weights: random, the network that comes with fgbg, or one of fgbg train",
    )
    add(
        "--encoder",
        default=COMPACT,
        metavar="compact|FILE",
        help="what halves the picture five times: new layers, or those of a trained network in a "
        ".tflite file, local or gs://, with its weights",
    )
    add(
        "--encoder_range",
        type=_range,
        default=None,
        metavar="LOW,HIGH",
        help="what --encoder FILE was trained to be fed for black and white, such as "
        "--encoder_range=-1,1; None: what the file says, and 0,1 if it says nothing",
    )
    options.add_switch(add, "--freeze_encoder", "leave the weights of --encoder FILE as they are")
    add(
        "--widths",
        type=_whole_numbers(1),
        default=",".join(map(str, WIDTHS)),
        metavar="N,..",
        help="channels of the network at 1/2, 1/4, .. of the size",
    )
    add(
        "--blocks",
        type=_whole_numbers(0),
        default=",".join(map(str, BLOCKS)),
        metavar="N,..",
        help="residual blocks at each of them; none with --encoder FILE",
    )
    add = parser.add_argument_group("training").add_argument
    whole = options.number(1, _ADAM_LIMIT, int)
    add("--epochs", type=whole, default=20, metavar="N", help="passes over the training samples")
    add("--batch_size", type=whole, default=16, metavar="N", help="samples of a step")
    add(
        "--learning_rate",
        type=options.number(1e-9, 10),
        default=1e-3,
        metavar="X",
        help="the greatest; it falls as a cosine over all epochs",
    )
    add(
        "--weight_decay",
        type=options.number(0, 1),
        default=1e-4,
        metavar="X",
        help="of AdamW",
    )
    add(
        "--patience",
        type=whole,
        default=6,
        metavar="N",
        help="epochs without a better validation loss after which training stops",
    )
    options.add_switch(
        add, "--augment", "mirror the training pictures and vary their colours and light", True
    )
    add(
        "--seed",
        type=options.number(0, _ADAM_LIMIT, int),
        default=0,
        metavar="N",
        help="seed of the first weights, the order and the variation",
    )
    add(
        "--limit",
        type=whole,
        default=None,
        metavar="N",
        help="use at most N samples of each split, spread evenly over it; None: all",
    )
    add = parser.add_argument_group("running").add_argument
    add(
        "--precision",
        choices=PRECISIONS,
        default=AUTO,
        help="what is computed in; auto: float32 on a CPU, 16 bits on a GPU that gains by it",
    )
    options.add_switch(
        add, "--deterministic", "use only operations that give the same bits every time", True
    )
    add(
        "--threads",
        type=options.number(1, 1024, int),
        default=None,
        metavar="N",
        help="CPU threads; None: the machine's cores, or what the training began with. Other "
        "numbers give other last bits",
    )
    return parser


def settings(
    asked: argparse.Namespace, stored: tuple[int, int], init: str, encoder: str
) -> Settings:
    """The settings of a command line.

    Args:
        asked: Its options.
        stored: Width and height of the data set's pictures.
        init: What names the first weights.
        encoder: What names the encoder.

    Raises:
        UserError: Options that do not go together.
    """
    if asked.encoder == COMPACT and asked.freeze_encoder:
        raise UserError("--freeze_encoder: give the --encoder that is to stay as it is")
    if asked.encoder == COMPACT and asked.encoder_range:
        raise UserError("--encoder_range: give the --encoder that is to be fed so")
    if asked.encoder != COMPACT and len(asked.widths) != len(WIDTHS):
        raise UserError(
            f"--widths has {len(asked.widths)} numbers: with --encoder {asked.encoder} there are "
            f"{len(WIDTHS)} scales"
        )
    if asked.encoder != COMPACT and asked.blocks != BLOCKS:
        raise UserError("--blocks is of the compact encoder; leave it out beside --encoder FILE")
    if len(asked.widths) != len(asked.blocks):
        raise UserError(
            f"--widths has {len(asked.widths)} numbers and --blocks {len(asked.blocks)}: one of "
            "each is needed for every scale"
        )
    width, height = asked.size or (math.ceil(side / STRIDE) * STRIDE for side in stored)
    return Settings(
        inputs=asked.inputs,
        size=(width, height),
        epochs=asked.epochs,
        batch_size=asked.batch_size,
        learning_rate=asked.learning_rate,
        weight_decay=asked.weight_decay,
        seed=asked.seed,
        augment=asked.augment,
        patience=asked.patience,
        limit=asked.limit,
        precision=asked.precision,
        deterministic=asked.deterministic,
        widths=asked.widths,
        blocks=asked.blocks if encoder == COMPACT else (),
        init=init,
        encoder=encoder,
        freeze_encoder=asked.freeze_encoder,
        encoder_range=asked.encoder_range,
    )
