"""Checksums of what was drawn of a data set: its report and its sheets.

They are recorded when both are whole, so that a run can see cheaply whether to draw again.
"""

from __future__ import annotations

from collections.abc import Iterator

from fgbg.files import storage
from fgbg.files.sealed import DamagedError, seal, unseal
from fgbg.transforms.dataset import layout
from fgbg.transforms.dataset.catalogue import checksum
from fgbg.transforms.job.job import DRAWN, REPORT


def forget(output: str) -> None:
    """Takes the record away, before anything is drawn anew."""
    storage.storage_for(output).delete_files([storage.join(output, DRAWN)])


def record(output: str) -> None:
    """Records the checksums of report and sheets."""
    store = storage.storage_for(output)
    sums = {name: checksum(store.read(storage.join(output, name))) for name in _names(output)}
    store.write_atomically(storage.join(output, DRAWN), seal(sums))


def _names(output: str) -> Iterator[str]:
    yield REPORT
    for name in storage.storage_for(output).files(storage.join(output, layout.PLOTS)):
        if layout.belongs(None, f"{layout.PLOTS}/{name}") and not name.endswith(".part"):
            yield f"{layout.PLOTS}/{name}"


def wrong(output: str) -> dict[str, str]:
    """What is wrong with report and sheets, by path relative to the data set."""
    path = storage.join(output, DRAWN)
    store = storage.storage_for(path)
    try:
        recorded = unseal(store.read(path), path)
    except FileNotFoundError:
        return {REPORT: "report and sheets were never drawn to the end"}
    except DamagedError as error:
        return {DRAWN: error.problem}
    found = {}
    for name, expected in recorded.items():
        try:
            if checksum(store.read(storage.join(output, name))) != expected:
                found[name] = "has changed since it was drawn"
        except OSError:
            found[name] = "missing"
    return found
