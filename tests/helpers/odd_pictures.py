"""Odd pictures of others, read by fgbg and by another decoder, and compared.

Folders of test pictures that packages bring (sources of Pillow, libvips, libpng with PngSuite,
libtiff, libjpeg-turbo, exiv2, GraphicsMagick) are read file by file in a child process:

    python -m tests.helpers.odd_pictures FOLDER ... [--refused] [--seconds 60]

Prints what both read differently, what takes longer, kills the process, or raises anything but a
reason; with --refused the reasons too. Exit code 1 if there is any such file. Needs pyvips.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from tests.helpers import other_decoder
from tests.helpers.other_decoder import DIFFERENT, REFUSED, Verdict

RAISED, KILLED, SLOW = "raised", "killed", "slow"
# What is no picture by any name is left alone.
_NOT = {".py", ".c", ".h", ".txt", ".md", ".html", ".xml", ".sh", ".cpp", ".rst", ".js", ".css",
        ".am", ".in", ".ac", ".m4", ".po", ".cmake", ".cc", ".hh", ".hpp", ".1", ".3", ".tcl",
        ".out", ".exv", ".pl", ".asm", ".icm", ".icc", ".ttf", ".otf", ".pcf", ".gz", ".pdf",
        ".svg"}  # fmt: skip


def compare(path: str) -> Verdict:
    """One file, whatever comes."""
    try:
        return other_decoder.compare(Path(path).read_bytes())
    except Exception as error:
        return Verdict(RAISED, f"{type(error).__name__}: {error}", [], False)


def run(paths: list[Path], seconds: float) -> Iterator[tuple[Path, Verdict]]:
    """What becomes of each file."""
    pool: ProcessPoolExecutor | None = None
    for path in paths:
        if pool is None:
            pool = ProcessPoolExecutor(1, get_context("spawn"))
        try:
            verdict = pool.submit(compare, str(path)).result(seconds)
        except TimeoutError:
            verdict = Verdict(SLOW, f"not read in {seconds:g} seconds", [], False)
        except BrokenProcessPool:
            verdict = Verdict(KILLED, "the process that read it died", [], False)
        if verdict.kind in (SLOW, KILLED):
            for process in list(pool._processes.values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)
            pool = None
        yield path, verdict
    if pool is not None:
        pool.shutdown()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--refused", action="store_true", help="print the reasons, too")
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args(arguments)
    every = [p for folder in asked.folders for p in sorted(folder.rglob("*")) if p.is_file()]
    paths = [path for path in every if path.suffix.lower() not in _NOT and path.suffix]
    shown = {DIFFERENT, RAISED, KILLED, SLOW} | ({REFUSED} if asked.refused else set())
    found: Counter[str] = Counter()
    for path, verdict in run(paths, asked.seconds):
        found[verdict.kind] += 1
        if verdict.kind in shown or "\n" in verdict.words:
            print(f"{verdict.kind}: {path}: {verdict.words}", *verdict.notes, sep="; ", flush=True)
    print(", ".join(f"{count} {kind}" for kind, count in sorted(found.items())))
    return int(bool(found.keys() & {DIFFERENT, RAISED, KILLED, SLOW}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
