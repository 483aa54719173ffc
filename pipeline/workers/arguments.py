"""What the graph is built from: small, and without Beam, so that launchers need not import it."""

from __future__ import annotations

import dataclasses

from fgbg.models.depth.depth_card import DepthModel
from fgbg.transforms.job import job as jobs


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
        slice_index: Which slice of the units to make, from 0.
        slices: Number of slices.
        without: Names of units that are not to be made.
        hints: Resource hints of Generate, by name: for runners that know them.
        gpu_batch: The most pictures of a call of DenseDepth on the workers' GPU; None: by itself.
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
    slice_index: int = 0
    slices: int = 1
    without: frozenset[str] = frozenset()
    hints: tuple[tuple[str, str], ...] = ()
    gpu_batch: int | None = None

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


@dataclasses.dataclass(frozen=True)
class SliceOfShards:
    """Some of the shards to join.

    Attributes:
        output: The data set; its plan is stored.
        names: The shards.
    """

    output: str
    names: list[str]


@dataclasses.dataclass(frozen=True)
class SliceOfGenerate:
    """One slice of the main job.

    Attributes:
        graph: What the graph is built from.
        beam_options: Beam options, as given on the command line.
    """

    graph: GraphArguments
    beam_options: list[str]


@dataclasses.dataclass(frozen=True)
class SliceMade:
    """What is to be told of a slice that was made.

    Not beside the task that gives it: the launcher, which reads it, has no need of Beam.

    Attributes:
        peak_memory: Of its process, in bytes.
        gpu: Name of the GPU that made its depth; None for the processor, or without depth.
    """

    peak_memory: int
    gpu: str | None
