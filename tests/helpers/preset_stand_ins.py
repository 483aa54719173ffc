"""For each network known by name a file of the same inputs and outputs, and a server of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from fgbg.models import presets
from tests.helpers.fetch_server import Server, serve, status
from tests.helpers.onnx_networks import FLOAT, constant, mask_network, points_network, save
from tests.helpers.small_networks import BIAS, WEIGHTS, densedepth_h5


def stand_in(name: str, path: Path) -> Path:
    """A file with the inputs and outputs of a preset; what it says is simple."""
    if name.startswith("moge2"):
        return points_network(path)
    if name in ("nyu", "kitti"):
        return densedepth_h5(path)
    if name == "depth-anything-v2-small":
        return one_map(path, "image", "depth", 518)
    if name == "midas-small":
        return one_map(path, "0", "797", 256)
    if name == "metric3d-small":
        return one_map(path, "pixel_values", "predicted_depth", None, "predicted_normal")
    if name.startswith("u2net"):
        return mask_network(path, (320, 320), outputs=7)
    if name == "isnet-general-use":
        return mask_network(path, (1024, 1024), outputs=2)
    return mask_network(path, (1024, 1024), logits=True)


def one_map(path: Path, given: str, said: str, side: int | None, normal: str = "") -> Path:
    """Picture in, [batch, h, w] out: half a metre and a weighted sum of the channels."""
    height, width = (side, side) if side else ("height", "width")
    batch = 1 if side else "batch"
    nodes = [
        helper.make_node("Conv", [given, "kernel", "bias"], ["map"]),
        helper.make_node("Squeeze", ["map", "one"], [said]),
    ]
    outputs = [(said, FLOAT, [batch, height, width])]
    if normal:
        nodes.append(helper.make_node("Identity", [given], [normal]))
        outputs.append((normal, FLOAT, [batch, 3, height, width]))
    return save(
        path,
        nodes,
        [(given, FLOAT, [batch, 3, height, width])],
        outputs,
        [
            *(constant("kernel", WEIGHTS[None, :, None, None]), constant("bias", np.array([BIAS]))),
            constant("one", [1]),
        ],
    )


@contextlib.contextmanager
def served(
    name: str, path: Path, patch: pytest.MonkeyPatch, cache: Path, dead: int = 1
) -> Iterator[Server]:
    """A preset whose first addresses are dead and whose last one serves a stand-in.

    Args:
        name: Of the preset.
        path: The stand-in.
        patch: Undone by whoever gives it.
        cache: Where downloads are kept.
        dead: How many dead addresses go before.
    """
    preset = presets.PRESETS[name]
    content = path.read_bytes()
    with Server() as gone, Server() as server:
        gone.script, server.script = [status(403)], [serve(content)]
        for one in (gone, server):
            threading.Thread(target=one.serve_forever, daemon=True).start()
        addresses = [f"{gone.url}?{i}#{preset.file}" for i in range(dead)]
        there = dataclasses.replace(
            preset,
            addresses=(*addresses, f"{server.url}#{preset.file}"),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest() if preset.sha256 else None,
            md5=hashlib.md5(content).hexdigest() if preset.md5 else None,
        )
        patch.setitem(presets.PRESETS, name, there)
        patch.setenv("FGBG_CACHE", str(cache))
        try:
            yield server
        finally:
            gone.shutdown()
            server.shutdown()
