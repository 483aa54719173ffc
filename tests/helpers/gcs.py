"""gs:// by the real client library, against an emulator in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fgbg.files import storage
from fgbg.files.cloud_storage import TIMEOUT_VARIABLE
from tests.helpers.faulty_proxy import FaultyProxy

BUCKET = "fgbg-test"
STALL_S, TIMEOUT_S = 2.0, 1.2


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """The address of a running emulator with one empty bucket."""
    pytest.importorskip("gcp_storage_emulator", reason="gcp-storage-emulator is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1",
         f"--port={port}", "--in-memory", f"--default-bucket={BUCKET}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def bucket(emulator, monkeypatch) -> str:
    """The bucket's path, in this process and in those that it starts."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    storage.forget_client()
    return f"gs://{BUCKET}"


def download(path: str, target: Path) -> Path:
    store = storage.storage_for(path)
    for name in store.walk(path):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(store.read(f"{path}/{name}"))
    return target


@pytest.fixture
def proxy(emulator, monkeypatch) -> Iterator[FaultyProxy]:
    with FaultyProxy(emulator, page_size=5) as made:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", made.url)
        storage.forget_client()
        yield made
    storage.forget_client()


def upload(local: Path, path: str) -> str:
    if local.is_dir():
        put(local, path)
    else:
        storage.storage_for(path).write(path, local.read_bytes())
    return path


def put(folder: Path, target: str) -> None:
    store = storage.storage_for(target)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            store.write(f"{target}/{path.relative_to(folder).as_posix()}", path.read_bytes())


@pytest.fixture
def spoilt(emulator, monkeypatch) -> Iterator[Callable[[int], FaultyProxy]]:
    """Puts a proxy that spoils requests before the emulator, for this process' client."""
    proxies = []

    def start(seed: int) -> FaultyProxy:
        proxies.append(FaultyProxy(emulator, seed, STALL_S).__enter__())
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxies[-1].url)
        monkeypatch.setenv(TIMEOUT_VARIABLE, str(TIMEOUT_S))
        storage.forget_client()
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.__exit__(None, None, None)
    storage.forget_client()
