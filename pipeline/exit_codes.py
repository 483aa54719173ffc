"""Exit codes of the commands, and the error that a person can do something about."""

OK = 0
SOME_FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130


class UserError(Exception):
    """Wrong use or bad input: the message says what, where and what to do; exit code 2."""
