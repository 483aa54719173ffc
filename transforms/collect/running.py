"""What a launcher and the steps share, as they run in one process."""

from __future__ import annotations

import threading
from collections.abc import Callable

# Set when the run is to end: waits end, downloads break off, nothing half-done is recorded.
stopped = threading.Event()
_listener: Callable[[str], None] | None = None
_telling = threading.Lock()


def listen(listener: Callable[[str], None] | None) -> None:
    """Has the state of every picture told from now on, as soon as it is recorded."""
    global _listener
    _listener = listener


def tell(state: str) -> None:
    """Tells that a picture was recorded as GOOD, REJECTED or FAILED."""
    with _telling:
        if _listener is not None:
            _listener(state)
