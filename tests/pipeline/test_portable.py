"""The main job on a portable runner whose workers are processes of their own: nothing that a step
needs may come from the memory of the process that built the graph."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.helpers.data_sets import ROOT, arguments, fgbg, make_in_process, tree
from tests.helpers.dataflow_fakes import free_port, wait_for_port


@pytest.fixture(scope="module")
def worker_pool(tmp_path_factory) -> Iterator[str]:
    """The address of a pool that starts a worker process for whoever asks, from another folder."""
    port = free_port()
    folder = tmp_path_factory.mktemp("pool")
    # The pool starts its workers as "python".
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main",
             f"--service_port={port}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
            start_new_session=True,
            stdout=log,
            stderr=log,
        )  # fmt: skip
    wait_for_port(port)
    yield f"localhost:{port}"
    os.killpg(process.pid, signal.SIGTERM)  # the pool and the workers that it started
    process.wait()


@pytest.mark.parametrize(
    "more", [(), ("--format", "tfrecord", "--shards", "4")], ids=["jpg", "tfrecord"]
)
def test_workers_of_their_own_make_the_same_data_set(
    more, worker_pool, small_inputs, small_data_set, tmp_path
):
    wanted = make_in_process(small_inputs, tmp_path / "here", *more) if more else small_data_set
    output = tmp_path / "set"
    result = fgbg(
        *arguments(small_inputs, output, *more),
        "--runner=PortableRunner",
        "--job_endpoint=embed",
        "--environment_type=EXTERNAL",
        f"--environment_config={worker_pool}",
    )
    assert result.returncode == 0, result.stderr
    assert "12 of 12 units are done" in result.stderr
    assert tree(output) == tree(wanted)
