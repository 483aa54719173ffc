"""Numbers of all samples of a data set, from its manifest alone.

Rows are read a row group (one background) at a time and only added up, so memory depends on the
numbers of inputs and of bins, not on the number of samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fgbg.transforms.dataset.manifest_file import ManifestFile
from fgbg.transforms.job.job import Configuration, Job

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

# Cells of the heat maps across the picture, and samples for each cell of the placements' map.
CELLS = 32
_SAMPLES_A_CELL = 8
_FILL_BINS = 1000
# Of heights and areas in pixels, at most.
_PIXEL_BINS = 4000
# Depth in centimetres, up to what 16 bits of millimetres hold.
DEPTH_BINS = 6554
DEPTH_KINDS = ("min", "mean", "max")
_BOX = ("x", "y", "width", "height")
_COLUMNS = ("bg", "fg", *_BOX, "mask_area", *(f"canvas_{name}" for name in _BOX))
# Depth that differs by less over a whole picture is none.
FLAT_M = 0.05


class Distribution:
    """A histogram of fixed bins with exact count, mean, least and greatest.

    Args:
        bins: How many; values beyond the ends are counted in the first and the last.
        width: Of a bin.
        start: Where the first begins.
    """

    def __init__(self, bins: int, width: float, start: float = 0.0) -> None:
        self.counts: Counts = np.zeros(bins, np.int64)
        self.width = width
        self.start = start
        self.count = 0
        self.total = 0.0
        self.least = np.inf
        self.greatest = -np.inf

    def add(self, values: Floats) -> None:
        """Takes in finite values."""
        if not values.size:
            return
        self.counts += np.bincount(self.bins(values), minlength=self.counts.size)
        self.count += values.size
        self.total += float(values.sum())
        self.least = min(self.least, float(values.min()))
        self.greatest = max(self.greatest, float(values.max()))

    def bins(self, values: Floats) -> Counts:
        """The bin of each value, from 0."""
        # Values such as 0.29 lie a rounding error below their bin. Clipped before they are whole
        # numbers, which far values do not fit.
        at = np.floor((values - self.start) / self.width + 1e-9)
        return np.clip(at, 0, self.counts.size - 1).astype(np.int64)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The middle of the bin that the quantile lies in."""
        at = int(np.searchsorted(np.cumsum(self.counts), share * self.count))
        return self.start + (min(at, self.counts.size - 1) + 0.5) * self.width


def of_whole_pixels(most: int) -> Distribution:
    """A histogram of shares k / most, each bin with as many whole numbers k as any other.

    Bins of a fixed share would hold now more and now fewer of them, and show as spikes and gaps.

    Args:
        most: Number of pixels that is a share of 1.
    """
    pixels = -(-most // _PIXEL_BINS)
    return Distribution(most // pixels + 1, pixels / most, -0.5 / most)


@dataclasses.dataclass
class Survey:
    """What the manifest says of all samples together.

    Attributes:
        samples: Number of rows.
        covered: How many foregrounds' boxes cover each cell of the picture: [rows, columns].
        positions: How many stand in each part of the room that they have: the first row and
            column touch the upper and left side, the last the lower and right one.
        height: Height of the placed foreground as a share of the picture's.
        coverage: Mask pixels as a share of the picture's.
        fill: Mask pixels as a share of the visible part of the placed box.
        depth: Metres of the nearest, mean and farthest pixel of each picture; empty without depth.
        per_background: Samples of each background, by its number - 1.
        per_foreground: Samples of each foreground, likewise.
        mask_sides: Width and height of all boxes of each foreground's masks together, in stored
            pixels: [foregrounds, 2]. Empty masks have no say, nor have they in what follows.
        box_sides: Likewise of the visible parts of the boxes that they were placed in, in canvas
            pixels.
        masks_of_foreground: How many masks of each are not empty.
        empty_masks_of_foreground: How many masks of each are empty.
        flat_depth: Pictures whose whole depth is the same to within FLAT_M.
        beyond_range: Pictures with depth beyond what 8-bit files can say.
    """

    samples: int
    covered: Counts
    positions: Counts
    height: Distribution
    coverage: Distribution
    fill: Distribution
    depth: dict[str, Distribution]
    per_background: Counts
    per_foreground: Counts
    mask_sides: Counts
    box_sides: Counts
    masks_of_foreground: Counts
    empty_masks_of_foreground: Counts
    flat_depth: int = 0
    beyond_range: int = 0

    def span_of_foreground(self, c: Configuration) -> Floats:
        """Share of its placed box's width and height that each foreground's mask spans.

        A pixel is granted to each, for what is cut off by rounding: thin things are no warning.

        Args:
            c: The data set's configuration.

        Returns:
            float64 [foregrounds, 2], 1 at most and where it has no mask.
        """
        box = self.box_sides * np.divide(c.size, c.canvas)
        granted = self.mask_sides + self.masks_of_foreground[:, None]
        return np.minimum(np.divide(granted, box, out=np.ones_like(box), where=box > 0), 1.0)

    def corner_shares(self) -> list[float]:
        """Share of samples whose box covers upper left, upper right, lower left, lower right."""
        corners = self.covered[[0, 0, -1, -1], [0, -1, 0, -1]]
        return [float(count) / max(1, self.samples) for count in corners]


def survey(job: Job, manifest_path: str) -> Survey:
    """Adds up a manifest.

    Args:
        job: The data set's job.
        manifest_path: A local copy of its manifest.
    """
    c = job.configuration
    aspect = c.canvas[1] / c.canvas[0]
    across = min(CELLS, max(4, int((job.samples / _SAMPLES_A_CELL / aspect) ** 0.5)))
    has_depth = c.depth_model is not None
    found = Survey(
        samples=0,
        covered=np.zeros((max(1, round(CELLS * aspect)), CELLS), np.int64),
        positions=np.zeros((max(1, round(across * aspect)), across), np.int64),
        height=of_whole_pixels(c.canvas[1]),
        coverage=of_whole_pixels(c.size[0] * c.size[1]),
        fill=Distribution(_FILL_BINS, 1 / _FILL_BINS),
        depth={kind: Distribution(DEPTH_BINS, 0.01) for kind in DEPTH_KINDS if has_depth},
        per_background=np.zeros(len(job.backgrounds), np.int64),
        per_foreground=np.zeros(len(job.foregrounds), np.int64),
        mask_sides=np.zeros((len(job.foregrounds), 2), np.int64),
        box_sides=np.zeros((len(job.foregrounds), 2), np.int64),
        masks_of_foreground=np.zeros(len(job.foregrounds), np.int64),
        empty_masks_of_foreground=np.zeros(len(job.foregrounds), np.int64),
    )
    for columns in _groups(manifest_path, has_depth):
        _add(found, c, columns)
    return found


def _groups(path: str, has_depth: bool) -> Iterator[dict[str, NDArray]]:
    names = [*_COLUMNS, *(f"depth_{kind}_m" for kind in DEPTH_KINDS if has_depth)]
    # Without the pool's threads: the columns are small, and Arrow keeps memory for each thread.
    with ManifestFile(path) as file:
        for group in range(len(file.sizes)):
            table = file.read(group, names, use_threads=False)
            yield {name: _array(table.column(name)) for name in names}


def _array(column: pa.ChunkedArray) -> NDArray:
    values = column.to_numpy()
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)


def _add(found: Survey, c: Configuration, columns: dict[str, NDArray]) -> None:
    found.samples += len(columns["bg"])
    foregrounds = columns["fg"] - 1
    found.per_background += np.bincount(columns["bg"] - 1, minlength=found.per_background.size)
    found.per_foreground += np.bincount(foregrounds, minlength=found.per_foreground.size)
    area = columns["mask_area"]
    found.empty_masks_of_foreground += np.bincount(
        foregrounds[area == 0], minlength=found.per_foreground.size
    )
    canvas_width, canvas_height = c.canvas
    left, top = columns["canvas_x"], columns["canvas_y"]
    width, height = columns["canvas_width"], columns["canvas_height"]
    edges = (
        np.maximum(left, 0),
        np.maximum(top, 0),
        np.minimum(left + width, canvas_width),
        np.minimum(top + height, canvas_height),
    )
    number = found.per_foreground.size
    visible = area > 0
    found.masks_of_foreground += np.bincount(foregrounds[visible], minlength=number)
    sides = [edges[2 + i] - edges[i] for i in (0, 1)]
    for i, name in enumerate(("width", "height")):
        # Exact: sums of whole numbers below 2^53.
        mask = np.bincount(foregrounds[visible], columns[name][visible], number)
        found.mask_sides[:, i] += mask.astype(np.int64)
        placed = np.bincount(foregrounds[visible], sides[i][visible], number)
        found.box_sides[:, i] += placed.astype(np.int64)
    box = sides[0] * sides[1] * (c.size[0] * c.size[1] / (canvas_width * canvas_height))
    found.height.add(height / canvas_height)
    found.coverage.add(area / (c.size[0] * c.size[1]))
    found.fill.add(np.minimum(area / box, 1.0))
    found.covered += _covered(edges, found.covered.shape, c.canvas)
    found.positions += _positions(columns, found.positions.shape, c)
    for kind, distribution in found.depth.items():
        distribution.add(columns[f"depth_{kind}_m"])
    if found.depth:
        nearest, farthest = columns["depth_min_m"], columns["depth_max_m"]
        found.flat_depth += int(np.count_nonzero(farthest - nearest < FLAT_M))
        if c.depth_format == "jpg":
            # Half a step beyond the range is still rounded to its end.
            found.beyond_range += int(np.count_nonzero(farthest > c.depth_range_m * 255.5 / 255))


def _covered(edges: tuple[NDArray, ...], shape: tuple[int, ...], canvas: tuple[int, int]) -> Counts:
    """How many boxes touch each cell: differences at the boxes' corners, summed up."""
    rows, columns = shape
    first_column = edges[0] * columns // canvas[0]
    first_row = edges[1] * rows // canvas[1]
    end_column = (edges[2] - 1) * columns // canvas[0] + 1
    end_row = (edges[3] - 1) * rows // canvas[1] + 1
    steps = np.zeros((rows + 1, columns + 1), np.int64)
    for row, column, sign in (
        (first_row, first_column, 1),
        (first_row, end_column, -1),
        (end_row, first_column, -1),
        (end_row, end_column, 1),
    ):
        at = row * (columns + 1) + column
        steps += sign * np.bincount(at, minlength=steps.size).reshape(steps.shape)
    return steps.cumsum(0).cumsum(1)[:rows, :columns]


def _positions(columns: dict[str, NDArray], shape: tuple[int, ...], c: Configuration) -> Counts:
    """How many stand in each part of the room: uniform over all positions, ends included.

    A position is a pixel wide and cells are not a whole number of pixels, so positions fall into
    the cells that they lie in by turns (an additive recurrence); otherwise the map had stripes.
    """
    at = []
    turn = np.arange(len(columns["canvas_x"]))
    for cells, side, start, length, step in (
        (shape[0], c.canvas[1], "canvas_y", "canvas_height", 0.5698402909980532),
        (shape[1], c.canvas[0], "canvas_x", "canvas_width", 0.7548776662466927),
    ):
        margin = (c.truncation * columns[length]).astype(np.int64)
        places = side - columns[length] + 2 * margin + 1
        share = (columns[start] + margin + turn * step % 1) / places
        at.append(np.clip((share * cells).astype(np.int64), 0, cells - 1))
    return np.bincount(at[0] * shape[1] + at[1], minlength=shape[0] * shape[1]).reshape(shape)
