"""The error of pictures that cannot be used."""

from __future__ import annotations


class PictureError(ValueError):
    """A picture that cannot be used; the message says why and what to do, not which file."""
