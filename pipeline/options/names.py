"""How options are written: hyphens or underscores, --no-x, and what a typing error may mean."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

# Suggested only for what is all but their name: somebody might follow the advice.
_DESTRUCTIVE = frozenset({"--overwrite", "--repair"})
_NEAR, _ALL_BUT = 0.7, 0.9


def as_known(tokens: Iterable[str], known: Mapping[str, argparse.Action]) -> list[str]:
    """A command line with options as the parser has them.

    `--image-quality` is `--image_quality`, and `--no-mirror` is `--mirror=false`, for every option
    that takes true or false. What is no option of the parser stays as it is.

    Args:
        tokens: The command line after the command's name.
        known: The parser's options by their names.
    """
    found: list[str] = []
    pending = iter(tokens)
    for token in pending:
        if token == "--":  # what follows are no options
            found += [token, *pending]
            break
        if found and _is_switch(known.get(found[-1])):
            if token.lower() in ("true", "false", "yes", "no", "1", "0"):
                found[-1] += f"={token}"
                continue
            found[-1] += "=true"  # so that it does not take what stands behind it
        name, equals, value = token.partition("=")
        if token.startswith("--"):
            name = spelled(name, known)
            negated = _negated(name)
            if name in known:
                token = name + equals + value
            elif not equals and _is_switch(known.get(negated)):
                token = f"{negated}=false"
        found.append(token)
    if found and _is_switch(known.get(found[-1])):
        found[-1] += "=true"
    return found


def spelled(name: str, known: Collection[str]) -> str:
    """An option with underscores for hyphens, where there is one of that name."""
    underscored = "--" + name.removeprefix("--").replace("-", "_")
    return underscored if name not in known and underscored in known else name


def _negated(name: str) -> str:
    """The option that --no-NAME switches off."""
    return "--" + name.replace("-", "_").removeprefix("__no_")


def _is_switch(action: Any) -> bool:
    return getattr(getattr(action, "type", None), "__name__", "") == "boolean"


def suggest(unknown: str, known: list[str]) -> str:
    """An error text for an unknown option or command, with the nearest known one."""
    name = unknown.partition("=")[0]
    near = [
        found
        for found in difflib.get_close_matches(name, known, n=3, cutoff=_NEAR)
        if found not in _DESTRUCTIVE or _ratio(name, found) >= _ALL_BUT
    ]
    return f"unknown option {name}" + (f"; did you mean {near[0]}?" if near else "")


def _ratio(first: str, second: str) -> float:
    return difflib.SequenceMatcher(None, first, second).ratio()


class HelpFormatter(argparse.HelpFormatter):
    """Shows each default once, in words where it has some.

    A help text says after "None: " what is done where the option is left out.
    """

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        default = action.default
        if "None: " in text:
            return text.replace("None: ", "default: ")
        if default is None or default is argparse.SUPPRESS or default is False or not text:
            return text
        if "%(default)" in text or not (action.option_strings or action.nargs in ("?", "*")):
            return text
        return f"{text} (default: {'true' if default is True else '%(default)s'})"
