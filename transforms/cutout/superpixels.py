"""A picture in a few hundred patches of one colour, and the distances between them.

SLIC (Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", TPAMI
2012) in NumPy: OpenCV has it in its contrib modules only.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_COUNT = 250
_ROUNDS = 6
# Weight of distance in the picture against distance of colours, in Lab units over one patch.
_COMPACTNESS = 12.0


@dataclasses.dataclass(frozen=True)
class Superpixels:
    """Patches of a picture.

    Attributes:
        labels: int32 [height, width]: the patch of each pixel, 0..n-1.
        colours: float64 [n, 3]: mean Lab.
        places: float64 [n, 2]: mean x and y, as shares of the longer side.
        sizes: int64 [n]: pixels.
        neighbours: bool [n, n]: whether two patches touch; symmetric, False on the diagonal.
        border: float64 [n]: pixels of the patch at the picture's border.
    """

    labels: NDArray[np.int32]
    colours: NDArray[np.float64]
    places: NDArray[np.float64]
    sizes: NDArray[np.int64]
    neighbours: NDArray[np.bool_]
    border: NDArray[np.float64]

    def paint(self, values: NDArray[np.float64]) -> Floats:
        """A picture [height, width] of one value per patch."""
        return values.astype(np.float32)[self.labels]


def superpixels(lab: Floats) -> Superpixels:
    """Cuts a picture into patches.

    Args:
        lab: float32 [height, width, 3], CIE Lab (L 0..100).
    """
    return _describe(lab, _slic(lab))


def _slic(lab: Floats) -> NDArray[np.int32]:
    """Labels of patches, not yet numbered without gaps. Every pixel looks at the 9 cells around."""
    height, width = lab.shape[:2]
    step = max(1.0, float(np.sqrt(height * width / _COUNT)))
    rows, columns = max(1, round(height / step)), max(1, round(width / step))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    scale = np.float32(_COMPACTNESS / step)
    features = np.dstack((lab, x * scale, y * scale)).reshape(-1, 5)
    row = np.minimum((y * rows / height).astype(np.int32), rows - 1).ravel()
    column = np.minimum((x * columns / width).astype(np.int32), columns - 1).ravel()
    labels = row * columns + column
    centres = _means(features, labels, rows * columns)
    for _ in range(_ROUNDS):
        nearest = np.full(len(features), np.inf, np.float32)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                r, c = row + dy, column + dx
                inside = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
                candidate = np.where(inside, r * columns + c, row * columns + column)
                difference = features - centres[candidate]
                distance = np.einsum("ij,ij->i", difference, difference)
                better = distance < nearest
                nearest[better] = distance[better]
                labels[better] = candidate[better]
        centres = _means(features, labels, rows * columns)
    return labels.reshape(height, width)


def _means(features: Floats, labels: NDArray[np.int32], count: int) -> Floats:
    sizes = np.maximum(np.bincount(labels, minlength=count), 1)
    sums = [np.bincount(labels, features[:, k], count) for k in range(features.shape[1])]
    return (np.stack(sums, axis=1) / sizes[:, None]).astype(np.float32)


def _describe(lab: Floats, raw: NDArray[np.int32]) -> Superpixels:
    # What is left of a patch at its far side is counted to it: means and distances bear that.
    flat = np.unique(raw, return_inverse=True)[1].reshape(-1).astype(np.int32)
    count = int(flat.max()) + 1
    labels = flat.reshape(raw.shape)
    height, width = raw.shape
    y, x = np.mgrid[0:height, 0:width]
    sizes = np.bincount(flat, minlength=count)
    longer = max(height, width)
    places = [np.bincount(flat, v.ravel(), count) / sizes / longer for v in (x, y)]
    neighbours = np.zeros((count, count), bool)
    for a, b in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        neighbours[a, b] = neighbours[b, a] = True
    np.fill_diagonal(neighbours, False)
    edge = np.concatenate((labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]))
    colours = _means(lab.reshape(-1, 3), flat, count).astype(np.float64)
    border = np.bincount(edge, minlength=count).astype(np.float64)
    return Superpixels(labels, colours, np.stack(places, axis=1), sizes, neighbours, border)


def distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances [n, n] between points [n, k]."""
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def shortest_paths(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengths of the shortest paths between all nodes (Floyd and Warshall).

    Args:
        lengths: [n, n], of the edges; infinite where there is none, zero on the diagonal.
    """
    paths = lengths.copy()
    for k in range(len(paths)):
        np.minimum(paths, paths[:, k : k + 1] + paths[k], out=paths)
    return paths


def to_lab(bgr: NDArray[np.uint8]) -> Floats:
    """CIE Lab (L 0..100) of uint8 BGR [height, width, 3]."""
    return cv2.cvtColor(bgr.astype(np.float32) / np.float32(255), cv2.COLOR_BGR2Lab)
