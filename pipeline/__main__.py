"""The command line: `fgbg COMMAND ...`, the same as `python -m fgbg COMMAND ...`."""

from __future__ import annotations

import difflib
import importlib
import os
import sys

from fgbg import __version__
from fgbg.files.paths import GCS_PREFIX
from fgbg.pipeline.exit_codes import INTERRUPTED, SOME_FAILED, WRONG_USE, UserError, WorkerError
from fgbg.transforms.escaping import terminal

# Module of each command and what it does. Imported when asked for: --help stays quick.
_COMMANDS = {
    "collect": (
        "fgbg.pipeline.commands.collect",
        "search and download pictures to make a data set of",
    ),
    "generate": ("fgbg.pipeline.commands.generate", "make a data set, resume one, or extend one"),
    "depth": (
        "fgbg.pipeline.commands.depth",
        "depth of given pictures, and how right a depth network is",
    ),
    "train": (
        "fgbg.pipeline.commands.train",
        "train a network on a data set: mask and depth of a picture",
    ),
    "predict": (
        "fgbg.pipeline.commands.predict",
        "mask and depth of given pictures by a trained network",
    ),
    "cutout": (
        "fgbg.pipeline.commands.cutout",
        "cut the things out of photos: foregrounds with transparency",
    ),
    "verify": ("fgbg.pipeline.commands.verify", "read a data set back and prove it"),
    "report": (
        "fgbg.pipeline.commands.report",
        "make the report of a finished data set again: index.html",
    ),
    "show": ("fgbg.pipeline.commands.show", "draw one sample of a data set"),
    "export": ("fgbg.pipeline.commands.export", "write a data set as COCO or WebDataset"),
    "convert": ("fgbg.pipeline.commands.convert", "from image files to TFRecords, or back"),
    "template-metadata": (
        "fgbg.pipeline.options.template_metadata",
        "print the Flex Template's metadata.json",
    ),
}
_SINGLE_THREADED = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def _usage() -> str:
    lines = "\n".join(f"  {name:17} {text}" for name, (_, text) in _COMMANDS.items())
    return (
        "usage: fgbg COMMAND ...\n\n"
        "Large labelled data sets for monocular depth and segmentation, from backgrounds and "
        f"foreground cut-outs.\n\ncommands:\n{lines}\n\n"
        "fgbg COMMAND --help tells a command's options. fgbg --version tells the version."
    )


def _complain(text: str) -> None:
    print(terminal(text), file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: The command line without the program's name; None: this process' own.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help"):
        print(_usage())
        return 0 if given else WRONG_USE
    if given[0] == "--version":
        print(f"fgbg {__version__}")
        return 0
    command = given[0]
    if command not in _COMMANDS:
        near = difflib.get_close_matches(command, _COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        _complain(f"fgbg: unknown command {command}{hint}\n{_usage()}")
        return WRONG_USE
    # The processes are the threads: a pool in each of them would only be in the way.
    for name in _SINGLE_THREADED:
        os.environ.setdefault(name, "1")
    try:
        return importlib.import_module(_COMMANDS[command][0]).main(given[1:])
    except UserError as error:
        _complain(f"fgbg {command}: {error}")
        return WRONG_USE
    except WorkerError as error:
        _complain(
            f"fgbg {command}: {error}. Nothing that was made is lost: the same command resumes; "
            "fewer --workers need less memory."
        )
        return SOME_FAILED
    except OSError as error:
        if not str(error.filename or "").startswith("gs://"):
            raise
        _complain(f"fgbg {command}: {error.filename}: {error.strerror}")
        # The service itself: there are no credentials for it.
        return WRONG_USE if error.filename == GCS_PREFIX else SOME_FAILED
    except KeyboardInterrupt:
        print(
            f"\nfgbg {command}: interrupted. Nothing that was made is lost: the same command "
            "goes on from here.",
            file=sys.stderr,
        )
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
