"""What options Apache Beam knows, to tell them from typing errors."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator
from typing import NoReturn

from apache_beam.options import pipeline_options

from fgbg.pipeline.exit_codes import UserError


class _Parser(argparse.ArgumentParser):
    """Beam's usage is some hundred lines long: what is wrong is one."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def _classes(base: type) -> Iterator[type]:
    children: list[type] = base.__subclasses__()
    for child in children:
        yield child
        yield from _classes(child)


@functools.cache
def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in _classes(pipeline_options.PipelineOptions):
        options._add_argparse_args(parser)  # type: ignore[attr-defined]
    return parser


def beam_option_names() -> set[str]:
    """Every option that some part of Beam takes, with its dashes."""
    return set(_parser()._option_string_actions)


def _parsed(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    try:
        return _parser().parse_known_args(arguments)
    except (ValueError, TypeError) as error:  # of an option that reads JSON, say
        raise UserError(f"an option of Beam: {error}") from error


def left_over(arguments: list[str]) -> list[str]:
    """Arguments that are neither an option of Beam nor the value of one.

    Raises:
        UserError: The value of one is wrong.
    """
    return _parsed(arguments)[1]


def runner_of(arguments: list[str]) -> str | None:
    """The runner that is asked for; None where it is left to us."""
    runner: str | None = _parsed(arguments)[0].runner
    return runner
