"""The card of a depth network: how it is fed, and what its output means.

It is a small JSON object (docs/depth.md has its entries). Nothing here opens a file.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from fgbg.models import resizing
from fgbg.models.picture_input import LAYOUTS

DEPTH, INVERSE, RELATIVE = "depth", "inverse_depth", "relative_inverse_depth"
BY_FOCAL, AFFINE_POINTS = "depth_by_focal", "affine_points"
OUTPUTS = (DEPTH, INVERSE, RELATIVE, BY_FOCAL, AFFINE_POINTS)
# Entries that came when data sets were there already.
_LATER = frozenset(
    (
        *("input_layout", "input_multiple", "input_filter", "input_constants", "canonical_focal"),
        *("field_of_view", "mask_output", "scale_output"),
    )
)


@dataclasses.dataclass(frozen=True)
class DepthCard:
    """How a depth network is fed, and what its output means.

    Attributes:
        input_range: What pixel values 0 and 255 become before mean and std.
        input_mean: Subtracted per channel after that.
        input_std: Divided by per channel after that.
        input_channels: "rgb" or "bgr".
        input_size: Width and height fed; None: the network's own, or the canvas if it takes any.
        output: One of OUTPUTS: "depth" (far is larger; metres_per_unit each), "inverse_depth"
            (metres_per_unit / output), "relative_inverse_depth" (near is larger, without a unit),
            "depth_by_focal" (metres of a camera of canonical_focal pixels), or "affine_points"
            (points x, y, z up to a shift along z, with scale_output; see affine_points.py).
        output_name: Which output, if the network has several.
        metres_per_unit: Metres that one unit of the output stands for.
        max_depth_m: The network's range; the default for what 255 stands for in 8-bit depth. For
            DenseDepth it is also the distance that the network's scale ends at.
        upsampling: How DenseDepth's decoder up-samples, "align_corners" (the published files) or
            "half_pixel"; weight files do not say it. Of no meaning for other networks.
        input_layout: "nhwc" or "nchw"; None: what the file's own sizes say.
        input_multiple: Sides fed are multiples of it, for a network that takes any size.
        input_filter: One of resizing.FILTERS, by which pictures are brought to that size.
        input_constants: What the inputs beside the picture's are given, by their names.
        canonical_focal: Focal length in pixels of the camera of depth_by_focal.
        field_of_view: Degrees across a picture's width that depth_by_focal takes for granted.
        mask_output: The output that says where there is depth at all (0.5 and more); elsewhere, as
            in the sky, it is max_depth_m. None: everywhere.
        scale_output: The output that is the metres of one unit of affine_points.
    """

    input_range: tuple[float, float] = (0.0, 1.0)
    input_mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    input_std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    input_channels: str = "rgb"
    input_size: tuple[int, int] | None = None
    output: str = "depth"
    output_name: str | None = None
    metres_per_unit: float = 1.0
    max_depth_m: float = 10.0
    upsampling: str = "align_corners"
    input_layout: str | None = None
    input_multiple: int = 1
    input_filter: str = resizing.AREA
    input_constants: dict[str, float] = dataclasses.field(default_factory=dict)
    canonical_focal: float = 1000.0
    field_of_view: float = 60.0
    mask_output: str | None = None
    scale_output: str | None = None

    def __post_init__(self) -> None:
        if self.input_channels not in ("rgb", "bgr"):
            raise ValueError(f'input_channels is {self.input_channels!r}, not "rgb" or "bgr"')
        for name, allowed in (
            ("output", OUTPUTS),
            ("input_layout", (None, *LAYOUTS)),
            ("input_filter", resizing.FILTERS),
        ):
            if getattr(self, name) not in allowed:
                words = ", ".join(f'"{word}"' for word in allowed if word)
                raise ValueError(f"{name} is {getattr(self, name)!r}, not one of {words}")
        if self.upsampling not in ("align_corners", "half_pixel"):
            raise ValueError(
                f'upsampling is {self.upsampling!r}, not "align_corners" or "half_pixel"'
            )
        lengths = {"input_range": 2, "input_mean": 3, "input_std": 3, "input_size": 2}
        for name, length in lengths.items():
            values = getattr(self, name)
            if values is None and name == "input_size":
                continue
            if len(values) != length or not all(math.isfinite(v) for v in values):
                raise ValueError(f"{name} is {list(values)}, not {length} numbers")
        if 0 in self.input_std:
            raise ValueError("input_std has a zero")
        if self.input_size and min(self.input_size) < 1:
            raise ValueError(f"input_size is {list(self.input_size)}: sides must be positive")
        for name in ("metres_per_unit", "max_depth_m", "canonical_focal", "field_of_view"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, not a positive number")
        if self.field_of_view >= 180:
            raise ValueError(f"field_of_view is {self.field_of_view}, not less than 180 degrees")
        self._check_sizes()
        if not isinstance(self.input_constants, dict) or not all(
            isinstance(value, int | float) and math.isfinite(value)
            for value in self.input_constants.values()
        ):
            raise ValueError("input_constants is no object of numbers")
        if (self.scale_output is None) == (self.output == AFFINE_POINTS):
            raise ValueError(
                f'scale_output goes with output "{AFFINE_POINTS}", and is needed there'
            )

    @property
    def metric(self) -> bool:
        """Whether it says metres."""
        return self.output != RELATIVE

    def to_dict(self) -> dict[str, Any]:
        """For JSON; what was added to cards later is left out where it is as ever.

        A job's stored bytes, and with them the names of its units, are made of this.
        """
        content = dataclasses.asdict(self)
        for field in dataclasses.fields(self):
            if field.name in _LATER and content[field.name] == (
                {} if field.name == "input_constants" else field.default
            ):
                del content[field.name]
        return content

    def _check_sizes(self) -> None:
        multiple = self.input_multiple
        if not isinstance(multiple, int) or multiple < 1:
            raise ValueError(f"input_multiple is {multiple}, not a positive whole number")
        if self.input_size and any(side % multiple for side in self.input_size):
            raise ValueError(f"input_size is {list(self.input_size)}, not multiples of {multiple}")


def card_from_dict(content: dict[str, Any]) -> DepthCard:
    """A card of a JSON object.

    Raises:
        ValueError: An unknown key, or a value that means nothing.
    """
    known = {field.name for field in dataclasses.fields(DepthCard)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    try:
        return DepthCard(**fields)
    except TypeError as error:
        raise ValueError(str(error)) from error
