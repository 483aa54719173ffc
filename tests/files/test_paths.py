"""Paths of folders as people type them, and how many files are asked for at once."""

from __future__ import annotations

import pytest

from fgbg.files.ordered_map import GCS_THREADS, threads_for
from fgbg.files.paths import trim_slash


@pytest.mark.parametrize(
    ("typed", "path"),
    [("set", "set"), ("a/set//", "a/set"), ("/", "/"), ("//", "/"), ("gs://b/set/", "gs://b/set")],
)
def test_a_folder_has_one_name_however_it_was_typed(typed, path):
    assert trim_slash(typed) == path


def test_requests_are_made_several_at_a_time_and_local_files_read_one_by_one():
    assert threads_for("gs://bucket/set") == GCS_THREADS > 1
    assert threads_for("/tmp/set") == 1
