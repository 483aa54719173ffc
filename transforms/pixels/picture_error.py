"""The error of pictures that cannot be used."""

from __future__ import annotations


class PictureError(ValueError):
    """A picture that cannot be used; the message says why and what to do, not which file."""


# Bytes that must be there for a picture to be to blame.
_LITTLE = 64 << 20


def too_large() -> str:
    """What is wrong with a picture for which memory was short.

    Raises:
        MemoryError: It is not the picture: there is no memory for anything.
    """
    bytearray(_LITTLE)
    return "does not fit into memory; scale it down first"
