"""What a data set is made of: the configuration and the inputs, as stored in the data set itself.

Every byte of the data set is a function of this and of the pictures named in it. It is written
before any work starts (`_work/job.json`), so that a later run can tell what is there, and it is
what the workers read: the graph itself carries only the data set's path.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from typing import Any

from fgbg.files import storage
from fgbg.transforms.job.work_unit import WorkUnit

FORMAT_VERSION = 1
IMAGES, TFRECORD = "images", "tfrecord"
JOB_FILE = "_work/job.json"
COMMITS = "_work/commits"
FAILED = "_work/failed"
BLOCKS = "_work/blocks"
SHARDS = "_work/shards"
JOINING = "_work/joining"
DEPTH_MODEL = "_work/depth_model"  # a network for workers elsewhere
RECORDS = "tfrecord"
BACKGROUNDS = "backgrounds"
FOREGROUNDS = "foregrounds"
GENERATION = "generation.json"
ERRORS = "errors.jsonl"
CARD = "README.md"
REPORT = "index.html"


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What decides the pixels and the files, besides the input pictures.

    Attributes:
        output_format: IMAGES or TFRECORD.
        size: Width and height stored, in pixels.
        canvas: Width and height composed at, in pixels.
        placements: Placements of a unit, for every round.
        mirror: Whether mirrored foregrounds are placed too.
        fg_scale: Least and greatest height of a foreground, as a share of the canvas' height.
        truncation: Greatest share of a foreground's box that may lie outside the picture.
        seed: Seed of all placements.
        image_quality: JPEG quality of overlays and of 8-bit depth, 1..100.
        mask_format: "jpg" or "png".
        depth_format: "jpg" (8 bits over 0..depth_range_m) or "png16" (millimetres).
        depth_range_m: Metres that 255 stands for in 8-bit depth.
        depth_model: How depth is made (see fgbg.models.depth.depth_card.DepthModel), or None.
        splits: Names of the splits and their shares of the backgrounds, summing to 1.
        shards: Number of TFRecord shards of all splits together; None: as many as their size asks
            for.
    """

    output_format: str
    size: tuple[int, int]
    canvas: tuple[int, int]
    placements: list[int]
    mirror: bool
    fg_scale: tuple[float, float]
    truncation: float
    seed: int
    image_quality: int
    mask_format: str
    depth_format: str
    depth_range_m: float
    depth_model: dict[str, Any] | None
    splits: list[tuple[str, float]]
    shards: int | None = None

    @property
    def in_records(self) -> bool:
        """Whether the samples are records in shards, not files of their own."""
        return self.output_format == TFRECORD


@dataclasses.dataclass(frozen=True)
class InputPicture:
    """One input, as numbered in the data set.

    Attributes:
        number: N of bgN or M of fg_M.
        file: The file's name, without its folder.
        sha256: Of the file's bytes; with the seed it decides the placements.
        width: Of the picture as given, upright, in pixels.
        height: Likewise.
        split: The split of a background; "" for a foreground.
        author: Who made it, where a sources.csv says so.
        licence: Its licence, likewise.
        page: The page that it comes from, likewise.
    """

    number: int
    file: str
    sha256: str
    width: int
    height: int
    split: str = ""
    author: str = ""
    licence: str = ""
    page: str = ""


@dataclasses.dataclass(frozen=True)
class Job:
    """A data set's configuration and inputs."""

    configuration: Configuration
    backgrounds: list[InputPicture]
    foregrounds: list[InputPicture]
    skipped: list[dict[str, str]] = dataclasses.field(default_factory=list)

    @property
    def in_records(self) -> bool:
        """Whether the samples are records in shards, not files of their own."""
        return self.configuration.in_records

    @property
    def units_per_background(self) -> int:
        c = self.configuration
        return len(self.foregrounds) * (2 if c.mirror else 1) * len(c.placements)

    @property
    def units(self) -> int:
        """Number of work units of the whole data set."""
        return len(self.backgrounds) * self.units_per_background

    @property
    def samples(self) -> int:
        """Number of samples of the whole data set."""
        c = self.configuration
        per_pair = sum(c.placements) * (2 if c.mirror else 1)
        return len(self.backgrounds) * len(self.foregrounds) * per_pair

    def index_of(self, unit: WorkUnit) -> int:
        """The number of a unit, from 0: background by background, as units_of_background."""
        c = self.configuration
        place = (unit.foreground - 1) * len(c.placements) + unit.round
        if c.mirror:
            place = 2 * place + unit.mirrored
        return (unit.background - 1) * self.units_per_background + place

    def unit_at(self, index: int) -> WorkUnit:
        """The unit of a number that `index_of` returned."""
        c = self.configuration
        background, place = divmod(index, self.units_per_background)
        place, mirrored = divmod(place, 2) if c.mirror else (place, 0)
        foreground, round_ = divmod(place, len(c.placements))
        return WorkUnit(background + 1, foreground + 1, bool(mirrored), round_)

    def to_json(self) -> str:
        """The job as stored: keys sorted, so that equal jobs are equal bytes."""
        content = {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
        return json.dumps(content, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The job of a stored text.

        Raises:
            ValueError: It was written by another version of the format, or is no job at all.
        """
        try:
            content = json.loads(text)
            version = content.pop("format_version")
            if version != FORMAT_VERSION:
                raise ValueError(
                    f"the data set has format {version}, this program writes {FORMAT_VERSION}"
                )
            configuration = content["configuration"]
            for name in ("size", "canvas", "fg_scale"):
                configuration[name] = tuple(configuration[name])
            configuration["splits"] = [(name, share) for name, share in configuration["splits"]]
            return cls(
                Configuration(**configuration),
                [InputPicture(**b) for b in content["backgrounds"]],
                [InputPicture(**f) for f in content["foregrounds"]],
                content["skipped"],
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a job description: {error!r}") from error


def read(output: str) -> Job | None:
    """The job of a data set, or None where there is none.

    Raises:
        ValueError: There is one that cannot be read.
    """
    path = storage.join(output, JOB_FILE)
    try:
        data = storage.storage_for(path).read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return Job.from_json(data.decode())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write(output: str, job: Job) -> None:
    """Stores the job in the data set, whole or not at all."""
    path = storage.join(output, JOB_FILE)
    storage.storage_for(path).write_atomically(path, job.to_json().encode())


@functools.lru_cache(maxsize=4)
def _read_version(output: str, version: str) -> Job:
    job = read(output)
    if job is None:
        raise FileNotFoundError(f"{output} holds no data set")
    return job


def read_cached(output: str, version: str) -> Job:
    """The job of a data set, read once in a process.

    Args:
        output: The data set.
        version: Its `version`, so that a process never works with an older one.
    """
    return _read_version(output, version)


def version(job: Job) -> str:
    """A short name of exactly this job."""
    return hashlib.sha256(job.to_json().encode()).hexdigest()[:16]


def assign_splits(existing: list[str], count: int, splits: list[tuple[str, float]]) -> list[str]:
    """Splits of backgrounds that are added to those already there.

    Each background goes to the split that is furthest below its share. Shares are met to within
    one background at every number of backgrounds, and a later addition moves none.

    Args:
        existing: Splits of the backgrounds already in the data set, in order.
        count: Number of backgrounds to add.
        splits: Names and shares.

    Returns:
        Splits of the added backgrounds, in order.
    """
    counts = {name: existing.count(name) for name, _ in splits}
    added: list[str] = []
    for total in range(len(existing) + 1, len(existing) + count + 1):
        # max() keeps the first of equals: the order of the option decides, not chance.
        chosen = max(splits, key=lambda s: round(s[1] * total - counts[s[0]], 9))[0]
        counts[chosen] += 1
        added.append(chosen)
    return added
