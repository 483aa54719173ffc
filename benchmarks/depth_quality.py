"""How right the built-in depth network is, beside its teacher and beside guessing.

    python -m benchmarks.depth_quality --pairs RGBD --networks builtin FASTDEPTH
    python -m benchmarks.depth_quality --networks builtin FASTDEPTH \\
        --backgrounds BG --foregrounds FG

The first scores networks on pictures with measured depth, by data set: mean abs_rel over its
pictures, as predicted and after median scaling, without crop or range limit. Guesses look at no
picture but at the truth: the best constant depth, and the best plane (depth, or its inverse,
linear in row and column) of each data set, chosen to make that data set's own abs_rel least, so
no guess can be better. The last column of a network is its abs_rel over that of the better guess.

The second measures what a network makes of a pasted object: cut-outs are pasted into the lower half
of photos by the compositing of the main job, and each composite's depth is compared with that of
the bare photo. `nearer` counts composites whose depth falls inside the mask; a map that drifts as a
whole counts there too, so the same change in a ring around the mask is subtracted (`ObjectDepth`).
"""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models.depth import depth_card, depth_metrics, depth_network
from fgbg.models.depth.depth_network import DepthNetwork
from fgbg.models.resizing import resize
from fgbg.pipeline.data_set.pairs import find_pairs
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.pixels import compositing, pictures
from fgbg.transforms.pixels.pictures import Array

_SIDE = 56  # pictures are compared with guesses at this size: planes have no detail
_STEPS = 60
_CANVAS = 448
# Width of the ring around a mask, in pixels of the canvas, and the pixels next to the mask left out
# of it: there a network's map, of half the canvas's size, is a mixture of both sides.
_RING, _GAP = 32, 4
# A change by less than this share of the bare photo's depth is none that a reader of the map sees.
_VISIBLE = 0.05
_INDOOR = ("NYU", "TUM", "7-Scenes", "Middlebury")
Truths = list[NDArray[np.float32]]
# Without and with median scaling.
SCALED = (False, True)


def best_constant(truths: Truths) -> float:
    """The depth that makes the mean abs_rel least: a weighted median.

    Args:
        truths: Metres, 0 where not measured.
    """
    values, weights = [], []
    for truth in truths:
        known = truth[truth > 0].astype(np.float64)
        values.append(known)
        weights.append(1 / known / len(known))
    value, weight = np.concatenate(values), np.concatenate(weights)
    order = np.argsort(value)
    at = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return float(value[order][at])


def best_plane(truths: Truths, inverse: bool) -> NDArray[np.float64]:
    """Coefficients (1, row, column) of the plane with the least mean abs_rel.

    By least squares, weighted anew in each step so that absolute differences are made least.

    Args:
        truths: Metres, 0 where not measured.
        inverse: Whether 1 / depth is linear, as it is for a plane seen by a camera.
    """
    rows, targets, weights = [], [], []
    for truth in truths:
        small = _small(truth)
        known = small > 0
        grid = _grid(small.shape)[known]
        t = small[known]
        # abs_rel is |p / t - 1| with p = grid @ c, or |1 / (q t) - 1| with q = grid @ c.
        rows.append(grid * t[:, None] if inverse else grid / t[:, None])
        targets.append(np.ones(len(t)))
        weights.append(np.full(len(t), 1 / len(t)))
    a, b, w = np.concatenate(rows), np.concatenate(targets), np.concatenate(weights)
    found = np.linalg.lstsq(a * np.sqrt(w)[:, None], b * np.sqrt(w), rcond=None)[0]
    for _ in range(_STEPS):
        value = a @ found
        scale = np.maximum(value, 0.05) if inverse else 1.0
        again = np.sqrt(w / np.maximum(np.abs(value - 1), 1e-3) / scale)
        found = np.linalg.lstsq(a * again[:, None], b * again, rcond=None)[0]
    return found


def plane(coefficients: NDArray[np.float64], shape: tuple[int, int], inverse: bool) -> Any:
    """A plane's depth, metres [h, w]."""
    values = _grid(shape) @ coefficients
    return 1 / np.maximum(values, 0.01) if inverse else np.maximum(values, 0.01)


def _grid(shape: tuple[int, ...]) -> NDArray[np.float64]:
    rows, columns = np.mgrid[0.5 : shape[0], 0.5 : shape[1]]
    return np.stack([np.ones(shape), rows / shape[0] - 0.5, columns / shape[1] - 0.5], axis=-1)


def _small(truth: NDArray[np.float32]) -> NDArray[np.float64]:
    side = (_SIDE, _SIDE)
    return cv2.resize(truth, side, interpolation=cv2.INTER_NEAREST).astype(np.float64)


def guesses(truths: Truths) -> dict[str, list[Any]]:
    """What each guess says of each picture, metres of its shape."""
    constant = best_constant(truths)
    found: dict[str, list[Any]] = {"constant": [np.full(t.shape, constant) for t in truths]}
    for name, inverse in (("plane", False), ("inverse plane", True)):
        coefficients = best_plane(truths, inverse)
        found[name] = [plane(coefficients, t.shape, inverse) for t in truths]
    return found


def abs_rel(said: list[Any], truths: Truths, scaled: bool) -> float:
    """The mean abs_rel over pictures."""
    measured = [
        depth_metrics.measure(s, t, median_scaling=scaled)
        for s, t in zip(said, truths, strict=True)
    ]
    return depth_metrics.mean(measured).abs_rel


def _load(name: str) -> DepthNetwork:
    model = depth_card.inspect(name)
    return depth_network.load(name, model, (_CANVAS, _CANVAS), 1, 1)


def _read(path: str) -> Array:
    with open(path, "rb") as file:
        rgb = pictures.read_picture(file.read())
    return pictures.fit_background(rgb, (rgb.shape[1], rgb.shape[0]))


def score(folder: str, names: list[str]) -> None:
    """Prints abs_rel of guesses and networks by data set."""
    by_dataset: dict[str, list[Any]] = {}
    for pair in find_pairs(folder):
        by_dataset.setdefault(pair.dataset, []).append(pair)
    networks = {name: _load(name) for name in names}
    groups = {**by_dataset}
    groups["all indoor sets"] = [
        pair
        for dataset, pairs in by_dataset.items()
        if dataset.startswith(_INDOOR)
        for pair in pairs
    ]
    for dataset, pairs in groups.items():
        truths = [
            np.asarray(cv2.imread(p.true_path, cv2.IMREAD_UNCHANGED), np.float32) / np.float32(1000)
            for p in pairs
        ]
        said = guesses(truths)
        print(f"\n{dataset} ({len(pairs)} pictures)")
        best = {scaled: min(abs_rel(s, truths, scaled) for s in said.values()) for scaled in SCALED}
        for name, network in networks.items():
            said[name] = [
                resize(network.predict(_read(p.path)[None])[0], t.shape[::-1])
                for p, t in zip(pairs, truths, strict=True)
            ]
        for name, depths in said.items():
            figures = [abs_rel(depths, truths, scaled) for scaled in SCALED]
            line = f"  {name[-40:]:40} {figures[0]:.3f}  median-scaled {figures[1]:.3f}"
            if name in networks:
                ratios = [figures[i] / best[scaled] for i, scaled in enumerate(SCALED)]
                line += f"  of the best guess {ratios[0]:.2f}, {ratios[1]:.2f}"
            print(line)


class ObjectDepth(NamedTuple):
    """What a network makes of one pasted object; changes are shares of the bare photo's depth.

    Attributes:
        inside: Median change inside the mask; negative is nearer.
        ring: The same in the ring around the mask, where nothing was pasted.
        rest: Median of the absolute change beyond the ring: drift of the whole map.
        spread: 90th less 10th percentile of the composite's depth inside the mask, over the median
            there: 0 is a flat object.
    """

    inside: float
    ring: float
    rest: float
    spread: float

    @property
    def step(self) -> float:
        """The change that the object alone causes: inside, less that of its surroundings."""
        return self.inside - self.ring


def object_depth(
    bare: NDArray[np.float32], made: NDArray[np.float32], mask: NDArray[np.bool_]
) -> ObjectDepth:
    """Compares the depth of a composite with that of its bare photo.

    Args:
        bare: Metres [height, width], of the photo.
        made: Metres [height, width], of the composite.
        mask: [height, width], where the object is; neither empty nor everywhere.
    """
    near, far = (
        cv2.dilate(mask.astype(np.uint8), np.ones((2 * r + 1, 2 * r + 1), np.uint8)).astype(bool)
        for r in (_GAP, _GAP + _RING)
    )
    change = (made - bare) / np.maximum(bare, 1e-3)
    low, middle, high = np.percentile(made[mask], (10, 50, 90))
    rest = change[~far] if not far.all() else change[~near]
    return ObjectDepth(
        float(np.median(change[mask])),
        float(np.median(change[far & ~near])),
        float(np.median(np.abs(rest))),
        float((high - low) / max(middle, 1e-3)),
    )


def _told(found: list[ObjectDepth]) -> str:
    inside, step, rest, spread = (
        np.array([getattr(one, name) for one in found])
        for name in ("inside", "step", "rest", "spread")
    )
    return (
        f"nearer inside {(inside < 0).mean():.1%}, less the ring {(step < 0).mean():.1%}, by over "
        f"{_VISIBLE:.0%} {(step < -_VISIBLE).mean():.1%}, without a step "
        f"{(np.abs(step) <= _VISIBLE).mean():.1%}; median step {np.median(step):+.1%}; the rest "
        f"drifts by over {_VISIBLE:.0%} in {(rest > _VISIBLE).mean():.1%}; spread inside "
        f"{np.median(spread):.1%}"
    )


def order(backgrounds: str, foregrounds: str, names: list[str], count: int) -> None:
    """Prints what networks make of a foreground in the lower half of a photo."""
    random = np.random.default_rng(0)
    canvas = (_CANVAS, _CANVAS)
    photos = [
        pictures.fit_background(pictures.read_picture(_bytes(p)), canvas)
        for p in catalogue.find(backgrounds, "--backgrounds")[0]
    ]
    cutouts = [
        pictures.crop_foreground(pictures.read_picture(_bytes(p)), canvas)
        for p in catalogue.find(foregrounds, "--foregrounds")[0]
    ]
    cases = []
    for _ in range(count):
        photo = photos[int(random.integers(len(photos)))]
        cutout = cutouts[int(random.integers(len(cutouts)))]
        share = random.uniform(0.3, 0.6)
        height = share * _CANVAS
        width = min(height * cutout.shape[1] / cutout.shape[0], 0.9 * _CANVAS)
        small = pictures.resize_cutout(
            cutout, (round(width), round(width * cutout.shape[0] / cutout.shape[1]))
        )
        h, w = small.shape[:2]
        # Standing in the lower half: its foot between three quarters of the picture and its end.
        bottom = int(random.integers(max(h, 3 * _CANVAS // 4), _CANVAS + 1))
        left = int(random.integers(0, _CANVAS - w + 1))
        made, mask = photo.copy(), np.zeros(canvas, bool)
        part = slice(bottom - h, bottom), slice(left, left + w)
        made[part] = compositing.blend(made[part], small)
        mask[part] = small[..., 3] >= 128
        cases.append((photo, made, mask))
    for name in names:
        network = _load(name)
        bare: dict[int, Any] = {}
        found, seconds = [], 0.0
        for photo, made, mask in cases:
            if id(photo) not in bare:
                bare[id(photo)] = resize(network.predict(photo[None])[0], canvas)
            began = time.perf_counter()
            said = network.predict(made[None])[0]
            seconds += time.perf_counter() - began
            said = resize(said, canvas)
            found.append(object_depth(bare[id(photo)], said, mask))
        print(
            f"{name[-40:]}, {count:,} composites: {_told(found)}; {1000 * seconds / count:.1f} ms "
            f"a picture of {_CANVAS}x{_CANVAS}, one thread"
        )


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description="How right the built-in depth network is.")
    parser.add_argument("--networks", nargs="+", default=["builtin"], help="as --depth_model")
    parser.add_argument("--pairs", help="folder of NAME_rgb.*, NAME_depth.png, meta.csv")
    parser.add_argument("--backgrounds", help="photos")
    parser.add_argument("--foregrounds", help="cut-outs")
    parser.add_argument("--count", type=int, default=1000, help="composites")
    asked = parser.parse_args()
    if asked.pairs:
        score(asked.pairs, asked.networks)
    if asked.backgrounds and asked.foregrounds:
        order(asked.backgrounds, asked.foregrounds, asked.networks, asked.count)


if __name__ == "__main__":
    main()
