"""A finished data set as training is given it: samples by split, and what they are coded in."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgbg.files import storage
from fgbg.files.ordered_map import in_order, threads_for
from fgbg.files.paths import trim_slash
from fgbg.models.training.samples import SPLITS, TEST, TRAIN, VALIDATION, DataSet, Files, Records
from fgbg.pipeline.data_set.finished import Finished, open_finished
from fgbg.pipeline.exit_codes import UserError
from fgbg.transforms.dataset import manifest, precision
from fgbg.transforms.dataset.manifest_file import parts
from fgbg.transforms.job import job as jobs
from fgbg.transforms.pixels import codec, pictures
from fgbg.transforms.records import file as tfrecord_file
from fgbg.transforms.records.file import RecordError

_SHOWN = 10
_NEEDED = (TRAIN, VALIDATION)
_COLUMNS = ["key", "split", "bg", "overlay", "mask", "depth", "depth_mean_m"]
_CHECKSUMS = ["overlay_crc32", "mask_crc32", "depth_crc32"]
# Of a record besides its bytes: length, its checksum, the bytes' checksum.
_HEADER, _OVERHEAD = 12, 16


@dataclasses.dataclass(frozen=True)
class TrainingSet:
    """A data set and what a card says of it.

    Attributes:
        path: Where it is.
        data: What is trained with.
        sha256: Of its job and its manifest: of exactly these samples.
        facts: Of the card: form, counts, the network that made its depth.
        backgrounds: SHA-256 of the backgrounds' files by split.
        foregrounds: SHA-256 of the foregrounds' files.
        checksums: CRC-32 of each file on gs://, by its path; empty for records and local files.
        in_manifest: Samples by split, whether used or not.
        depth_remarks: What is to be said of its depth, in sentences; "" for nothing.
    """

    path: str
    data: DataSet
    sha256: str
    facts: dict[str, Any]
    backgrounds: dict[str, set[str]]
    foregrounds: set[str]
    checksums: dict[str, int]
    in_manifest: dict[str, int]
    depth_remarks: str = ""

    @property
    def measured(self) -> str:
        """The split that a network is measured on: of the test set, if there is one."""
        return TEST if len(self.data.splits[TEST].keys) else VALIDATION


def _digest(finished: Finished) -> str:
    """SHA-256 of a data set's job and manifest."""
    digest = hashlib.sha256(finished.job.to_bytes())
    for part in parts(finished.manifest):
        with open(part, "rb") as file:
            while data := file.read(1 << 24):
                digest.update(data)
    return digest.hexdigest()


def read(
    path: str, pair: bool, limit: int | None, needed: tuple[str, ...] = _NEEDED
) -> TrainingSet:
    """Opens a data set and checks all that can be checked without reading its pictures.

    Args:
        path: Its folder, local or gs://.
        pair: Whether the backgrounds are needed.
        limit: The most samples of each split, spread evenly over it; None: all.
        needed: The splits that must have a sample.

    Raises:
        UserError: There is none, it is not finished, or it cannot be trained with.
    """
    path = trim_slash(path)
    with open_finished(path) as finished:
        to_check = storage.is_gcs(path) and not finished.job.configuration.in_records
        columns = manifest.columns(finished.manifest, _COLUMNS + _CHECKSUMS * to_check)
        digest = _digest(finished)
        configuration = finished.job.configuration
        has_depth = configuration.depth_model is not None
        chosen = _choose(finished, columns["split"], limit, needed)
        typical_m = 1.0
        if has_depth:
            means = _mean_depths(path, columns, configuration.depth_range_m)
            typical_m = float(np.median(means[chosen[needed[0]]]))
        whole = limit is None
        splits = {
            name: _samples(finished, columns, rows, name, whole) for name, rows in chosen.items()
        }
        backgrounds = _backgrounds(path, finished.job) if pair else None
        facts = {
            "sha256": digest,
            "format": configuration.output_format,
            "size": list(configuration.size),
            "samples": {name: len(rows) for name, rows in chosen.items()},
            "backgrounds": {
                name: len({columns["bg"][i] for i in rows}) for name, rows in chosen.items()
            },
            "depth_model": configuration.depth_model,
        }
        in_splits: dict[str, set[str]] = {name: set() for name in SPLITS}
        for picture in finished.job.backgrounds:
            in_splits.setdefault(picture.split, set()).add(picture.sha256)
        foregrounds = {picture.sha256 for picture in finished.job.foregrounds}
        checksums = _checksums(path, columns, chosen) if to_check else {}
        loss = precision.remarks(finished.generation.get("depth"))
        in_manifest = {name: columns["split"].count(name) for name in SPLITS}
    data = DataSet(
        configuration.size,
        splits,
        has_depth,
        float(configuration.depth_range_m),
        typical_m,
        backgrounds,
    )
    return TrainingSet(
        path, data, digest, facts, in_splits, foregrounds, checksums, in_manifest, loss
    )


def check_test_set(found: TrainingSet, test: TrainingSet) -> dict[str, Any]:
    """Checks that another data set's test split can be measured on.

    Args:
        found: What is trained with.
        test: What is measured on.

    Returns:
        Of the card: the test set's facts, and how many of its foregrounds were trained with.

    Raises:
        UserError: It has no depth where that is learned, or a background that is trained with.
    """
    if found.data.has_depth and not test.data.has_depth:
        raise UserError(f"--test_set {test.path}: it has no depth, {found.path} has")
    seen = test.backgrounds[TEST] & (found.backgrounds[TRAIN] | found.backgrounds[VALIDATION])
    if seen:
        raise UserError(
            f"--test_set {test.path}: {len(seen)} backgrounds of its test split are among those "
            f"that {found.path} trains with; make it of the same folder of backgrounds and with "
            "the same --splits, which gives each background the same split"
        )
    return {**test.facts, "foregrounds_trained_with": len(test.foregrounds & found.foregrounds)}


def _choose(
    finished: Finished, splits: list[str], limit: int | None, needed: tuple[str, ...]
) -> dict[str, NDArray[np.int64]]:
    """Rows of each split."""
    names = np.array(splits, dtype=str)
    chosen = {}
    for name in SPLITS:
        rows = np.flatnonzero(names == name)
        if name in needed and not len(rows):
            shares = ", ".join(f"{n}={share:g}" for n, share in finished.job.configuration.splits)
            raise UserError(
                f"{finished.output}: split {name} is empty. Whole backgrounds are held out, and "
                f"there are {len(finished.job.backgrounds)} ({shares}): generate with more "
                f"backgrounds, or with other --splits; needed: {', '.join(needed)}"
            )
        if limit is not None and len(rows) > limit:
            rows = rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)]
        chosen[name] = rows
    return chosen


def _mean_depths(path: str, columns: dict[str, list[Any]], range_m: float) -> NDArray[np.float64]:
    """The mean depth of every sample; raises UserError where there is none."""
    if not (math.isfinite(range_m) and range_m > 0):
        raise UserError(f"{path}: its range of depth is {range_m} m, not a positive number")
    missing = [k for k, d in zip(columns["key"], columns["depth"], strict=True) if d is None]
    if missing:
        raise UserError(f"{path}: without a depth map: {_listed(missing)}")
    means = np.array(columns["depth_mean_m"], np.float64)
    wrong = [columns["key"][i] for i in np.flatnonzero(~np.isfinite(means))]
    if wrong:
        raise UserError(f"{path}: the mean depth is not finite (NaN or infinite): {_listed(wrong)}")
    return means


def _samples(
    finished: Finished,
    columns: dict[str, list[Any]],
    rows: NDArray[np.int64],
    split: str,
    whole: bool,
) -> Files | Records:
    keys = [columns["key"][i] for i in rows]
    path = finished.output
    if finished.job.configuration.in_records:
        in_split = [i for i, name in enumerate(columns["split"]) if name == split]
        named = {columns["overlay"][i].rpartition("#")[0] for i in in_split}
        shards = _shards(path, split, named, len(in_split))
        return Records(keys, shards, whole or len(rows) == len(in_split))
    kinds = ["overlay", "mask"]
    if finished.job.configuration.depth_model is not None:
        kinds.append("depth")
    files = {kind: [storage.join(path, columns[kind][i]) for i in rows] for kind in kinds}
    if not storage.is_gcs(path):
        absent = [f for paths in files.values() for f in paths if not os.path.exists(f)]
        if absent:
            raise missing(path, absent)
    backgrounds = [columns["bg"][i] - 1 for i in rows]
    return Files(keys, files["overlay"], files["mask"], files.get("depth", []), backgrounds)


def missing(path: str, absent: list[str]) -> UserError:
    """The error that says which files of a data set's manifest are not there."""
    return UserError(
        f"{path}: {len(absent)} files of the manifest are missing (fgbg verify lists all): "
        f"{_listed(absent)}"
    )


def _checksums(
    path: str, columns: dict[str, list[Any]], chosen: dict[str, NDArray[np.int64]]
) -> dict[str, int]:
    return {
        storage.join(path, columns[kind][i]): columns[f"{kind}_crc32"][i]
        for kind in ("overlay", "mask", "depth")
        for rows in chosen.values()
        for i in rows
        if columns[kind][i] is not None
    }


def _shards(path: str, split: str, named: set[str], samples: int) -> list[str]:
    """The TFRecord files of a split; local ones are whole as far as their lengths tell."""
    pattern = storage.join(path, jobs.RECORDS, f"*-{split}.tfrecord-*-of-*")
    shards = storage.storage_for(path).glob(pattern)
    if absent := sorted({storage.join(path, name) for name in named} - set(shards)):
        raise missing(path, absent)
    if not storage.is_gcs(path):
        _check_count(path, split, samples, shards)
    return shards


def check_count(found: TrainingSet, split: str, shards: Sequence[str]) -> None:
    """Raises UserError unless local TFRecord files are whole and hold all samples of a split."""
    _check_count(found.path, split, found.in_manifest[split], shards)


def _check_count(path: str, split: str, samples: int, shards: Sequence[str]) -> None:
    records = sum(_count_records(shard) for shard in shards)
    if records != samples:
        raise UserError(
            f"{path}: split {split} has {samples} samples by the manifest and {records} records"
        )


def _count_records(shard: str) -> int:
    """Records of a local file, by their lengths alone: a truncated one does not end with it."""
    count = offset = 0
    size = os.path.getsize(shard)
    with open(shard, "rb") as file:
        while offset < size:
            file.seek(offset)
            header = file.read(_HEADER)
            end = offset + _OVERHEAD
            if len(header) == _HEADER:
                end += struct.unpack_from("<Q", header)[0]
            if end > size or len(header) < _HEADER:
                raise UserError(
                    f"{shard}: record {count} (at byte {offset}) is truncated or damaged: it would "
                    f"end at byte {end} of {size}. Make the shard again: delete it and run fgbg "
                    "generate"
                )
            count, offset = count + 1, end
    return count


def damaged_record(data: DataSet) -> str:
    """Which record of local TFRecord files has a wrong checksum; "" if none. Others are passed."""
    shards = [
        s for found in data.splits.values() if isinstance(found, Records) for s in found.shards
    ]
    for shard in shards:
        if storage.is_gcs(shard):
            continue
        try:
            with open(shard, "rb") as file:
                for _ in tfrecord_file.read_frames(file):
                    pass
        except RecordError as error:
            return f"{shard}: {error}"
    return ""


def damaged_picture(found: TrainingSet) -> str:
    """Which local picture is missing or not what the manifest's checksum says; "" if none.

    Those copied from gs:// were checked then, and records are `damaged_record`'s.
    """
    used = [s for s in found.data.splits.values() if isinstance(s, Files)]
    files = [f for samples in used for f in (*samples.overlays, *samples.masks, *samples.depths)]
    if storage.is_gcs(found.path) or not files:
        return ""
    with manifest.local_copy(found.path) as local:
        columns = manifest.columns(local, [*_COLUMNS, *_CHECKSUMS])
    rows = {"": np.arange(len(columns["key"]), dtype=np.int64)}
    checksums = _checksums(found.path, columns, rows)

    def look(file: str) -> str:
        try:
            data = storage.storage_for(file).read(file)
        except OSError as error:
            return f"{file}: cannot be read: {error.strerror or error}"
        if zlib.crc32(data) == checksums.get(file):
            return ""
        return f"{file}: its checksum is not the manifest's: damaged or replaced"

    for problem in in_order(look, files, threads_for(found.path)):
        if problem:
            return f"{problem}; fgbg verify {found.path} lists all such files"
    return ""


def _backgrounds(path: str, job: jobs.Job) -> NDArray[np.uint8]:
    """All backgrounds at the stored size, by area mean: uint8 RGB [count, height, width, 3]."""
    names = [f"bg{background.number}.jpg" for background in job.backgrounds]

    def load(name: str) -> NDArray[np.uint8]:
        file = storage.join(path, jobs.BACKGROUNDS, name)
        try:
            bgr = codec.decode(storage.storage_for(file).read(file), file)
        except (FileNotFoundError, ValueError) as error:
            raise UserError(
                f"{file}: missing or damaged; it is needed for --inputs pair"
            ) from error
        resized = pictures.resize(bgr, job.configuration.size)
        return np.asarray(cv2.cvtColor(resized, cv2.COLOR_BGR2RGB), np.uint8)

    return np.stack(list(in_order(load, names, threads_for(path))))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
