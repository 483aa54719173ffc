"""One HTTP request with limits on everything a server controls.

Only http and https; every hop of a redirect is a request of its own, with its own check of the
address (collect.addresses). Time is limited as a whole, by a watchdog that closes the
socket, so that a server that sends a byte a second is stopped too. Size is limited both as sent
and as decompressed. Proxies of the environment are not used: they would hide the address.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import ipaddress
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

import certifi

from fgbg.transforms.collect import addresses

MAX_REDIRECTS = 5
_CHUNK = 1 << 16
_CONNECT_TIMEOUT_S = 10.0
_LOOK_EVERY_S = 0.25
_REDIRECTS = (301, 302, 303, 307, 308)
# What may stand in a path or query unquoted; other characters are quoted, "%" is left alone.
_SAFE = "/%:=&?~#+!$,;'@()*[]"


class WebError(Exception):
    """A request that failed; the message says why, without the address.

    Attributes:
        transient: Whether another try may succeed.
    """

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class StoppedError(Exception):
    """The run is being ended: nothing is to be recorded."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: Decompressed.
        url: That it came from, after redirects.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    url: str


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
    connect: Callable[..., Any] = addresses.connect
    stopped: threading.Event = dataclasses.field(default_factory=threading.Event)


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    # Besides the system's certificates, which some builds of Python do not find.
    context.load_verify_locations(certifi.where())
    return context


class _Plain(http.client.HTTPConnection):
    """A connection over a checked socket."""

    def __init__(self, host: str, port: int, opened: Any) -> None:
        super().__init__(host, port)
        self._opened = opened

    def connect(self) -> None:
        self.sock = self._opened


def check_url(url: str) -> SplitResult:
    """The parts of an address that may be fetched.

    Raises:
        WebError: It is not http or https, has no host or a wrong port, or holds a password.
    """
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
        host = parts.hostname
    except ValueError as error:
        raise WebError(f"not a web address: {error}") from error
    if parts.scheme.lower() not in ("http", "https"):
        raise WebError(f"not a web address: {parts.scheme or 'no'} scheme, only http and https are")
    if not host or not port_is_right:
        raise WebError("not a web address: it has no host")
    if parts.username is not None or parts.password is not None:
        raise WebError("an address with a user name in it")
    return parts


def host_of(url: str) -> str:
    """The host of an address, or "" where it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def get(url: str, headers: dict[str, str], rules: Rules) -> Answer:
    """GETs an address, following redirects.

    Args:
        url: The address.
        headers: To be sent, at every hop.
        rules: Limits.

    Returns:
        The answer, of whatever status; the body of an error is limited like any other.

    Raises:
        WebError: No answer within the limits.
        StoppedError: The run is being ended.
    """
    deadline = time.monotonic() + rules.timeout_s
    for _ in range(rules.redirects + 1):
        answer = _get_once(url, headers, rules, deadline)
        target = answer.headers.get("location")
        if answer.status not in _REDIRECTS or not target:
            return answer
        if rules.redirects == 0:
            return answer
        try:
            url = urljoin(url, target)
        except ValueError as error:
            raise WebError("a redirect to what is not a web address") from error
    raise WebError(f"more than {rules.redirects} redirects")


def _get_once(url: str, headers: dict[str, str], rules: Rules, deadline: float) -> Answer:
    parts = check_url(url)
    secure = parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    host = _ascii_host(parts.hostname or "")
    left = deadline - time.monotonic()
    late = WebError(f"not finished within {rules.timeout_s:g} s", transient=True)
    if left <= 0:
        raise late
    opened: list[Any] = []
    expired, done = threading.Event(), threading.Event()
    try:
        opened.append(rules.connect(host, port, min(left, _CONNECT_TIMEOUT_S), rules.allow_private))
        opened[0].settimeout(left)
        threading.Thread(
            target=_watch, args=(opened, deadline, rules.stopped, done, expired), daemon=True
        ).start()
        if secure:
            # The handshake comes after the exchange: the watchdog must know the new socket.
            opened[0] = _tls().wrap_socket(
                opened[0], server_hostname=host, do_handshake_on_connect=False
            )
            opened[0].do_handshake()
        connection = _Plain(host, port, opened[0])
        default = port == (443 if secure else 80)
        name = f"[{host}]" if ":" in host else host
        sent = {"Accept-Encoding": "gzip, identity", "Connection": "close"} | headers
        sent["Host"] = name if default else f"{name}:{port}"
        path = quote(urlunsplit(("", "", parts.path or "/", parts.query, "")), safe=_SAFE)
        connection.request("GET", path, headers=sent)
        with connection.getresponse() as response:
            named = {k.lower(): v for k, v in response.getheaders()}
            body = b""
            if response.status not in _REDIRECTS:
                body = _body(response, named, rules)
        if expired.is_set():
            raise late
        return Answer(response.status, named, body, url)
    except WebError as error:
        # The watchdog's cut looks like a body that ends too soon.
        if rules.stopped.is_set():
            raise StoppedError from error
        if expired.is_set():
            raise late from error
        raise
    except addresses.AddressError as error:
        raise WebError(f"refused: {error}; --allow_private_addresses allows it") from error
    except ssl.SSLCertVerificationError as error:
        raise WebError(f"its certificate was refused: {error.verify_message}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if rules.stopped.is_set():
            raise StoppedError from error
        if expired.is_set() or isinstance(error, TimeoutError):
            raise late from error
        if isinstance(error, ValueError):
            raise WebError(f"an answer that is not HTTP: {error}") from error
        raise WebError(f"the connection failed: {_words(error)}", transient=True) from error
    finally:
        done.set()
        if opened:
            opened[0].close()


def _watch(
    opened: list[Any],
    deadline: float,
    stopped: threading.Event,
    done: threading.Event,
    expired: threading.Event,
) -> None:
    """Ends a connection under the thread that reads from it: too late, or the run is ended."""
    while not done.wait(max(0.0, min(_LOOK_EVERY_S, deadline - time.monotonic()))):
        late = time.monotonic() >= deadline
        if late or stopped.is_set():
            if late:
                expired.set()
            with contextlib.suppress(OSError):
                opened[0].shutdown(socket.SHUT_RDWR)
            return


def _ascii_host(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise WebError(f"not a web address: the host {host!r}") from error


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _body(response: http.client.HTTPResponse, headers: dict[str, str], rules: Rules) -> bytes:
    """The whole body, decompressed, within the limits."""
    limit = rules.max_bytes
    too_large = WebError(f"larger than {limit:,} bytes")
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    coding = headers.get("content-encoding", "identity").strip().lower()
    inflate = None
    if coding in ("gzip", "x-gzip"):
        inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    elif coding == "deflate":
        inflate = zlib.decompressobj()
    elif coding not in ("", "identity"):
        raise WebError(f"sent compressed by {coding!r}, which was not asked for")
    received, kept, parts = 0, 0, []
    while chunk := response.read1(_CHUNK):
        if rules.stopped.is_set():
            raise StoppedError
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
    if announced.isdecimal() and received < int(announced):
        raise WebError(
            f"the connection ended after {received:,} of {int(announced):,} bytes", transient=True
        )
    if inflate is not None and not inflate.eof:
        raise WebError("the compressed body ends too soon", transient=True)
    return b"".join(parts)
