"""A network of fgbg train on pictures: uint8 in, mask and metres out, at the network's size."""

from __future__ import annotations

import os
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models import opening
from fgbg.models.resizing import resize
from fgbg.models.trained import trained_card
from fgbg.models.trained.compact_network import BACKGROUND, DEPTH, MASK, OVERLAY


class Prediction(NamedTuple):
    """What a network says of a picture.

    Attributes:
        mask: float32 [h, w]: the probability of foreground.
        depth: float32 [h, w]: metres; None of a network that says masks only.
    """

    mask: NDArray[np.float32]
    depth: NDArray[np.float32] | None


class TrainedNetwork:
    """A loaded network.

    Args:
        folder: A folder made by fgbg train.
        threads: CPU threads that it may use.

    Attributes:
        size: Width and height that it is fed.
        pair: Whether it is shown the background too.

    Raises:
        ValueError: The folder holds no such network, or it cannot be loaded.
    """

    def __init__(self, folder: str, threads: int) -> None:
        card = trained_card.read(folder)
        width, height = card["inputs"]["size"]
        self.size = int(width), int(height)
        self.pair = BACKGROUND in card["inputs"]["names"]
        path = os.path.join(folder, trained_card.KERAS_FILE)
        self._opened = opening.open_network(path, threads)

    def predict(
        self, bgr: NDArray[np.uint8], background: NDArray[np.uint8] | None = None
    ) -> Prediction:
        """Mask and depth of a picture.

        Args:
            bgr: uint8 [height, width, 3], any size.
            background: The picture without its foreground, likewise, for a network of pairs.

        Raises:
            ValueError: The network gave values that are not finite.
        """
        fed = {OVERLAY: self._fed(bgr)}
        if self.pair:
            if background is None:
                raise ValueError("this network is shown pairs: the background is needed")
            fed[BACKGROUND] = self._fed(background)
        names = [output.name for output in self._opened.outputs]
        given = [fed[port.name] for port in self._opened.inputs]
        values = self._opened.call(given, range(len(names)))
        said = {name: value[0, ..., 0] for name, value in zip(names, values, strict=True)}
        if not all(np.isfinite(value).all() for value in said.values()):
            raise ValueError("the network gave values that are not finite")
        return Prediction(said[MASK], said.get(DEPTH))

    def _fed(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        resized = resize(bgr, self.size)
        rgb = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB)
        return np.asarray(rgb[None], np.float32) * np.float32(1 / 255)
