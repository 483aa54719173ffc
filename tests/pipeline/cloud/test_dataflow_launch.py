"""`fgbg generate --runner DataflowRunner` as a person runs it, against local stand-ins."""

from __future__ import annotations

import json
import logging
import time
import types

import pytest

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.cloud import dataflow
from fgbg.pipeline.exit_codes import INTERRUPTED, OK, SOME_FAILED, WRONG_USE
from tests.helpers.dataflow_fakes import (
    BUCKET,
    JOB_ID,
    JobsService,
    bucket,
    cloud_storage,
    upload_inputs,
)
from tests.helpers.dataflow_graphs import IMAGE, OFFLINE, network_file

__all__ = ["bucket", "cloud_storage"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The runner asks for the state every five seconds; here the answers are there at once."""
    from apache_beam.runners.dataflow import dataflow_runner

    clock = types.SimpleNamespace(time=time.time, sleep=lambda seconds: time.sleep(0.05))
    monkeypatch.setattr(dataflow_runner, "time", clock)
    logging.getLogger("apache_beam").setLevel(logging.ERROR)


@pytest.fixture
def service():
    """A jobs service whose job runs, and is done when asked again."""
    running = JobsService(["JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_DONE"])
    yield running
    running.close()


def command(bucket: str, small_inputs, name: str, *more: str) -> list[str]:
    """A job of the small inputs, from and to the bucket."""
    sources = upload_inputs(small_inputs, bucket)
    settings = ["--size=32", "--placements=3", "--depth_model=none"]
    return ["generate", *sources, f"--output={bucket}/{name}", *settings, *more]


def make_elsewhere(data_set, output: str) -> None:
    """What workers would have left when the job is done: the stored job and commit records."""
    from fgbg.files import storage

    store = storage.storage_for(output)
    for path in (data_set / "_work").rglob("*.json"):
        store.write(f"{output}/{path.relative_to(data_set).as_posix()}", path.read_bytes())


def test_a_job_is_launched_watched_and_reported(
    bucket, small_inputs, small_data_set, service, capsys
):
    line = command(bucket, small_inputs, "launched")
    make_elsewhere(small_data_set, f"{bucket}/launched")
    code = main([*line, *OFFLINE, f"--dataflow_endpoint={service.endpoint}"])
    said = capsys.readouterr().err
    assert code == OK, said
    assert f"Job {JOB_ID} is RUNNING" in said
    assert f"gcloud dataflow jobs cancel {JOB_ID} --project=fgbg-project" in said
    assert "The job has ended: DONE" in said
    assert "samples 36" in said and "units_done 12" in said
    assert "12 of 12 units are done" in said


def test_what_8_bit_depth_loses_is_told(bucket, small_inputs, service, capsys, monkeypatch):
    from fgbg.transforms.dataset import generation

    depth = {"format": "jpg", "metres_per_level": 10 / 255, "range_m": 10.0, "levels_median": 37}
    names = ("samples", "units", "units_failed", "empty_masks")
    content = {"counts": dict.fromkeys(names, 0), "bytes": {}, "depth": depth}
    monkeypatch.setattr(generation, "read", lambda output: content)
    endpoint = f"--dataflow_endpoint={service.endpoint}"
    main([*command(bucket, small_inputs, "coarse"), *OFFLINE, endpoint])
    assert "8-bit depth is in steps of 39.2 mm" in capsys.readouterr().out


def test_the_jobs_metrics_are_told(bucket, small_inputs, service, capsys):
    endpoint = f"--dataflow_endpoint={service.endpoint}"
    main([*command(bucket, small_inputs, "counted"), *OFFLINE, endpoint])
    said = capsys.readouterr().err
    assert "  depth 2.5 s\n" in said
    assert "  units_with_depth_on_Tesla_T4 12\n" in said
    assert "  depth_batch_size 1 to 2, 1.5 on average\n" in said


def test_the_job_names_the_image_and_stages_beside_the_data_set(bucket, small_inputs, service):
    endpoint = f"--dataflow_endpoint={service.endpoint}"
    main([*command(bucket, small_inputs, "staged"), *OFFLINE, endpoint])
    environment = service.job["environment"]
    (pool,) = environment["workerPools"]
    assert {i["containerImage"] for i in pool["sdkHarnessContainerImages"]} == {IMAGE}
    assert environment["tempStoragePrefix"].startswith(
        f"storage.googleapis.com/{BUCKET}/staged/_work/dataflow"
    )
    assert service.job["name"].startswith("fgbg-staged-")
    assert pool["diskSizeGb"] == dataflow.DISK_GB


def test_a_job_with_a_gpu_carries_machine_and_network(bucket, small_inputs, service, tmp_path):
    from fgbg.files import storage

    network = str(network_file(tmp_path / "net.keras"))
    line = command(bucket, small_inputs, "deep", f"--depth_model={network}", "--gpu=t4")
    main([*line, *OFFLINE, f"--dataflow_endpoint={service.endpoint}"])
    (pool,) = service.job["environment"]["workerPools"]
    assert "machineType" not in pool and pool["numThreadsPerWorker"] == 1
    stored = list(storage.storage_for(bucket).walk(f"{bucket}/deep/_work/depth_model"))
    assert [name.rpartition("/")[2] for name in stored] == ["net.keras"]


def test_a_job_that_says_done_is_not_believed(bucket, small_inputs, service, capsys):
    """What counts are commit records."""
    endpoint = f"--dataflow_endpoint={service.endpoint}"
    assert main([*command(bucket, small_inputs, "unmade"), *OFFLINE, endpoint]) == SOME_FAILED
    assert "0 of 12 units are done" in capsys.readouterr().err


def test_a_failed_job_is_no_stack_trace(bucket, small_inputs, capsys):
    service = JobsService(["JOB_STATE_FAILED"])
    endpoint = f"--dataflow_endpoint={service.endpoint}"
    code = main([*command(bucket, small_inputs, "failed"), *OFFLINE, endpoint])
    service.close()
    said = capsys.readouterr().err
    assert code == SOME_FAILED
    assert "the same command resumes" in said and "Traceback" not in said


def test_a_refused_job_is_told_with_where_to_look(bucket, small_inputs, capsys):
    service = JobsService(["JOB_STATE_DONE"], refusal=(403, "dataflow.jobs.create denied"))
    endpoint = f"--dataflow_endpoint={service.endpoint}"
    code = main([*command(bucket, small_inputs, "refused"), *OFFLINE, endpoint])
    service.close()
    said = capsys.readouterr().err
    assert code == WRONG_USE
    assert "dataflow.jobs.create denied" in said and "docs/dataflow.md" in said


def objects(folder: str) -> dict[str, bytes]:
    """What lies in a folder of the bucket, but for what Beam stages there."""
    from fgbg.files import storage

    store = storage.storage_for(folder)
    names = [n for n in store.walk(folder) if not n.startswith("_work/dataflow/")]
    return {name: store.read(f"{folder}/{name}") for name in names}


@pytest.mark.parametrize("code", [400, 403, 429])
def test_a_refused_job_costs_nothing_of_what_is_there(
    code, bucket, small_inputs, small_data_set, tmp_path, capsys
):
    name = f"kept{code}"
    line = command(bucket, small_inputs, name, "--overwrite", "--seed=5")
    make_elsewhere(small_data_set, f"{bucket}/{name}")
    before = objects(f"{bucket}/{name}")
    service = JobsService(["JOB_STATE_DONE"], refusal=(code, "no quota for that"))
    network = f"--depth_model={network_file(tmp_path / 'net.keras')}"
    exit_code = main([*line, network, *OFFLINE, f"--dataflow_endpoint={service.endpoint}"])
    service.close()
    said = capsys.readouterr().err
    assert exit_code == WRONG_USE, said
    assert "no quota for that" in said
    assert objects(f"{bucket}/{name}") == before
    assert main([*command(bucket, small_inputs, f"new{code}"), *OFFLINE, "--dry_run=True"]) == OK
    assert objects(f"{bucket}/new{code}") == {}


def test_an_accepted_job_waits_until_the_old_data_set_is_gone_and_the_new_one_stored(
    bucket, small_inputs, small_data_set, service, monkeypatch
):
    from fgbg.pipeline.commands import generate
    from fgbg.transforms.job import job as jobs

    output = f"{bucket}/replaced"
    line = command(bucket, small_inputs, "replaced", "--overwrite", "--seed=5")
    make_elsewhere(small_data_set, output)
    at_deletion = []
    delete = generate.delete

    def watched(folder: str) -> None:
        at_deletion.append((len(service.job), set(objects(folder))))
        delete(folder)

    monkeypatch.setattr(generate, "delete", watched)
    main([*line, *OFFLINE, f"--dataflow_endpoint={service.endpoint}"])
    ((accepted, there),) = at_deletion
    assert accepted, "the job was not handed in before the deletion"
    assert {jobs.LAUNCHING, jobs.LEASE} <= there
    after = objects(output)
    assert jobs.LAUNCHING not in after and not any("commits/" in name for name in after)
    assert b'"seed": 5' in after[jobs.JOB_FILE]
    assert "backgrounds/bg1.jpg" in after


def test_a_job_whose_inputs_cannot_be_stored_is_cancelled(
    bucket, small_inputs, service, monkeypatch
):
    from apache_beam.runners.dataflow.dataflow_runner import DataflowPipelineResult

    from fgbg.pipeline.data_set import request
    from fgbg.pipeline.exit_codes import UserError
    from fgbg.transforms.job import job as jobs

    def changed(asked_for: object) -> None:
        raise UserError("an input changed")

    cancelled = []
    monkeypatch.setattr(request, "store", changed)
    monkeypatch.setattr(DataflowPipelineResult, "cancel", lambda self: cancelled.append(self))
    line = command(bucket, small_inputs, "unstored")
    assert main([*line, *OFFLINE, f"--dataflow_endpoint={service.endpoint}"]) == WRONG_USE
    assert cancelled and set(objects(f"{bucket}/unstored")) == {jobs.LAUNCHING}


def test_ctrl_c_leaves_the_job_running_and_says_so(
    bucket, small_inputs, service, capsys, monkeypatch
):
    from apache_beam.runners.dataflow.dataflow_runner import DataflowPipelineResult

    def interrupt(self, duration=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(DataflowPipelineResult, "wait_until_finish", interrupt)
    endpoint = f"--dataflow_endpoint={service.endpoint}"
    code = main([*command(bucket, small_inputs, "watched"), *OFFLINE, endpoint])
    said = capsys.readouterr().err
    assert code == INTERRUPTED
    assert "The job goes on" in said and "jobs cancel" in said


def test_a_template_is_written_and_nothing_waited_for(
    bucket, small_inputs, service, tmp_path, capsys
):
    path = tmp_path / "job_object"
    code = main(
        [
            *command(bucket, small_inputs, "template"),
            *OFFLINE,
            f"--template_location={path}",
            f"--dataflow_endpoint={service.endpoint}",
        ]
    )
    assert code == OK
    assert f"The job's graph is written: {path}" in capsys.readouterr().err
    assert json.loads(path.read_text())["environment"]["workerPools"]
    assert not service.requests


def test_a_dry_run_translates_and_makes_no_job(bucket, small_inputs, capsys):
    code = main([*command(bucket, small_inputs, "dry"), *OFFLINE, "--dry_run=True"])
    assert code == OK
    assert "no job was made" in capsys.readouterr().err


def test_a_network_of_this_machine_is_put_where_workers_find_it(bucket, small_inputs, tmp_path):
    from fgbg.files import storage
    from fgbg.models import network_files
    from fgbg.models.depth import depth_card

    path = str(network_file(tmp_path / "net.keras"))
    model = depth_card.inspect(path)
    published = dataflow.publish_depth_model(f"{bucket}/set", path, model)
    assert published is not None and published.startswith(f"{bucket}/set/_work/depth_model/")
    assert storage.storage_for(published).read(published) == (tmp_path / "net.keras").read_bytes()
    assert network_files.on_this_machine(published, model).endswith("net.keras")
