"""A folder as `fgbg train` leaves it."""

from __future__ import annotations

import json
from pathlib import Path

from fgbg.models.training import network, samples

FED = (64, 32)


def save(folder: Path, inputs: str, heads: tuple[str, ...]) -> Path:
    """A folder as fgbg train leaves it, with a network that was not trained."""
    settings = samples.Settings(inputs, FED, widths=(4, 8), blocks=(0, 0))
    model = network.build(settings, heads, 10.0, "float32", 1)
    folder.mkdir()
    model.save(folder / "model.keras")
    card = {
        "made_by": "fgbg train",
        "format_version": 1,
        "inputs": {"names": list(settings.input_names), "size": list(FED)},
        "outputs": {head: {} for head in heads},
        "depth": {"output_name": "depth", "input_size": list(FED)} if "depth" in heads else None,
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder
