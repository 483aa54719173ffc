"""Sealed files: what was written comes back, and nothing else passes for it."""

from __future__ import annotations

import contextlib
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg.files.sealed import DamagedError, seal, unseal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
CONTENT = st.dictionaries(st.text().filter(lambda key: key != "crc32"), JSON, min_size=1)


@settings(deadline=None)
@given(CONTENT, st.sampled_from([None, 1]))
def test_what_was_sealed_comes_back_and_is_json(content, indent):
    data = seal(content, indent)
    assert unseal(data, "file") == content
    assert {**json.loads(data)} == {**content, "crc32": json.loads(data)["crc32"]}


@settings(deadline=None)
@given(CONTENT, st.data())
def test_a_changed_byte_or_a_cut_end_is_found(content, data):
    whole = seal(content)
    at = data.draw(st.integers(0, len(whole) - 2))  # the line's end is nobody's content
    flipped = bytearray(whole)
    flipped[at] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(flipped), whole[: at + 1]):
        with contextlib.suppress(DamagedError):
            assert unseal(damaged, "file") == content  # white space between the last members


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (bytes(4096), "zeros"),
        (b"{}", "no checksum"),
        (b'{"a": 1}', "no checksum"),
        (seal({"a": 1}).replace(b"1", b"2", 1), "another content"),
        (seal({"a": 1})[:-9], "cut off"),
    ],
)
def test_the_message_names_the_file_and_what_is_wrong(data, problem):
    with pytest.raises(DamagedError, match=f"_work/job.json: .*{problem}"):
        unseal(data, "_work/job.json")


def test_an_error_comes_whole_from_a_worker_process():
    error = pickle.loads(pickle.dumps(DamagedError("a/b", "is empty")))
    assert (error.path, error.problem, str(error)) == ("a/b", "is empty", "a/b: is empty")
