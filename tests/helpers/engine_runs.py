"""An engine with workers of their own, for the tests of one module: its servers and options."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.data_sets import ROOT
from tests.helpers.killing import descendants
from tools.engines import flink, programs, servers


@dataclasses.dataclass
class Engine:
    """An engine that runs.

    Attributes:
        name: "prism" or "flink".
        folder: Where its logs and pids are.
        job_port: Where its job service listens.
        pool_port: Where its pool of workers listens.
        cluster: Of Flink; None of Prism.
        jars: Flink's.
    """

    name: str
    folder: Path
    job_port: int
    pool_port: int
    cluster: flink.Cluster | None = None
    jars: Path | None = None

    @property
    def options(self) -> list[str]:
        """What has a job run there."""
        return [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{self.job_port}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{self.pool_port}",
            *([f"--parallelism={flink.TASK_MANAGERS}"] if self.cluster else []),
        ]

    def workers(self) -> list[int]:
        """The processes that the pool has started."""
        return descendants(servers.pids(self.folder)["pool"])

    def kill_pool(self) -> None:
        """Kills the pool and its workers, without a warning to anybody."""
        pool = servers.pids(self.folder)["pool"]
        for pid in [pool, *descendants(pool)]:
            os.kill(pid, signal.SIGKILL)

    def start_pool(self) -> None:
        servers.start_pool(self.folder, "pool", self.pool_port, ROOT)
        servers.wait_until(lambda: servers.listens(self.pool_port), "the worker pool")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")


def states(port: int) -> list[str]:
    """The states of all jobs that a job service knows, oldest first."""
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    with grpc.insecure_channel(f"localhost:{port}") as channel:
        stub: Any = beam_job_api_pb2_grpc.JobServiceStub(channel)
        jobs = stub.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=10).job_info
        return [
            beam_job_api_pb2.JobState.Enum.Name(
                stub.GetState(beam_job_api_pb2.GetJobStateRequest(job_id=job.job_id)).state
            )
            for job in jobs
        ]


def _had(program: Callable[[Path], Path]) -> Path:
    try:
        return program(programs.cache_folder())
    except programs.NotServedError as error:
        pytest.skip(str(error))


def running(name: str, folder: Path) -> Iterator[Engine]:
    """Starts an engine, or skips its tests with the reason; ends it after them."""
    if name == "flink":
        server = _had(programs.job_server)
        jars = _had(programs.flink)
        cluster = flink.Cluster(folder)
        try:
            cluster.start(jars, server)
            ports = cluster.ports
            yield Engine(name, folder, ports["job"], ports["pool"], cluster, jars)
        finally:
            cluster.stop()
        return
    binary = _had(programs.prism)
    engine = Engine(name, folder, servers.free_port(), servers.free_port())
    try:
        servers.start(
            folder, "prism", [str(binary), f"--job_port={engine.job_port}", "--serve_http=false"]
        )
        engine.start_pool()
        servers.wait_until(lambda: servers.listens(engine.job_port), "Prism")
        yield engine
    finally:
        servers.stop(folder)
