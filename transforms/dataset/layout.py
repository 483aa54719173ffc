"""Which files a data set consists of: what a job names, and what fgbg itself puts beside it.

Anything else in the folder is somebody's own: it is named, never deleted, and never read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fgbg.files import storage
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.pixels.coding import suffixes

WORK = "_work"
PLOTS = "PlotImages"
_SAMPLE = re.compile(r"bg(\d+)/fg_(\d+)/(overlay|mask|depth)/(\d+)(\.\w+)")
_BACKGROUND = re.compile(rf"{jobs.BACKGROUNDS}/bg(\d+)\.jpg")
_FOREGROUND = re.compile(rf"{jobs.FOREGROUNDS}/fg_(\d+)\.png")
_BESIDE = re.compile(
    "|".join(
        (
            r"manifest\.parquet(/bg\d{6,}-fg\d{6,}\.parquet)?",
            re.escape(jobs.GENERATION),
            re.escape(jobs.ERRORS),
            re.escape(jobs.REPORT),
            re.escape(jobs.CARD),
            rf"{PLOTS}/(overlay|mask|depth|rows)\.png",
            rf"{jobs.RECORDS}/fgbg-\w+\.tfrecord-\d{{5,}}-of-\d{{5,}}",
            rf"{jobs.RECORDS}/(features\.json|schema\.pbtxt|dataset_info\.json)",
            # fgbg export
            r"coco/instances_\w+\.json",
            r"coco/images/\w+/bg\d+/fg_\d+/\d+\.jpg",
            r"webdataset/(fgbg-\w+-\d{6,}\.tar|index\.json)",
        )
    )
)
_OWN_FOLDER = re.compile(
    rf"(bg\d+|manifest\.parquet|{jobs.BACKGROUNDS}|{jobs.FOREGROUNDS}|{PLOTS}|{jobs.RECORDS}|coco|webdataset|{WORK})/"
)
# What lies in WORK besides commit records and failures, which fgbg.transforms.job.commit knows.
_OF_WORK = re.compile(
    r"(job|job\.spare|inputs|drawn|lease)\.json|lock|writable|launching"
    r"|(depth_model|dataflow|manifest)/.*"
)
_OF_SHARDS = re.compile(r"shards/(plan|fgbg-\w+\.tfrecord-\d{5,}-of-\d{5,})\.json|joining/.*")
_FAILURE = re.compile(r"failed/bg\d+/fg_\d+/(as_given|mirrored)_\d+\.json")
_BLOCK = re.compile(r"blocks/bg\d+/fg_\d+/(as_given|mirrored)_\d+\.[0-9a-f]+\.tfrecord")
# What file managers leave behind in folders that were looked at.
_LITTER = re.compile(r"(.*/)?(\.DS_Store|\._.*|Thumbs\.db|desktop\.ini)", re.IGNORECASE)
_PART = ".part"


def belongs(job: Job | None, name: str) -> bool:
    """Whether a file is one of a data set's.

    Args:
        job: The data set's job; None where it is not known: then names alone decide.
        name: The file's path, relative to the data set.
    """
    name = name.removesuffix(_PART)
    if name.startswith(f"{WORK}/") or _BESIDE.fullmatch(name) or _LITTER.fullmatch(name):
        return True
    if match := _SAMPLE.fullmatch(name):
        return job is None or _is_sample(job, match)
    if match := _BACKGROUND.fullmatch(name):
        return job is None or 1 <= int(match[1]) <= len(job.backgrounds)
    if match := _FOREGROUND.fullmatch(name):
        return job is None or 1 <= int(match[1]) <= len(job.foregrounds)
    return False


def _is_sample(job: Job, match: re.Match[str]) -> bool:
    c = job.configuration
    background, foreground, kind, number, ending = match.groups()
    per_pair = sum(c.placements) * (2 if c.mirror else 1)
    return (
        not job.in_records
        and jobs.holds(job, WorkUnit(int(background), int(foreground), False, 0))
        and 1 <= int(number) <= per_pair
        and suffixes(c).get(kind) == ending
    )


def in_own_folder(name: str) -> bool:
    """Whether a file lies in a folder of a data set's own, by its path relative to the data set."""
    return _OWN_FOLDER.match(name) is not None


def foreign(output: str, job: Job | None) -> Iterator[str]:
    """Files in a data set's folder that are not its own: paths relative to it, sorted."""
    names = storage.storage_for(output).walk(output)
    return (name for name in names if not belongs(job, name))


def is_block(name: str) -> bool:
    """Whether a file has the name of a block, of whichever job."""
    return _BLOCK.fullmatch(name.removeprefix(f"{WORK}/")) is not None


def foreign_in_work(output: str, job: Job) -> Iterator[str]:
    """Files in WORK that fgbg does not write there, but for its folder of commit records."""
    folder = storage.join(output, WORK)
    commits = f"{jobs.COMMITS}/".removeprefix(f"{WORK}/")
    for name in storage.storage_for(output).walk(folder):
        if name.startswith(commits) or _LITTER.fullmatch(name):
            continue
        own = name.removesuffix(_PART)
        if _OF_WORK.fullmatch(own) or _FAILURE.fullmatch(own):
            continue
        if not (job.in_records and (_OF_SHARDS.fullmatch(own) or _BLOCK.fullmatch(own))):
            yield f"{WORK}/{name}"
