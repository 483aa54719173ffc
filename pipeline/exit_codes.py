"""Exit codes of the commands, and the errors that end a command with a message."""

OK = 0
SOME_FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130


class UserError(Exception):
    """Wrong use or bad input: the message says what, where and what to do; exit code 2."""


class WorkerError(RuntimeError):
    """A worker process failed outside any item of work, or died again and again; exit code 1."""
