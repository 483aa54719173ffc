"""The record of a sample: what a tf.Example of a data set holds, made and read back.

Its keys are those of TensorFlow's object detection tools, with depth and placement beside them:
docs/tfrecord.md tells each one's type, shape and unit. Masks are 8-bit PNG with the values 0 and 1,
which is what those tools train from without a threshold. No TensorFlow in here.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from fgbg.transforms.job.job import Job
from fgbg.transforms.pixels.coding import LABEL, encode_mask
from fgbg.transforms.records import example as tf_example
from fgbg.transforms.records.example import BYTES, FLOAT, INT64

CLASS = "foreground"
_OBJECT = "image/object/"
_PLACE = ("x", "y", "width", "height")


@dataclasses.dataclass(frozen=True)
class Key:
    """One feature of a record.

    Attributes:
        kind: tf_example.BYTES, FLOAT or INT64.
        listed: Whether it has one value for each object in the picture (none or one) instead of
            exactly one.
        picture: Of a coded picture its channels, its dtype and its coding; None of other features.
        text: Whether its bytes are text in UTF-8.
    """

    kind: str
    listed: bool = False
    picture: tuple[int, str, str] | None = None
    text: bool = False


KEYS = {
    "background/id": Key(INT64),
    "foreground/id": Key(INT64),
    "image/encoded": Key(BYTES, picture=(3, "uint8", "jpeg")),
    "image/filename": Key(BYTES, text=True),
    "image/format": Key(BYTES, text=True),
    "image/height": Key(INT64),
    "image/key/sha256": Key(BYTES, text=True),
    f"{_OBJECT}area": Key(FLOAT, listed=True),
    f"{_OBJECT}bbox/xmax": Key(FLOAT, listed=True),
    f"{_OBJECT}bbox/xmin": Key(FLOAT, listed=True),
    f"{_OBJECT}bbox/ymax": Key(FLOAT, listed=True),
    f"{_OBJECT}bbox/ymin": Key(FLOAT, listed=True),
    f"{_OBJECT}class/label": Key(INT64, listed=True),
    f"{_OBJECT}class/text": Key(BYTES, listed=True, text=True),
    f"{_OBJECT}is_crowd": Key(INT64, listed=True),
    f"{_OBJECT}mask": Key(BYTES, listed=True, picture=(1, "uint8", "png")),
    "image/source_id": Key(BYTES, text=True),
    "image/width": Key(INT64),
    "placement/height": Key(INT64),
    "placement/mirrored": Key(INT64),
    "placement/number": Key(INT64),
    "placement/width": Key(INT64),
    "placement/x": Key(INT64),
    "placement/y": Key(INT64),
}
DEPTH_KEYS = {
    "depth/encoded": Key(BYTES, picture=(1, "uint16", "png")),
    "depth/format": Key(BYTES, text=True),
    "depth/max_m": Key(FLOAT),
    "depth/min_m": Key(FLOAT),
}
_KINDS = {name: key.kind for name, key in (KEYS | DEPTH_KEYS).items()}


@dataclasses.dataclass(frozen=True)
class Record:
    """What a record says of its sample.

    Attributes:
        id: The number that image/source_id holds in text: see `sample_id`.
        key: "bgN/fg_M/K", as in the manifest.
        bg: N, the number of the background.
        fg: M, the number of the foreground.
        number: K, the number of the sample in its (background, foreground).
        mirrored: Whether the foreground is mirrored.
        file: image/filename: where the overlay stands in an image tree.
        size: Width and height in pixels.
        x: Left side of the mask's tight box in pixels; 0 if the mask is empty, as the next three.
        y: Its upper side.
        width: Its width.
        height: Its height.
        mask_area: Pixels of the mask.
        canvas_x: The foreground's whole box in canvas pixels, as the next three.
        canvas_y: Its upper side.
        canvas_width: Its width.
        canvas_height: Its height.
        depth_min_m: Least depth in metres; None without depth.
        depth_max_m: Greatest depth in metres; None without depth.
        overlay: The overlay's JPEG.
        overlay_sha256: The SHA-256 that the record states for it, in hexadecimal digits.
        mask_png: The mask as 8-bit PNG with values 0 and 1.
        depth_png: The depth as 16-bit PNG in millimetres; None without depth.
    """

    id: int
    key: str
    bg: int
    fg: int
    number: int
    mirrored: bool
    file: str
    size: tuple[int, int]
    x: int
    y: int
    width: int
    height: int
    mask_area: int
    canvas_x: int
    canvas_y: int
    canvas_width: int
    canvas_height: int
    depth_min_m: float | None
    depth_max_m: float | None
    overlay: bytes = dataclasses.field(repr=False)
    overlay_sha256: str
    mask_png: bytes = dataclasses.field(repr=False)
    depth_png: bytes | None = dataclasses.field(repr=False)

    @property
    def pictures(self) -> dict[str, bytes]:
        """The pictures that it has, by kind ("overlay", "mask", "depth"), as stored."""
        found = {"overlay": self.overlay, "mask": self.mask_png}
        return found if self.depth_png is None else found | {"depth": self.depth_png}


def sample_id(job: Job, background: int, foreground: int, number: int) -> int:
    """The place of a sample in the order of the manifest, from 1, as if none were missing.

    Detection tools want whole numbers for image ids, which `image/source_id` therefore is in text.
    """
    c = job.configuration
    per_pair = sum(c.placements) * (2 if c.mirror else 1)
    return ((background - 1) * len(job.foregrounds) + foreground - 1) * per_pair + number


def to_record(
    job: Job, row: dict[str, Any], overlay: bytes, mask_png: bytes, depth_png: bytes | None
) -> bytes:
    """The tf.Example of a sample, in bytes.

    Args:
        job: The data set's job.
        row: The sample's row of the manifest; its files, checksums and split are not needed.
        overlay: Its JPEG.
        mask_png: Its mask from coding.encode_mask; left out where row["mask_area"] is 0.
        depth_png: 16-bit PNG in millimetres, or None.
    """
    width, height = job.configuration.size
    features: dict[str, list[Any]] = {
        "background/id": [row["bg"]],
        "foreground/id": [row["fg"]],
        "image/encoded": [overlay],
        "image/filename": [f"bg{row['bg']}/fg_{row['fg']}/overlay/{row['number']}.jpg".encode()],
        "image/format": [b"jpeg"],
        "image/height": [height],
        "image/width": [width],
        "image/key/sha256": [hashlib.sha256(overlay).hexdigest().encode()],
        "image/source_id": [b"%d" % sample_id(job, row["bg"], row["fg"], row["number"])],
        "placement/mirrored": [int(row["mirrored"])],
        "placement/number": [row["number"]],
    }
    features |= {f"placement/{name}": [row[f"canvas_{name}"]] for name in _PLACE}
    objects: dict[str, Any] = {
        "area": float(row["mask_area"]),
        "bbox/xmin": row["x"] / width,
        "bbox/xmax": (row["x"] + row["width"]) / width,
        "bbox/ymin": row["y"] / height,
        "bbox/ymax": (row["y"] + row["height"]) / height,
        "class/label": LABEL,
        "class/text": CLASS.encode(),
        "is_crowd": 0,
        "mask": mask_png,
    }
    there = row["mask_area"] > 0
    features |= {_OBJECT + name: [value] if there else [] for name, value in objects.items()}
    if depth_png is not None:
        features |= {
            "depth/encoded": [depth_png],
            "depth/format": [b"png"],
            "depth/max_m": [row["depth_max_m"]],
            "depth/min_m": [row["depth_min_m"]],
        }
    return tf_example.encode(features, _KINDS)


def of_record(data: bytes) -> Record:
    """What a tf.Example says; a sample without object gets an empty mask's PNG.

    Raises:
        ValueError: It is no tf.Example, or lacks a key.
    """
    features = tf_example.decode(data)
    try:
        return _record(features)
    except (KeyError, IndexError) as error:
        raise ValueError(f"not a record of fgbg: {error!r}") from error


def _record(f: dict[str, list[Any]]) -> Record:
    width, height = f["image/width"][0], f["image/height"][0]
    bg, fg, number = f["background/id"][0], f["foreground/id"][0], f["placement/number"][0]
    box = {"x": 0, "y": 0, "width": 0, "height": 0}
    mask_png, area = None, 0
    if f[f"{_OBJECT}mask"]:
        mask_png = f[f"{_OBJECT}mask"][0]
        area = round(f[f"{_OBJECT}area"][0])
        # Fractions were stored as float32: pixels come back by rounding.
        left, right = (round(f[f"{_OBJECT}bbox/x{end}"][0] * width) for end in ("min", "max"))
        upper, lower = (round(f[f"{_OBJECT}bbox/y{end}"][0] * height) for end in ("min", "max"))
        box = {"x": left, "y": upper, "width": right - left, "height": lower - upper}
    depth = "depth/encoded" in f
    return Record(
        id=int(f["image/source_id"][0]),
        key=f"bg{bg}/fg_{fg}/{number}",
        bg=bg,
        fg=fg,
        number=number,
        mirrored=bool(f["placement/mirrored"][0]),
        file=f["image/filename"][0].decode(),
        size=(width, height),
        **box,
        mask_area=area,
        **{f"canvas_{name}": f[f"placement/{name}"][0] for name in _PLACE},
        depth_min_m=f["depth/min_m"][0] if depth else None,
        depth_max_m=f["depth/max_m"][0] if depth else None,
        overlay=f["image/encoded"][0],
        overlay_sha256=f["image/key/sha256"][0].decode(),
        mask_png=mask_png or encode_mask(np.zeros((height, width), np.uint8)),
        depth_png=f["depth/encoded"][0] if depth else None,
    )
