"""Dataclasses read from a file: whether their fields hold what their annotations say."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any


def check(value: Any) -> None:
    """Looks at each field of a dataclass.

    Raises:
        TypeError: One holds a value of another type; the message names it.
    """
    for name, hint in _hints(type(value)).items():  # type: ignore[arg-type]
        if not _fits(getattr(value, name), hint):
            raise TypeError(f"{name} is {getattr(value, name)!r}")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in inside)
    if origin is tuple:
        return (
            isinstance(value, tuple)
            and len(value) == len(inside)
            and all(map(_fits, value, inside))
        )
    if origin is list:
        return isinstance(value, list) and all(_fits(one, inside[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            _fits(key, inside[0]) and _fits(one, inside[1]) for key, one in value.items()
        )
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint
