"""JSON files that are checked when they are read: the state of a job must not be half a file.

A machine that loses its power may leave a file of the right name that is empty, cut off or full of
zeros, and disks and people damage files too. A sealed file is a JSON object whose last member is
the CRC-32 of all that stands before it, so that any of this is seen, and it is still JSON.
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

_SEAL = "crc32"
_END = re.compile(rb',\s*"crc32": ?"([0-9a-f]{8})"\s*}\s*\Z')


class DamagedError(ValueError):
    """A file that is not what was written; the message says what is wrong with it.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem

    def __reduce__(self) -> Any:
        return type(self), (self.path, self.problem)


def seal(content: dict[str, Any], indent: int | None = None) -> bytes:
    """A JSON object with its checksum, as it is stored.

    Args:
        content: Not empty; equal contents are equal bytes, whatever the order of their keys.
        indent: Spaces of each level; None: all in one line.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(content, indent=indent, sort_keys=True, separators=separators)
    body = text.removesuffix("}").rstrip().encode()
    between = b"," if indent is None else b",\n" + b" " * indent
    end = b"}\n" if indent is None else b"\n}\n"
    colon = b":" if indent is None else b": "
    return b'%s%s"%s"%s"%08x"%s' % (body, between, _SEAL.encode(), colon, zlib.crc32(body), end)


def unseal(data: bytes, path: str) -> dict[str, Any]:
    """What was sealed.

    Args:
        data: The file's content.
        path: The file, for the message.

    Raises:
        DamagedError: It is not what `seal` returned.
    """
    check_seal(data, path)
    try:
        content = json.loads(data)
    except ValueError as error:
        raise DamagedError(path, f"is no JSON: {error}") from error
    del content[_SEAL]
    return content


@contextlib.contextmanager
def fitting(path: str, what: str) -> Iterator[None]:
    """Makes a DamagedError of what is raised inside where content is another than expected.

    A checksum can be right of another file put in its place, or of an edit.

    Args:
        path: The file.
        what: What it should be, for the message: "plan of shards".
    """
    try:
        yield
    except DamagedError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(path, f"is no {what}: {error!r}") from error


def check_seal(data: bytes, path: str) -> None:
    """Raises DamagedError, as `unseal`, where bytes are not what was sealed; reads no JSON."""
    if not data:
        raise DamagedError(path, "is empty")
    if not data.strip(b"\0"):
        raise DamagedError(path, "holds nothing but zeros")
    end = _END.search(data, max(0, len(data) - 64))
    if end is None:
        raise DamagedError(path, "is cut off, or was never written by fgbg: it has no checksum")
    if zlib.crc32(data[: end.start()]) != int(end[1], 16):
        raise DamagedError(path, "is damaged: its checksum is of another content")
