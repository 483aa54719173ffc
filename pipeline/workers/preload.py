"""Imported once, in the process that workers are forked from: what their tasks import.

What cannot be imported there is tried again by each worker, which tells its launcher why.
"""

import contextlib
import importlib

with contextlib.suppress(Exception):
    importlib.import_module("fgbg.pipeline.workers.tasks")
