"""The job: its stored form, its counts, and the splits of its backgrounds."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import zlib
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from fgbg.files.sealed import DamagedError, seal, unseal
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import InputPicture, Job
from fgbg.transforms.job.splits import assign_splits
from fgbg.transforms.job.work_unit import WorkUnit, units_of_background
from tests.helpers.pixel_oracles import configuration

SPLITS = [("train", 0.8), ("validation", 0.1), ("test", 0.1)]


def test_splits_meet_their_shares_and_are_never_moved():
    whole = assign_splits([], 100, SPLITS)
    assert [whole.count(name) for name, _ in SPLITS] == [80, 10, 10]
    for count in range(1, 100):
        first = assign_splits([], count, SPLITS)
        for name, share in SPLITS:
            assert abs(first.count(name) - share * count) < (1.5 if 3 <= count <= 6 else 1)
            assert count < 3 or name in first
        if not 3 <= count <= 6:
            assert first == whole[:count]
            assert first + assign_splits(first, 100 - count, SPLITS) == whole
        extended = first + assign_splits(first, 100 - count, SPLITS)
        assert [extended.count(name) for name, _ in SPLITS] == [80, 10, 10]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(2, "tt"), (3, "tve"), (4, "ttev"), (5, "tttve"), (6, "tttvte"), (7, "tttvtte")],
)
def test_no_split_with_a_share_is_left_empty_where_there_are_enough(count, expected):
    letters = {"train": "t", "validation": "v", "test": "e"}
    assert "".join(letters[name] for name in assign_splits([], count, SPLITS)) == expected


def test_a_set_that_is_extended_fills_its_empty_splits():
    assert assign_splits(["train", "train"], 1, SPLITS) == ["test"]  # as of three at once
    assert assign_splits(["train"] * 3, 2, SPLITS) == ["validation", "test"]
    none = [("train", 0.5), ("validation", 0.0), ("test", 0.5)]
    assert "validation" not in assign_splits([], 9, none)


@pytest.mark.parametrize(
    "splits",
    [
        SPLITS,
        [("train", 0.9), ("test", 0.1)],
        [("train", 0.7), ("validation", 0.15), ("test", 0.15)],
        [("a", 10 / 31), ("b", 1 / 31), ("c", 20 / 31)],
        [("a", 0.2), ("b", 0.2), ("c", 0.2), ("d", 0.2), ("e", 0.2)],
        [("a", 0.5), ("none", 0.0), ("b", 0.5)],
    ],
)
def test_an_extended_set_is_split_as_at_once_but_where_that_is_forbidden(splits):
    at_once = [assign_splits([], count, splits) for count in range(41)]
    for first in range(30):
        for count in range(first + 1, 41):
            stored, whole = at_once[first], at_once[count]
            extended = stored + assign_splits(stored, count - first, splits)
            assert extended[:first] == stored
            differing = [i for i in range(count) if extended[i] != whole[i]]
            forbidden = [i for i in range(first) if stored[i] != whole[i]]
            assert len(differing) <= 2 * len(forbidden)  # none, or one is moved for each of them
            too_many = Counter(stored) - Counter(whole)
            assert too_many or Counter(extended) == Counter(whole)


def test_sets_extended_again_and_again_come_out_as_at_once():
    for path in ([1, 2, 4], [1, 3, 4, 7, 10], [2, 5, 6, 30], [6, 7, 8, 100], [7, 9, 10, 100]):
        splits: list[str] = []
        for count in path:
            splits += assign_splits(splits, count - len(splits), SPLITS)
        whole = assign_splits([], path[-1], SPLITS)
        assert Counter(splits) == Counter(whole)
        assert splits[10:] == whole[10:]
        assert splits == whole or not {3, 4, 5, 6}.isdisjoint(path[:-1])


def fair_splits(count: int, splits: list[tuple[str, str]]) -> list[str]:
    """Each to the split furthest below its share, in exact fractions: the first of equals."""
    found: list[str] = []
    for total in range(1, count + 1):
        missing = [(Fraction(share) * total - found.count(name), name) for name, share in splits]
        most = max(amount for amount, _ in missing)
        found.append(next(name for amount, name in missing if amount == most))
    return found


SHARES = [
    [("train", "1")],
    [("train", "0.5"), ("test", "0.5")],
    [("test", "0.5"), ("train", "0.5")],
    [("train", "0.8"), ("validation", "0.1"), ("test", "0.1")],
    [("test", "0.1"), ("validation", "0.1"), ("train", "0.8")],
    [("a", "0.25"), ("b", "0.25"), ("c", "0.25"), ("d", "0.25")],
    [("a", "0.1"), ("b", "0.2"), ("c", "0.3"), ("d", "0.4")],
    [("a", "0.4"), ("b", "0.3"), ("c", "0.2"), ("d", "0.1")],
    [("a", "0.7"), ("b", "0.15"), ("c", "0.15")],
    # Ties that float64 decides by its last bit, if it may.
    [("a", "0.45"), ("b", "0.55")],
    [("a", "0.7"), ("b", "0.3")],
    [("a", "0.05"), ("b", "0.15"), ("c", "0.8")],
    [("all", "1"), ("none", "0")],
]


@pytest.mark.parametrize("splits", SHARES)
def test_of_splits_equally_far_below_their_shares_the_first_is_taken(splits):
    as_given = [(name, float(share)) for name, share in splits]
    assert assign_splits([], 400, as_given) == fair_splits(400, splits)


def test_ties_follow_the_order_of_the_option():
    halves = [("b", 0.5), ("a", 0.5)]
    assert assign_splits([], 5, halves) == ["b", "a", "b", "a", "b"]
    assert assign_splits([], 5, halves[::-1]) == ["a", "b", "a", "b", "a"]
    thirds = [(name, 1 / 3) for name in "xyz"]
    assert "".join(assign_splits([], 30, thirds)) == "xyz" * 10


def test_splits_of_added_backgrounds_make_up_for_those_there():
    halves = [("train", 0.5), ("test", 0.5)]
    assert assign_splits(["train"] * 3, 4, halves) == ["test", "test", "test", "train"]
    assert assign_splits(["train"], 0, halves) == []
    # A split that is not asked for any more counts as a background of none.
    assert assign_splits(["old", "old"], 2, halves) == ["train", "test"]


BACKGROUND = InputPicture(1, "room.png", "ab" * 32, 96, 80, "train", "Ann", "CC0", "https://x.org")
FOREGROUND = InputPicture(1, "thing.png", "cd" * 32, 90, 120)


def job(**changes) -> Job:
    skipped = [{"kind": "background", "file": "a", "problem": "b"}]
    return Job(configuration(**changes), [BACKGROUND] * 2, [FOREGROUND] * 3, skipped)


def read_back(of: Job) -> Job:
    return Job.from_bytes(of.to_bytes(), "path")


def test_a_job_is_read_back_as_it_was():
    whole = job(depth_model={"file": "x"}, shards=4, placements=[3, 2], splits=SPLITS)
    assert read_back(whole) == whole
    read = read_back(whole).configuration
    # Tuples, which JSON does not have.
    assert (read.size, read.canvas, read.fg_scale) == ((32, 32), (64, 64), (0.3, 0.6))
    assert read.splits == SPLITS


def test_the_stored_job_is_sorted_and_indented_json_with_a_checksum():
    whole = job()
    content = {"format_version": 2, **dataclasses.asdict(whole)}
    for later in ("scale_per", "scale_by"):  # absent where they are not used
        del content["configuration"][later]
    body = json.dumps(content, sort_keys=True, indent=1).removesuffix("\n}").encode()
    assert whole.to_bytes() == body + b',\n "crc32": "%08x"\n}\n' % zlib.crc32(body)
    assert body.startswith(b'{\n "backgrounds": [\n  {\n   "author": "Ann",')


def content_of(of: Job) -> dict:
    return unseal(of.to_bytes(), "")


@pytest.mark.parametrize("missing", ["backgrounds", "foregrounds", "skipped", "configuration"])
def test_a_job_without_one_of_its_parts_is_refused(missing):
    content = content_of(job())
    del content[missing]
    with pytest.raises(ValueError, match="path: not a job description: "):
        Job.from_bytes(seal(content), "path")
    if missing != "skipped":
        with pytest.raises(ValueError, match="path: not a job description: "):
            Job.from_bytes(seal({**content, missing: 7}), "path")


@pytest.mark.parametrize("version", [0, 1, 3, "2"])
def test_another_format_is_refused(version):
    words = f"^path: the data set has format {version}, this program writes 2$"
    content = {**content_of(job()), "format_version": version}
    # Sealed, or of a time before files had checksums.
    for data in (seal(content), json.dumps(content).encode()):
        with pytest.raises(ValueError, match=words):
            Job.from_bytes(data, "path")


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b'{"format_version": 2}', b"{}", b"{"])
def test_a_file_without_a_checksum_is_damaged(data):
    with pytest.raises(DamagedError) as caught:
        Job.from_bytes(data, "path")
    assert caught.value.path == "path"


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("placements", [[5], [3, 2, 4]])
def test_units_and_samples_are_counted(mirror, placements):
    whole = job(mirror=mirror, placements=placements)
    directions = [False, True] if mirror else [False]
    units = list(itertools.product(range(2), range(3), directions, range(len(placements))))
    assert whole.units == len(units)
    assert whole.units_per_background == len([u for u in units if u[0] == 0])
    assert whole.samples == sum(placements[round_] for _, _, _, round_ in units)


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("placements", [[5], [3, 2, 4]])
def test_units_are_numbered_in_the_order_of_their_samples(mirror, placements):
    whole = job(mirror=mirror, placements=placements)
    units = [
        unit
        for background in (1, 2)
        for unit in units_of_background(background, 3, mirror, len(placements))
    ]
    assert [whole.index_of(unit) for unit in units] == list(range(whole.units))
    assert [whole.unit_at(i) for i in range(whole.units)] == units
    assert all(isinstance(whole.unit_at(i).mirrored, bool) for i in range(whole.units))


def test_records_are_a_format():
    # As read back: an equal text, not the very same.
    for form, expected in (("tfrecord", True), ("images", False)):
        read = read_back(job(output_format=form))
        assert read.in_records is read.configuration.in_records is expected


def test_a_job_is_stored_twice(tmp_path):
    output = str(tmp_path / "set")
    assert jobs.read(output) is None
    jobs.write(output, job())
    here, spare = (tmp_path / "set/_work" / name for name in ("job.json", "job.spare.json"))
    assert here.read_bytes() == spare.read_bytes() == job().to_bytes()
    assert jobs.read(output) == job()
    # One of them is enough, and the other is put right by the next write.
    for damaged in (here, spare):
        for damage in (b"", None):
            damaged.unlink() if damage is None else damaged.write_bytes(damage)
            assert jobs.read(output) == job()
            jobs.write(output, job())
            assert damaged.read_bytes() == job().to_bytes()
    times = [path.stat().st_mtime_ns for path in (here, spare)]
    inodes = [path.stat().st_ino for path in (here, spare)]
    jobs.write(output, job())  # nothing to do
    assert [path.stat().st_mtime_ns for path in (here, spare)] == times
    assert [path.stat().st_ino for path in (here, spare)] == inodes
    here.write_bytes(b"")
    spare.write_bytes(b"\0")
    words = r"set/_work/job\.json: is empty and .*job\.spare\.json: holds nothing but zeros"
    with pytest.raises(ValueError, match=words):
        jobs.read(output)
    spare.unlink()
    with pytest.raises(ValueError, match=r"job\.json: is empty$"):
        jobs.read(output)


def test_a_file_in_the_place_of_a_data_set_holds_no_job(tmp_path):
    (tmp_path / "file").write_text("")
    assert jobs.read(str(tmp_path / "file")) is None


def test_a_job_is_read_once_for_each_version(tmp_path):
    output = str(tmp_path)
    first, second = job(seed=1), job(seed=2)
    digests = [hashlib.sha256(one.to_bytes()).hexdigest() for one in (first, second)]
    versions = [jobs.version(one) for one in (first, second)]
    assert versions == [digest[:16] for digest in digests]
    with pytest.raises(jobs.OtherJobError, match="another run has replaced it"):
        jobs.read_cached(output, versions[0])
    jobs.write(output, first)
    for read in (jobs.read_cached, jobs.read_version):
        with pytest.raises(jobs.OtherJobError, match="another run has replaced it"):
            read(output, versions[1])
    kept = jobs.read_cached(output, versions[0])
    assert kept == first
    jobs.write(output, second)
    assert jobs.read_cached(output, versions[0]) is kept
    with pytest.raises(jobs.OtherJobError):
        jobs.read_version(output, versions[0])
    assert jobs.read_cached(output, versions[1]) == jobs.read_version(output, versions[1]) == second


def test_a_job_holds_the_units_of_its_inputs_and_rounds():
    whole = job(placements=[3, 2], mirror=False)
    held = {
        unit
        for unit in itertools.starmap(
            WorkUnit, itertools.product(range(4), range(5), [False, True], range(4))
        )
        if jobs.holds(whole, unit)
    }
    assert held == {whole.unit_at(i) for i in range(whole.units)}
    assert len(held) == 2 * 3 * 2
    assert jobs.holds(job(), WorkUnit(1, 1, True, 0))


OF_ALL = WorkUnit(2, 3, True, 1)


def identity(unit: WorkUnit = OF_ALL, /, **changes: Any) -> str:
    return jobs.unit_identity(job(**{"placements": [3, 2, 4], **changes}), unit)


def test_an_identity_is_twelve_digits_of_all_that_decides_a_unit():
    assert len(identity()) == 12 and set(identity()) <= set("0123456789abcdef")
    assert identity() == identity()
    decisive = dict(
        output_format="tfrecord", size=(16, 16), canvas=(32, 32), mirror=False, fg_scale=(0.3, 0.5),
        truncation=0.5, seed=1, image_quality=90, mask_format="png", depth_format="png16",
        depth_range_m=5.0, depth_model={"kind": "x"},
    )  # fmt: skip
    found = [identity(**{name: value}) for name, value in decisive.items()]
    found += [identity(placements=[3, 1, 4]), identity(placements=[2, 2, 4]), identity()]
    found += [identity(unit) for unit in (WorkUnit(2, 3, True, 0), WorkUnit(2, 3, False, 1))]
    found += [identity(unit) for unit in (WorkUnit(1, 3, True, 1), WorkUnit(2, 1, True, 1))]
    assert len(set(found)) == len(found)


def test_an_identity_depends_on_its_two_inputs_alone():
    whole = job(placements=[3, 2])
    changed = dataclasses.replace(BACKGROUND, sha256="ef" * 32)
    for name, place in (("backgrounds", 1), ("foregrounds", 2)):
        for i in range(len(getattr(whole, name))):
            other = job(placements=[3, 2])
            getattr(other, name)[i] = changed
            differs = jobs.unit_identity(other, OF_ALL) != jobs.unit_identity(whole, OF_ALL)
            assert differs == (i == place)


def test_what_only_decides_where_a_sample_is_leaves_its_identity():
    assert identity(splits=SPLITS) == identity(shards=9) == identity()
    assert identity(placements=[3, 2]) == identity(placements=[3, 2, 9]) == identity()
    model = {"kind": "x", "sha256": "ab"}
    for where in ("file", "address"):
        assert identity(depth_model={**model, where: "y"}) == identity(depth_model=model)
    assert identity(depth_model=model) != identity(depth_model={**model, "sha256": "cd"})
    # A record holds its sample's number among all, which later rounds and foregrounds change.
    records: dict[str, Any] = {"output_format": "tfrecord"}
    assert identity(placements=[3, 2], **records) != identity(**records)
    whole = job(placements=[3, 2], **records)
    more = dataclasses.replace(whole, foregrounds=[FOREGROUND] * 4)
    assert jobs.unit_identity(whole, OF_ALL) != jobs.unit_identity(more, OF_ALL)
    of_files = job(placements=[3, 2])
    more = dataclasses.replace(of_files, foregrounds=[FOREGROUND] * 4)
    assert jobs.unit_identity(of_files, OF_ALL) == jobs.unit_identity(more, OF_ALL)


def test_a_job_does_not_change():
    for frozen, name in ((job(), "skipped"), (job().configuration, "seed"), (BACKGROUND, "file")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, name, None)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("configuration", "seed", "0"),
        ("configuration", "mirror", 1),
        ("configuration", "canvas", [64, 64.0]),
        ("configuration", "placements", [True]),
        ("configuration", "depth_model", []),
        ("configuration", "scale_per", 3),
        ("backgrounds", "sha256", []),
        ("backgrounds", "author", None),
        ("foregrounds", "width", 0),
        ("foregrounds", "number", "1"),
    ],
)
def test_a_value_of_another_type_is_damage_whatever_the_checksum(part, name, value):
    content = unseal(job().to_bytes(), "")
    entry = content[part] if part == "configuration" else content[part][0]
    entry[name] = value
    with pytest.raises(DamagedError, match="path: not a job description"):
        Job.from_bytes(seal(content), "path")
