"""A JPEG's marker segments, written here byte by byte, and the segments of its scan."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbg.transforms.pixels.jpeg import stream as jpeg_stream
from fgbg.transforms.pixels.jpeg.stream import Header, read_header, renumber, segment_ends


def with_restarts(image: np.ndarray) -> bytes:
    flags = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]
    return cv2.imencode(".jpg", image, flags)[1].tobytes()


def marker(second: int, content: bytes = b"") -> bytes:
    """A marker segment (ITU-T T.81, B.1.1.4): its length counts itself."""
    return bytes((0xFF, second)) + struct.pack(">H", 2 + len(content)) + content


def frame(second: int, factors: list[tuple[int, int]]) -> bytes:
    """A frame header (B.2.2) of 30 rows and 50 columns with these sampling factors."""
    components = b"".join(bytes((i, h << 4 | v, 0)) for i, (h, v) in enumerate(factors))
    return marker(second, struct.pack(">BHHB", 8, 30, 50, len(factors)) + components)


def scan(components: int) -> bytes:
    """A scan header (B.2.3)."""
    selected = b"".join(bytes((i, 0)) for i in range(components))
    return marker(0xDA, bytes((components,)) + selected + bytes((0, 63, 0)))


@pytest.mark.parametrize(
    ("factors", "mcu"),
    [
        ([(1, 1)], (8, 8)),
        ([(2, 2)], (8, 8)),  # one component alone is not interleaved
        ([(1, 1)] * 3, (8, 8)),
        ([(2, 2), (1, 1), (1, 1)], (16, 16)),
        ([(2, 1), (1, 1), (1, 1)], (16, 8)),
        ([(1, 2), (1, 1), (1, 1)], (8, 16)),
        ([(4, 1), (1, 1), (1, 1)], (32, 8)),
        ([(1, 1), (3, 1), (1, 2)], (24, 16)),  # the finest need not be the first
        ([(1, 1), (1, 1), (2, 4)], (16, 32)),
    ],
)
def test_an_mcu_is_as_large_as_the_finest_component_asks_for(factors, mcu):
    before = b"\xff\xd8" + marker(0xE0, b"JFIF") + marker(0xDB, bytes(65))
    after = marker(0xC4, bytes(20)) + scan(len(factors))
    data = before + frame(0xC0, factors) + after
    assert read_header(data + b"scan") == Header(len(data), len(before) + 5, mcu, 0)
    assert data[len(before) + 5 : len(before) + 9] == bytes((0, 30, 0, 50))


@pytest.mark.parametrize("interval", [1, 255, 256, 0x0102, 65535])
def test_the_interval_is_read_wherever_it_stands(interval):
    restarts, sizes = marker(0xDD, struct.pack(">H", interval)), frame(0xC0, [(1, 1)])
    for middle in (restarts + sizes, sizes + restarts):
        assert read_header(b"\xff\xd8" + middle + scan(1)).interval == interval


@pytest.mark.parametrize("second", [0xC4, 0xC8, 0xCC, 0xE1, 0xEF, 0xFE, 0xDB])
def test_other_marker_segments_are_passed_over(second):
    # Among them the three in the middle of the frames' numbers that are none.
    data = b"\xff\xd8" + marker(second, bytes(300)) + frame(0xC0, [(1, 1)]) + scan(1)
    assert read_header(data) == Header(len(data), 2 + 304 + 5, (8, 8), 0)


@pytest.mark.parametrize(
    "second",
    [0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF],
)
def test_every_other_frame_is_refused(second):
    for frames in (
        frame(second, [(1, 1)]) + frame(0xC0, [(1, 1)]),
        frame(0xC0, [(1, 1)]) + frame(second, [(1, 1)]),
    ):
        with pytest.raises(ValueError, match="not a baseline JPEG with one scan"):
            read_header(b"\xff\xd8" + frames + scan(1))


@pytest.mark.parametrize(
    "data",
    [
        scan(3),  # no frame before it
        scan(0),
        frame(0xC0, [(1, 1)] * 3) + scan(1),  # one of three scans
        frame(0xC0, [(1, 1)] * 3) + scan(2) + scan(1),
        frame(0xC0, [(1, 1)]),  # no scan
        frame(0xC0, [(1, 1)]) + b"\x00" + scan(1),
        b"\x00" + frame(0xC0, [(1, 1)]) + scan(1),
        frame(0xC0, [(1, 1)]) + b"\x00" + scan(1)[1:],  # no marker
        b"",
        b"\xff\xc0\x00",  # ends within a length
    ],
)
def test_a_header_that_is_not_whole_is_refused(data):
    with pytest.raises(ValueError, match="not a baseline JPEG with one scan"):
        read_header(b"\xff\xd8" + data)


PIECES = st.sampled_from([b"\x00", b"\x17", b"\xfe", b"\xff\x00", b"\xd0", b"\xd9", b"\x01"])


@given(st.lists(st.lists(PIECES, max_size=6).map(b"".join), min_size=1, max_size=20))
def test_segments_end_after_their_markers(contents):
    data, ends = b"", []
    for i, content in enumerate(contents):
        last = i == len(contents) - 1
        data += content + bytes((0xFF, 0xD9 if last else 0xD0 + i % 8))
        ends.append(len(data))
    assert segment_ends(np.frombuffer(data, np.uint8)).tolist() == ends


@given(st.lists(st.integers(0, 30), min_size=1, max_size=10), st.integers(0, 30))
def test_markers_are_numbered_by_their_places(places, last):
    data = np.frombuffer(b"".join(b"\x05\xff\xd0" for _ in places), np.uint8).copy()
    ends = np.arange(1, len(places) + 1) * 3
    renumber(data, ends, np.array(places), last)
    expected = [b"\x05\xff" + bytes((0xD9 if p == last else 0xD0 + p % 8,)) for p in places]
    assert data.tobytes() == b"".join(expected)


def test_the_header_is_read():
    colour = cv2.imencode(".jpg", np.zeros((30, 50, 3), np.uint8))[1].tobytes()
    header = jpeg_stream.read_header(colour)
    assert header.mcu == (16, 16)
    assert header.interval == 0
    assert colour[header.size_at : header.size_at + 4] == bytes([0, 30, 0, 50])
    assert colour[header.length - 10] == 3  # components of the scan
    grey = jpeg_stream.read_header(with_restarts(np.zeros((9, 9), np.uint8)))
    assert grey.mcu == (8, 8)
    assert grey.interval == 2
    flags = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422]
    wide = cv2.imencode(".jpg", np.zeros((30, 50, 3), np.uint8), flags)[1].tobytes()
    assert jpeg_stream.read_header(wide).mcu == (16, 8)


def test_other_streams_are_refused():
    progressive = cv2.imencode(
        ".jpg", np.zeros((30, 50, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    )[1].tobytes()
    baseline = with_restarts(np.zeros((30, 50, 3), np.uint8))
    for data in (progressive, b"", b"\x89PNG\r\n\x1a\n1234567890", baseline[:100]):
        with pytest.raises(ValueError, match="baseline"):
            jpeg_stream.read_header(data)
