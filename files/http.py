"""The one HTTP client: GETs, redirects, errors in plain words, and when to try again.

Redirects are followed here. requests would read the body of each whole, however large, and send
all headers but Authorization on to other hosts. No message and no log record holds the query of an
address, which may hold a key.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import logging
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidProxyURL, InvalidSchema

# Statuses that a later try may better; all other 4xx and 5xx are final.
LATER = frozenset((408, 425, 429, 500, 502, 503, 504))
_MAX_REDIRECTS = 30
_CHUNK = 1 << 14
# All other headers go to the origin alone that they were given for.
_FOR_ANY_HOST = frozenset(
    ("accept", "accept-encoding", "connection", "if-range", "range", "user-agent")
)
_QUERY = re.compile(r"\?\S*")


class WebError(Exception):
    """A request that failed; the message says why, without the address.

    Attributes:
        transient: Whether another try may succeed.
        wait_s: Seconds to wait before it, where the server or the failure says so.
    """

    def __init__(self, message: str, transient: bool = False, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self.wait_s = wait_s


def check_url(url: str, logins: bool = False) -> SplitResult:
    """Returns the parts of an address that may be fetched.

    Args:
        url: The address.
        logins: Whether it may hold a user name and a password.

    Raises:
        WebError: It is not http or https, has no host or a wrong port, or holds a password.
    """
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
        host = parts.hostname
    except ValueError:
        raise WebError("not a web address: its host and port cannot be read") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise WebError(f"not a web address: {parts.scheme or 'no'} scheme, only http and https are")
    if not host or not port_is_right:
        raise WebError("not a web address: it has no host")
    if not logins and (parts.username is not None or parts.password is not None):
        raise WebError("an address with a user name in it")
    return parts


def host_of(url: str) -> str:
    """Returns the host of an address, or "" where it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def shown(url: str) -> str:
    """Returns an address for messages: without its user name and query, which may hold keys."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _QUERY.sub("?...", url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, parts.query and "...", ""))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that a server asks to wait (RFC 9110, 10.2.3), or None.

    Args:
        headers: Of the answer, with names in lower case or in any.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return max(0.0, moment.timestamp() - time.time())


def pause_s(failed: int, first_s: float, longest_s: float, asked_s: float | None) -> float:
    """Returns the seconds to wait before the next try.

    Args:
        failed: Tries that failed in a row, one at least.
        first_s: After the first failure, doubled after each further one.
        longest_s: The longest wait.
        asked_s: What the server asked for, which goes before; None if nothing.
    """
    return min(first_s * 2 ** (failed - 1) if asked_s is None else asked_s, longest_s)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Hides redirects from requests, which reads their bodies even if not to follow them."""

    def target(self, response: requests.Response) -> str | None:
        """Returns where an answer redirects to, if it does."""
        return super().get_redirect_target(response)


@contextlib.contextmanager
def opened(
    url: str,
    headers: Mapping[str, str],
    timeout_s: float | None,
    redirects: int = _MAX_REDIRECTS,
    adapter: HTTPAdapter | None = None,
) -> Iterator[requests.Response]:
    """GETs an address, following redirects.

    Args:
        url: The address.
        headers: To be sent. Only those that identify nobody follow a redirect to another origin.
        timeout_s: Seconds that connecting may take, and that the server may send nothing.
        redirects: How many are followed; with 0, a redirect is an answer like others.
        adapter: Makes the connections; proxies and passwords of the environment, and passwords in
            addresses, are not used then. None: as requests does.

    Yields:
        The answer, of whatever status; its body is still to be read, by `pieces`.

    Raises:
        WebError: No answer.
    """
    with _Session() as session:
        if adapter is not None:
            session.trust_env = False
            for scheme in ("https://", "http://"):
                session.mount(scheme, adapter)
        for _ in range(redirects + 1):
            url = urlunsplit(check_url(url, logins=adapter is None))
            try:
                response = session.get(
                    url,
                    headers=dict(headers),
                    stream=True,
                    timeout=timeout_s,
                    allow_redirects=False,
                )
            except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:
                # Without its cause, whose words show the address.
                raise _unanswered(error, timeout_s) from None
            with response:
                try:
                    target = session.target(response)
                    following = urljoin(url, target or "")
                except ValueError:
                    raise WebError("a redirect to what is not a web address") from None
                if not target or redirects == 0:
                    yield response
                    return
            elsewhere = session.should_strip_auth(url, following)
            # What requests made of a password in the address goes on to the same origin too;
            # cookies are in the session.
            headers = {
                name: str(value)
                for name, value in response.request.headers.items()
                if name.lower() in _FOR_ANY_HOST or not (elsewhere or name.lower() == "cookie")
            }
            url = following
    raise WebError(f"more than {redirects} redirects")


def pieces(response: requests.Response, timeout_s: float | None, start: int = 0) -> Iterator[bytes]:
    """Yields a body piece by piece as it is sent, not decompressed.

    Args:
        response: What `opened` yielded.
        timeout_s: As given to `opened`.
        start: Where in the file the body begins, for messages.

    Raises:
        WebError: It ends before its announced length, or nothing more comes; another try may help.
    """
    announced = response.headers.get("Content-Length", "")
    total = start + int(announced) if announced.isdecimal() else None
    received = start
    try:
        for piece in response.raw.stream(_CHUNK, decode_content=False):
            received += len(piece)
            yield piece
        if total is None or received >= total:
            return
    except (OSError, urllib3.exceptions.HTTPError) as error:
        if _cause(error, TimeoutError):
            silent = f"the server sent nothing for {timeout_s or 0:g} s"
            raise WebError(silent, transient=True) from None
    of = "" if total is None else f" of {total:,}"
    raise WebError(f"the connection ended after {received:,}{of} bytes", transient=True)


def _cause(error: BaseException | None, *kinds: type[BaseException]) -> BaseException | None:
    """Returns the first of some kinds among an error and those that it stands for."""
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__ or error.__context__
    return error


def _unanswered(error: Exception, timeout_s: float | None) -> WebError:
    """Returns why there is no answer, in words that hold no address."""
    refused = _cause(error, ssl.SSLCertVerificationError)
    if isinstance(refused, ssl.SSLCertVerificationError):
        return WebError(f"its certificate was refused: {refused.verify_message}")
    if _cause(error, TimeoutError):
        return WebError(f"no answer for {timeout_s or 0:g} s", transient=True)
    if isinstance(error, (InvalidProxyURL, InvalidSchema)):  # of `url`, the scheme was checked
        return WebError("the proxy that the environment names cannot be used")
    if isinstance(error, ValueError):
        return WebError("not a web address, or a header that cannot be sent")
    # All errors of requests are OSErrors themselves.
    inner = error.__context__ if isinstance(error, requests.RequestException) else error
    cause = _cause(inner, OSError, http.client.HTTPException)
    words = "an answer that is not HTTP"
    if isinstance(cause, OSError):
        words = cause.strerror or str(cause)
    return WebError(f"no connection: {words}", transient=True)


def _without_queries(record: logging.LogRecord) -> bool:
    args = record.args if isinstance(record.args, tuple) else ()
    record.args = tuple(_QUERY.sub("?...", x) if isinstance(x, str) else x for x in args)
    return True


# urllib3 logs the addresses that it asks for, and warns with those of odd answers.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_without_queries)
