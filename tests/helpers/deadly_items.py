"""A task of worker processes: files with the numbers of its items, one of which is deadly."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from fgbg.pipeline.arguments import Slice
from fgbg.transforms import meter


def write_numbers(part: Slice, folder: str, items: int, deadly: int) -> list[int]:
    """Writes a file for each item of the slice that has none. Returns the numbers written."""
    written = []
    for number in range(items):
        file = Path(folder, str(number))
        if part.has(number) and not file.exists():
            meter.begin(number)
            if number == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            file.touch()
            written.append(number)
            meter.end()
    return written
