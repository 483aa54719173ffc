"""Loaded into worker processes by a test: one unit takes its process down, as a bug would."""

import os
import signal

from fgbg.transforms.steps import compose

_WHERE = os.environ.get("FGBG_TEST_CRASH")
_original = compose.compose


def _crash(output, version, unit, *more):
    if unit.name == _WHERE:
        os.kill(os.getpid(), signal.SIGSEGV)
    return _original(output, version, unit, *more)


compose.compose = _crash
