"""One download: resumed where it broke, checked, and named only when it is whole.

Bytes go to NAME.part, with NAME.part.json saying what they are part of, so that a later process can
go on from there. A server that cannot resume, or whose file has changed meanwhile, begins again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from fgbg.files import http, in_place, storage
from fgbg.files.http import WebError, shown

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE_S, _SILENT_PAUSE_S = 60.0, 10.0


class FetchError(RuntimeError):
    """A file that could not be had; the message names the address and says what to do."""


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, lower-case hex."""
    return _digest(path, hashlib.sha256())


def _digest(path: str | os.PathLike[str], digest: Any) -> str:
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What NAME.json says of a cached file: url, size, sha256; empty where there is none."""
    return _read_json(beside(Path(path), ".json"))


def beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=2) + "\n"
    storage.storage_for(str(path)).write_atomically(str(path), text.encode())


class Download:
    """One file on its way into the cache, under its lock."""

    def __init__(
        self,
        url: str,
        path: Path,
        sha256: str | None,
        size: int | None,
        timeout_s: float,
        progress: bool,
        md5: str | None = None,
    ) -> None:
        self.url = url
        self.path = path
        self.part = beside(path, ".part")
        self.state = beside(path, ".part.json")
        self.sha256 = sha256.lower() if sha256 else None
        self.md5 = md5.lower() if md5 else None
        self.size = size
        self.timeout_s = timeout_s
        self.progress = progress
        self.resumed = False

    def run(self, tries: int, pause_s: float, sleep: Callable[[float], None]) -> None:
        """Downloads, checks and gives the file its name."""
        furthest, left = self._have(), tries
        restarted = False
        while True:
            try:
                self._transfer()
                if self._finish(may_restart=self.resumed and not restarted):
                    return
                restarted, furthest, left = True, 0, tries
                continue
            except WebError as error:
                if not error.transient:
                    raise FetchError(f"{shown(self.url)}: {error}") from None
                # Only what no try before had reached counts, or a server that always breaks off
                # at the same place and cannot resume would keep this going for ever.
                if self._have() > furthest:
                    furthest, left = self._have(), tries
                left -= 1
                if left <= 0:
                    kept = f"; {self._have():,} bytes are kept and resumed from"
                    raise FetchError(
                        f"{shown(self.url)}: {error}, {tries} times in a row"
                        f"{kept if self._have() else ''}; try again later"
                    ) from None
                pause = http.pause_s(tries - left, pause_s, _LONGEST_PAUSE_S, error.wait_s)
                # A word for who waits long; else the error of the last try is enough.
                level = logging.WARNING if pause > _SILENT_PAUSE_S else logging.INFO
                _LOG.log(level, "%s: %s; next try in %.0f s", shown(self.url), error, pause)
                sleep(pause)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)

    def _transfer(self) -> None:
        """Asks for what is missing and appends it to the part file."""
        state = _read_json(self.state)
        if state.get("url") != self.url or (self.size is not None and self._have() > self.size):
            self._discard()
            state = {}
        offset = self._have()
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            # Only a strong ETag or a date may stand here (RFC 9110, 13.1.5); with neither, the
            # SHA-256 at the end tells whether two versions were joined.
            validator = state.get("etag") or state.get("last_modified")
            if validator:
                headers["If-Range"] = validator
        with http.opened(self.url, headers, self.timeout_s) as response:
            self._receive(response, offset, state)

    def _receive(self, response: requests.Response, offset: int, state: dict[str, Any]) -> None:
        status, headers = response.status_code, response.headers
        start, total = offset, _content_total(response)
        if status == 416:
            self.resumed = True
            if total is not None and total == offset == (state.get("total") or total):
                return  # all of it had come, only the end of the last run was missing
            self._discard()
            raise _changed()
        if status == 200:
            start = 0
        elif status == 206:
            if _content_start(response) != offset:
                self._discard()
                raise WebError("the server answered with another range than asked for", True)
            if state.get("total") not in (None, total):
                self._discard()
                raise _changed()
        else:
            raise _refusal(response)
        if headers.get("Content-Type", "").lower().startswith(("text/html", "application/xhtml")):
            raise WebError(
                "the server answered with an HTML page, not a file; open the address in a browser,"
                " or set another one"
            )
        if headers.get("Content-Encoding", "identity") != "identity":
            raise WebError("sent compressed, though asked not to; use another one")
        if self.size is not None and total is not None and total != self.size:
            raise WebError(f"has {total:,} bytes, {self.size:,} were expected")
        if start == 0:
            self._discard()
        etag = headers.get("ETag", "")
        state = {
            "url": self.url,
            "total": total,
            "etag": None if etag.startswith("W/") else etag or None,
            "last_modified": headers.get("Last-Modified"),
        }
        _write_json(self.state, state)
        self.resumed = start > 0
        self._append(response, start, total)

    def _append(self, response: requests.Response, start: int, total: int | None) -> None:
        bar = tqdm(
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            desc=self.path.name,
            file=sys.stderr,
            disable=not self.progress,
        )
        with bar, self.part.open("ab") as file:
            for piece in http.pieces(response, self.timeout_s, start):
                file.write(piece)
                bar.update(len(piece))
        have = self._have()
        if total is not None and have < total:
            raise WebError(f"the connection ended after {have:,} of {total:,} bytes", True)
        if total is not None and have > total:
            self._discard()
            raise WebError(f"the server sent more than the {total:,} bytes it announced", True)

    def _finish(self, may_restart: bool) -> bool:
        """Checks the whole file and names it; False if it is to be begun again."""
        record = read_record(self.path)
        found, size = file_sha256(self.part), self._have()
        wrong = ""
        if self.size is not None and size != self.size:
            wrong = f"has {size:,} bytes, {self.size:,} were expected"
        elif self.sha256 and found != self.sha256:
            wrong = f"has the SHA-256 {found}, {self.sha256} was expected"
        elif (
            self.md5
            and (other := _digest(self.part, hashlib.md5(usedforsecurity=False))) != self.md5
        ):
            wrong = f"has the MD5 {other}, {self.md5} was expected"
        elif not self.sha256 and found != (record.get("sha256") or found):
            wrong = (
                f"has the SHA-256 {found}; it had {record['sha256']} when first downloaded. If the"
                f" new one is right, delete {beside(self.path, '.json')}"
            )
        if wrong:
            self._discard()
            if may_restart:
                _LOG.warning("%s: %s: beginning again", shown(self.url), wrong)
                return False
            raise WebError(wrong)
        record = {"url": self.url, "size": size, "sha256": found}
        record["fetched"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        # The record first: a file under its final name always has one to be checked by.
        _write_json(beside(self.path, ".json"), record)
        in_place.put(str(self.part), str(self.path), durable=True)
        self.state.unlink(missing_ok=True)
        return True


def _content_total(response: requests.Response) -> int | None:
    """The whole file's size, from Content-Range (206, 416) or Content-Length (200)."""
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None
    match = re.search(r"/(\d+)\s*$", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _content_start(response: requests.Response) -> int | None:
    match = re.match(r"bytes\s+(\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _changed() -> WebError:
    return WebError("the server's file is no longer the one begun with", transient=True, wait_s=0.0)


def _refusal(response: requests.Response) -> WebError:
    what = f"the server answered {response.status_code} {response.reason}"
    if response.status_code in http.LATER:
        return WebError(what, transient=True, wait_s=http.retry_after(response.headers))
    return WebError(f"{what}; check the address, or set another one")
