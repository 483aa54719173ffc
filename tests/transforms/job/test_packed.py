"""Packed commit records: the same as single ones, in one file; a damaged byte costs one unit."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from fgbg.files.sealed import DamagedError
from fgbg.files.storage import LocalStorage
from fgbg.pipeline.data_set import resume
from fgbg.transforms.job import chunk as chunks
from fgbg.transforms.job import commit, packed
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.chunk import Chunk, chunk_of, units_of
from fgbg.transforms.job.commit import Commit, Moments
from fgbg.transforms.job.job import InputPicture, Job
from fgbg.transforms.job.work_unit import WorkUnit, units_of_background
from tests.helpers.damage import flip_a_bit
from tests.helpers.pixel_oracles import configuration

BACKGROUNDS = [InputPicture(i, f"b{i}.png", f"{i:02}" * 32, 8, 8) for i in (1, 2)]
FOREGROUNDS = [InputPicture(i, f"f{i}.png", f"{i:02}" * 32, 8, 8) for i in range(1, 6)]
JOB = Job(configuration(placements=[2]), BACKGROUNDS, FOREGROUNDS)
UNITS = [unit for b in (1, 2) for unit in units_of_background(b, 5, True, 1)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Everything is packed; a chunk is two foregrounds of a background."""
    monkeypatch.setattr(commit, "PACKED_FROM", 0)
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 8)
    packed.forget_what_is_kept()


def record(unit: WorkUnit) -> Commit:
    number = JOB.index_of(unit)
    return Commit(unit, {"number": [1, number]}, {"mask": Moments(1, number, 1)}, {"mask": number})


def pack(output: Path, chunk: Chunk, job: Job = JOB) -> list[str]:
    found = commit.of_chunk(str(output), job, chunk)
    units = [unit for unit in units_of(job, chunk) if unit in found.done]
    stored = [(unit, data) for unit, _, data in found.stored_all(units)]
    return commit.pack(found, chunk, stored)


@pytest.fixture
def singles(tmp_path: Path) -> Path:
    """All units done, nothing packed."""
    for unit in UNITS:
        commit.write(str(tmp_path), JOB, record(unit))
    return tmp_path


@pytest.fixture
def output(singles: Path) -> Path:
    """All units done, everything packed."""
    for chunk in chunks.chunks(JOB):
        assert pack(singles, chunk) == []
    return singles


def files(output: Path) -> dict[str, bytes]:
    folder = output / "_work/commits"
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def the_pack(output: Path, background: int, first: int) -> Path:
    (path,) = (output / f"_work/commits/bg{background}/packed").glob(f"fg_{first}-*.jsonl")
    return path


def test_chunks_are_a_partition_of_the_units():
    every = list(chunks.chunks(JOB))
    assert every[:3] == [Chunk(1, 1, 2), Chunk(1, 3, 4), Chunk(1, 5, 5)] and len(every) == 6
    assert [unit for chunk in every for unit in units_of(JOB, chunk)] == UNITS
    assert all(unit in units_of(JOB, chunk_of(JOB, unit)) for unit in UNITS)


def test_a_chunk_is_a_background_unless_it_is_large(monkeypatch):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 50_000)
    assert list(chunks.chunks(JOB)) == [Chunk(1, 1, 5), Chunk(2, 1, 5)]


def test_packed_records_are_read_as_single_ones_are(singles):
    before = {unit: commit.read(str(singles), JOB, unit) for unit in UNITS}
    for chunk in chunks.chunks(JOB):
        pack(singles, chunk)
    assert sorted(name.partition(".")[0] for name in files(singles)) == sorted(
        f"bg{b}/packed/fg_{span}" for b in (1, 2) for span in ("1-2", "3-4", "5-5")
    )
    assert commit.listed(str(singles), JOB) == (set(UNITS), [])
    assert {unit: commit.read(str(singles), JOB, unit) for unit in UNITS} == before
    assert commit.damaged(str(singles), JOB, UNITS) == {}
    assert resume.units_done(str(singles), JOB) == resume.Done(20, 40)
    # No folder of the many is left.
    assert os.listdir(singles / "_work/commits/bg1") == ["packed"]


def test_a_pack_is_the_same_in_whatever_steps_it_was_made(output, tmp_path):
    other = tmp_path / "other"
    for unit in reversed(UNITS[::2]):
        commit.write(str(other), JOB, record(unit))
    for chunk in chunks.chunks(JOB):
        pack(other, chunk)
    for unit in UNITS[1::2]:
        commit.write(str(other), JOB, record(unit))
    for chunk in reversed(list(chunks.chunks(JOB))):
        pack(other, chunk)
        pack(other, chunk)
    assert {n: d for n, d in files(output).items() if not n.startswith("other")} == files(other)


def test_a_data_set_of_few_units_is_not_packed(singles, monkeypatch):
    monkeypatch.setattr(commit, "PACKED_FROM", 20)
    before = files(singles)
    for chunk in chunks.chunks(JOB):
        pack(singles, chunk)
    assert files(singles) == before


def test_withdrawn_units_leave_their_pack(output):
    lost = [UNITS[0], UNITS[4], UNITS[5], UNITS[6], UNITS[7]]
    commit.read(str(output), JOB, UNITS[0])  # remembered, and to be forgotten
    commit.withdraw(str(output), JOB, lost)
    assert commit.committed(str(output), JOB) == set(UNITS) - set(lost)
    assert commit.read(str(output), JOB, UNITS[1]) == record(UNITS[1])
    for unit in lost:
        with pytest.raises(FileNotFoundError):
            commit.read(str(output), JOB, unit)
    for unit in lost:
        commit.write(str(output), JOB, record(unit))
    assert commit.read(str(output), JOB, UNITS[0]) == record(UNITS[0])
    for chunk in chunks.chunks(JOB):
        pack(output, chunk)
    assert len(files(output)) == 6
    assert resume.units_done(str(output), JOB) == resume.Done(20, 40)


def test_records_of_another_job_count_for_nothing(output):
    other = dataclasses.replace(JOB, configuration=configuration(placements=[2], seed=7))
    done, others = commit.listed(str(output), other)
    assert done == set() and len(others) == 20
    assert {commit.unit_named(name) for name in others} == set(UNITS)
    # Nor are they deleted by what that job packs.
    before = files(output)
    commit.write(str(output), other, record(UNITS[0]))
    pack(output, chunk_of(JOB, UNITS[0]), other)
    assert before.items() <= files(output).items()
    assert commit.committed(str(output), other) == {UNITS[0]}
    assert commit.committed(str(output), JOB) == set(UNITS)


def test_a_damaged_record_costs_one_unit(output, capsys):
    path = the_pack(output, 1, 3)
    unit = UNITS[5]
    entry = packed.open_pack(str(path)).entries[unit]
    data = bytearray(path.read_bytes())
    data[entry.offset + 20] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedError, match=unit.name):
        commit.read(str(output), JOB, unit)
    assert resume.units_done(str(output), JOB) == resume.Done(19, 38)
    assert f"{path}: {unit.name}" in capsys.readouterr().err
    assert commit.committed(str(output), JOB) == set(UNITS) - {unit}
    assert resume.units_done(str(output), JOB) == resume.Done(19, 38)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["empty", "zeroed", "cut off", "bit-flipped"])
def test_a_damaged_table_costs_its_units_and_no_others(kind, output, capsys):
    path = the_pack(output, 2, 1)
    if kind == "bit-flipped":
        data = path.read_bytes()
        path.write_bytes(data[:30])
        flip_a_bit(path)
        path.write_bytes(path.read_bytes() + data[30:])
    else:
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "zeroed": bytes(len(whole)), "cut off": whole[:50]}[kind])
    lost = set(units_of(JOB, Chunk(2, 1, 2)))
    assert commit.committed(str(output), JOB) == set(UNITS) - lost
    (damage,) = commit.of_background(str(output), JOB, 2).damaged
    assert damage.path == str(path)
    assert resume.units_done(str(output), JOB) == resume.Done(16, 32)
    assert f"{path}: " in (told := capsys.readouterr().err) and "Its units are made again" in told
    assert not path.exists()


def test_a_pack_that_is_cut_off_keeps_what_is_whole(output):
    path = the_pack(output, 1, 1)
    entries = packed.open_pack(str(path)).entries
    with open(path, "r+b") as file:
        file.truncate(entries[UNITS[2]].offset + 10)
    assert resume.units_done(str(output), JOB) == resume.Done(18, 36)
    assert commit.committed(str(output), JOB) == set(UNITS) - {UNITS[2], UNITS[3]}


class Killed(BaseException):
    pass


def test_killed_at_every_step_of_packing(singles, tmp_path):
    """Nothing is lost or seen twice, and the next one comes to the same."""
    chunk = Chunk(1, 1, 2)
    own = set(units_of(JOB, chunk))
    commit.withdraw(str(singles), JOB, [UNITS[3]])
    pack(singles, chunk)
    commit.write(str(singles), JOB, record(UNITS[3]))
    for count in range(1, 20):
        steps = iter(range(1, count))

        def step(real, steps=steps):
            def wrapped(self, *given, **named):
                if next(steps, None) is None:
                    raise Killed
                return real(self, *given, **named)

            return wrapped

        with pytest.MonkeyPatch.context() as patch:
            for name in ("write_atomically", "delete_files", "delete_empty"):
                patch.setattr(LocalStorage, name, step(getattr(LocalStorage, name)))
            try:
                pack(singles, chunk)
            except Killed:
                assert commit.of_chunk(str(singles), JOB, chunk).done == own, count
                for unit in own:
                    assert commit.read(str(singles), JOB, unit) == record(unit)
                continue
        break
    assert count > 3
    assert [name for name in files(singles) if name.startswith("bg1/fg_1/")] == []
    assert len(list((singles / "_work/commits/bg1/packed").iterdir())) == 1


def test_a_job_that_grows_packs_in_its_new_chunks(output):
    """More placements make smaller chunks: what the old packs share is told, to be deleted."""
    more = dataclasses.replace(JOB, configuration=configuration(placements=[2, 2]))
    every = list(chunks.chunks(more))
    assert every[:2] == [Chunk(1, 1, 1), Chunk(1, 2, 2)]
    assert commit.committed(str(output), more) == set(UNITS)
    shared = {path for chunk in every for path in pack(output, chunk, more)}
    assert len(shared) == 4  # those of one foreground are of one chunk still
    LocalStorage().delete_files(shared)
    assert commit.listed(str(output), more) == (set(UNITS), [])
    assert len(files(output)) == 10


def test_a_reader_that_remembers_old_packs_looks_again(output):
    unit = UNITS[0]
    assert commit.read(str(output), JOB, unit) == record(unit)
    path = the_pack(output, 1, 1)
    path.rename(path.with_name("fg_1-2.0123456789ab.jsonl"))  # as if packed anew elsewhere
    assert commit.read(str(output), JOB, unit) == record(unit)
    chunk = commit.of_chunk(str(output), JOB, Chunk(1, 1, 2))
    renamed = path.with_name("fg_1-2.0123456789ab.jsonl")
    renamed.rename(path)
    assert chunk.read(unit) == record(unit)


def test_identities_are_those_of_single_records(output):
    pack_ = packed.open_pack(str(the_pack(output, 1, 1)))
    for unit, entry in pack_.entries.items():
        assert entry.identity == jobs.unit_identity(JOB, unit)
