"""What options Apache Beam knows, to tell them from typing errors."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator

from apache_beam.options import pipeline_options


def _classes(base: type) -> Iterator[type]:
    children: list[type] = base.__subclasses__()
    for child in children:
        yield child
        yield from _classes(child)


@functools.cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in _classes(pipeline_options.PipelineOptions):
        options._add_argparse_args(parser)  # type: ignore[attr-defined]
    return parser


def beam_option_names() -> set[str]:
    """Every option that some part of Beam takes, with its dashes."""
    return set(_parser()._option_string_actions)


def left_over(arguments: list[str]) -> list[str]:
    """Arguments that are neither an option of Beam nor the value of one."""
    return _parser().parse_known_args(arguments)[1]


def runner_of(arguments: list[str]) -> str | None:
    """The runner that is asked for; None where it is left to us."""
    return _parser().parse_known_args(arguments)[0].runner
