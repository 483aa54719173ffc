"""Loopback servers for collecting: pictures, misbehaviour, and the providers' documented shapes."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

Step = Callable[["Handler"], None]


def photo_bytes(seed: int, width: int = 96, height: int = 72, kind: str = "JPEG", **save) -> bytes:
    """A picture with plenty of structure, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, kind, **save)
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Counts a request and does what its path is there for."""

    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        with self.server.guard:
            self.server.asked.append(self.path)
            self.server.headers_seen.append(dict(self.headers))
        step = self.server.paths.get(path)
        if step is None and path.startswith("/photo/"):
            time.sleep(self.server.photo_delay_s)
            seed = int(path.rpartition("/")[2].partition(".")[0])
            step = body(photo_bytes(seed), "image/jpeg")
        (step or status(404))(self)

    def log_message(self, *arguments: object) -> None:
        pass

    def query(self) -> dict[str, str]:
        return {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}

    def send(self, code: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in headers and "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


class Service(ThreadingHTTPServer):
    """A server on the loopback; its requests are noted in `asked`."""

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Handler)
        self.guard = threading.Lock()
        self.asked: list[str] = []
        self.headers_seen: list[dict[str, str]] = []
        self.paths: dict[str, Step] = {}
        self.photo_delay_s = 0.0
        self.url = f"http://{host}:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that break off are part of the tests."""

    def counts(self) -> Counter[str]:
        """How often each path was asked for, without queries."""
        return Counter(urlsplit(path).path for path in self.asked)


def body(data: bytes, content_type: str = "image/jpeg", **headers: str) -> Step:
    """A step that answers 200 with a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(200, {"Content-Type": content_type} | named, data)


def status(code: int, data: bytes = b"", **headers: str) -> Step:
    """A step that answers a status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(code, named, data)


def script(*steps: Step) -> Step:
    """One step after the other, the last one for ever."""
    left = list(steps)
    guard = threading.Lock()

    def step(handler: Handler) -> None:
        with guard:
            now = left.pop(0) if len(left) > 1 else left[0]
        now(handler)

    return step


def endless(handler: Handler) -> None:
    """A body without an end, as fast as it goes."""
    handler.send(200, {"Content-Type": "image/jpeg", "Transfer-Encoding": "chunked"}, b"")
    piece = b"x" * 65536
    try:
        while True:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    except OSError:
        pass


def drip(handler: Handler) -> None:
    """A byte now and then: never silent for long, never done."""
    handler.send(200, {"Content-Type": "image/jpeg", "Content-Length": "100000"}, b"")
    try:
        for _ in range(600):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass


def dripping_header(handler: Handler) -> None:
    """A header that never ends, a byte now and then."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(600):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass
    handler.close_connection = True


def gzip_bomb() -> Step:
    """200 MB of zeros in 200 kB."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as file:
        for _ in range(200):
            file.write(bytes(1_000_000))
    return body(buffer.getvalue(), Content_Encoding="gzip")


def in_json(content: object) -> bytes:
    return json.dumps(content).encode()


def openverse(pictures: str, total: int, licence: str = "by") -> Step:
    """Answers like Openverse's /v1/images/, its rules for those without a token included."""

    def step(handler: Handler) -> None:
        asked = handler.query()
        size, page = int(asked.get("page_size", 20)), int(asked.get("page", 1))
        if size > 20 or size * page > 240:
            return handler.send(401, {}, in_json({"detail": "Authentication required"}))
        first = (page - 1) * size
        results = [
            {
                "id": f"{i}",
                "title": f"{asked['q']} {i}",
                "url": f"{pictures}/photo/{abs(hash_of(asked['q'])) + i}.jpg",
                "foreign_landing_url": f"{pictures}/page/{i}",
                "creator": f"Author {i}",
                "license": licence,
                "license_version": "4.0",
                "width": 96,
                "height": 72,
            }
            for i in range(first, min(first + size, total))
        ]
        content = {
            "result_count": total,
            "page_count": -(-total // size),
            "page_size": size,
            "page": page,
            "results": results,
        }
        handler.send(200, {"Content-Type": "application/json"}, in_json(content))

    return step


def hash_of(topic: str) -> int:
    """A number for a topic, far from those of others; the same in every process."""
    return sum(ord(c) * 1000 * (i + 1) for i, c in enumerate(topic))


def wikimedia(pictures: str, total: int) -> Step:
    """Answers like Commons' api.php with generator=search and prop=imageinfo."""

    def entry(i: int) -> dict:
        licence = {"value": "CC BY-SA 4.0"}
        non_free = {}
        if i % 5 == 4:
            licence = {"value": "CC BY-NC 2.0"}
        if i % 5 == 3:
            licence, non_free = {"value": "Fair use"}, {"NonFree": {"value": "true"}}
        return {
            "pageid": i,
            "ns": 6,
            "title": f"File:Photo {i}.jpg",
            "index": i + 1,
            "imageinfo": [
                {
                    "url": f"{pictures}/photo/{i}.jpg",
                    "thumburl": f"{pictures}/photo/{i + 5000}.jpg",
                    "descriptionurl": f"{pictures}/wiki/File:Photo_{i}.jpg",
                    "width": 4000 if i == 0 else 96,
                    "height": 3000 if i == 0 else 72,
                    "mime": "image/jpeg",
                    "extmetadata": {
                        "Artist": {"value": f'<a href="//x">Ann &amp; Bob {i}</a>\n'},
                        "LicenseShortName": licence,
                        **non_free,
                    },
                }
            ],
        }

    def step(handler: Handler) -> None:
        asked = handler.query()
        offset, limit = int(asked["gsroffset"]), int(asked["gsrlimit"])
        last = min(offset + limit, total)
        # MediaWiki gives the pages in the order of their ids, not of the search.
        content: dict = {"query": {"pages": [entry(i) for i in range(offset, last)][::-1]}}
        if last < total:
            content["continue"] = {"gsroffset": last, "continue": "gsroffset||"}
        else:
            content["batchcomplete"] = True
        handler.send(200, {"Content-Type": "application/json"}, in_json(content))

    return step


def google(pictures: str, total: int, key: str) -> Step:
    """Answers like the Custom Search JSON API."""

    def step(handler: Handler) -> None:
        asked = handler.query()
        if asked.get("key") != key:
            # Real services echo what they were sent.
            error = {"code": 403, "message": f"key {asked.get('key')} is not valid"}
            return handler.send(403, {}, in_json({"error": error}))
        start, num = int(asked["start"]), int(asked["num"])
        if num > 10 or start + num - 1 > 100:
            error = {"code": 400, "message": "Request contains an invalid argument."}
            return handler.send(400, {}, in_json({"error": error}))
        items = [
            {
                "kind": "customsearch#result",
                "title": f"Item {i}",
                "link": f"{pictures}/photo/{abs(hash_of(asked['q'])) + i}.jpg",
                "mime": "image/jpeg",
                "image": {"contextLink": f"{pictures}/page/{i}", "width": 96, "height": 72},
            }
            for i in range(start, min(start + num, total + 1))
        ]
        content: dict = {"queries": {"request": [{"startIndex": start}]}}
        if items:
            content["items"] = items
        if start + num <= total:
            content["queries"]["nextPage"] = [{"startIndex": start + num}]
        handler.send(200, {"Content-Type": "application/json"}, in_json(content))

    return step


def serpapi(pictures: str, per_page: int, page_count: int) -> Step:
    """Answers like SerpApi's google_images engine."""

    def step(handler: Handler) -> None:
        asked = handler.query()
        number = int(asked["ijn"])
        content: dict = {"search_metadata": {"status": "Success"}}
        if number >= page_count:
            content["error"] = "Google hasn't returned any results for this query."
        else:
            content["images_results"] = [
                {
                    "position": i + 1,
                    "title": f"Result {i}",
                    "link": f"{pictures}/page/{i}",
                    "source": "example.com",
                    "original": f"{pictures}/photo/{i}.jpg",
                    "original_width": 96,
                    "original_height": 72,
                }
                for i in range(number * per_page, (number + 1) * per_page)
            ]
            if number + 1 <= page_count:
                content["serpapi_pagination"] = {"next": f"https://serpapi.com/?ijn={number + 1}"}
        handler.send(200, {"Content-Type": "application/json"}, in_json(content))

    return step
