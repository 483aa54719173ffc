"""Compose: the graph's step from a work unit's key to its overlays and masks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator

import apache_beam as beam
import numpy as np

from fgbg.files import storage
from fgbg.transforms import meter
from fgbg.transforms.job import commit, launching
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import Chunk, chunk_of
from fgbg.transforms.job.job import BY_HEIGHT, PER_PLACEMENT, PER_UNIT, Job
from fgbg.transforms.job.work_unit import WorkUnit, sample_numbers
from fgbg.transforms.pixels import allocation, codec, compositing, placement
from fgbg.transforms.pixels.compositing import Background, Composed
from fgbg.transforms.pixels.pictures import Array
from fgbg.transforms.pixels.placement import Box
from fgbg.transforms.steps.unit_coder import WorkUnitCoder as WorkUnitCoder  # registers it

FAILED = "failed"
# Decoded inputs that a process keeps.
BACKGROUNDS_KEPT = 256
_FOREGROUNDS_KEPT = 512


@dataclasses.dataclass(frozen=True)
class ComposedUnit:
    """A unit on its way through Generate.

    Attributes:
        unit: Its key.
        numbers: The numbers of its samples.
        placements: The foreground's box in canvas pixels, per sample.
        pixels: The samples.
    """

    unit: WorkUnit
    numbers: list[int]
    placements: list[Box]
    pixels: Composed


@dataclasses.dataclass(frozen=True)
class FailedUnit:
    """A unit that could not be made.

    Attributes:
        unit: Its key.
        step: The step that failed.
        reason: Why, in words.
    """

    unit: WorkUnit
    step: str
    reason: str

    @classmethod
    def of(cls, unit: WorkUnit, step: str, error: Exception) -> FailedUnit:
        """Of an exception."""
        return cls(unit, step, f"{type(error).__name__}: {error}")


def _load_background(output: str, version: str, number: int, size: tuple[int, int]) -> Background:
    path = storage.join(output, jobs.BACKGROUNDS, f"bg{number}.jpg")
    canvas = codec.decode(storage.storage_for(path).read(path), path)
    return Background.of(canvas, size)


@functools.cache
def _backgrounds(kept: int) -> Callable[[str, str, int, tuple[int, int]], Background]:
    return functools.lru_cache(maxsize=kept)(_load_background)


@functools.lru_cache(maxsize=_FOREGROUNDS_KEPT)
def _foreground(output: str, version: str, number: int) -> Array:
    path = storage.join(output, jobs.FOREGROUNDS, f"fg_{number}.png")
    return codec.decode(storage.storage_for(path).read(path), path)


def places_of(job: Job, unit: WorkUnit, cutout: tuple[int, int]) -> tuple[list[int], list[Box]]:
    """Where the foreground of a unit stands: a function of the job and of the cut-out's size.

    Args:
        job: The data set's job.
        unit: The unit.
        cutout: Width and height of the foreground as used.

    Returns:
        The numbers of the unit's samples, and the foreground's box in canvas pixels for each.
    """
    c = job.configuration
    key = placement.generator_key(
        c.seed,
        job.backgrounds[unit.background - 1].sha256,
        job.foregrounds[unit.foreground - 1].sha256,
        unit.mirrored,
    )
    numbers = list(sample_numbers(c.placements, c.mirror, unit))
    if c.scale_per == PER_PLACEMENT:
        scales = placement.draw_scales(key, numbers, c.fg_scale)
    else:
        scales = [placement.draw_scale(key, unit.round, c.fg_scale)] * len(numbers)
    if (c.scale_per, c.scale_by) == (PER_UNIT, BY_HEIGHT):
        sizes = [placement.scaled_size(cutout, c.canvas, scale) for scale in scales]
    else:
        sizes = [placement.size_by(cutout, c.canvas, s, c.scale_by, c.truncation) for s in scales]
    return numbers, placement.places(key, numbers, sizes, c.canvas, c.truncation)


def compose(
    output: str, version: str, unit: WorkUnit, backgrounds_kept: int = BACKGROUNDS_KEPT
) -> ComposedUnit:
    """Makes the overlays and masks of a unit from the inputs stored in the data set.

    Args:
        output: The data set.
        version: The version of its job.
        unit: The unit.
        backgrounds_kept: How many decoded backgrounds this process keeps.
    """
    job = jobs.read_cached(output, version)
    c = job.configuration
    background = _backgrounds(backgrounds_kept)(output, version, unit.background, c.size)
    if background.canvas.shape != (c.canvas[1], c.canvas[0], 3):
        raise ValueError(f"backgrounds/bg{unit.background}.jpg is not of the canvas' size")
    cutout = _foreground(output, version, unit.foreground)
    numbers, places = places_of(job, unit, (cutout.shape[1], cutout.shape[0]))
    sizes = [(place.width, place.height) for place in places]
    scaled = {s: compositing.scale_foreground(cutout, s, unit.mirrored) for s in set(sizes)}
    foregrounds = [scaled[size] for size in sizes]
    keep_canvases = c.depth_model is not None
    composed = compositing.compose_unit(background, foregrounds, places, c.size, keep_canvases)
    return ComposedUnit(unit, numbers, places, composed)


class Compose(beam.DoFn):
    """WorkUnit -> ComposedUnit; FailedUnit to the output FAILED.

    Args:
        output: The data set.
        version: The version of its job.
        backgrounds_kept: How many decoded backgrounds a process keeps.
    """

    def __init__(self, output: str, version: str, backgrounds_kept: int = BACKGROUNDS_KEPT) -> None:
        self._output = output
        self._version = version
        self._backgrounds_kept = backgrounds_kept

    def setup(self) -> None:
        allocation.keep_freed_memory()
        jobs.read_cached(self._output, self._version)

    def process(self, unit: WorkUnit) -> Iterator[ComposedUnit | beam.pvalue.TaggedOutput]:
        meter.begin(jobs.read_cached(self._output, self._version).index_of(unit))
        try:
            with meter.timed("compose_microseconds"):
                composed = compose(self._output, self._version, unit, self._backgrounds_kept)
        except Exception as error:
            yield beam.pvalue.TaggedOutput(FAILED, FailedUnit.of(unit, "Compose", error))
        else:
            yield composed


class DropCommitted(beam.DoFn):
    """WorkUnit -> WorkUnit, those that are not done yet.

    Args:
        output: The data set.
        version: The version of its job.
        awaits: Whether the job may not be stored yet.
        packs: Whether commit records of chunks that are whole are packed: not all of many
            processes that look at the same chunks should try.
    """

    def __init__(
        self, output: str, version: str, awaits: bool = False, packs: bool = False
    ) -> None:
        self._output = output
        self._version = version
        self._packs = packs
        self._awaits = awaits
        # Of one chunk: units come chunk by chunk, and all of them would be too many to hold.
        self._chunk: Chunk | None = None
        self._committed: set[WorkUnit] = set()

    def setup(self) -> None:
        if self._awaits:
            launching.wait(self._output)

    def start_bundle(self) -> None:
        self._chunk = None

    def process(self, unit: WorkUnit) -> Iterator[WorkUnit]:
        if self._chunk is None or not self._chunk.has(unit):
            job = jobs.read_cached(self._output, self._version)
            self._chunk = chunk_of(job, unit)
            found = commit.of_chunk(self._output, job, self._chunk)
            if self._packs:  # left by a run that was cut off: the next one finds fewer files
                commit.pack_whole(found, self._chunk)
            self._committed = found.done
        if unit in self._committed:
            meter.count("units_skipped")
        else:
            yield unit


def canvases_of(unit: ComposedUnit) -> Array:
    """The pictures that the depth network sees: uint8 BGR [K, canvas height, canvas width, 3]."""
    if unit.pixels.canvases is None:
        raise ValueError("composed without canvases")
    return np.asarray(unit.pixels.canvases)
