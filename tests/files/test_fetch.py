"""Downloads against real servers on the loopback that misbehave as scripted."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fgbg.files.fetch import (
    PUBLISHED,
    FetchError,
    cache_name,
    default_cache_dir,
    fetch,
    read_record,
)
from tests.helpers.fetch_server import CONTENT, CUT, OTHER, SHA, Handler, Server, serve, status

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def get(server: Server, tmp_path: Path, pauses: list[float]) -> Callable[..., Path]:
    """Fetches the server's file into tmp_path; notes the pauses instead of making them."""

    def get(sha256: str | None = SHA, size: int | None = None, **options: object) -> Path:
        options = {"progress": False, "sleep": pauses.append, "timeout_s": 5.0, **options}
        return fetch(server.url, sha256, size, tmp_path, **options)  # type: ignore[arg-type]

    return get


def leftovers(folder: Path) -> list[str]:
    """The cache's files, lock files aside, by what follows the fetched file's own name."""
    names = [name for name in sorted(os.listdir(folder)) if not name.endswith(".lock")]
    return [name.partition(".h5")[2] for name in names]


def test_downloads_once_and_records(server, get, tmp_path):
    path = get(size=len(CONTENT))
    assert path.parent == tmp_path and path.read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["", ".json"]
    record = json.loads(path.with_name(path.name + ".json").read_text())
    assert record == read_record(path)
    assert (record["url"], record["size"], record["sha256"]) == (server.url, len(CONTENT), SHA)
    assert get() == get(None) == path
    assert len(server.requests) == 1


def test_file_without_announced_length(server, get):
    def step(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.0"
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.script = [step]
    assert get().read_bytes() == CONTENT


def test_resumes_where_the_connection_broke(server, get, pauses):
    server.script = [serve(until=CUT), serve(until=CUT // 3), serve()]
    assert get().read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={CUT}-", f"bytes={CUT + CUT // 3}-"]
    assert [request.get("If-Range") for request in server.requests] == [None, '"one"', '"one"']
    assert pauses == [1.0, 1.0]  # each try brought it further, so the pause does not grow


def test_later_run_resumes(server, get, tmp_path):
    server.script = [serve(until=CUT), serve()]
    with pytest.raises(FetchError, match="294,912 bytes are kept"):
        get(tries=1)
    assert leftovers(tmp_path) == [".part", ".part.json"]
    assert get().read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={CUT}-"]
    assert leftovers(tmp_path) == ["", ".json"]


def test_last_byte_was_already_there(server, get, tmp_path):
    """Killed between the last byte and the final name: the server has no such range (416)."""
    server.script = [serve(until=700_000), serve()]
    with pytest.raises(FetchError):
        get(tries=1)
    with next(tmp_path.glob("*.part")).open("ab") as file:
        file.write(CONTENT[file.tell() :])
    assert get().read_bytes() == CONTENT
    assert server.ranges()[1:] == ["bytes=700001-"]


@pytest.mark.parametrize("sha256", [SHA, None])
def test_server_that_ignores_range(server, get, sha256):
    server.script = [serve(until=CUT), serve(ranges=False)]
    assert get(sha256).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={CUT}-"]


def test_server_that_ignores_range_and_always_breaks(server, get, pauses):
    server.script = [serve(ranges=False, until=CUT)]
    with pytest.raises(FetchError, match="294,912 of 700,001 bytes, 4 times in a row"):
        get(tries=4)
    assert len(server.requests) == 4
    assert pauses == [1.0, 2.0, 4.0]


def test_file_changes_between_tries_with_etag(server, get):
    server.script = [serve(OTHER, etag='"old"', until=CUT), serve()]
    assert get(None).read_bytes() == CONTENT
    assert server.requests[1]["If-Range"] == '"old"'


def test_file_changes_between_tries_unseen(server, get):
    """No ETag, same size: only the SHA-256 shows that two versions were joined."""
    server.script = [serve(OTHER, etag=None, until=CUT), serve(etag=None)]
    assert get().read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={CUT}-", None]


def test_file_changes_its_size_between_tries(server, get):
    server.script = [serve(OTHER[:600_000], etag=None, until=CUT), serve(etag=None)]
    assert get(None).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={CUT}-", None]


def test_weak_etag_is_no_validator(server, get):
    server.script = [serve(etag='W/"one"', until=CUT), serve(etag='W/"one"')]
    assert get().read_bytes() == CONTENT
    assert "If-Range" not in server.requests[1]


def test_another_range_than_asked_for(server, get):
    server.script = [serve(until=CUT), serve(shift=-100_000), serve()]
    assert get(None).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={CUT}-", None]


@pytest.mark.parametrize("until", [0, CUT])
def test_stall(server, get, until):
    server.script = [serve(until=until, stall_s=1.5), serve()]
    start = time.monotonic()
    assert get(timeout_s=0.3).read_bytes() == CONTENT
    assert time.monotonic() - start < 1.4
    assert server.ranges()[1] == (f"bytes={until}-" if until else None)


def test_stalls_for_ever(server, get):
    server.script = [lambda handler: time.sleep(1.0)]
    with pytest.raises(FetchError, match=r"for 0\.2 s, 2 times in a row"):
        get(timeout_s=0.2, tries=2)


def test_html_page(server, get, tmp_path):
    server.script = [serve(b"<html>Not here</html>", headers={"Content-Type": "text/html"})]
    with pytest.raises(FetchError, match="HTML page"):
        get(None)
    assert len(server.requests) == 1
    assert leftovers(tmp_path) == []


def test_compressed_body(server, get):
    server.script = [serve(headers={"Content-Encoding": "gzip"})]
    with pytest.raises(FetchError, match="compressed"):
        get()
    assert server.requests[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_final_refusals_are_not_repeated(server, get, tmp_path, code):
    server.script = [status(code)]
    with pytest.raises(FetchError, match=f"{server.url}.*{code}"):
        get()
    assert len(server.requests) == 1
    assert leftovers(tmp_path) == []


def test_busy_server_is_asked_again(server, get, pauses):
    server.script = [status(503), status(503), status(429, {"Retry-After": "7"}), serve()]
    assert get().read_bytes() == CONTENT
    assert pauses == [1.0, 2.0, 7.0]


def test_busy_for_ever(server, get, pauses):
    server.script = [status(503, {"Retry-After": "86400"})]
    with pytest.raises(FetchError, match=r"503.*3 times in a row"):
        get(tries=3)
    assert len(server.requests) == 3
    assert pauses == [60.0, 60.0]


def test_redirect_is_followed(server, get):
    server.script = [status(302, {"Location": "/elsewhere"}), serve()]
    assert get().read_bytes() == CONTENT


def test_wrong_size_is_refused_before_downloading(server, get, tmp_path):
    with pytest.raises(FetchError, match="700,001 bytes, 5 were expected"):
        get(size=5)
    assert leftovers(tmp_path) == []


def test_wrong_sha256(server, get, tmp_path):
    server.script = [serve(OTHER)]
    with pytest.raises(FetchError, match=f"{hashlib.sha256(OTHER).hexdigest()}, {SHA} was"):
        get()
    assert len(server.requests) == 1
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("damage", [CONTENT[:-1], b"\0" + CONTENT[1:]])
def test_damaged_cache_is_fetched_again(server, get, damage):
    path = get(None)
    path.write_bytes(damage)
    assert get(None).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_recorded_sha256_is_held_to(server, get):
    """None was given: what the first download had counts, also for the second."""
    path = get(None)
    path.unlink()
    server.script = [serve(OTHER)]
    with pytest.raises(FetchError, match=f"{SHA} when first downloaded.*{path.name}.json"):
        get(None)
    assert not path.exists()
    path.with_name(path.name + ".json").unlink()
    assert get(None).read_bytes() == OTHER


def test_nobody_listens(tmp_path, pauses, caplog):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/nyu.h5"
        with pytest.raises(FetchError, match=r"no connection.*2 times"):
            fetch(url, None, None, tmp_path, tries=2, progress=False, sleep=pauses.append)
    assert pauses == [1.0]
    assert not caplog.records  # the error says it all, once


@pytest.mark.parametrize("url", ["file:///etc/hosts", "nyu.h5", "gs://bucket/nyu.h5"])
def test_other_schemes(tmp_path, url):
    with pytest.raises(FetchError, match="not an http or https address"):
        fetch(url, None, None, tmp_path)


def test_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FetchError, match="cannot be kept at"):
        fetch(server.url, None, None, tmp_path / "file", progress=False)


def test_no_half_file_under_the_final_name(server, get, tmp_path):
    go_on = threading.Event()
    server.script = [serve(before_rest=go_on)]
    thread = threading.Thread(target=get)
    thread.start()
    path, part = (tmp_path / (cache_name(server.url) + end) for end in ("", ".part"))
    wait_for(lambda: part.exists() and part.stat().st_size > 0)
    assert not path.exists()
    go_on.set()
    thread.join(20)
    assert path.read_bytes() == CONTENT and not part.exists()


_PROCESS = (
    "import sys; from fgbg.files.fetch import fetch; "
    "print(fetch(sys.argv[1], None, None, sys.argv[2]))"
)


def start(server: Server, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PROCESS, server.url, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited for 20 s"
        time.sleep(0.01)


def test_one_process_downloads_and_the_others_wait(server, tmp_path):
    go_on = threading.Event()
    server.script = [serve(before_rest=go_on)]
    processes = [start(server, tmp_path) for _ in range(3)]
    wait_for(lambda: len(server.requests) > 0)
    time.sleep(1.5)  # for the others to come to the lock, or, without one, to the server
    assert all(process.poll() is None for process in processes)
    go_on.set()
    outputs = [process.communicate(timeout=20) for process in processes]
    path = tmp_path / cache_name(server.url)
    assert [out.strip() for out, _ in outputs] == [str(path)] * 3
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert sum("another process is downloading" in err for _, err in outputs) == 2
    assert sum("700k/700k" in err for _, err in outputs) == 1  # the progress bar of the one


def test_killed_process_leaves_what_the_next_resumes(server, get, tmp_path):
    server.script = [serve(before_rest=threading.Event()), serve()]
    process = start(server, tmp_path)
    part = tmp_path / (cache_name(server.url) + ".part")
    wait_for(lambda: part.exists() and part.stat().st_size > 0)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    have = part.stat().st_size
    assert get().read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={have}-"]


def test_each_address_has_its_own_place():
    first, second = cache_name("https://a.org/x/nyu.h5"), cache_name("https://b.org/x/nyu.h5")
    assert first != second
    assert first.startswith("nyu-") and first.endswith(".h5")
    assert "/" not in cache_name("http://a.org/..%2f..%2fetc%2fpasswd?x=../y")
    assert cache_name("http://a.org/").startswith("download-")


def test_published_models():
    assert {name: model.max_depth_m for name, model in PUBLISHED.items()} == {
        "nyu": 10.0,
        "kitti": 80.0,
    }
    for name, model in PUBLISHED.items():
        assert model.url == f"https://s3-eu-west-1.amazonaws.com/densedepth/{name}.h5"


def test_default_cache_dir(monkeypatch, tmp_path):
    monkeypatch.delenv("FGBG_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "fgbg"
    monkeypatch.setenv("FGBG_CACHE", "elsewhere")
    assert default_cache_dir() == Path("elsewhere")


def test_importing_loads_no_network_library():
    code = (
        "import sys, fgbg.files.fetch\n"
        "print([m for m in ('tensorflow', 'keras', 'torch', 'h5py') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "[]"
