"""Requests with limits: addresses, redirects, sizes, times, and patience with busy servers."""

from __future__ import annotations

import gzip
import ipaddress
import itertools
import socket
import ssl
import threading
import time
import zlib
from email.utils import formatdate

import pytest

from fgbg.files.http import WebError
from fgbg.transforms.collect import addresses, web
from fgbg.transforms.collect.addresses import AddressError, is_public
from fgbg.transforms.collect.patience import HostGate, persevere
from fgbg.transforms.collect.web import Answer, Rules, StoppedError
from tests.helpers.certificates import certificate
from tests.helpers.picture_service import (
    Service,
    body,
    drip,
    dripping_header,
    endless,
    gzip_bomb,
    photo_bytes,
    script,
    status,
)


@pytest.fixture
def service():
    made = Service()
    yield made
    made.shutdown()
    made.server_close()


def rules(timeout_s: float = 5.0, max_bytes: int = 1_000_000, **more) -> Rules:
    return Rules(timeout_s, max_bytes, **({"allow_private": True} | more))


def get(url: str, **more) -> Answer:
    return web.get(url, {"User-Agent": "test"}, rules(**more))


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("0.0.0.0", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
        # Wrapped: mapped, compatible, NAT64, 6to4.
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:c0a8:101::1", "64:ff9b:1::1"),
        # Those that ipaddress calls global in some versions of Python, or in all.
        *("192.0.0.192", "192.0.0.9", "192.88.99.1", "fec0::1", "3fff::1", "5f00::1"),
        *("2002:808:808::1", "2001:4:112::1", "2001::1", "100::1"),
        *("::ffff:192.0.0.192", "64:ff9b::c000:c0", "64:ff9b::c058:6301"),
    ],
)
def test_addresses_that_are_not_public(text):
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_public_addresses(text):
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"]
)
def test_private_hosts_are_refused_in_every_spelling(service, host):
    port = service.server_address[1]
    with pytest.raises(WebError, match=r"not an address of the public Internet|is not known"):
        get(f"http://{host}:{port}/photo/1.jpg", allow_private=False)
    assert service.asked == []


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.com/a.jpg", "gopher://example.com/", "data:,x", ""),
        *("http:///a.jpg", "http://user:secret@example.com/a.jpg", "http://example.com:99999/"),
        *(
            "http://[::1/a.jpg",
            "javascript:alert(1)",
            "http://exa mple.com/",
            "//example.com/a.jpg",
        ),
    ],
)
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(WebError):
        get(url, timeout_s=2)


def only(*allowed: str):
    """A connect() for which just these addresses are public."""

    def connect(host, port, timeout_s, allow_private):
        return addresses.connect(
            host, port, timeout_s, False, allowed=lambda address: str(address) in allowed
        )

    return connect


def test_a_redirect_to_a_private_address_is_refused(service):
    inner = Service("127.0.0.2")
    service.paths["/a"] = status(302, Location=f"{inner.url}/photo/1.jpg")
    with pytest.raises(WebError, match=r"127\.0\.0\.2, which is not an address of the public"):
        get(f"{service.url}/a", connect=only("127.0.0.1"), allow_private=False)
    assert inner.asked == []
    # The same redirect is followed where it is allowed: the refusal was for the address alone.
    answer = get(f"{service.url}/a", connect=only("127.0.0.1", "127.0.0.2"), allow_private=False)
    assert answer.body == photo_bytes(1) and len(inner.asked) == 1


def test_a_name_that_changes_its_address_gains_nothing(service):
    """DNS rebinding: resolved once, and what was checked is what is connected to."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    resolved = []

    def resolver(host: str, port: int) -> list[str]:
        resolved.append(host)
        return answers[min(len(resolved), len(answers)) - 1]

    def connect(host, port, timeout_s, allow_private):
        public = {"127.0.0.1"}
        sock = addresses.connect(
            host, port, timeout_s, False, resolver, lambda address: str(address) in public
        )
        assert sock.getpeername()[0] == "127.0.0.1"
        return sock

    port = service.server_address[1]
    answer = get(f"http://rebinding.test:{port}/photo/1.jpg", connect=connect)
    assert answer.status == 200 and resolved == ["rebinding.test"]
    assert service.headers_seen[0]["Host"] == f"rebinding.test:{port}"
    with pytest.raises(WebError, match=r"rebinding\.test leads to 127\.0\.0\.2"):
        get(f"http://rebinding.test:{port}/photo/1.jpg", connect=connect)
    assert len(service.asked) == 1


def test_of_several_addresses_only_public_ones_are_connected_to(service):
    port = service.server_address[1]
    sock = addresses.connect(
        "two.test",
        port,
        2,
        False,
        lambda *_: ["127.0.0.3", "127.0.0.1"],
        lambda a: a.packed[3] == 1,
    )
    assert sock.getpeername()[0] == "127.0.0.1"
    sock.close()
    with pytest.raises(AddressError):
        addresses.connect("one.test", port, 2, False, lambda *_: ["127.0.0.3"])


def test_tls_checks_the_name_and_not_the_address(service, tmp_path, monkeypatch):
    """The socket goes to a checked address, the certificate is that of the name."""
    own = certificate(tmp_path, "pictures.test")
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(own)
    service.socket = server_side.wrap_socket(service.socket, server_side=True)
    port = service.server_address[1]

    def connect(host, port, timeout_s, allow_private):
        return addresses.connect(host, port, timeout_s, True, lambda *_: ["127.0.0.1"])

    with pytest.raises(WebError, match="its certificate was refused") as raised:
        get(f"https://pictures.test:{port}/photo/1.jpg", connect=connect)
    assert not raised.value.transient
    monkeypatch.setattr(web, "_tls", lambda: ssl.create_default_context(cafile=own))
    answer = get(f"https://pictures.test:{port}/photo/1.jpg", connect=connect)
    assert answer.body == photo_bytes(1)
    with pytest.raises(WebError, match="its certificate was refused"):
        get(f"https://others.test:{port}/photo/1.jpg", connect=connect)


def test_redirects_are_counted_and_checked(service):
    for i in range(7):
        service.paths[f"/{i}"] = status(301, Location=f"/{i + 1}")
    service.paths["/7"] = body(b"end")
    assert get(f"{service.url}/2").body == b"end"  # five
    with pytest.raises(WebError, match="more than 5 redirects"):
        get(f"{service.url}/1")
    service.paths["/file"] = status(302, Location="file:///etc/passwd")
    with pytest.raises(WebError, match="only http and https"):
        get(f"{service.url}/file")
    service.paths["/loop"] = status(307, Location="/loop")
    with pytest.raises(WebError, match="redirects"):
        get(f"{service.url}/loop")


def test_too_large_bodies_are_broken_off(service):
    service.paths["/said"] = body(bytes(2000))
    with pytest.raises(WebError, match="larger than 1,000 bytes"):
        get(f"{service.url}/said", max_bytes=1000)
    service.paths["/endless"] = endless
    start = time.monotonic()
    with pytest.raises(WebError, match="larger than 1,000,000 bytes"):
        get(f"{service.url}/endless")
    assert time.monotonic() - start < 3


def test_compressed_bodies_and_bombs(service):
    data = b"picture" * 1000
    service.paths["/gzip"] = body(gzip.compress(data), Content_Encoding="gzip")
    service.paths["/deflate"] = body(zlib.compress(data), Content_Encoding="deflate")
    assert get(f"{service.url}/gzip").body == get(f"{service.url}/deflate").body == data
    service.paths["/bomb"] = gzip_bomb()
    with pytest.raises(WebError, match="larger than 1,000,000 bytes when decompressed"):
        get(f"{service.url}/bomb")
    service.paths["/cut"] = body(gzip.compress(data)[:-20], Content_Encoding="gzip")
    with pytest.raises(WebError, match="ends too soon"):
        get(f"{service.url}/cut")
    service.paths["/lie"] = body(data, Content_Encoding="gzip")
    with pytest.raises(WebError, match="damaged while compressed"):
        get(f"{service.url}/lie")
    service.paths["/br"] = body(data, Content_Encoding="br")
    with pytest.raises(WebError, match="not asked for"):
        get(f"{service.url}/br")


@pytest.mark.parametrize("step", [drip, dripping_header])
def test_the_time_limit_holds_for_servers_that_drip(service, step):
    service.paths["/slow"] = step
    start = time.monotonic()
    with pytest.raises(WebError, match=r"not finished within 0\.5 s") as raised:
        get(f"{service.url}/slow", timeout_s=0.5)
    assert raised.value.transient and time.monotonic() - start < 2


def test_silent_closed_and_cut_connections_are_worth_another_try(service):
    service.paths["/cut"] = lambda handler: handler.send(200, {"Content-Length": "99"}, b"short")
    with pytest.raises(WebError, match="ended after 5 of 99 bytes") as raised:
        get(f"{service.url}/cut")
    assert raised.value.transient
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(WebError, match="not finished") as raised:
            get(url, timeout_s=0.3)
        assert raised.value.transient
    with pytest.raises(WebError, match="refused") as raised:
        get(url)
    assert raised.value.transient


def test_the_time_limit_holds_while_tls_begins():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(WebError, match=r"not finished within 0\.4 s"):
            get(f"https://127.0.0.1:{silent.getsockname()[1]}/", timeout_s=0.4)
        assert time.monotonic() - start < 2


def test_keys_do_not_follow_a_redirect_to_another_host(service):
    other = Service("127.0.0.2")
    service.paths["/a"] = status(302, Location=f"{other.url}/photo/1.jpg")
    headers = {"User-Agent": "test", "X-Api-Key": "s3cret", "Authorization": "s3cret"}
    assert web.get(f"{service.url}/a", headers, rules()).body == photo_bytes(1)
    assert service.headers_seen[0]["X-Api-Key"] == "s3cret"
    assert other.headers_seen[0]["User-Agent"] == "test"
    assert "s3cret" not in str(other.headers_seen)


def test_proxies_of_the_environment_are_not_used(service, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert get(f"{service.url}/photo/1.jpg").status == 200


def test_the_end_of_the_run_breaks_a_download_off(service):
    service.paths["/slow"] = drip
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        get(f"{service.url}/slow", timeout_s=30, stopped=stopped)
    assert time.monotonic() - start < 2


def test_odd_characters_of_addresses_are_quoted_and_the_rest_left_alone(service):
    service.paths["/ca%C3%B1on%20x.jpg"] = body(b"found")
    assert get(f"{service.url}/cañon x.jpg").body == b"found"
    assert get(f"{service.url}/ca%C3%B1on%20x.jpg?a=%2F#part").body == b"found"
    assert service.asked[-1] == "/ca%C3%B1on%20x.jpg?a=%2F"
    # A line feed would start a header of the address' choosing: urllib drops it.
    get(f"{service.url}/a\r\nX-Evil: 1")
    assert all("X-Evil" not in seen for seen in service.headers_seen)


def patient(service: Service, path: str, tries: int = 3, longest: float = 5.0) -> Answer:
    gate = HostGate(2, 0.0, threading.Event())
    return persevere(lambda: get(f"{service.url}{path}"), gate, "127.0.0.1", tries, 0.05, longest)


def test_retry_after_is_waited_for(service):
    busy = status(429, Retry_After="1")
    service.paths["/busy"] = script(busy, body(b"now"))
    start = time.monotonic()
    assert patient(service, "/busy").body == b"now"
    assert 0.95 < time.monotonic() - start < 3
    date = formatdate(time.time() + 2, usegmt=True)
    service.paths["/date"] = script(status(503, Retry_After=date), body(b"now"))
    start = time.monotonic()
    assert patient(service, "/date").body == b"now"
    assert 0.8 < time.monotonic() - start < 4


def test_a_wait_that_is_too_long_is_not_waited_for(service):
    service.paths["/busy"] = status(429, Retry_After="3600")
    start = time.monotonic()
    assert patient(service, "/busy").status == 429
    assert time.monotonic() - start < 1 and len(service.asked) == 1


def test_server_errors_are_tried_again_and_others_are_not(service):
    service.paths["/down"] = status(500)
    assert patient(service, "/down").status == 500 and len(service.asked) == 3
    service.paths["/gone"] = status(404)
    assert patient(service, "/gone").status == 404 and len(service.asked) == 4


def test_a_host_is_asked_by_few_at_once_and_not_too_often():
    gate = HostGate(2, 0.05, threading.Event())
    running, most, starts = [0], [0], []
    guard = threading.Lock()

    def work() -> None:
        with gate.passing("host"):
            with guard:
                starts.append(time.monotonic())
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.12)
            with guard:
                running[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2
    assert min(b - a for a, b in itertools.pairwise(starts)) > 0.04
