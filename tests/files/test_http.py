"""The HTTP client: what it sends where, and what its messages and logs leave out."""

from __future__ import annotations

import logging
import os
import ssl
import time
from email.utils import formatdate

import pytest

from fgbg.files import http
from fgbg.files.fetch import FetchError, fetch
from fgbg.files.http import WebError, opened, pieces, shown
from tests.helpers.certificates import certificate
from tests.helpers.picture_service import Service, body, endless, script, status

SECRET = "s3cret"
KEYS = {"Authorization": SECRET, "X-Api-Key": SECRET, "User-Agent": "test"}


@pytest.fixture
def service():
    made = Service()
    yield made
    made.shutdown()
    made.server_close()


def get(url: str, headers: dict[str, str] | None = None, **more) -> bytes:
    with opened(url, headers or {}, 5, **more) as response:
        return b"".join(pieces(response, 5))


def test_keys_do_not_follow_a_redirect_to_another_origin(service):
    other = Service()
    service.paths["/a"] = status(302, Location="/b", Set_Cookie=f"session={SECRET}")
    service.paths["/b"] = status(302, Location=f"{other.url}/c")
    other.paths["/c"] = status(302, Location="/d")
    other.paths["/d"] = body(b"end")
    assert get(f"{service.url}/a", KEYS) == b"end"
    first, second = service.headers_seen
    assert first["X-Api-Key"] == second["X-Api-Key"] == second["Authorization"] == SECRET
    assert second["Cookie"] == f"session={SECRET}"
    assert [seen["User-Agent"] for seen in other.headers_seen] == ["test", "test"]
    # 127.0.0.1 at another port is another origin, but one host for cookies (RFC 6265, 8.5).
    sent = [{k: v for k, v in seen.items() if k != "Cookie"} for seen in other.headers_seen]
    assert SECRET not in str(sent)


def test_a_password_in_an_address_is_sent_to_its_own_origin_alone(service, tmp_path):
    other = Service()
    host = service.url.removeprefix("http://")
    service.paths["/a"] = status(302, Location=f"{service.url}/b")
    service.paths["/b"] = status(302, Location=f"{other.url}/c")
    with pytest.raises(FetchError, match="404") as raised:
        fetch(f"http://me:{SECRET}@{host}/a", None, None, tmp_path, progress=False)
    assert [seen["Authorization"][:6] for seen in service.headers_seen] == ["Basic "] * 2
    assert "Authorization" not in other.headers_seen[0]
    assert SECRET not in str(raised.value) and f"http://{host}/a" in str(raised.value)


def test_the_body_of_a_redirect_is_not_read(service):
    def redirect(handler) -> None:
        handler.send(302, {"Location": "/end", "Transfer-Encoding": "chunked"}, b"")
        endless(handler)

    service.paths["/a"], service.paths["/end"] = redirect, body(b"end")
    start = time.monotonic()
    assert get(f"{service.url}/a") == b"end"
    assert time.monotonic() - start < 2


def test_without_redirects_a_redirect_is_an_answer(service):
    service.paths["/a"] = status(302, Location="/b")
    with opened(f"{service.url}/a", {}, 5, redirects=0) as response:
        assert response.status_code == 302
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "step",
    [
        *(
            status(404),
            status(503),
            body(b"<html>", "text/html"),
            body(b"x", Content_Encoding="br"),
        ),
        status(302, Location=f"ftp://elsewhere.test/?key={SECRET}"),
        lambda handler: handler.send(200, {"Content-Length": "99"}, b"short"),
        lambda handler: handler.wfile.write(handler.path.encode() + b"\r\n\r\n"),
        None,
    ],
)
def test_no_message_and_no_log_of_a_download_shows_the_query(service, tmp_path, caplog, step):
    caplog.set_level(logging.DEBUG)
    if step is None:
        service.server_close()  # no connection at all
    else:
        service.paths["/file"] = step
    url = f"{service.url}/file?key={SECRET}&more=1"
    with pytest.raises(FetchError) as raised:
        fetch(url, None, 5, tmp_path, tries=2, pause_s=0, progress=False)
    assert f"{service.url}/file?...: " in str(raised.value)
    error: BaseException | None = raised.value
    while error is not None:  # what a traceback would print
        assert SECRET not in f"{error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert SECRET not in caplog.text


def test_no_log_of_a_malformed_answer_shows_the_query(service, caplog):
    caplog.set_level(logging.DEBUG)
    answer = b"HTTP/1.1 200 OK\r\nno header\r\nConnection: close\r\n\r\n"
    service.paths["/file"] = lambda handler: handler.wfile.write(answer)
    with opened(f"{service.url}/file?key={SECRET}", {"Connection": "close"}, 5):
        pass
    assert "/file?..." in caplog.text and SECRET not in caplog.text


def test_a_wrong_certificate_is_no_reason_to_try_again(service, tmp_path):
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate(tmp_path, "pictures.test"))
    service.socket = server_side.wrap_socket(service.socket, server_side=True)
    url = f"https://127.0.0.1:{service.server_address[1]}/file?key={SECRET}"
    with pytest.raises(FetchError, match=r"file\?\.\.\.: its certificate was refused: "):
        fetch(url, None, None, tmp_path, progress=False)


def test_a_download_waits_until_the_moment_that_a_server_names(service, tmp_path):
    date = formatdate(time.time() + 30, usegmt=True)
    service.paths["/file"] = script(status(503, Retry_After=date), body(b"now", "x/y"))
    pauses: list[float] = []
    path = fetch(f"{service.url}/file", None, None, tmp_path, progress=False, sleep=pauses.append)
    assert path.read_bytes() == b"now" and 25 < pauses[0] <= 30


@pytest.mark.parametrize(
    ("failed", "asked_s", "pause_s"),
    [(1, None, 2), (3, None, 8), (9, None, 60), (3, 0.0, 0), (1, 7.0, 7), (1, 900.0, 60)],
)
def test_pauses_grow_unless_the_server_says_how_long(failed, asked_s, pause_s):
    assert http.pause_s(failed, 2.0, 60.0, asked_s) == pause_s


def test_downloads_use_the_proxy_of_the_environment(service, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", service.url)
    service.paths["/file"] = body(b"by the proxy", "x/y")
    path = fetch("http://files.test/file", None, None, tmp_path, progress=False)
    assert path.read_bytes() == b"by the proxy"
    assert service.asked == ["http://files.test/file"]


def test_a_proxy_that_is_none_is_named_as_the_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http:///nowhere")
    with pytest.raises(FetchError, match="proxy that the environment names"):
        fetch("http://files.test/file", None, None, tmp_path, progress=False)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://a.test:8/b/c.h5", "https://a.test:8/b/c.h5"),
        ("https://me:pw@a.test/b?key=1#part", "https://a.test/b?..."),
        ("file:///etc/hosts", "file:///etc/hosts"),
        ("nyu.h5", "nyu.h5"),
        ("http://[::1/a?key=1", "http://[::1/a?..."),
    ],
)
def test_addresses_are_shown_without_what_may_be_a_key(url, text):
    assert shown(url) == text


def test_a_header_that_cannot_be_sent_is_not_shown(service):
    with pytest.raises(WebError, match="a header that cannot be sent") as raised:
        get(f"{service.url}/a", {"X-Api-Key": f"{SECRET}\nX-Evil: 1"})
    assert SECRET not in f"{raised.value!r}" and raised.value.__suppress_context__
    assert service.asked == []
