"""Mask R-CNN as published for TensorFlow 2: a SavedModel with the detection signature.

In: uint8 RGB [1, height, width, 3]. Out, of N detections: detection_boxes [1, N, 4] (ymin, xmin,
ymax, xmax as shares of the picture), detection_scores [1, N], detection_classes [1, N] (COCO's
numbers), detection_masks [1, N, h, w] (0..1, each within its own box), num_detections [1].
"""

from __future__ import annotations

import dataclasses
import difflib
import os

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.models import opening
from fgbg.models.opening import NetworkError

Floats = NDArray[np.float32]

# Larger photos are shrunk to this longer side first: the network itself works with less.
_LONGEST_SIDE = 1333
_OUTPUTS = (
    "detection_boxes",
    "detection_scores",
    "detection_classes",
    "detection_masks",
    "num_detections",
)
# Class numbers of COCO (Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014): 1 to
# 90, ten of which are not used and stand here as "".
COCO_NAMES = (
    "",
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    *("traffic light", "fire hydrant", "", "stop sign", "parking meter", "bench", "bird", "cat"),
    *("dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "", "backpack"),
    *("umbrella", "", "", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard"),
    *("sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "", "wine glass", "cup", "fork", "knife", "spoon", "bowl"),
    *("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut"),
    *("cake", "chair", "couch", "potted plant", "bed", "", "dining table", "", "", "toilet", ""),
    *("tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven"),
    *("toaster", "sink", "refrigerator", "", "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush"),
)


@dataclasses.dataclass(frozen=True)
class Detection:
    """One thing that was detected.

    Attributes:
        box: Left, top, right, bottom in pixels of the photo, not rounded.
        score: 0..1.
        class_number: COCO's.
        mask: float32 0..1 [h, w], within the box.
    """

    box: tuple[float, float, float, float]
    score: float
    class_number: int
    mask: Floats

    @property
    def name(self) -> str:
        """The class' name, or its number where it has none."""
        return class_name(self.class_number)


def class_name(number: int) -> str:
    """COCO's name of a class, or its number."""
    known = 0 < number < len(COCO_NAMES) and COCO_NAMES[number]
    return known or str(number)


def class_number(text: str) -> int:
    """The class of a number or of a COCO name.

    Raises:
        ValueError: There is none of that name.
    """
    if text.isdecimal():
        return int(text)
    name = text.strip().lower().replace("_", " ")
    if name and name in COCO_NAMES:
        return COCO_NAMES.index(name)
    near = difflib.get_close_matches(name, [n for n in COCO_NAMES if n], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{text!r} is neither a number nor the name of a class of COCO{hint}")


class DetectionNetwork:
    """A SavedModel with the detection signature, in memory.

    Args:
        path: Its folder.
        threads: CPU threads that it may use.

    Raises:
        NetworkError: It is no such SavedModel.
    """

    def __init__(self, path: str, threads: int) -> None:
        if os.path.isfile(path):
            raise NetworkError(f"{path}: --method maskrcnn wants a SavedModel folder")
        self.path = path
        self._opened = opening.open_network(path, threads)
        names = [output.name for output in self._opened.outputs]
        missing = [name for name in _OUTPUTS if name not in names]
        if missing:
            raise NetworkError(
                f"{path}: not the detection signature; it lacks {', '.join(missing)}"
            )
        self._wanted = [names.index(name) for name in _OUTPUTS]
        given = self._opened.only_input()
        shape = given.shape or [1, None, None, 3]
        if given.dtype != np.uint8 or len(shape) != 4 or shape[0] not in (1, None):
            raise NetworkError(
                f"{path}: its input is {given.dtype} {shape}; uint8 [1, height, width, 3] is "
                "expected"
            )
        self._size = (shape[2], shape[1]) if shape[1] and shape[2] else None

    def detect(self, bgr: NDArray[np.uint8]) -> list[Detection]:
        """What is in a photo, uint8 [height, width, 3]; the surest first."""
        height, width = bgr.shape[:2]
        scale = min(1.0, _LONGEST_SIDE / max(height, width))
        size = self._size or (max(1, round(width * scale)), max(1, round(height * scale)))
        fed = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)[..., ::-1]
        *given, number_found = self._opened.call([np.ascontiguousarray(fed[None])], self._wanted)
        count = int(np.asarray(number_found).ravel()[0])
        boxes, scores, classes, masks = (values[0][:count] for values in given)
        found = []
        for box, score, number, mask in zip(boxes, scores, classes, masks, strict=True):
            top, left, bottom, right = (float(v) for v in np.clip(box, 0, 1))
            if bottom > top and right > left:
                place = left * width, top * height, right * width, bottom * height
                values = np.clip(np.asarray(mask, np.float32), 0, 1)
                found.append(Detection(place, float(score), round(float(number)), values))
        return sorted(found, key=lambda d: -d.score)


def paste(detection: Detection, shape: tuple[int, ...]) -> Floats:
    """A detection's mask in its photo: float32 0..1 [height, width], 0 outside the box.

    The mask's grid lies over the box, cell centres at (i + 0.5) / h of it; pixels take what a
    bilinear surface through them has at their centres.
    """
    height, width = shape[:2]
    left, top, right, bottom = detection.box
    x0, y0 = max(0, int(np.floor(left))), max(0, int(np.floor(top)))
    x1, y1 = min(width, int(np.ceil(right))), min(height, int(np.ceil(bottom)))
    pasted = np.zeros((height, width), np.float32)
    rows, columns = detection.mask.shape
    u = (np.arange(x0, x1, dtype=np.float32) + 0.5 - left) / (right - left) * columns - 0.5
    v = (np.arange(y0, y1, dtype=np.float32) + 0.5 - top) / (bottom - top) * rows - 0.5
    grid = [np.ascontiguousarray(g, np.float32) for g in np.meshgrid(u, v)]
    pasted[y0:y1, x0:x1] = cv2.remap(
        detection.mask, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return pasted
