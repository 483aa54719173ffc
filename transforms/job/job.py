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
from fgbg.files.sealed import DamagedError, seal, unseal
from fgbg.transforms.job import typed
from fgbg.transforms.job.work_unit import WorkUnit

FORMAT_VERSION = 2
IMAGES, TFRECORD = "images", "tfrecord"
PER_UNIT, PER_PLACEMENT = "unit", "placement"
BY_HEIGHT, BY_LONGER_SIDE, BY_AREA = "height", "longer_side", "area"
JOB_FILE = "_work/job.json"
JOB_SPARE = "_work/job.spare.json"
INPUTS = "_work/inputs.json"  # checksums of the inputs as used
LEASE = "_work/lease.json"  # who writes to a data set on gs://
LAUNCHING = "_work/launching"  # its job is handed in, and not stored yet
DRAWN = "_work/drawn.json"  # checksums of report and sheets
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


class OtherJobError(RuntimeError):
    """The data set holds another job than the one that is being made."""


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
        scale_per: PER_UNIT: one size for all placements of a unit; PER_PLACEMENT: one for each.
        scale_by: What `fg_scale` is the share of the canvas' height of: BY_HEIGHT,
            BY_LONGER_SIDE, or BY_AREA (the square root of width times height).
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
    scale_per: str = PER_UNIT
    scale_by: str = BY_HEIGHT

    def to_dict(self) -> dict[str, Any]:
        """As stored. What came later than the format and is not used is left out.

        So a job that does not use an option has the bytes, and its units the identities, that it
        had before there was that option.
        """
        content = dataclasses.asdict(self)
        for name, unused in _LATER.items():
            if content[name] == unused:
                del content[name]
        return content

    @property
    def in_records(self) -> bool:
        """Whether the samples are records in shards, not files of their own."""
        return self.output_format == TFRECORD


# Options that came after format 2, with the value that leaves all as it was before them.
_LATER: dict[str, Any] = {"scale_per": PER_UNIT, "scale_by": BY_HEIGHT}


@dataclasses.dataclass(frozen=True)
class InputPicture:
    """One input, as numbered in the data set.

    Attributes:
        number: N of bgN or M of fg_M.
        file: The file's name; with folders before it where several inputs have the same name.
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

    def __post_init__(self) -> None:
        # Read from a file that people may edit: what is no size is to be told at once.
        if min(self.number, self.width, self.height) < 1:
            raise TypeError(f"input {self.file!r} has no number or no size")


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

    def to_bytes(self) -> bytes:
        """The job as stored: keys sorted, so that equal jobs are equal bytes."""
        content = dataclasses.asdict(self) | {"configuration": self.configuration.to_dict()}
        return seal({"format_version": FORMAT_VERSION, **content}, indent=1)

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Job:
        """The job of a stored file.

        Args:
            data: The file's content.
            path: The file, for messages.

        Raises:
            ValueError: It was written by another version of the format, is damaged (DamagedError),
                or is no job at all.
        """
        try:
            content = unseal(data, path)
        except DamagedError:
            _refuse_old_format(data, path)
            raise
        try:
            version = content.pop("format_version")
            if version != FORMAT_VERSION:
                raise ValueError(_other_format(path, version))
            configuration = content["configuration"]
            for name in ("size", "canvas", "fg_scale"):
                configuration[name] = tuple(configuration[name])
            configuration["splits"] = [(name, share) for name, share in configuration["splits"]]
            found = cls(
                Configuration(**configuration),
                [InputPicture(**b) for b in content["backgrounds"]],
                [InputPicture(**f) for f in content["foregrounds"]],
                content["skipped"],
            )
            for part in (found, found.configuration, *found.backgrounds, *found.foregrounds):
                typed.check(part)
            return found
        except (KeyError, TypeError) as error:
            raise DamagedError(path, f"not a job description: {error!r}") from error

    @functools.cached_property
    def _identity_of_all(self) -> bytes:
        """What all units' identities have in common: what decides pixels, besides the inputs."""
        content = self.configuration.to_dict()
        del content["splits"], content["shards"]  # they decide where a sample is, not what it is
        placements = content.pop("placements")
        if self.in_records:  # a record holds its sample's number among all
            content["of"] = [placements, len(self.foregrounds)]
        if content["depth_model"] is not None:
            for where in ("file", "address", "licence", "origin"):
                content["depth_model"].pop(where, None)
        content["format_version"] = FORMAT_VERSION
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()


def _refuse_old_format(data: bytes, path: str) -> None:
    """Raises for a job of the time before files had checksums."""
    try:
        version = json.loads(data)["format_version"]
    except (ValueError, KeyError, TypeError):
        return
    if version != FORMAT_VERSION:
        raise ValueError(_other_format(path, version))


def _other_format(path: str, version: object) -> str:
    return f"{path}: the data set has format {version}, this program writes {FORMAT_VERSION}"


def holds(job: Job, unit: WorkUnit) -> bool:
    """Whether a unit is one of the job's."""
    c = job.configuration
    return (
        1 <= unit.background <= len(job.backgrounds)
        and 1 <= unit.foreground <= len(job.foregrounds)
        and unit.round < len(c.placements)
        and (c.mirror or not unit.mirrored)
    )


def unit_identity(job: Job, unit: WorkUnit) -> str:
    """A short name of everything that a unit's bytes depend on, and of nothing else.

    Two jobs have equal samples in a unit if its identity is equal in both; a job that is extended
    keeps the identities of the units that it had.

    Args:
        job: The job.
        unit: One of its units.
    """
    parts = (
        job.backgrounds[unit.background - 1].sha256,
        job.foregrounds[unit.foreground - 1].sha256,
        unit.name,
        *map(str, job.configuration.placements[: unit.round + 1]),
    )
    key = job._identity_of_all
    return hashlib.blake2b(" ".join(parts).encode(), key=key, digest_size=6).hexdigest()


def read(output: str) -> Job | None:
    """The job of a data set, or None where there is none.

    It is stored twice: a damaged file is no matter while its spare is whole.

    Raises:
        ValueError: There is one that cannot be read.
    """
    problems = []
    for name in (JOB_FILE, JOB_SPARE):
        path = storage.join(output, name)
        try:
            return Job.from_bytes(storage.storage_for(path).read(path), path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except DamagedError as error:
            problems.append(str(error))
    if problems:
        raise ValueError(" and ".join(problems))
    return None


def contradiction(output: str) -> str:
    """What the two stored copies of a job say differently, in words; "" where they agree.

    They agree where one is damaged or missing, and where the first is an extension of the second:
    a run that was cut off between them left that.
    """
    copies = []
    for name in (JOB_FILE, JOB_SPARE):
        path = storage.join(output, name)
        try:
            copies.append(Job.from_bytes(storage.storage_for(path).read(path), path))
        except (OSError, ValueError):
            return ""
    first, second = copies
    if first == second or _extends(first, second):
        return ""
    names = (field.name for field in dataclasses.fields(Job))
    wrong = [name for name in names if getattr(first, name) != getattr(second, name)]
    return f"{JOB_FILE} and {JOB_SPARE} are different jobs ({', '.join(wrong)})"


def _extends(job: Job, earlier: Job) -> bool:
    """Whether a job has all that an earlier one had, unchanged, and perhaps more."""

    def begins(longer: list[Any], shorter: list[Any]) -> bool:
        return longer[: len(shorter)] == shorter

    c, e = job.configuration, earlier.configuration
    return (
        dataclasses.replace(c, placements=[]) == dataclasses.replace(e, placements=[])
        and begins(c.placements, e.placements)
        and begins(job.backgrounds, earlier.backgrounds)
        and begins(job.foregrounds, earlier.foregrounds)
    )


def write(output: str, job: Job) -> None:
    """Stores the job in the data set, each copy whole or not at all, where it is not there yet."""
    data = job.to_bytes()
    for name in (JOB_FILE, JOB_SPARE):
        path = storage.join(output, name)
        store = storage.storage_for(path)
        try:
            there = store.read(path)
        except (FileNotFoundError, NotADirectoryError):
            there = b""
        if there != data:
            store.write_atomically(path, data)


def read_version(output: str, wanted: str) -> Job:
    """The job of a data set, read anew.

    Args:
        output: The data set.
        wanted: The `version` that it must have.

    Raises:
        OtherJobError: The data set holds another job by now, or none.
    """
    job = read(output)
    if job is None or version(job) != wanted:
        raise OtherJobError(
            f"{output}: the job is not the one that this run makes: another run has replaced it"
        )
    return job


_kept_version = functools.lru_cache(maxsize=4)(read_version)


def read_cached(output: str, version: str) -> Job:
    """The job of a data set, read once in a process.

    Args:
        output: The data set.
        version: Its `version`, so that a process never works with an older or a newer one.

    Raises:
        OtherJobError: The data set holds another job by now.
    """
    return _kept_version(output, version)


def version(job: Job) -> str:
    """A short name of exactly this job."""
    return hashlib.sha256(job.to_bytes()).hexdigest()[:16]
