"""Killed while blocks are made, joined or removed: nothing is lost, doubled or half-written."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fgbg.files.storage import LocalStorage
from fgbg.pipeline.__main__ import main
from fgbg.transforms.records import shards
from tests.helpers.data_sets import ROOT, arguments, job_of, make_in_process, tree, without_workers
from tests.helpers.killing import commits, descendants, gone, start, wait_for
from tests.helpers.tfrecord_sets import records_by_name, rows, shard_files

# 3 * 2 * 2 units of 120 samples in 6 shards.
MANY = ("--placements", "120", "--format", "tfrecord", "--shards", "6")
FEW = ("--format", "tfrecord", "--shards", "4")


@pytest.fixture(scope="module")
def undisturbed(small_inputs, tmp_path_factory) -> Path:
    return make_in_process(small_inputs, tmp_path_factory.mktemp("calm") / "set", *MANY)


@pytest.fixture(scope="module")
def few(small_inputs, tmp_path_factory) -> Path:
    return make_in_process(small_inputs, tmp_path_factory.mktemp("few") / "set", *FEW)


def every_shard_is_whole(output: Path, whole: Path) -> None:
    """What stands under a shard's name, at whatever moment, is all of it."""
    for path in shard_files(output):
        assert path.read_bytes() == (whole / "tfrecord" / path.name).read_bytes()


def blocks(output: Path) -> int:
    return sum(1 for _ in (output / "_work" / "blocks").glob("*/*/*.tfrecord"))


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(6))
def test_sigkill_then_resume_gives_the_same_bytes(moment, small_inputs, undisturbed, tmp_path):
    output = tmp_path / "set"
    command = arguments(small_inputs, output, *MANY, "--workers", "2")
    process = start(*command)
    chance = random.Random(moment)
    wait_for(lambda: (output / "_work").exists())
    # While units are made; when the plan is stored; after the first and the fourth shard.
    if moment in (1, 2):
        wait_for(lambda: commits(output) >= 4 * moment or process.poll() is not None)
    elif moment == 3:
        wait_for(lambda: (output / "_work/shards/plan.json").exists() or process.poll() is not None)
    elif moment > 3:
        count = 1 if moment == 4 else 4
        wait_for(lambda: len(shard_files(output)) >= count or process.poll() is not None)
    time.sleep(chance.uniform(0, 0.02 if moment > 2 else 0.2))
    workers = descendants(process.pid)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    wait_for(lambda: gone(workers), 20)
    every_shard_is_whole(output, undisturbed)
    with without_workers():
        assert main(command) == 0
    assert tree(output) == tree(undisturbed)


def test_a_worker_killed_while_joining_is_survived(
    small_inputs, undisturbed, tmp_path, monkeypatch
):
    mark = tmp_path / "killed"
    monkeypatch.setenv("FGBG_TEST_MARK", str(mark))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    output = tmp_path / "set"
    script = (
        "import sys, fgbg.pipeline.workers.processes as p; "
        "p._PRELOAD = ['tests.helpers.joining_worker']; "
        "from fgbg.pipeline.__main__ import main; "
        "__name__ == '__main__' and sys.exit(main(sys.argv[1:]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments(small_inputs, output, *MANY, "--workers", "2")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert mark.exists()
    assert result.returncode == 0, result.stderr
    assert tree(output) == tree(undisturbed)


class Killed(BaseException):
    """Nothing catches it: the process is gone, as far as the disk can tell."""


# What joining and removing blocks does to the disk, step by step.
STEPS = ("write_atomically", "concatenate", "delete_files", "delete")


def killed_at(count: int, after: bool, monkeypatch) -> list[str]:
    """Ends the run at the count-th step of joining, before it or right after it."""
    done: list[str] = []

    def watch(name: str, original: Callable) -> None:
        def step(self, *given) -> None:
            done.append(name)
            if len(done) == count and not after:
                raise Killed
            original(self, *given)
            if len(done) == count and after:
                raise Killed

        monkeypatch.setattr(LocalStorage, name, step)

    for name in STEPS:
        watch(name, getattr(LocalStorage, name))
    return done


def join_all(output: Path) -> None:
    for name in shards.prepare(str(output)):
        shards.join(str(output), shards.read_plan(str(output)), name)
    shards.finish(str(output))


def unjoined(few: Path, output: Path) -> Path:
    """The data set as it was before its blocks were joined."""
    shutil.copytree(few, output)
    plan = shards.read_plan(str(output))
    for shard in plan.shards:
        data = (output / shard.path).read_bytes()
        for block in shard.blocks:
            path = Path(shards.block_path(str(output), job_of(output), block.unit))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[: block.bytes])
            data = data[block.bytes :]
    shutil.rmtree(output / "tfrecord")
    shutil.rmtree(output / "_work" / "shards")
    for name in ("manifest.parquet", "generation.json", "README.md"):
        (output / name).unlink()
    return output


def test_killed_at_every_step_of_joining(small_inputs, few, tmp_path, in_process):
    expected = tree(few)
    with pytest.MonkeyPatch.context() as patch:
        steps = len(_steps_of(unjoined(few, tmp_path / "counted"), patch))
    assert steps >= 14
    for count in range(1, steps + 1):
        for after in (False, True):
            output = unjoined(few, tmp_path / f"{count}{after}")
            with pytest.MonkeyPatch.context() as patch:
                killed_at(count, after, patch)
                with pytest.raises(Killed):
                    join_all(output)
            every_shard_is_whole(output, few)
            assert shards.forget_lost(str(output), job_of(output)) == set()
            join_all(output)
            assert {p.name: p.read_bytes() for p in shard_files(output)} == {
                p.name: p.read_bytes() for p in shard_files(few)
            }
            assert not (output / "_work" / "blocks").exists()
            if count in (3, steps):  # all of the command, where it takes its time
                assert main(arguments(small_inputs, output, *FEW)) == 0
                assert tree(output) == expected


def _steps_of(output: Path, patch: pytest.MonkeyPatch) -> list[str]:
    done = killed_at(-1, False, patch)
    join_all(output)
    return done


def test_killed_in_the_middle_of_an_append(few, tmp_path, monkeypatch):
    output = unjoined(few, tmp_path / "set")

    def half(source, target, length) -> None:
        target.write(source.read()[:100])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", half)
        with pytest.raises(Killed):
            join_all(output)
    assert not shard_files(output)
    join_all(output)
    every_shard_is_whole(output, few)
    assert len(shard_files(output)) == 4
    assert not (output / "_work" / "joining").exists()


def test_killed_in_the_middle_of_removing_blocks(few, tmp_path, monkeypatch):
    output = unjoined(few, tmp_path / "set")

    def half(self, paths) -> None:
        os.remove(next(iter(paths)))
        raise Killed

    before = blocks(output)
    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "delete_files", half)
        with pytest.raises(Killed):
            join_all(output)
    assert blocks(output) == before - 1
    assert shards.forget_lost(str(output), job_of(output)) == set()
    join_all(output)
    every_shard_is_whole(output, few)
    assert len(shard_files(output)) == 4 and blocks(output) == 0


def test_two_joiners_of_one_shard_do_no_harm(few, tmp_path, monkeypatch):
    # As when a runner starts a second attempt: the other has ended and removed the blocks.
    output = unjoined(few, tmp_path / "set")
    names = shards.prepare(str(output))
    plan = shards.read_plan(str(output))
    concatenate = LocalStorage.concatenate

    def other_first(self, *given) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(LocalStorage, "concatenate", concatenate)
            shards.join(str(output), plan, names[0])
        concatenate(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "concatenate", other_first)
        shards.join(str(output), plan, names[0])
    join_all(output)
    every_shard_is_whole(output, few)


def test_a_killed_run_has_each_sample_once(small_inputs, few, tmp_path, in_process):
    output = unjoined(few, tmp_path / "set")
    assert main(arguments(small_inputs, output, *FEW)) == 0
    found = records_by_name(output)
    assert sorted(record.key for record in found.values()) == sorted(r["key"] for r in rows(output))
    assert tree(output) == tree(few)
