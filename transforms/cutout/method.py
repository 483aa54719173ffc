"""The ways to find the thing in a photo, behind one function each."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgbg.models import onnx_file
from fgbg.models.segmentation.segmentation import MaskModel, MaskNetwork
from fgbg.models.segmentation.segmentation_detection import (
    Detection,
    DetectionNetwork,
    class_name,
    paste,
)
from fgbg.transforms.cutout import automatic
from fgbg.transforms.cutout.found import Found, Rejected

GRABCUT, MASKRCNN, MODEL = "grabcut", "maskrcnn", "model"
METHODS = (GRABCUT, MASKRCNN, MODEL)
# One more whenever the same photo would give another cut-out than before.
_VERSION = 1
# A coarse mask's edge is as unsure as a cell of it is wide: this many cells over a box.
_CELLS_OF_A_MASK = 28


@dataclasses.dataclass(frozen=True)
class Method:
    """How cut-outs are made.

    Attributes:
        name: One of METHODS.
        model: Of a network; None for grabcut.
        classes: Class numbers that maskrcnn takes; empty for any.
        min_score: Least score of a detection.
        instances: "best", or "all" of these classes in one cut-out.
        edges: "matting", or "keep" the network's own soft mask (model only).
        min_confidence: Cut-outs that are less sure are rejected.
    """

    name: str = GRABCUT
    model: MaskModel | None = None
    classes: tuple[int, ...] = ()
    min_score: float = 0.5
    instances: str = "best"
    edges: str = "matting"
    min_confidence: float = 0.0

    def fingerprint(self) -> str:
        """Equal for methods that give equal cut-outs; reads the network's files."""
        content = dataclasses.asdict(self)
        content["version"] = _VERSION
        if self.model is not None:
            content["model"] = {**self.model.decisive(), "path": _digest(self.model.path)}
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(path: str) -> str:
    """Of a file, or of all files in a folder by name."""
    digest = hashlib.sha256()
    files = onnx_file.read(path).files if path.lower().endswith(".onnx") else [path]
    if os.path.isdir(path):
        files = sorted(os.path.join(f, name) for f, _, names in os.walk(path) for name in names)
    for file in files:
        digest.update(os.path.relpath(file, path).encode())
        with open(file, "rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def open_network(method: Method, threads: int) -> MaskNetwork | DetectionNetwork | None:
    """The method's network, if it has one.

    Raises:
        fgbg.models.opening.NetworkError: It cannot be used.
    """
    if method.model is None:
        return None
    if method.name == MASKRCNN:
        return DetectionNetwork(method.model.path, threads)
    return MaskNetwork(method.model, threads)


def find(bgr: NDArray[np.uint8], method: Method, network: Any) -> Found:
    """Finds the thing in a photo by a method.

    Args:
        bgr: uint8 [height, width, 3].
        method: How.
        network: What `open_network` gave for it.

    Raises:
        Rejected: There is nothing to be found.
    """
    if method.name == GRABCUT:
        return automatic.find(bgr)
    if method.name == MASKRCNN:
        return from_detections(bgr, network.detect(bgr), method)
    return from_mask(network.predict(bgr))


def from_mask(mask: NDArray[np.float32]) -> Found:
    """What a mask network gives; it is as sure as its mask is plainly 0 or 1."""
    inside = float((mask >= 0.5).sum())
    if not inside:
        raise Rejected(f"nothing found: the network's mask reaches {float(mask.max()):.2f} of 1")
    # As many pixels of doubt (0.5 counts as one) as pixels inside leave no confidence.
    doubt = float((4 * mask * (1 - mask)).sum())
    return Found(mask, float(np.clip(1 - doubt / inside, 0, 1)))


def from_detections(bgr: NDArray[np.uint8], detections: list[Detection], method: Method) -> Found:
    """What a detection network gives: the surest thing of the classes asked for, or all."""
    wanted = [d for d in detections if not method.classes or d.class_number in method.classes]
    good = [d for d in wanted if d.score >= method.min_score]
    if not good:
        raise Rejected(_why_none(detections, wanted, method))
    taken = good if method.instances == "all" else good[:1]
    share = np.zeros(bgr.shape[:2], np.float32)
    band = 0.0
    for detection in taken:
        share = np.maximum(share, paste(detection, bgr.shape))
        left, top, right, bottom = detection.box
        band = max(band, max(right - left, bottom - top) / _CELLS_OF_A_MASK)
    mask = share >= 0.5
    if not mask.any():
        raise Rejected(f"nothing found: the mask of {taken[0].name} is empty")
    refined = automatic.refined(bgr, mask, band)
    names = sorted({d.name for d in taken})
    return Found(refined.astype(np.float32), min(d.score for d in taken), " ".join(names))


def _why_none(detections: list[Detection], wanted: list[Detection], method: Method) -> str:
    if wanted:
        best = wanted[0]
        return f"nothing found: {best.name} at {best.score:.2f}, under the least score asked for"
    names = " or ".join(class_name(number) for number in method.classes) or "anything"
    seen = ", ".join(f"{d.name} {d.score:.2f}" for d in detections[:3])
    return f"nothing found: no {names}" + (f"; the network sees {seen}" if seen else "")
