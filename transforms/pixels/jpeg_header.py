"""What a JPEG says of itself, before it is decoded (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_SCAN, _END = 0xDA, 0xD9
# A marker, and no byte of a scan: those are followed by 0, and restart markers belong to it.
_AFTER_SCAN = re.compile(b"\xff[^\x00\xd0-\xd7\xff]")
# Enough to say that there are more than anybody makes.
_COUNTED = 1000


def bits(data: bytes) -> int:
    """Bits of a colour; 0 where the header has no end."""
    for marker, at in _segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 4] if at + 4 < len(data) else 0
        if marker == _SCAN:
            break
    return 0


def scans(data: bytes) -> int:
    """How many scans the first picture of a file has; counted up to 1000."""
    count = 0
    for marker, _ in _segments(data):
        count += marker == _SCAN
        if count >= _COUNTED:
            break
    return count


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Every marker of the first picture and where it stands."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _END:
            return
        if marker == 0xFF:  # filled up
            at += 1
            continue
        yield marker, at
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
        if marker == _SCAN:
            following = _AFTER_SCAN.search(data, at)
            if following is None:
                return
            at = following.start()
