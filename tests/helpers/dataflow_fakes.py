"""Stand-ins for Google Cloud on this machine: Cloud Storage, and Dataflow's jobs service."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BUCKET = "fgbg-dataflow"
JOB_ID = "2026-11-22_01_02_03-4567"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_port(port: int, seconds: float = 30) -> None:
    """Waits until somebody listens on a port of this machine."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


@pytest.fixture(scope="module")
def cloud_storage() -> Iterator[str]:
    """The address of a running emulator of Cloud Storage with one empty bucket."""
    pytest.importorskip("gcp_storage_emulator", reason="gcp-storage-emulator is not installed")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1",
         f"--port={port}", "--in-memory", f"--default-bucket={BUCKET}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for_port(port)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def bucket(cloud_storage: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The bucket's path, for this process and those that it starts; no credentials are sought."""
    from apache_beam.internal.gcp import auth

    from fgbg.files import storage

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage)
    monkeypatch.setattr(auth._Credentials, "_credentials_init", True)
    storage.forget_client()
    return f"gs://{BUCKET}"


def upload_inputs(inputs: Path, bucket: str) -> list[str]:
    """Puts the small inputs into the bucket. Gives their options."""
    from fgbg.files import storage

    store = storage.storage_for(bucket)
    for path in sorted(inputs.rglob("*.png")):
        store.write(f"{bucket}/in/{path.relative_to(inputs).as_posix()}", path.read_bytes())
    return [f"--backgrounds={bucket}/in/bg", f"--foregrounds={bucket}/in/fg"]


class JobsService:
    """Dataflow's jobs service, as far as a client that launches one job sees it.

    Attributes:
        requests: Method and path of every request, in order.
        job: The job as it was sent; empty before.
        states: The states that a job goes through, one for each time it is asked for.
        refusal: HTTP status and message to answer a job with, or None to take it.
    """

    def __init__(self, states: list[str], refusal: tuple[int, str] | None = None) -> None:
        self.requests: list[tuple[str, str]] = []
        self.job: dict[str, Any] = {}
        self.states = list(states)
        self.refusal = refusal
        self.metrics: dict[str, Any] = {
            "samples": 36,
            "units_done": 12,
            "depth_microseconds": 2_500_000,
            "units_with_depth_on_Tesla_T4": 12,
            "depth_batch_size": {"count": 24, "min": 1, "max": 2, "sum": 36},
        }
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.requests.append(("POST", self.path.partition("?")[0]))
                if service.refusal:
                    code, message = service.refusal
                    self._answer({"error": {"code": code, "message": message}}, code)
                    return
                service.job = json.loads(body)
                self._answer(service.described())

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                service.requests.append(("GET", path))
                if path.endswith("/metrics"):
                    self._answer(service.described_metrics())
                elif path.endswith("/messages"):
                    self._answer({})
                elif re.search(r"/jobs/[^/]+$", path):
                    if len(service.states) > 1:
                        service.states.pop(0)
                    self._answer(service.described())
                else:
                    self._answer({"error": {"code": 404, "message": path}}, 404)

            def _answer(self, content: dict[str, Any], code: int = 200) -> None:
                data = json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """What --dataflow_endpoint is to be."""
        return f"http://localhost:{self._server.server_address[1]}"

    def close(self) -> None:
        """Ends the service."""
        self._server.shutdown()
        self._server.server_close()

    def described(self) -> dict[str, Any]:
        """The job as the service tells it."""
        return {
            "id": JOB_ID,
            "name": self.job.get("name", ""),
            "projectId": "fgbg-project",
            "clientRequestId": self.job.get("clientRequestId", ""),
            "currentState": self.states[0],
        }

    def described_metrics(self) -> dict[str, Any]:
        """The counters, each twice as the service has them: committed and tentative."""
        updates = []
        for name, value in self.metrics.items():
            for context in ({}, {"tentative": "true"}):
                updates.append(
                    {
                        "name": {
                            "origin": "user",
                            "name": name,
                            "context": {"namespace": "fgbg", "step": "s7", **context},
                        },
                        "distribution" if isinstance(value, dict) else "scalar": value,
                    }
                )
        return {"metrics": updates}
