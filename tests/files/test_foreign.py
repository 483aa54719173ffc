"""Files that somebody else made: nothing hangs, whatever stands in a folder of pictures."""

from __future__ import annotations

import os
import socket

import pytest

from fgbg.files import foreign


def test_a_regular_file_and_a_link_to_one_are_read(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "a")

    assert foreign.read(str(tmp_path / "a")) == foreign.read(str(tmp_path / "link")) == b"content"


def test_what_is_no_regular_file_is_told_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "socket.jpg"))
    for path, words in (
        (tmp_path / "fifo.jpg", "a FIFO, not a file"),
        (tmp_path / "folder.jpg", "a folder, not a file"),
        (tmp_path / "socket.jpg", "a socket, not a file"),
        ("/dev/zero", "a device, not a file"),
    ):
        with pytest.raises(OSError) as caught:
            foreign.read(str(path))
        assert caught.value.strerror == words


def test_a_file_over_the_limit_is_not_read(tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(OSError, match="larger than"):
        foreign.read(str(tmp_path / "large"))


def test_a_name_that_is_not_utf_8_is_refused_with_what_to_do(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xe9.jpg")
    with open(path, "wb"):
        pass

    with pytest.raises(OSError, match=r"not UTF-8.*rename it"):
        foreign.read(os.fsdecode(path))
