"""Faults of the machine and unexpected errors in one line: the cause, where, and what to do."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

# Environment variable that has the traceback of an unexpected error printed.
TRACEBACK = "FGBG_TRACEBACK"
# Fewer open files than this are not enough for any command.
_LEAST_FILES = 64

# Addresses that the imported libraries take before any work: 1.75 GiB, with TensorFlow 3.6 GiB, as
# measured; a limit below these is met somewhere inside them.
_LEAST_MEMORY = {False: 2 << 30, True: 4 << 30}
# A thread that has not begun after so many seconds never will.
_THREAD_S = 30.0

_SPACE = "free some of it, or give a folder on another disk"
_ADVICE = {
    errno.ENOSPC: ("the disk is full", _SPACE),
    errno.EDQUOT: ("your share of the disk is used up (quota)", _SPACE),
    errno.EFBIG: (
        "files may not become so large here",
        "see ulimit -f and the file system's limit",
    ),
    errno.EROFS: ("the file system is read-only", "give a folder that can be written"),
    errno.EMFILE: ("too many open files", "allow more by ulimit -n 1024, or give fewer --workers"),
    errno.ENFILE: ("this machine has too many open files", "end other programs"),
    errno.ENOMEM: ("memory is short", "fewer --workers need less of it; see ulimit -v"),
    errno.EIO: ("the disk fails (input/output error)", "look at the system's log"),
    errno.EACCES: ("no permission", "give a folder that you may read and write"),
    errno.EPERM: ("not permitted", "give a folder that you may read and write"),
    errno.EAGAIN: ("no more processes or threads can be started", "see ulimit -u"),
}
# What other libraries and Beam's texts of errors leave of them.
_TEXTS = {os.strerror(number): number for number in _ADVICE} | {
    "MemoryError": errno.ENOMEM,
    "std::bad_alloc": errno.ENOMEM,
    "Unable to allocate": errno.ENOMEM,
    "failed to map segment from shared object": errno.ENOMEM,
    "failed to allocate memory": errno.ENOMEM,
    "can't start new thread": errno.EAGAIN,
}
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_PATH = re.compile(r"\[Errno \d+\] [^\n]*?: '([^'\n]+)'")
# What Beam adds to the error of a step.
_STEP = re.compile(r"\s*\[while running '[^']*'\]")
_LONGEST = 500


class MemoryLimitError(MemoryError):
    """The limit of memory is too low for a command; the message says what it is."""


def of_machine(error: BaseException) -> bool:
    """Whether an error is a fault of the machine and no wrong use: exit code 1, not 2."""
    return _number(error)[0] in (*_OF_THE_DISK, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def is_known(error: BaseException) -> bool:
    """Whether `explain` knows the cause of an error and what to do."""
    return _number(error)[0] is not None


def explain(error: BaseException, folder: str = "") -> str:
    """One line that says what went wrong.

    Args:
        error: Of any kind, also one that holds another's traceback as its text.
        folder: Where the command writes, for errors that do not say where they were.
    """
    if isinstance(error, MemoryLimitError):
        return str(error)
    number, path = _number(error)
    if number is None or path.startswith("gs://"):
        return _last_line(error) + _limit_told()
    cause, advice = _ADVICE[number]
    if number in _OF_THE_DISK and not path:
        path = f"{folder} or {tempfile.gettempdir()}" if folder else tempfile.gettempdir()
    # A limit of memory keeps threads from starting, too.
    limit = _limit_told() if number in (errno.ENOMEM, errno.EAGAIN) else ""
    return f"{path + ': ' if path else ''}{cause}; {advice}{limit}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__ or current.__context__


def _number(error: BaseException) -> tuple[int | None, str]:
    """The number in _ADVICE that an error comes from, and its path; None where it is none."""
    for found in _chain(error):
        if isinstance(found, OSError) and found.errno in _ADVICE:
            return found.errno, str(found.filename or "")
        if isinstance(found, MemoryError):
            return errno.ENOMEM, ""
    text = _tail(str(error))
    for words, number in _TEXTS.items():
        if words in text:
            path = _PATH.search(text)
            return number, path[1] if path else ""
    return None, ""


def _tail(text: str) -> str:
    """The message at the end of a traceback; of other texts all."""
    lines = text.strip().splitlines()
    for place in range(len(lines) - 1, -1, -1):
        if lines[place].startswith((" ", "Traceback ", "During handling")):
            return "\n".join(lines[place + 1 :])
    return "\n".join(lines)


def _last_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(_STEP.sub("", _tail(str(error))).split())
    kind = type(error).__name__
    if not text:
        return kind
    # A text that has its kind before it already comes from another process.
    told = text if "Traceback " in str(error) else f"{kind}: {text}"
    return told if len(told) <= _LONGEST else told[:_LONGEST] + "..."


def traceback_wanted() -> bool:
    """Whether the person asks for tracebacks."""
    return os.environ.get(TRACEBACK, "0") not in ("", "0")


def with_traceback(line: str, error: BaseException) -> str:
    """The line, below the traceback if that is wanted."""
    if not traceback_wanted():
        return line
    return "".join(traceback.format_exception(error)) + line


def output_of(arguments: Sequence[str]) -> str:
    """Where a command line writes, as far as it says so."""
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in ("--output", "--model_dir"):
            return value if equals else "".join(arguments[place + 1 : place + 2])
    return ""


def raise_limit_of_files() -> None:
    """Takes as many open files as this process may have, up to what Beam and TensorFlow use.

    Raises:
        OSError: They are too few for anything.
    """
    least = 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= least:
        return
    wanted = least if hard == resource.RLIM_INFINITY else min(least, hard)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < _LEAST_FILES:
        raise OSError(errno.EMFILE, f"only {wanted} open files are allowed")


def memory_is_limited() -> bool:
    """Whether this process may not have all the memory that there is (ulimit -v)."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _limit_told() -> str:
    if not memory_is_limited():
        return ""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return f"; memory is limited to {limit / 2**30:.1f} GiB here (ulimit -v)"


def is_memory(error: BaseException) -> bool:
    """Whether an error comes from memory that is short."""
    return _number(error)[0] == errno.ENOMEM


def check_limit_of_memory(with_tensorflow: bool = False) -> None:
    """Looks at the limit of memory before any work, for libraries fail at it in a hundred ways.

    Args:
        with_tensorflow: Whether it is needed.

    Raises:
        MemoryLimitError: It is lower than what the libraries alone take.
    """
    least = _LEAST_MEMORY[with_tensorflow]
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < least:
        what = (
            "TensorFlow's libraries alone take" if with_tensorflow else "the libraries alone take"
        )
        raise MemoryLimitError(
            f"memory is limited to {limit / 2**30:.1f} GiB here (ulimit -v), and {what} "
            f"{least / 2**30:.0f} GiB of addresses; raise the limit"
        )


def threads_start_or_fail() -> None:
    """Has threads that cannot begin raise, where memory is limited.

    Python's Thread.start waits for the new thread to say that it runs; one that has no memory even
    for that says nothing, and its starter would wait for ever.
    """
    if memory_is_limited():
        threading.Thread.__init__ = _init_impatiently  # type: ignore[method-assign]


class _Started(threading.Event):
    def wait(self, timeout: float | None = None) -> bool:
        if super().wait(_THREAD_S if timeout is None else timeout) or timeout is not None:
            return self.is_set()
        raise RuntimeError("can't start new thread")


_init = threading.Thread.__init__


def _init_impatiently(self: threading.Thread, *arguments: Any, **named: Any) -> None:
    _init(self, *arguments, **named)
    self._started = _Started()  # type: ignore[attr-defined]


def signal_or_code(code: int | None) -> str:
    """How a process ended, by its exit code: the name of the signal, or the code."""
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def death(how: str) -> str:
    """How a process died, with what a limit of this shell may have to do with it."""
    if memory_is_limited():
        return how + _limit_told()
    if how.startswith("SIGKILL"):
        return f"{how}; fewer --workers need less memory"
    return how
