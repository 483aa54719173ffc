"""What crosses the graph of collecting: small frozen records, and the settings of a run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import Any

# States of a picture that was looked at.
GOOD, REJECTED, FAILED = "good", "rejected", "failed"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_LONGEST_TEXT = 1000


def plain(value: object) -> str:
    """Text of a web service as one line of bounded length; "" for None."""
    return _CONTROL.sub(" ", "" if value is None else str(value)).strip()[:_LONGEST_TEXT]


def whole(value: object) -> int:
    """A count that a web service gave as a number or as text; 0 where it gave none."""
    try:
        return max(0, int(value))  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return 0


def short_hash(text: str) -> str:
    """A name for a text that may stand in a file's name: 20 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One search result.

    Attributes:
        topic: What was searched for; pictures are named after it.
        provider: Who found it.
        image_url: The picture's address.
        page_url: Of the page that shows it.
        title: As given.
        author: As given.
        licence: As given; says so where it is unverified.
        width: As given, 0 where unknown.
        height: Likewise.
    """

    topic: str
    provider: str
    image_url: str
    page_url: str = ""
    title: str = ""
    author: str = ""
    licence: str = ""
    width: int = 0
    height: int = 0

    @property
    def key(self) -> str:
        """Names its records: one address is fetched once, whoever finds it."""
        return short_hash(self.image_url)


@dataclasses.dataclass(frozen=True)
class Page:
    """One page of search results.

    Attributes:
        candidates: In the provider's order.
        following: What to ask the provider with for the next page; None after the last.
    """

    candidates: list[Candidate]
    following: str | None = None

    def to_bytes(self) -> bytes:
        """As recorded."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Page:
        """As recorded."""
        content = json.loads(data)
        return cls([Candidate(**c) for c in content["candidates"]], content["following"])


@dataclasses.dataclass(frozen=True)
class Query:
    """A search to be carried on.

    Attributes:
        number: Its place on the command line, from 0.
        topic: What is searched for.
        search: Names its recorded pages.
        upto: How many of its results, from its first, are to be looked at.
    """

    number: int
    topic: str
    search: str
    upto: int


@dataclasses.dataclass(frozen=True)
class Found:
    """A candidate with its place in its search.

    Attributes:
        number: Of the query.
        search: That found it.
        rank: Its place there, from 0.
        candidate: The candidate.
    """

    number: int
    search: str
    rank: int
    candidate: Candidate


@dataclasses.dataclass(frozen=True)
class Downloaded:
    """What a download brought.

    Attributes:
        found: What was to be downloaded.
        data: The body; b"" where there is a reason.
        content_type: What the server called it; not believed.
        fetched: Time of the fetch, UTC.
        reason: Why there is nothing; "" where there is.
        transient: Whether another try later may succeed.
    """

    found: Found
    data: bytes
    content_type: str
    fetched: str
    reason: str = ""
    transient: bool = False


@dataclasses.dataclass(frozen=True)
class Record:
    """What is known of a candidate that was looked at: written last, never changed.

    Attributes:
        found: The candidate.
        state: GOOD, REJECTED or FAILED.
        checks: Fingerprint of the checks that it was held against.
        fetched: Time of the fetch, UTC; "" if it was not fetched.
        reason: Why it is not good.
        transient: Whether another try may succeed.
        ending: Of its file: "jpg" or "png".
        sha256: Of the file as written.
        width: Of the picture, upright.
        height: Likewise.
        hashes: Its perceptual hashes.
        notes: What is to be said of it though it is good.
    """

    found: Found
    state: str
    checks: str
    fetched: str = ""
    reason: str = ""
    transient: bool = False
    ending: str = ""
    sha256: str = ""
    width: int = 0
    height: int = 0
    hashes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Names its file."""
        return self.found.candidate.key

    def to_bytes(self) -> bytes:
        """As stored."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """As stored."""
        content: dict[str, Any] = json.loads(data)
        found = content.pop("found")
        candidate = Candidate(**found.pop("candidate"))
        for name in ("hashes", "notes"):
            content[name] = tuple(content.get(name, ()))
        return cls(found=Found(candidate=candidate, **found), **content)


@dataclasses.dataclass(frozen=True)
class Checks:
    """What a picture must be like.

    Attributes:
        min_side: Least length of its shorter side, in pixels.
        aspect: Least and greatest width / height, or None.
        max_pixels: Greatest width x height; larger ones are not decoded.
        jpeg_quality: That it is encoded with.
    """

    min_side: int = 448
    aspect: tuple[float, float] | None = None
    max_pixels: int = 64_000_000
    jpeg_quality: int = 95

    @property
    def fingerprint(self) -> str:
        """Equal for equal checks: what was rejected by other ones is looked at again."""
        return short_hash(json.dumps(dataclasses.asdict(self), sort_keys=True))


@dataclasses.dataclass(frozen=True)
class Downloads:
    """How downloads are made.

    Attributes:
        at_once: Downloads at once.
        per_host: Of those, from one host.
        timeout_s: Longest time for one, redirects included.
        max_bytes: Greatest body, as sent and as decompressed.
        tries: Tries of one that fails in a way that may pass.
        retry_wait_s: Before the second try; doubled before each further one.
        longest_wait_s: Longest wait that a server may ask for by Retry-After.
        allow_private: Whether addresses that are not public may be connected to.
        user_agent: As sent.
    """

    at_once: int = 8
    per_host: int = 2
    timeout_s: float = 30.0
    max_bytes: int = 30_000_000
    tries: int = 3
    retry_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    allow_private: bool = False
    user_agent: str = "fgbg"


@dataclasses.dataclass(frozen=True)
class Searching:
    """How searches are made. Holds no key: those are read from the environment where used.

    Attributes:
        provider: Name of the provider.
        base_url: Address of its service; None for its own.
        rights_filter: Whether only pictures that may be used and changed are asked for.
        interval_s: Least time between two requests; None for the provider's own rule.
    """

    provider: str
    base_url: str | None = None
    rights_filter: bool = True
    interval_s: float | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that the steps of collecting need to know.

    Attributes:
        output: The folder.
        searching: How searches are made.
        downloads: How downloads are made.
        checks: What a picture must be like.
    """

    output: str
    searching: Searching
    downloads: Downloads
    checks: Checks
