"""The command line: `fgbg COMMAND ...`, the same as `python -m fgbg COMMAND ...`."""

from __future__ import annotations

import difflib
import importlib
import os
import sys

from fgbg import __version__
from fgbg.files.paths import GCS_PREFIX
from fgbg.pipeline import faults, interrupts, progress
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
    "label": (
        "fgbg.pipeline.commands.label",
        "depth or masks of any number of pictures, by a network",
    ),
    "networks": (
        "fgbg.pipeline.commands.networks",
        "list the networks that are known by name: licence, size, unit",
    ),
    "fetch": ("fgbg.pipeline.commands.fetch", "download networks ahead"),
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
QUIET = "--quiet"
_SINGLE_THREADED = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def _usage() -> str:
    lines = "\n".join(f"  {name:17} {text}" for name, (_, text) in _COMMANDS.items())
    return (
        "usage: fgbg COMMAND ...\n\n"
        "Large labelled data sets for monocular depth and segmentation, from backgrounds and "
        f"foreground cut-outs.\n\ncommands:\n{lines}\n\n"
        "fgbg COMMAND --help, or fgbg help COMMAND, shows a command's options; fgbg --version the "
        "version. --quiet leaves out what is said while a command runs."
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
    if given and given[0] == "help":
        given = [*given[1:2], "--help"]
    if not given or given[0] in ("-h", "--help"):
        print(_usage())
        return 0 if given else WRONG_USE
    if given[0] in ("-V", "--version"):
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
    whole_process = arguments is None  # else somebody calls this who handles what is unexpected
    try:
        with interrupts.once(for_good=whole_process):
            own = [token for token in given[1:] if token != QUIET]
            with progress.quiet(len(own) < len(given) - 1):
                return _run(command, own, whole_process)
    except KeyboardInterrupt:
        print(
            f"\nfgbg {command}: interrupted. Nothing that was made is lost: the same command "
            "goes on from here.",
            file=sys.stderr,
        )
        return INTERRUPTED


def _run(command: str, arguments: list[str], whole_process: bool) -> int:
    """Runs a command, and says in one line what it ended with."""
    try:
        if whole_process:
            faults.raise_limit_of_files()
            faults.threads_start_or_fail()
        code: int = importlib.import_module(_COMMANDS[command][0]).main(arguments)
        if whole_process:
            sys.stdout.flush()
        return code
    except UserError as error:
        _complain(faults.with_traceback(f"fgbg {command}: {error}", error))
        return WRONG_USE
    except WorkerError as error:
        _complain(
            f"fgbg {command}: {error}. Nothing that was made is lost: the same command resumes."
        )
        return SOME_FAILED
    except BrokenPipeError as error:
        if not whole_process or error.filename is not None:
            raise
        # Who reads our output has gone, such as `head`: nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except Exception as error:
        of_cloud = isinstance(error, OSError) and str(error.filename or "").startswith("gs://")
        if not (whole_process or of_cloud or faults.of_machine(error)):
            raise
        line = f"fgbg {command}: {faults.explain(error, faults.output_of(arguments))}"
        if not (of_cloud or faults.is_known(error)):
            line += f" ({faults.TRACEBACK}=1 shows where)"
        _complain(faults.with_traceback(line, error))
        # The service itself: there are no credentials for it.
        without_credentials = isinstance(error, OSError) and error.filename == GCS_PREFIX
        return WRONG_USE if without_credentials else SOME_FAILED


if __name__ == "__main__":
    sys.exit(main())
