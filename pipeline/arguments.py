"""What the graph and the worker processes are given: small, and without Beam for launchers."""

from __future__ import annotations

import dataclasses

from fgbg.models.depth.depth_card import DepthModel
from fgbg.transforms.job import job as jobs


@dataclasses.dataclass(frozen=True)
class Slice:
    """The items of a job that one worker process does; by default all of them.

    Attributes:
        index: Which slice it is, from 0.
        count: Number of slices.
        without: Items not to be done any more: each has killed its process, more than once.
    """

    index: int = 0
    count: int = 1
    without: frozenset[int] = frozenset()

    def has(self, item: int, place: int | None = None) -> bool:
        """Whether an item belongs to the slice.

        Args:
            item: The item's number in the job, from 0.
            place: By which the items are dealt out; None: by their numbers.
        """
        dealt = (item if place is None else place) % self.count == self.index
        return dealt and item not in self.without


@dataclasses.dataclass(frozen=True)
class GraphArguments:
    """What the graph is built from; everything else is read from the data set by the workers.

    Attributes:
        output: The data set.
        version: The version of its job.
        backgrounds: Number of backgrounds.
        foregrounds: Number of foregrounds.
        mirror: Whether there are mirrored units.
        rounds: Number of rounds of placements.
        canvas: Width and height of the canvas.
        depth_path: Where the depth network lies; None for a data set without depth.
        depth_model: What it is.
        depth_threads: CPU threads that a depth network may use.
        unit_size: Number of samples of a unit of the first round.
        in_records: Whether the samples are records, whose blocks are joined to shards.
        backgrounds_kept: How many decoded backgrounds a process keeps.
        part: Which of the units to make.
        hints: Resource hints of Generate, by name: for runners that know them.
        fsync: Whether a unit counts as done only when its files are on the local disk.
        awaits: Whether workers may begin before the job is stored, and are to wait for that.
        gpu_batch: The most pictures of a call of DenseDepth on the workers' GPU; None: by itself.
        together: How many units are given to a GPU's depth network at once.
        needs_gpu: Whether workers are to have a GPU, and to make no depth without one.
    """

    output: str
    version: str
    backgrounds: int
    foregrounds: int
    mirror: bool
    rounds: int
    canvas: tuple[int, int]
    depth_path: str | None = None
    depth_model: DepthModel | None = None
    depth_threads: int = 1
    unit_size: int | None = None
    in_records: bool = False
    backgrounds_kept: int = 256  # 190 MB at 448x448; for runners that mix the units
    part: Slice = Slice()
    hints: tuple[tuple[str, str], ...] = ()
    gpu_batch: int | None = None
    fsync: bool = True
    awaits: bool = False
    needs_gpu: bool = False
    together: int = 1

    @classmethod
    def of(cls, output: str, job: jobs.Job, depth_path: str | None, threads: int) -> GraphArguments:
        """Of a stored job, all units in one slice."""
        c = job.configuration
        return cls(
            output,
            jobs.version(job),
            len(job.backgrounds),
            len(job.foregrounds),
            c.mirror,
            len(c.placements),
            c.canvas,
            depth_path,
            DepthModel.from_dict(c.depth_model) if c.depth_model else None,
            threads,
            c.placements[0],
            c.in_records,
        )
