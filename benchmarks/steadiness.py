"""How far a depth network agrees with itself about the same picture, seen a little differently.

    python -m benchmarks.steadiness --network FASTDEPTH.tflite --pictures 'SET/bg*/fg_*/overlay/*'

Each picture is changed in ways that move no depth, or only where it stands in the picture; what the
network says of it is moved back and compared with what it says of the picture unchanged, where both
see the same. Printed is delta1, the share of pixels whose depths differ by less than a factor of
1.25. What a network says of one picture and not of its like cannot be learned from other pictures:
who trains on its answers can be expected to agree with it less than it does with itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models.depth import depth_card, depth_metrics, depth_network
from fgbg.models.resizing import resize
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.pixels import pictures
from fgbg.transforms.pixels.pictures import Array

_CANVAS = 448

Depth = NDArray[np.float32]
# A picture changed; a depth map of the changed picture moved back, 0 where nothing was seen.
Change = tuple[Callable[[Array], Array], Callable[[Depth], Depth]]


def _moved(matrix: list[list[float]]) -> Change:
    """Moved by a matrix from pixels of the picture to pixels of the changed one."""
    affine, size = np.array(matrix, np.float32), (_CANVAS, _CANVAS)

    def back(depth: Depth) -> Depth:
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(depth, affine, size, flags=flags), np.float32)

    def change(bgr: Array) -> Array:
        moved = cv2.warpAffine(bgr, affine, size, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.uint8)

    return change, back


def _enlarged(factor: float) -> Change:
    edge = -(factor - 1) * _CANVAS / 2
    return _moved([[factor, 0, edge], [0, factor, edge]])


def _as_jpeg(bgr: Array) -> Array:
    coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def _same(depth: Depth) -> Depth:
    return depth


def _mirrored(image: Any) -> Any:
    return np.ascontiguousarray(image[:, ::-1])


CHANGES: dict[str, Change] = {
    "mirrored": (_mirrored, _mirrored),
    "moved by 16 and 10 pixels": _moved([[1, 0, 16], [0, 1, 10]]),
    "enlarged by 5 %": _enlarged(1.05),
    "enlarged by 10 %": _enlarged(1.1),
    "10 % brighter": (lambda bgr: cv2.convertScaleAbs(bgr, alpha=1.1), _same),
    "JPEG of quality 60": (_as_jpeg, _same),
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", required=True, help="as --depth_model")
    parser.add_argument("--pictures", required=True, help="folder or pattern")
    parser.add_argument("--count", type=int, default=100, help="at most so many, evenly spread")
    asked = parser.parse_args()
    model = depth_card.inspect(asked.network)
    network = depth_network.load(asked.network, model, (_CANVAS, _CANVAS), 1, 1)

    def say(bgr: Array) -> Depth:
        return np.asarray(resize(network.predict(bgr[None])[0], (_CANVAS, _CANVAS)))

    paths = catalogue.find(asked.pictures, "--pictures")[0]
    paths = [paths[i * len(paths) // asked.count] for i in range(asked.count)][: len(paths)]
    found: dict[str, list[float]] = {name: [] for name in (*CHANGES, "its own median everywhere")}
    for path in paths:
        with open(path, "rb") as file:
            bgr = pictures.fit_background(pictures.read_picture(file.read()), (_CANVAS, _CANVAS))
        said = say(bgr)
        for name, (change, back) in CHANGES.items():
            found[name].append(depth_metrics.measure(said, back(say(change(bgr)))).delta1)
        median = np.full_like(said, np.median(said))
        found["its own median everywhere"].append(depth_metrics.measure(median, said).delta1)
    print(f"{asked.network}: {len(paths)} pictures, delta1 to what it says of them unchanged")
    for name, values in found.items():
        print(f"  {name:26} {np.mean(values):.3f}")


if __name__ == "__main__":
    main()
