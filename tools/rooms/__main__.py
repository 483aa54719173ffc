"""Command line: `python -m tools.rooms samples|dataset`."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from tools.rooms.dataset import write_dataset, write_samples


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if not match or not 16 <= int(match[1]) <= 4096 or not 16 <= int(match[2] or match[1]) <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT with sides 16..4096")
    return int(match[1]), int(match[2] or match[1])


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number in 1..1000000")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.rooms",
        description="Renders indoor pictures with exact depth, and foreground cut-outs.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    samples = commands.add_parser("samples", help="write the demo's backgrounds and foregrounds")
    samples.add_argument("--output", type=Path, default=Path("samples"), help="default: samples")
    dataset = commands.add_parser(
        "dataset", help="write NNNNNN_rgb.jpg and NNNNNN_depth.png (16-bit, millimetres)"
    )
    dataset.add_argument("--output", type=Path, required=True, help="folder; finished pairs stay")
    dataset.add_argument("--count", type=_count, required=True, help="number of pairs")
    dataset.add_argument("--size", type=_size, default=(320, 240), help="WxH, default 320x240")
    dataset.add_argument("--seed", type=int, default=0, help="default 0")
    dataset.add_argument("--workers", type=_count, default=1, help="processes, default 1")
    options = parser.parse_args(arguments)
    if options.command == "samples":
        for path in write_samples(options.output):
            print(path)
        return 0
    made = write_dataset(options.output, options.count, options.size, options.seed, options.workers)
    print(f"{made} rooms rendered, {options.count - made} were there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
