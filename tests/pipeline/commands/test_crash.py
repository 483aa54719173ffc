"""Killed at any moment, by whatever: nothing is lost, nothing is left half-made, nothing hangs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers.data_sets import ROOT, arguments, make_in_process, tree, without_workers
from tests.helpers.killing import commits, descendants, gone, start, wait_for

# Enough for a run to be caught in the middle: 3 * 2 * 2 units of 250 samples.
MANY = ("--placements", "250")


@pytest.fixture(scope="module")
def undisturbed(small_inputs, tmp_path_factory) -> Path:
    return make_in_process(small_inputs, tmp_path_factory.mktemp("calm") / "set", *MANY)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(5))
def test_sigkill_then_resume_gives_the_same_bytes(
    moment, small_inputs, undisturbed, tmp_path, capsys
):
    output = tmp_path / "set"
    command = arguments(small_inputs, output, *MANY, "--workers", "2")
    process = start(*command)
    # From before the first input is stored to the middle of the summary.
    chance = random.Random(moment)
    wait_for(lambda: (output / "_work").exists())
    if moment:
        wait_for(lambda: commits(output) >= 3 * (moment - 1) or process.poll() is not None)
    time.sleep(chance.uniform(0, 0.2))
    workers = descendants(process.pid)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    wait_for(lambda: gone(workers), 20)
    interrupted = commits(output)
    with without_workers():
        assert main(command) == 0
    assert tree(output) == tree(undisturbed)
    if 0 < interrupted < 12:
        assert "Resuming" in capsys.readouterr().err


def test_workers_end_when_their_launcher_is_killed(small_inputs, tmp_path):
    output = tmp_path / "set"
    process = start(*arguments(small_inputs, output, "--placements", "3000", "--workers", "2"))
    wait_for(lambda: commits(output) >= 1)
    workers = descendants(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.communicate(timeout=20)
    wait_for(lambda: gone(workers), 20)


def workers_of(launcher: subprocess.Popen) -> list[int]:
    """The processes that do the work: those with the task's threads, not the fork server."""
    below = descendants(launcher.pid)
    return [pid for pid in below if pid not in _direct(launcher.pid)]


def _direct(pid: int) -> list[int]:
    return [
        child
        for child in descendants(pid)
        if int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1]) == pid
    ]


def test_a_killed_worker_is_survived(small_inputs, undisturbed, tmp_path):
    output = tmp_path / "set"
    process = start(*arguments(small_inputs, output, *MANY, "--workers", "2"))
    wait_for(lambda: commits(output) >= 1)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert "A worker process died (SIGKILL" in errors
    assert tree(output) == tree(undisturbed)


def test_a_unit_that_kills_its_worker_every_time_is_reported(small_inputs, tmp_path, monkeypatch):
    # A decoder that takes the process down, as a bug in native code would.
    monkeypatch.setenv("FGBG_TEST_CRASH", "bg2/fg_1/mirrored_0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    output = tmp_path / "set"
    script = (
        "import sys, fgbg.pipeline.workers.processes as p; "
        "p._PRELOAD = ['tests.helpers.crashing_worker']; "
        "from fgbg.pipeline.__main__ import main; "
        "__name__ == '__main__' and sys.exit(main(sys.argv[1:]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments(small_inputs, output, "--workers", "2")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    (error,) = [json.loads(line) for line in (output / "errors.jsonl").read_text().splitlines()]
    assert error["unit"] == "bg2/fg_1/mirrored_0"
    assert "died 2 times" in error["reason"] and "SIGSEGV" in error["reason"]
    assert commits(output) == 11
    monkeypatch.delenv("FGBG_TEST_CRASH")
    with without_workers():
        assert main(arguments(small_inputs, output)) == 0
    assert commits(output) == 12


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(small_inputs, undisturbed, tmp_path):
    output = tmp_path / "set"
    command = arguments(small_inputs, output, *MANY, "--workers", "2")
    process = start(*command)
    wait_for(lambda: commits(output) >= 1)
    workers = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "the same command goes on from here" in errors
    assert "Traceback" not in errors
    wait_for(lambda: gone(workers), 20)
    assert main(command) == 0
    assert tree(output) == tree(undisturbed)


def test_two_runs_do_not_write_to_one_data_set(small_inputs, tmp_path, capsys):
    output = tmp_path / "set"
    process = start(*arguments(small_inputs, output, "--placements", "3000"))
    wait_for(lambda: commits(output) >= 1)
    second = main(arguments(small_inputs, output, "--placements", "3000"))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    assert second == 2
    assert "another fgbg is writing to it" in capsys.readouterr().err


def test_a_run_killed_before_its_summary_is_summarised_by_the_next(
    small_inputs, tmp_path, in_process
):
    # As if an extension had been killed when its last unit was done: the summary is older.
    output = make_in_process(small_inputs, tmp_path / "set", "--placements", "2")
    old = {
        name: (output / name).read_bytes()
        for name in ("generation.json", "manifest.parquet", "README.md")
    }
    make_in_process(small_inputs, output, "--placements", "3")
    expected = tree(output)
    for name, data in old.items():
        (output / name).write_bytes(data)
    assert main(arguments(small_inputs, output)) == 0
    assert tree(output) == expected


def test_overwrite_killed_half_way_never_counts_deleted_samples(
    small_inputs, tmp_path, monkeypatch, in_process
):
    from fgbg.files.storage import LocalStorage

    output = make_in_process(small_inputs, tmp_path / "set")
    delete = LocalStorage.delete

    def killed(self, path: str) -> None:
        if path.endswith("bg2"):
            raise KeyboardInterrupt
        delete(self, path)

    monkeypatch.setattr(LocalStorage, "delete", killed)
    assert main(arguments(small_inputs, output, "--overwrite")) == 130
    monkeypatch.undo()
    assert main(arguments(small_inputs, output)) == 0
    assert main(["verify", str(output)]) == 0
