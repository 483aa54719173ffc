"""`--licence commercial`: networks and pictures that forbid commerce are refused before work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fgbg.files.licences import forbids_commerce
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.progress import say

ANY, COMMERCIAL = "any", "commercial"
_SHOWN = 5


def add_licence(add: Callable[..., Any]) -> None:
    """Adds --licence to a parser or a group of it."""
    add(
        "--licence",
        choices=(ANY, COMMERCIAL),
        default=ANY,
        help="commercial: refuse networks and pictures whose licence is known to be for "
        "non-commercial use or research only (sources.csv, the network's card)",
    )


def check(
    asked: str, network: tuple[str, str] | None, inputs: Iterable[Mapping[str, str]] | None = None
) -> None:
    """Refuses what forbids commerce, and says how much has no stated licence.

    Args:
        asked: Of --licence.
        network: The network as the user calls it, and its licence; None without one.
        inputs: File and licence of each picture.

    Raises:
        UserError: Something forbids it.
    """
    if asked != COMMERCIAL:
        return
    if network is not None and forbids_commerce(network[1]):
        raise UserError(
            f"--licence commercial: the network {network[0]} is under {network[1]}; take another "
            "one (fgbg networks lists some with their licences)"
        )
    pictures = [(picture["file"], picture["licence"]) for picture in inputs or ()]
    bad = [f"{file} ({licence})" for file, licence in pictures if forbids_commerce(licence)]
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise UserError(
            f"--licence commercial: {len(bad)} pictures are not for commercial use by their "
            f"sources.csv: {', '.join(bad[:_SHOWN])}{more}; leave them out"
        )
    silent = sum(not licence for _, licence in pictures)
    words = [f"{silent} of {len(pictures)} pictures"] if silent else []
    words += ["the network"] if network is not None and not network[1] else []
    if words:
        say(f"Warning: no licence is stated of {' and of '.join(words)}: look for yourself")
