"""Pictures that a decoder would be busy with for ever."""

from __future__ import annotations

import time

import pytest
from PIL import Image

from fgbg.transforms.collect.candidate import Checks
from fgbg.transforms.collect.check import check
from fgbg.transforms.pixels import decoders, jpeg_header
from fgbg.transforms.pixels.picture_error import PictureError
from fgbg.transforms.pixels.pictures import read_picture
from tests.helpers.pictures import encoded, photo

PHOTO = photo(3, 64, 64)


def with_scans(count: int) -> bytes:
    """A JPEG whose last scan stands there so many times more."""
    data = encoded(PHOTO, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def test_a_reader_that_does_not_come_to_its_end_is_ended(monkeypatch):
    data = encoded(Image.fromarray(PHOTO).convert("P"), "GIF")
    at = data.index(b"\x2c")
    comments = data[:at] + b"\x21\xfe\1a\0" * 60_000 + data[at:]  # longer by the square
    monkeypatch.setattr(decoders, "MOST_SECONDS", 0.05)
    begun = time.monotonic()
    for read in (read_picture, lambda data: check(data, Checks(min_side=32))):
        with pytest.raises(PictureError, match=r"not read within 0\.05 seconds; save it anew"):
            read(comments)
    assert time.monotonic() - begun < 10
    monkeypatch.setattr(decoders, "MOST_SECONDS", 300)
    assert read_picture(data).shape == (64, 64, 3)


def test_jpegs_of_more_scans_than_anybody_makes_are_refused():
    usual = jpeg_header.scans(encoded(PHOTO, "JPEG", progressive=True))
    assert usual == 10 and jpeg_header.scans(encoded(PHOTO, "JPEG")) == 1
    assert jpeg_header.scans(encoded(PHOTO, "JPEG", restart_marker_rows=1)) == 1
    assert read_picture(with_scans(50)).shape == (64, 64, 3)
    assert jpeg_header.scans(with_scans(50)) == usual + 50
    with pytest.raises(PictureError, match="a JPEG of 310 scans or more; save it anew"):
        read_picture(with_scans(300))
    # What follows the picture is none of it: films of phones have such bytes.
    assert jpeg_header.scans(encoded(PHOTO, "JPEG") + b"\xff\xda\0\x02" * 999) == 1
    for data in (b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xda\0\2" + bytes(9)):
        assert jpeg_header.scans(data) <= 1 and jpeg_header.bits(data) == 0
