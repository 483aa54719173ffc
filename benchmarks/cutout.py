"""How right `fgbg cutout` is, and whether its confidence knows it.

    python -m benchmarks.cutout --photos DIR --references DIR --cutouts DIR --backgrounds DIR
    python -m benchmarks.cutout --method u2netp --model u2netp.onnx --photos DIR --references DIR

Four sets: photos with a reference alpha by the same name; and cut-outs with true alpha composed
on studio backgrounds (a colour with fall-off of light, noise and a soft shadow), on photos out of
focus (blurred as by a wide aperture), and on photos as they are. Where a thing stands and how
large it is are drawn by a fixed seed, a quarter cut off by the lower border; all are JPEG files
of quality 92. For each set: mean intersection over union of alpha >= 128, mean absolute error of
alpha, and Spearman's rank correlation of confidence with the intersection over union.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from fgbg.models import presets
from fgbg.models.segmentation import mask_card
from fgbg.transforms.cutout import finish, method
from fgbg.transforms.cutout.found import Rejected
from fgbg.transforms.cutout.method import Method
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.pixels import formats, pictures

# Of the photos at hand: those without a thing of their own in front.
UNCLUTTERED = ["bg_003", "bg_008", "bg_011", "bg_031", "bg_034", "bg_036", "bg_065", "bg_102"]
STUDIO = (
    (245, 245, 245),
    (200, 200, 200),
    (190, 160, 120),
    (120, 170, 140),
    (60, 60, 60),
    (150, 170, 215),
)
_SIDES = (512, 384)
_BLUR = 6.0


class Case(NamedTuple):
    """A photo (uint8 BGR) whose alpha (uint8) is known."""

    name: str
    bgr: Any
    alpha: Any


class Result(NamedTuple):
    """How right a cut-out is; all of a rejected one is missing."""

    name: str
    iou: float
    error: float
    confidence: float
    seconds: float
    reason: str = ""


def photos(folder: Path, references: Path) -> Iterator[Case]:
    """Photos with a reference, which is grey or has the alpha in its last channel."""
    for path in sorted(folder.iterdir(), key=lambda p: catalogue.natural_order(p.name)):
        reference = references / f"{path.stem}.png"
        if path.suffix.lower() in formats.EXTENSIONS and reference.exists():
            rgb = pictures.read_picture(path.read_bytes())[..., :3]
            alpha = cv2.imread(str(reference), cv2.IMREAD_UNCHANGED)
            assert alpha is not None, reference
            alpha = alpha if alpha.ndim == 2 else alpha[..., -1]
            yield Case(path.stem, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), alpha)


def composites(
    kind: str, cutouts: list[Path], backgrounds: list[Path], count: int, seed: int
) -> Iterator[Case]:
    """Cut-outs on backgrounds of a kind: "studio", "blurred" or "photo"."""
    rng = np.random.default_rng(seed)
    for i, k in enumerate(rng.permutation(len(cutouts))[:count]):
        width, height = _SIDES if rng.random() < 0.6 else _SIDES[::-1]
        if kind == "studio":
            back = _studio(rng, width, height)
        else:
            path = backgrounds[int(rng.integers(len(backgrounds)))]
            rgb = pictures.read_picture(path.read_bytes())
            back = pictures.fit_background(rgb, (width, height)).astype(np.float32)
            if kind == "blurred":
                back = cv2.GaussianBlur(back, (0, 0), _BLUR)
        thing = pictures.crop_foreground(
            pictures.read_picture(cutouts[k].read_bytes()), (4096, 4096)
        )
        scale = rng.uniform(0.45, 0.85) * min(height / thing.shape[0], width / thing.shape[1])
        size = max(1, round(thing.shape[1] * scale)), max(1, round(thing.shape[0] * scale))
        thing = pictures.resize_cutout(thing, size)
        x = int(rng.uniform(0.2, 0.8) * (width - size[0]))
        y = int(rng.uniform(0.2, 1) * (height - size[1]))
        if i % 4 == 3:
            y = height - int(size[1] * 0.85)
        thing = thing[: height - y]
        alpha = np.zeros((height, width), np.uint8)
        colour = np.zeros((height, width, 3), np.float32)
        alpha[y : y + thing.shape[0], x : x + size[0]] = thing[..., 3]
        colour[y : y + thing.shape[0], x : x + size[0]] = thing[..., :3]
        share = alpha[..., None].astype(np.float32) / 255
        if kind == "studio":
            shadow = cv2.GaussianBlur(np.roll(share[..., 0], (6, 8), (0, 1)), (0, 0), 9)
            back = back * (1 - 0.25 * shadow[..., None])
        mixed = np.clip(np.rint(colour * share + back * (1 - share)), 0, 255).astype(np.uint8)
        data = cv2.imencode(".jpg", mixed, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        yield Case(f"{kind} {cutouts[k].stem}", cv2.imdecode(data, cv2.IMREAD_COLOR), alpha)


def _studio(rng: np.random.Generator, width: int, height: int) -> Any:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    colour = np.array(STUDIO[int(rng.integers(len(STUDIO)))], np.float32)
    from_centre = (x / width - 0.5) ** 2 + (y / height - 0.45) ** 2
    light = 1 - 0.5 * rng.random() * from_centre - 0.1 * rng.random() * (y / height)
    return (colour * light[..., None] + rng.normal(0, 2, (height, width, 1))).astype(np.float32)


def cut(case: Case, how: Method, network: Any) -> tuple[Result, Any]:
    """Cuts a photo out; alpha [height, width] beside the result. Seconds are those of the CPU."""
    started = time.process_time()
    alpha = np.zeros(case.alpha.shape, np.uint8)
    confidence, reason = 0.0, ""
    try:
        found = method.find(case.bgr, how, network)
        made = finish.finish(case.bgr, found, refine=how.edges == "matting")
        height, width = made.bgra.shape[:2]
        alpha[made.y : made.y + height, made.x : made.x + width] = made.bgra[..., 3]
        confidence = made.measures.confidence
    except Rejected as rejected:
        reason = str(rejected)
    inside, true = alpha >= 128, case.alpha >= 128
    iou = float((inside & true).sum()) / max(1, int((inside | true).sum()))
    error = float(np.abs(alpha.astype(float) - case.alpha).mean()) / 255
    taken = time.process_time() - started
    return Result(case.name, iou, error, confidence, taken, reason), alpha


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Spearman's, for values without ties that matter."""
    first, second = (np.argsort(np.argsort(values)).astype(float) for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def _table(title: str, results: list[Result], each: bool) -> None:
    if each:
        for r in results:
            print(f"  {r.name:22} {r.iou:.3f} {r.error:.4f} {r.confidence:.2f} {r.reason}")
    iou = [r.iou for r in results]
    confidence = [r.confidence for r in results]
    sure = [r.iou for r in results if r.confidence >= 0.5]
    unsure = [r.iou for r in results if r.confidence < 0.5]
    parts = [f"{np.mean(v):.3f} of {len(v)}" if v else "none" for v in (sure, unsure)]
    print(
        f"{title:24} {len(results):4} {np.mean(iou):9.3f} {np.median(iou):7.3f} "
        f"{np.mean([r.error for r in results]):9.4f} {rank_correlation(confidence, iou):6.2f} "
        f"{parts[0]:>13} {parts[1]:>13} {np.mean([r.seconds for r in results]):6.1f}",
        flush=True,
    )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("photos", "references", "cutouts", "backgrounds"):
        parser.add_argument(f"--{name}", type=Path, required=name in ("photos", "references"))
    parser.add_argument("--method", default=method.GRABCUT, help="grabcut, or a preset's name")
    parser.add_argument("--model", help="the preset's file; else as fgbg fetch left it")
    parser.add_argument("--edges", choices=("matting", "keep"), default="matting")
    parser.add_argument("--count", type=int, default=30, help="composites of each kind")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--each", action="store_true", help="a line for each photo")
    parser.add_argument("--skip", default="101,102,105", help="cut-outs made of the photos")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    how = _method(asked)
    network = method.open_network(how, 1)
    skipped = tuple(f"_{number}" for number in asked.skip.split(","))
    cutouts, everything = [], []
    if asked.cutouts and asked.backgrounds:
        cutouts = sorted(p for p in asked.cutouts.glob("*.png") if not p.stem.endswith(skipped))
        everything = sorted(asked.backgrounds.glob("*.jpg"))
    plain = [p for p in everything if p.stem in UNCLUTTERED] or everything
    print(
        f"{'set':24} {'n':>4} {'mean IoU':>9} {'median':>7} {'alpha err':>9} {'rank':>6} "
        f"{'IoU if sure':>13} {'if unsure':>13} {'s each':>6}"
    )
    every: list[Result] = []
    made = (asked.count, asked.seed)
    for title, cases in (
        ("photos", photos(asked.photos, asked.references)),
        ("studio", composites("studio", cutouts, plain, *made)),
        ("uncluttered, blurred", composites("blurred", cutouts, plain, *made)),
        ("uncluttered, sharp", composites("photo", cutouts, plain, *made)),
        ("any background, sharp", composites("photo", cutouts, everything, *made)),
    ):
        results = [cut(case, how, network)[0] for case in cases]
        if results:
            _table(title, results, asked.each)
        every += results
    if cutouts:
        _table("all", every, False)


def _method(asked: argparse.Namespace) -> Method:
    if asked.method == method.GRABCUT:
        return Method()
    path = asked.model or str(presets.obtain(asked.method)[1])
    card = presets.PRESETS[asked.method].entries()
    return Method(asked.method, mask_card.model_of(path, card), edges=asked.edges)


if __name__ == "__main__":
    main()
