"""A copy of the project's sources, where a test may write and build."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.helpers.data_sets import ROOT

# What is made in a checkout and not part of it, as in .gitignore; hidden are .git and .venv.
_MADE = (".*", "__pycache__", "*.egg-info", "build", "dist", "demo_output")


def copy_checkout(folder: Path) -> Path:
    """Copies the project's files to a folder that does not exist yet, and returns that."""
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_MADE)))
