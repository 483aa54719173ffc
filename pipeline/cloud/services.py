"""Services that a job needs, asked whether they are there: within seconds, and in one line."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.parse

from fgbg.pipeline.exit_codes import UserError

# A service that is silent for so long, in seconds, is not there.
PATIENCE_S = 5.0


def connect(what: str, place: str, port: int | None = None, advice: str = "") -> None:
    """Raises a UserError if nobody listens at HOST:PORT, or HOST with a port that is usual."""
    parts = urllib.parse.urlparse(f"//{place}")
    try:
        port = parts.port or port
    except ValueError:
        port = None
    if not parts.hostname or not port:
        raise UserError(f"{what}: HOST:PORT is expected{advice}")
    problem = _problem(parts.hostname, port)
    if problem:
        raise UserError(f"{what}: nobody answers there: {problem}{advice}")


def _problem(host: str, port: int) -> str | None:
    """Why no connection comes about; None where it does.

    In a thread: a name server whose packets are dropped is asked for longer than anybody waits,
    and a name may have many addresses, each of which takes the whole time.
    """
    found: list[str | None] = []

    def attempt() -> None:
        try:
            with contextlib.closing(socket.create_connection((host, port), PATIENCE_S)):
                found.append(None)
        except (OSError, ValueError) as error:  # the latter of names that are none
            found.append(getattr(error, "strerror", None) or str(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(PATIENCE_S + 1)
    return found[0] if found else "timed out"


def address(what: str, where: str, advice: str = "") -> None:
    """Raises a UserError for what is no address, or one at which nobody answers."""
    parts = urllib.parse.urlparse(where)
    if not parts.scheme or not parts.hostname:
        raise UserError(f"{what}: no such file, and no address{advice}")
    port = {"http": 80, "https": 443, "spark": 7077}.get(parts.scheme)
    connect(what, parts.netloc, port, advice)


def job_service(what: str, endpoint: str) -> None:
    """Raises a UserError if no job service of Beam answers at an endpoint."""
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    connect(what, endpoint)
    with grpc.insecure_channel(endpoint) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=PATIENCE_S)
            stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
            stub.DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=PATIENCE_S
            )
        except (grpc.FutureTimeoutError, grpc.RpcError) as error:
            told = error.details() if isinstance(error, grpc.Call) else ""
            raise UserError(
                f"{what}: somebody listens there, but no job service of Beam answers"
                f"{': ' + ' '.join(told.split()) if told else ''}; give the job server's --job-port"
            ) from error
