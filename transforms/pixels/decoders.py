"""Decoders of other people's files keep off standard error: what is wrong is raised, not printed.

Pillow warns of odd files, and libtiff below it prints lines that name no file. Both are turned
off for the process where pictures are read.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import warnings


@functools.lru_cache(maxsize=1)
def silence() -> None:
    """Turns off the warnings of Pillow and libtiff, once in a process."""
    from PIL import Image

    # Of some, Pillow says that its caller warns.
    warnings.filterwarnings("ignore", module=r"(PIL(\..*)?|fgbg\.transforms\..*)$")
    # A handler that does nothing: without any, Python prints warnings of a library's logger.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with contextlib.suppress(OSError, AttributeError):  # another build: its words are a nuisance
        # A library's symbols are looked up in those that it was linked with, too.
        library = ctypes.CDLL(Image.core.__file__)
        for setter in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
