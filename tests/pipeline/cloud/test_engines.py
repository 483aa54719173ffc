"""The main job on real engines, whose workers are processes of their own: the same bytes, whatever
happens on the way. Prism is built by Go; Flink needs Beam's job server, by Maven or
FGBG_FLINK_JOB_SERVER. What cannot be had is skipped with the reason.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from fgbg.transforms.job import commit
from fgbg.transforms.job.work_unit import WorkUnit
from tests.helpers import engine_runs
from tests.helpers.data_sets import ROOT, arguments, fgbg, job_of, make_in_process, tree
from tests.helpers.killing import commits, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.engine]
# Long enough to be met in the middle, on two cores and with two workers.
LONG = ("--placements", "250", "--size", "128")
LOST = WorkUnit(2, 1, False, 0)


@pytest.fixture(scope="module", params=["prism", "flink"])
def engine(request, tmp_path_factory):
    yield from engine_runs.running(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def long_set(small_inputs, tmp_path_factory):
    return make_in_process(small_inputs, tmp_path_factory.mktemp("long") / "set", *LONG)


def begun(command):
    """Starts a command, and waits until it has made something."""
    process = start(*command)
    output = command[command.index("--output") + 1]
    wait_for(lambda: commits(Path(output)) > 0 or process.poll() is not None, 90)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.parametrize(
    "more", [(), ("--format", "tfrecord", "--shards", "4")], ids=["jpg", "tfrecord"]
)
def test_the_same_bytes_and_the_same_closing_lines(
    more, engine, small_inputs, small_data_set, tmp_path
):
    wanted = make_in_process(small_inputs, tmp_path / "here", *more) if more else small_data_set
    output = tmp_path / "set"
    # Relative: the workers have another working folder.
    result = fgbg(*arguments(small_inputs, os.path.relpath(output, ROOT), *more), *engine.options)
    assert result.returncode == 0, result.stderr
    assert f"Workers elsewhere write to {output}" in result.stderr
    assert "12 of 12 units are done" in result.stderr
    assert "  samples 36\n" in result.stderr and "  units_done 12\n" in result.stderr
    assert "36 samples (32x32)" in result.stdout and "index.html" in result.stdout
    assert tree(output) == tree(wanted)
    again = fgbg(*arguments(small_inputs, output, *more), *engine.options)
    assert again.returncode == 0 and "nothing to do" in again.stderr


def test_both_task_managers_work(engine, small_inputs, tmp_path):
    if engine.cluster is None:
        pytest.skip("Prism has one worker a job")
    assert fgbg(*arguments(small_inputs, tmp_path / "set"), *engine.options).returncode == 0
    job = engine.cluster.rest("jobs/overview")["jobs"][-1]["jid"]
    hosts = set()
    for vertex in engine.cluster.rest(f"jobs/{job}")["vertices"]:
        managers = engine.cluster.rest(f"jobs/{job}/vertices/{vertex['id']}/taskmanagers")
        hosts |= {entry["taskmanager-id"] for entry in managers["taskmanagers"]}
    assert len(hosts) == 2
    for number in (1, 2):
        assert "switched from INITIALIZING to RUNNING" in engine.log(f"taskmanager{number}")


def test_a_unit_fails_as_in_a_local_run(engine, small_inputs, small_data_set, tmp_path):
    told = {}
    for name, more in (("here", []), ("away", engine.options)):
        output = tmp_path / name / "set"
        shutil.copytree(small_data_set, output)
        commit.withdraw(str(output), job_of(output), [LOST])
        overlay = output / "bg2" / "fg_1" / "overlay" / "1.jpg"
        overlay.unlink()
        overlay.mkdir()  # no picture can be written there
        result = fgbg(*arguments(small_inputs, output), *more)
        assert result.returncode == 1, result.stderr
        assert "1 units failed" in result.stdout and "Traceback" not in result.stderr
        errors = (output / "errors.jsonl").read_text()
        told[name] = errors.replace(str(output), "OUT")
        overlay.rmdir()
        result = fgbg(*arguments(small_inputs, output), *more)
        assert result.returncode == 0, result.stderr
        assert tree(output) == tree(small_data_set)
    assert told["here"] == told["away"]


def test_a_killed_worker_pool_costs_no_bytes(engine, small_inputs, long_set, tmp_path):
    command = [*arguments(small_inputs, tmp_path / "set", *LONG), *engine.options]
    process = begun(command)
    engine.kill_pool()
    told = process.communicate(timeout=120)
    engine.start_pool()
    assert process.returncode == 1, told
    assert "the job failed" in told[1] and "Traceback" not in told[1]
    assert 0 < commits(tmp_path / "set") < 12
    result = fgbg(*command)
    assert result.returncode == 0, result.stderr
    assert "Resuming: " in result.stderr
    assert tree(tmp_path / "set") == tree(long_set)


def test_a_killed_task_manager_costs_no_bytes(engine, small_inputs, long_set, tmp_path):
    if engine.cluster is None:
        pytest.skip("Prism has no task managers")
    command = [*arguments(small_inputs, tmp_path / "set", *LONG), *engine.options]
    process = begun(command)
    os.kill(engine_runs.servers.pids(engine.folder)["taskmanager2"], signal.SIGKILL)
    process.communicate(timeout=120)
    engine.cluster.start_task_manager(engine.jars, 2)
    wait_for(lambda: engine.cluster.overview().get("slots-total") == 2)
    result = fgbg(*command)
    assert result.returncode == 0, result.stderr
    assert tree(tmp_path / "set") == tree(long_set)


def test_ctrl_c_cancels_the_job_and_this_machine_finishes_it(
    engine, small_inputs, long_set, tmp_path
):
    command = arguments(small_inputs, tmp_path / "set", *LONG)
    process = begun([*command, *engine.options])
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "The job on the engine is CANCELLED." in told and "interrupted" in told
    assert "Traceback" not in told and len(told.splitlines()) < 12
    assert "CANCELLED" in engine_runs.states(engine.job_port)
    if engine.cluster is not None:
        jobs = engine.cluster.rest("jobs/overview")["jobs"]
        assert "CANCELED" in {job["state"] for job in jobs}
    time.sleep(3)  # a worker may still end what it was at
    assert commits(tmp_path / "set") < 12
    result = fgbg(*command)
    assert result.returncode == 0, result.stderr
    assert tree(tmp_path / "set") == tree(long_set)


def test_the_engine_finishes_what_this_machine_began(engine, small_inputs, long_set, tmp_path):
    output = tmp_path / "set"
    shutil.copytree(long_set, output)
    job = job_of(output)
    commit.withdraw(str(output), job, [job.unit_at(number) for number in range(3, 12)])
    (output / "generation.json").unlink()
    result = fgbg(*arguments(small_inputs, output, *LONG), *engine.options)
    assert result.returncode == 0, result.stderr
    assert "Resuming: 750 of 3,000 samples are there." in result.stderr
    assert "  units_skipped 3\n" in result.stderr and "  units_done 9\n" in result.stderr
    assert tree(output) == tree(long_set)


def test_a_hundred_thousand_samples_add_up(engine, small_inputs, tmp_path):
    if not os.environ.get("FGBG_TEST_MANY"):
        pytest.skip("asked for by FGBG_TEST_MANY=1: takes minutes")
    more = ("--placements", "8334", "--format", "tfrecord")
    command = arguments(small_inputs, tmp_path / "set", *more)
    result = fgbg(*command, *engine.options, timeout=600)
    assert result.returncode == 0, result.stderr
    print(result.stderr, result.stdout)
    assert "  samples 100,008\n" in result.stderr and "  units_done 12\n" in result.stderr
    assert re.search(r"[\d,]+ of 100,008 samples", result.stderr)
    assert "100,008 samples (32x32)" in result.stdout


@pytest.mark.parametrize("runner", ["FnApiRunner", "LOOPBACK"])
def test_ctrl_c_without_workers_elsewhere_ends_without_a_traceback(
    runner, small_inputs, long_set, tmp_path
):
    if runner == "LOOPBACK":
        prism = engine_runs._had(engine_runs.programs.prism)
        more = ["--runner=prism", f"--prism_location={prism}"]
    else:
        more = ["--runner=DirectRunner"]
    command = arguments(small_inputs, tmp_path / "set", *LONG)
    process = begun([*command, *more])
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Traceback" not in told and "interrupted" in told
    assert len(told.splitlines()) < 12, told
    result = fgbg(*command, *more)
    assert result.returncode == 0, result.stderr
    assert tree(tmp_path / "set") == tree(long_set)
