"""One HTTP request to a stranger's server, with limits on everything that it controls.

Only http and https, and only to public addresses (collect.addresses), at every hop of a redirect.
Time is limited as a whole, by a watchdog that shuts the connection down, so that a server that
sends a byte a second is stopped too. Size is limited both as sent and as decompressed. Proxies of
the environment are not used: they would hide the address.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import certifi
import requests

from fgbg.files import http
from fgbg.files.http import WebError
from fgbg.transforms.collect import addresses

MAX_REDIRECTS = 5
_CONNECT_TIMEOUT_S = 10.0
_LOOK_EVERY_S = 0.25


class StoppedError(Exception):
    """The run is being ended: nothing is to be recorded."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: Decompressed.
    """

    status: int
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True)
class Rules:
    """Limits of a request.

    Attributes:
        timeout_s: For all of it, redirects included.
        max_bytes: Of the body, as sent and as decompressed.
        allow_private: Whether addresses that are not public may be connected to.
        redirects: How many are followed.
        connect: Opens a socket; tests put another one here.
        stopped: Set when the run is to end.
    """

    timeout_s: float
    max_bytes: int
    allow_private: bool = False
    redirects: int = MAX_REDIRECTS
    connect: Callable[..., socket.socket] = addresses.connect
    stopped: threading.Event = dataclasses.field(default_factory=threading.Event)


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    # Besides the system's certificates, which some builds of Python do not find.
    context.load_verify_locations(certifi.where())
    return context


def get(url: str, headers: dict[str, str], rules: Rules) -> Answer:
    """GETs an address, following redirects.

    Args:
        url: The address.
        headers: To be sent, as fgbg.files.http.opened does at redirects.
        rules: Limits.

    Returns:
        The answer, of whatever status; the body of an error is limited like any other.

    Raises:
        WebError: No answer within the limits.
        StoppedError: The run is being ended.
    """
    sent = {"Accept-Encoding": "gzip, identity", "Connection": "close"} | headers
    with _watched(rules) as connect:
        adapter = addresses.PinnedAdapter(connect, _tls())
        with http.opened(url, sent, None, rules.redirects, adapter) as response:
            named = {name.lower(): value for name, value in response.headers.items()}
            body = b"" if response.is_redirect else _body(response, rules)
            return Answer(response.status_code, named, body)


@contextlib.contextmanager
def _watched(rules: Rules) -> Iterator[Callable[[str, int], socket.socket]]:
    """Ends what the block does under its thread: too late, or the run is ended.

    Yields:
        Opens a socket to a host and port that is shut down then.
    """
    deadline = time.monotonic() + rules.timeout_s
    done = threading.Event()
    sockets: list[socket.socket] = []

    def check() -> None:
        if rules.stopped.is_set():
            raise StoppedError
        if time.monotonic() >= deadline:
            raise WebError(f"not finished within {rules.timeout_s:g} s", transient=True)

    def connect(host: str, port: int) -> socket.socket:
        check()
        left = min(deadline - time.monotonic(), _CONNECT_TIMEOUT_S)
        try:
            opened = rules.connect(host, port, left, rules.allow_private)
        except addresses.AddressError as error:
            raise WebError(f"refused: {error}; --allow_private_addresses allows it") from error
        opened.settimeout(None)
        # A duplicate: TLS puts an object of its own around the socket, known after the handshake.
        sockets.append(opened.dup())
        return opened

    def watch() -> None:
        while not done.wait(min(_LOOK_EVERY_S, max(0.01, deadline - time.monotonic()))):
            if rules.stopped.is_set() or time.monotonic() >= deadline:
                for opened in list(sockets):
                    with contextlib.suppress(OSError):
                        opened.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Thread(target=watch, daemon=True)
    watchdog.start()
    try:
        yield connect
    except WebError:
        check()  # a cut looks like a connection that broke
        raise
    finally:
        done.set()
        watchdog.join()
        for opened in sockets:
            opened.close()
    check()


def _body(response: requests.Response, rules: Rules) -> bytes:
    """The whole body, decompressed, within the limits."""
    limit = rules.max_bytes
    too_large = WebError(f"larger than {limit:,} bytes")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    inflate = None
    if coding in ("gzip", "x-gzip"):
        inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    elif coding == "deflate":
        inflate = zlib.decompressobj()
    elif coding not in ("", "identity"):
        raise WebError(f"sent compressed by {coding!r}, which was not asked for")
    received, kept, parts = 0, 0, []
    for chunk in http.pieces(response, None):
        received += len(chunk)
        if received > limit:
            raise too_large
        if inflate is not None:
            try:
                # One byte more than is left tells a bomb without unpacking it.
                chunk = inflate.decompress(chunk, limit - kept + 1)
            except zlib.error as error:
                raise WebError(f"damaged while compressed: {error}") from error
        kept += len(chunk)
        if kept > limit:
            raise WebError(f"larger than {limit:,} bytes when decompressed")
        parts.append(chunk)
    if inflate is not None and not inflate.eof:
        raise WebError("the compressed body ends too soon", transient=True)
    return b"".join(parts)
