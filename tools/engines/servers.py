"""Servers of an engine: started with logs and pids in one folder, and ended by it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# A server has so long to come up, and to end before it is killed, in seconds.
_UP_S = 60.0
_DOWN_S = 10.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    folder: Path, name: str, command: list[str], environment: dict[str, str] | None = None
) -> int:
    """Starts a server that outlives this process; FOLDER/NAME.log and .pid are its own.

    Returns:
        Its pid, which is that of its process group too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.log", "ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder / f"{name}.pid").write_text(str(process.pid))
    return process.pid


def start_pool(folder: Path, name: str, port: int, source: Path) -> int:
    """Starts a pool of Beam workers, which have fgbg of this Python.

    Args:
        folder: Of logs and pids.
        name: Its name there.
        port: Where it listens.
        source: A folder whose fgbg is to be used, for a checkout.
    """
    # The pool starts its workers as "python".
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    command = ["-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    return start(
        folder, name, [sys.executable, *command], {"PYTHONPATH": str(source), "PATH": path}
    )


def pids(folder: Path) -> dict[str, int]:
    """The servers of a folder that live, by name."""
    found = {}
    for path in sorted(folder.glob("*.pid")):
        pid = int(path.read_text())
        if _lives(pid):
            found[path.stem] = pid
    return found


def stop(folder: Path, name: str | None = None) -> None:
    """Ends one server of a folder, or all of them, with what they have started."""
    chosen = {n: pid for n, pid in pids(folder).items() if name in (None, n)}
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in chosen.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
        end = time.monotonic() + _DOWN_S
        while any(map(_lives, chosen.values())) and time.monotonic() < end:
            time.sleep(0.1)
    for path in folder.glob("*.pid"):
        if name in (None, path.stem):
            path.unlink()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = _UP_S) -> None:
    """Waits until a condition holds.

    Raises:
        TimeoutError: It does not.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not there after {seconds:g} s")
        time.sleep(0.1)


def listens(port: int) -> bool:
    """Whether somebody listens at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _lives(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # of our own: no zombie counts as living
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
