"""What a baseline JPEG's bytes say: its header, and where its restart segments end."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Second bytes of markers (ITU-T T.81, table B.1).
_SOF0, _EOI, _SOS, _DRI, _RST0 = 0xC0, 0xD9, 0xDA, 0xDD, 0xD0
_FRAMES_NOT_BASELINE = (0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_BLOCK = 8  # pixels of a DCT block's side


class Header(NamedTuple):
    """What stands before the entropy-coded data.

    Attributes:
        length: Its bytes, from SOI to SOS.
        size_at: Offset of the picture's height and width, two bytes each (T.81, B.2.2).
        mcu: Width and height of an MCU in pixels (A.2.3): a block of a grey picture, or as many
            blocks as the finest component has.
        interval: MCUs in a restart interval (B.2.4.4); 0 for none.
    """

    length: int
    size_at: int
    mcu: tuple[int, int]
    interval: int


def read_header(data: bytes) -> Header:
    """Reads the marker segments of a JPEG up to its first scan.

    Raises:
        ValueError: It is no baseline JPEG with one scan.
    """
    at, size_at, components, interval, mcu = 2, 0, 0, 0, (0, 0)
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES_NOT_BASELINE:
            break
        if marker == _SOF0:
            size_at, components = at + 5, data[at + 9]
            factors = data[at + 11 : at + 10 + 3 * components : 3]
            mcu = (_BLOCK * max(f >> 4 for f in factors), _BLOCK * max(f & 15 for f in factors))
            if components == 1:  # not interleaved: an MCU is one block, whatever its factors say
                mcu = (_BLOCK, _BLOCK)
        elif marker == _DRI:
            interval = int.from_bytes(data[at + 4 : at + 6], "big")
        at += 2 + length
        if marker == _SOS:
            if not size_at or data[at - length + 2] != components:
                break
            return Header(at, size_at, mcu, interval)
    raise ValueError("not a baseline JPEG with one scan")


def segment_ends(data: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Where the segments of a scan end, each with the marker after it.

    Inside of a segment a byte of 255 is followed by a zero (T.81, B.1.1.5), so that every other
    pair is a marker.

    Args:
        data: uint8 [n], the entropy-coded data with the EOI after it.
    """
    at = np.flatnonzero(data[:-1] == 0xFF)
    return at[data[at + 1] != 0] + 2


def renumber(
    data: NDArray[np.uint8], ends: NDArray[np.intp], places: NDArray[np.intp], last: int
) -> None:
    """Gives the marker after each segment the number that fits the segment's place in its picture.

    That is RSTm with m the place modulo 8 (T.81, E.1.4), and EOI after the last.

    Args:
        data: uint8 [n], changed in place.
        ends: From `segment_ends`.
        places: Of each segment among those of its picture, from 0.
        last: The place of a picture's last segment.
    """
    data[ends - 1] = np.where(places == last, _EOI, _RST0 | (places & 7))
