"""Networks that label pictures, behind one interface: depth networks, and those of fgbg train."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import json
import os

import numpy as np
from numpy.typing import NDArray

from fgbg.models import tensorflow_process
from fgbg.models.depth import depth_network
from fgbg.models.depth.depth_card import DepthModel
from fgbg.models.opening import ONNX, TFLITE
from fgbg.models.segmentation.segmentation import MaskModel, MaskNetwork
from fgbg.models.trained import trained_card
from fgbg.models.trained.compact_network import BACKGROUND, DEPTH, MASK

__all__ = ["DEPTH", "MASK", "LabelNetwork", "Labeller"]

Size = tuple[int, int]
Labels = dict[str, NDArray[np.float32]]


@dataclasses.dataclass(frozen=True)
class LabelNetwork:
    """A network by where it lies and what it is; a folder of fgbg train if it is neither.

    Attributes:
        path: A local file or folder.
        sha256: Of its content.
        depth: What it is as a depth network.
        mask: How it is fed as a network of masks.
        fed_side: The longer side that a network of any size is fed, in pixels.
    """

    path: str
    sha256: str
    depth: DepthModel | None = None
    mask: MaskModel | None = None
    fed_side: int = 448

    def fingerprint(self) -> str:
        """Equal for networks that give equal labels, wherever they lie."""
        content = {
            "sha256": self.sha256,
            "depth": self.depth and self.depth.identity().to_dict(),
            "mask": self.mask and {**self.mask.decisive(), "path": ""},
            "fed_side": self.fed_side,
        }
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def open(self, threads: int) -> Labeller:
        """Loads it.

        Args:
            threads: CPU threads that it may use.

        Raises:
            fgbg.models.depth.depth_card.DepthModelError, fgbg.models.opening.NetworkError,
            ValueError: It cannot be used.
        """
        if self.depth is not None:
            return _Depth(self, self.depth, threads)
        if self.mask is not None:
            return _Masks(self.mask, threads)
        return _Trained(self.path, threads)

    def open_cached(self, threads: int) -> Labeller:
        """Loads it, once in a process."""
        key = self.path, self.fingerprint(), threads
        if key not in _opened:
            _opened.clear()
            _opened[key] = self.open(threads)
        return _opened[key]


_opened: dict[tuple[str, str, int], Labeller] = {}


class Labeller(abc.ABC):
    """A network in memory.

    Attributes:
        kinds: The labels that it gives: DEPTH (metres), MASK (probability of foreground).
    """

    kinds: tuple[str, ...]

    @abc.abstractmethod
    def fed_size(self, picture: Size) -> Size:
        """Width and height that a picture of this width and height is fed as."""

    @abc.abstractmethod
    def predict(self, bgr: NDArray[np.uint8]) -> Labels:
        """The labels of a picture, uint8 [height, width, 3] of its `fed_size`.

        Returns:
            For each kind float32 [h, w], of the network's own size.

        Raises:
            ValueError: The network's output is not finite, or not what it should be.
        """


class _Depth(Labeller):
    kinds = (DEPTH,)

    def __init__(self, network: LabelNetwork, model: DepthModel, threads: int) -> None:
        self._network, self._model, self._threads = network, model, threads
        # One picture a call on a CPU: sizes differ from picture to picture, and what a call is
        # padded with costs as much as a picture.
        self._unit_size: int | None = 1
        if model.kind not in (ONNX, TFLITE) and tensorflow_process.gpu_name(
            tensorflow_process.start(threads)
        ):
            self._unit_size = None
        self._loaded: dict[Size, depth_network.DepthNetwork] = {}
        first = self._load((network.fed_side, network.fed_side))
        self._own = None if first.any_size else first.size

    def _load(self, size: Size) -> depth_network.DepthNetwork:
        if size not in self._loaded:
            self._loaded[size] = depth_network.load(
                self._network.path, self._model, size, self._threads, self._unit_size
            )
        return self._loaded[size]

    def fed_size(self, picture: Size) -> Size:
        if self._own is not None:
            return self._own
        scale = self._network.fed_side / max(picture)
        scaled = round(picture[0] * scale), round(picture[1] * scale)
        return depth_network.fed_size(scaled, depth_network.stride_of(self._model))

    def predict(self, bgr: NDArray[np.uint8]) -> Labels:
        size = bgr.shape[1], bgr.shape[0]
        return {DEPTH: self._load(size).predict(bgr[None])[0]}


class _Masks(Labeller):
    kinds = (MASK,)

    def __init__(self, model: MaskModel, threads: int) -> None:
        self._masks = MaskNetwork(model, threads)

    def fed_size(self, picture: Size) -> Size:
        return self._masks.size

    def predict(self, bgr: NDArray[np.uint8]) -> Labels:
        return {MASK: self._masks.predict(bgr)}


class _Trained(Labeller):
    def __init__(self, folder: str, threads: int) -> None:
        from fgbg.models.trained.trained_network import TrainedNetwork

        card = trained_card.read(folder)
        if BACKGROUND in card["inputs"]["names"]:
            raise ValueError(
                f"{folder}: this network is shown a picture and its background; a folder of "
                "pictures has no backgrounds: give a network trained with --inputs overlay"
            )
        self.kinds = (MASK, DEPTH) if DEPTH in card["outputs"] else (MASK,)
        self._network = TrainedNetwork(folder, threads)

    def fed_size(self, picture: Size) -> Size:
        return self._network.size

    def predict(self, bgr: NDArray[np.uint8]) -> Labels:
        said = self._network.predict(bgr)
        found = {MASK: said.mask}
        if said.depth is not None:
            found[DEPTH] = said.depth
        return found


def digest(folder: str) -> str:
    """The SHA-256 of a folder of fgbg train, by what of it decides its predictions."""
    found = hashlib.sha256()
    for name in (trained_card.CARD, trained_card.KERAS_FILE):
        with open(os.path.join(folder, name), "rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()
