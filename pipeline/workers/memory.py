"""Memory of this machine and of its processes, as far as the system tells: on Linux."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
# A container's limit, what it uses, and what of that are copies of files: cgroups 2, and 1.
_CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


def available() -> int | None:
    """Bytes that can be had without others losing theirs; None where nobody knows."""
    found = [_of_machine(), *(_of_container(*names) for names in _CGROUPS)]
    return min((n for n in found if n is not None), default=None)


def resident(process: int) -> int | None:
    """Bytes of memory that a process has; None where that is not known, or it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _of_machine() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return None


def _of_container(folder: Path, limit: str, used: str, files: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):  # "max" is no number
        most = int((folder / limit).read_text())
        in_use = int((folder / used).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, most - in_use + int(stat.get(files, 0)))
    return None
