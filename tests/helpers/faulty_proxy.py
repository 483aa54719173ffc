"""A proxy on the loopback before the emulator: counts requests, and spoils some of them."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

# What becomes of a spoilt request. After "..._done" the emulator has done what was asked for, and
# the client does not learn it.
FAULTS = ("503", "429", "reset", "reset_done", "cut_done", "stall", "stall_done")
_BLOCK = 20  # requests of which one is spoilt: 5 %
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_WRITTEN = re.compile(rb'"name":\s*"([^"]+)"')


class Seen(NamedTuple):
    """A request.

    Attributes:
        kind: "write", "read", "list", "compose", "delete" or "other" (of a bucket, not an object).
        name: The object, or the prefix that is listed.
    """

    kind: str
    name: str


class FaultyProxy(ThreadingHTTPServer):
    """The proxy, serving while it is a context.

    Args:
        upstream: The emulator's address.
        seed: Of what is spoilt and how; None to spoil nothing.
        stall_s: Seconds of silence of a stalled request.
        page_size: Objects on a page of a listing; None: all, as the emulator does it.

    Attributes:
        url: Its address.
        seen: The requests that came, spoilt ones too.
        faults: How many requests were spoilt in which way.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        upstream: str,
        seed: int | None = None,
        stall_s: float = 0.0,
        page_size: int | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.upstream = urlsplit(upstream).netloc
        self.stall_s = stall_s
        self.page_size = page_size
        self.seen: list[Seen] = []
        self.faults: Counter[str] = Counter()
        self._schedule = iter(()) if seed is None else _schedule(random.Random(seed))
        self._guard = threading.Lock()
        self._hold: tuple[bytes, int] | None = None
        self._let_go = threading.Event()
        self.holding = threading.Event()

    def __enter__(self) -> FaultyProxy:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._let_go.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that time out or are killed are part of the tests."""

    def hold_after(self, name: bytes, count: int) -> None:
        """Keeps every request waiting, for good, once so many writes of such names were done."""
        self._hold = name, count

    def count(self, kind: str) -> Counter[str]:
        """Requests of a kind by the names that they were for."""
        return Counter(seen.name for seen in self.seen if seen.kind == kind)

    def enter(self, seen: Seen, body: bytes) -> str | None:
        """Notes a request. Returns what is to become of it, None for an answer."""
        with self._guard:
            self.seen.append(seen)
            if self._hold and seen.kind == "write" and self._hold[0] in body[:2000]:
                name, left = self._hold
                self._hold = name, left - 1
            if self._hold and self._hold[1] < 0:
                self.holding.set()
            fault = next(self._schedule, None)
            if fault:
                self.faults[fault] += 1
        if self.holding.is_set():
            self._let_go.wait()
        return fault


def _schedule(chance: random.Random) -> Iterator[str | None]:
    """One request of every block is spoilt, at a place drawn; every fault has its turn."""
    while True:
        for fault in chance.sample(FAULTS, len(FAULTS)):
            place = chance.randrange(_BLOCK)
            yield from (fault if i == place else None for i in range(_BLOCK))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyProxy

    def log_message(self, *arguments: object) -> None:
        pass

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.enter(_seen(self.command, self.path, body), body)
        if fault in ("503", "429"):
            self._answer(int(fault), [], b'{"error": {"message": "try again"}}')
            return
        answer = None
        if fault is None or fault.endswith("_done"):
            answer = self._ask(body)
        if fault is None and answer:
            self._answer(*answer)
            return
        if fault == "cut_done" and answer:
            self._answer(*answer, cut=True)
        elif fault and fault.startswith("stall"):
            time.sleep(self.server.stall_s)
        self._reset()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _pass_on

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            # With the client's Host: the emulator makes the addresses of upload sessions of it.
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        headers = [(k, v) for k, v in response.getheaders() if k.lower() not in _HOP]
        if self.server.page_size and _seen(self.command, self.path, b"").kind == "list":
            data = self._page(json.loads(data), self.server.page_size)
        return response.status, headers, data

    def _page(self, listing: dict[str, Any], size: int) -> bytes:
        start = int(parse_qs(urlsplit(self.path).query).get("pageToken", ["0"])[0])
        items = listing.get("items", [])
        if start + size < len(items):
            listing["nextPageToken"] = str(start + size)
        return json.dumps({**listing, "items": items[start : start + size]}).encode()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], data: bytes, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)

    def _reset(self) -> None:
        """Closes the connection with RST, not FIN."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        os.close(self.connection.detach())
        self.close_connection = True


def _seen(method: str, path: str, body: bytes) -> Seen:
    parts = urlsplit(path)
    query = parse_qs(parts.query)
    name = unquote(parts.path.partition("/o/")[2])
    if "uploadType" in query and method == "POST":
        written = _WRITTEN.search(body)
        return Seen("write", written[1].decode() if written else "")
    if name.endswith("/compose"):
        return Seen("compose", name.removesuffix("/compose"))
    if method == "DELETE":
        return Seen("delete", name)
    if method == "GET" and parts.path.endswith("/o"):
        return Seen("list", query.get("prefix", [""])[0])
    return Seen("read" if method == "GET" and name else "other", name)
