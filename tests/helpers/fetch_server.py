"""A web server on the loopback that serves one file and misbehaves as scripted."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = np.random.default_rng(1).bytes(700_001)
OTHER = np.random.default_rng(2).bytes(700_001)
CUT = 294_912  # a multiple of the downloader's chunk: it keeps whole chunks
SHA = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One request: notes its headers and does the script's next step, the last one for ever."""

    server: Server

    def do_GET(self) -> None:
        with self.server.guard:
            number = len(self.server.requests)
            self.server.requests.append(dict(self.headers))
        script = self.server.script
        script[min(number, len(script) - 1)](self)

    def log_message(self, *arguments: object) -> None:
        pass

    def offset(self) -> int:
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Callable[[Handler], None]] = [serve()]
        self.requests: list[dict[str, str]] = []
        self.guard = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/densedepth/nyu.h5"

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that time out or are killed are part of the tests."""

    def ranges(self) -> list[str | None]:
        return [request.get("Range") for request in self.requests]


def serve(
    content: bytes = CONTENT,
    *,
    etag: str | None = '"one"',
    ranges: bool = True,
    until: int | None = None,
    shift: int = 0,
    stall_s: float = 0.0,
    before_rest: threading.Event | None = None,
    headers: dict[str, str] | None = None,
) -> Callable[[Handler], None]:
    """A step that serves content as a web server does, except where told otherwise.

    Args:
      content: the file.
      etag: its ETag header; If-Range is honoured where there is one.
      ranges: False ignores Range.
      until: closes the connection after these many bytes of the body.
      shift: answers a Range with another offset.
      stall_s: sends nothing for so long at `until` instead of closing.
      before_rest: half the body is sent, then nothing before this is set.
      headers: further headers.
    """

    def step(handler: Handler) -> None:
        offset = handler.offset()
        if not ranges or (etag and handler.headers.get("If-Range", etag) != etag):
            offset = 0
        if offset >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        offset += shift if offset else 0
        body = content[offset:]
        handler.send_response(206 if offset else 200)
        if offset:
            last = len(content) - 1
            handler.send_header("Content-Range", f"bytes {offset}-{last}/{len(content)}")
        handler.send_header("Content-Length", str(len(body)))
        if etag:
            handler.send_header("ETag", etag)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        if before_rest:
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            before_rest.wait(30)
            body = body[len(body) // 2 :]
        handler.wfile.write(body[:until])
        handler.wfile.flush()
        time.sleep(stall_s)

    return step


def status(code: int, headers: dict[str, str] | None = None) -> Callable[[Handler], None]:
    def step(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return step
