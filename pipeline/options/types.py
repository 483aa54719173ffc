"""What the values of options may be: parsers of one value each, and patterns of what they take.

The patterns go to the Flex Template's metadata (options/template_metadata.py), where a form
checks a value before a job is launched. They are a little wider than the parsers, which have the
last word.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

_SIZE = re.compile(r"(\d+)(?:[xX](\d+))?")
_SPLIT = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=([0-9.eE+-]+)")
_FLOAT = r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?"


def size(text: str) -> tuple[int, int]:
    """Width and height of N or WxH."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is neither N nor WxH (pixels)")
    width = int(match[1])
    height = int(match[2] or match[1])
    if not (8 <= width <= 8192 and 8 <= height <= 8192):
        raise argparse.ArgumentTypeError(f"{text!r}: sides must be 8..8192 pixels")
    return width, height


def boolean(text: str) -> bool:
    """true or false, as a Flex Template hands them over."""
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


@dataclasses.dataclass(frozen=True)
class Number:
    """A parser of numbers in a closed range.

    Attributes:
        least: The least.
        greatest: The greatest; infinity for none.
        kind: int or float.
    """

    least: float
    greatest: float
    kind: type = float

    def __call__(self, text: str) -> Any:
        try:
            value = self.kind(text)
        except ValueError:
            value = math.nan
        if not self.least <= value <= self.greatest:
            word = "a whole number" if self.kind is int else "a number"
            upper = "" if math.isinf(self.greatest) else f" to {self.greatest:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not {word} from {self.least:g}{upper}")
        return value


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A parser of a fixed number of finite numbers with commas between them.

    Attributes:
        count: How many.
        what: What they are, for messages.
    """

    count: int
    what: str

    def __call__(self, text: str) -> tuple[float, ...]:
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError:
            values = ()
        if len(values) != self.count or not all(math.isfinite(v) for v in values):
            raise argparse.ArgumentTypeError(f"{text!r} is not {self.what}")
        return values


def number(least: float, greatest: float, kind: type = float) -> Number:
    """A parser of numbers in a closed range."""
    return Number(least, greatest, kind)


def numbers(count: int, what: str) -> Numbers:
    """A parser of a fixed number of finite numbers with commas between them."""
    return Numbers(count, what)


# A thing larger than this shows a patch of its middle, whatever the truncation.
MAX_SCALE = 4


def scale(text: str) -> tuple[float, float]:
    """MIN,MAX of --fg_scale."""
    least, greatest = numbers(2, "MIN,MAX, such as 0.3,0.6")(text)
    if not 0 < least <= greatest <= MAX_SCALE:
        raise argparse.ArgumentTypeError(f"{text!r}: 0 < MIN <= MAX <= {MAX_SCALE} must hold")
    return least, greatest


def splits(text: str) -> list[tuple[str, float]]:
    """Names and shares of NAME=SHARE,..."""
    found: dict[str, float] = {}
    for part in text.split(","):
        match = _SPLIT.fullmatch(part.strip())
        share = -1.0
        with contextlib.suppress(ValueError):
            share = float(match[2]) if match else share
        if not match or not 0 <= share <= 1:
            raise argparse.ArgumentTypeError(f"{part!r} is not NAME=SHARE with a share of 0..1")
        if match[1] in found:
            raise argparse.ArgumentTypeError(f"split {match[1]} is there twice")
        found[match[1]] = share
    if abs(sum(found.values()) - 1) > 1e-6:
        raise argparse.ArgumentTypeError(f"the shares in {text!r} do not sum to 1")
    return list(found.items())


def add_switch(
    add: Callable[..., Any], name: str, text: str, default: bool = False
) -> argparse.Action:
    """Adds an option that is given alone, or with true or false, or as --no-NAME.

    Args:
        add: add_argument of the parser, or of a group of it.
        name: The option.
        text: Its help.
        default: What it is where it is left out.
    """
    return add(
        name,
        type=boolean,
        nargs="?",
        const=True,
        default=default,
        metavar="true|false",
        help=text,
    )


def pattern(kind: object) -> str | None:
    """A regular expression of all values that a parser takes, or None if it takes any text."""
    if isinstance(kind, Number):
        return r"^[0-9]+$" if kind.kind is int else f"^{_FLOAT}$"
    if isinstance(kind, Numbers):
        return "^" + ",".join([_FLOAT] * kind.count) + "$"
    if kind is scale:
        return f"^{_FLOAT},{_FLOAT}$"
    if kind is size:
        return f"^{_SIZE.pattern}$"
    if kind is splits:
        return f"^{_SPLIT.pattern}(,\\s*{_SPLIT.pattern})*$"
    if kind is boolean:
        return "^(true|false)$"
    return None
