"""The card of a folder that fgbg train has made: what its network is shown and what it says.

    DIR/card.json      this card, written last: a folder with it holds a whole network
    DIR/model.keras    the network
    DIR/saved_model/   the same as a SavedModel

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import json
import os
from typing import Any

CARD, KERAS_FILE, SAVED_MODEL = "card.json", "model.keras", "saved_model"
MADE_BY = "fgbg train"
FORMAT_VERSION = 1


def is_trained(path: str) -> bool:
    """Whether a path is a folder with a card."""
    return os.path.isfile(os.path.join(path, CARD))


def read(folder: str) -> dict[str, Any]:
    """The card of a trained network.

    Args:
        folder: A local folder.

    Returns:
        The card; "inputs" has names, size and channels, "outputs" an entry for each head, and
        "depth" is a fgbg.models.depth.depth_card.DepthCard as a dictionary, or None.

    Raises:
        ValueError: There is none, or it is something else; the message names the folder.
    """
    path = os.path.join(folder, CARD)
    advice = f"a folder made by {MADE_BY} is expected"
    try:
        with open(path, encoding="utf-8") as file:
            card = json.load(file)
    except OSError as error:
        raise ValueError(f"{folder}: no {CARD} in it; {advice}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(card, dict) or card.get("made_by") != MADE_BY:
        raise ValueError(f"{path}: not the card of a network; {advice}")
    if card.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path}: of format {card.get('format_version')}, this program reads {FORMAT_VERSION}"
        )
    missing = [name for name in ("inputs", "outputs") if not isinstance(card.get(name), dict)]
    if not isinstance(card.get("depth", 0), dict | None):
        missing.append("depth")
    if missing or not os.path.isfile(os.path.join(folder, KERAS_FILE)):
        raise ValueError(f"{folder}: incomplete: {', '.join(missing) or KERAS_FILE} is missing")
    return card
