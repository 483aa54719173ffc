"""What a provider is: a service that is asked for a topic and answers pages of candidates."""

from __future__ import annotations

import abc
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus, urlencode, urlsplit

from fgbg.files.http import WebError, host_of, retry_after
from fgbg.transforms.collect import web
from fgbg.transforms.collect.candidate import Downloads, Page, Searching, plain
from fgbg.transforms.collect.patience import WHO_ASKS, HostGate, is_later, persevere
from fgbg.transforms.collect.web import Answer, Rules

_MAX_ANSWER_BYTES = 20_000_000
_TRIES = 4
_HIDDEN = "***"


class SearchError(Exception):
    """A search that cannot be carried on now; the message says why and what to do.

    Attributes:
        quota: Whether it is a limit that passes with time.
    """

    def __init__(self, message: str, quota: bool = False) -> None:
        super().__init__(message)
        self.quota = quota


class Provider(abc.ABC):
    """A source of candidates.

    Args:
        searching: How searches are made.
        downloads: Whose patience and user agent hold for searches too.
        environment: Where keys are read from.
        stopped: Set when the run is to end.

    Raises:
        SearchError: A key is missing; the message names its variable.
    """

    # Asked for the first page with.
    FIRST: ClassVar[str] = ""
    name: ClassVar[str]
    # Environment variables of keys that are needed, and of those that may be given.
    needs: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[tuple[str, ...]] = ()
    default_url: ClassVar[str] = ""
    # Least time between two requests.
    interval_s: ClassVar[float] = 0.0
    # Whether it forbids programs that do not say whose they are.
    wants_contact: ClassVar[bool] = False
    # What --help says besides.
    note: ClassVar[str] = ""

    def __init__(
        self,
        searching: Searching,
        downloads: Downloads,
        environment: Mapping[str, str],
        stopped: threading.Event | None = None,
    ) -> None:
        missing = [name for name in self.needs if not environment.get(name, "").strip()]
        if missing:
            raise SearchError(
                f"--provider {self.name} needs {' and '.join(missing)} in the environment"
            )
        self._keys = {
            name: environment[name].strip()
            for name in (*self.needs, *self.takes)
            if environment.get(name, "").strip()
        }
        self._searching = searching
        self._downloads = downloads
        self._url = searching.base_url or self.default_url
        self._stopped = stopped or threading.Event()
        interval = self.interval_s if searching.interval_s is None else searching.interval_s
        self._gate = HostGate(1, interval, self._stopped)

    @property
    def rights_filter(self) -> bool:
        """Whether only pictures that may be used and changed are to be found."""
        return self._searching.rights_filter

    def question(self, topic: str) -> str:
        """Two searches of one question give the same pages: names what is asked."""
        return json.dumps([topic, self.rights_filter])

    def search(self, topic: str) -> Iterator[Page]:
        """All pages of a topic, as they are needed.

        Raises:
            SearchError: There is no further page now.
        """
        following: str | None = self.FIRST
        while following is not None:
            page = self.page(topic, following)
            yield page
            following = page.following

    @abc.abstractmethod
    def page(self, topic: str, following: str) -> Page:
        """One page.

        Args:
            topic: What is searched for.
            following: FIRST, or what the page before said.

        Raises:
            SearchError: There is none now.
        """

    def redact(self, text: str) -> str:
        """A text without the keys, in whatever coding of addresses."""
        for key in self._keys.values():
            for form in sorted({key, quote(key, safe=""), quote(key), quote_plus(key)}):
                text = text.replace(form, _HIDDEN)
        return text

    def ask(self, parameters: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
        """GETs the service's JSON, with patience.

        Redirects are not followed: they would take the key elsewhere. The service's address was
        given by the person who runs this, so a private one is fine.

        Args:
            parameters: Of the query.
            headers: Besides the usual ones.

        Raises:
            SearchError: No answer that could be used. Its message holds no key.
        """
        url = f"{self._url}?{urlencode(parameters)}"
        sent = {
            "User-Agent": self._downloads.user_agent,
            "Accept": "application/json",
        } | (headers or {})
        rules = Rules(
            self._downloads.timeout_s,
            _MAX_ANSWER_BYTES,
            allow_private=True,
            redirects=0,
            stopped=self._stopped,
        )
        shown = self.redact(f"{self.name} ({urlsplit(self._url).netloc})")
        try:
            answer = persevere(
                lambda: web.get(url, sent, rules),
                self._gate,
                host_of(url),
                _TRIES,
                self._downloads.retry_wait_s,
                self._downloads.longest_wait_s,
                self.is_later,
            )
        except WebError as error:
            # Without its cause: that one may show the address, and the key in it.
            raise SearchError(self.redact(f"{shown}: {error}")) from None
        if answer.status != 200:
            raise self._refusal(answer, shown)
        try:
            content = json.loads(answer.body)
        except ValueError:
            raise SearchError(f"{shown}: the answer is not JSON") from None
        if not isinstance(content, dict):
            raise SearchError(f"{shown}: the answer is not what its documentation says")
        return json.loads(self.redact(json.dumps(content, ensure_ascii=False)))

    def _refusal(self, answer: Answer, shown: str) -> SearchError:
        """What a status other than 200 means."""
        said = self.redact(self.explain(answer.body))
        words = f"{shown}: it answered {answer.status}{': ' + said if said else ''}"
        if self.is_later(answer) or self.is_quota(answer):
            seconds = retry_after(answer.headers)
            when = f"in {seconds:,.0f} s" if seconds else "later"
            return SearchError(f"{words}; the same command goes on {when}", quota=True)
        if answer.status in (401, 403) and (self.needs or self.takes):
            names = " and ".join((*self.needs, *self.takes))
            return SearchError(f"{words}; check {names} in the environment")
        if answer.status == 403 and self.wants_contact:
            return SearchError(f"{words}; {WHO_ASKS}")
        if 300 <= answer.status < 400:
            return SearchError(f"{words}, a redirect, which is not followed; check --base_url")
        return SearchError(words)

    def is_later(self, answer: Answer) -> bool:
        """Whether another try soon may bring a better answer."""
        return is_later(answer)

    def is_quota(self, answer: Answer) -> bool:
        """Whether a refusal is a limit that passes with time."""
        return False

    def explain(self, body: bytes) -> str:
        """What the service says of an error, in one line."""
        try:
            content = json.loads(body)
        except ValueError:
            return ""
        error = content.get("error", content) if isinstance(content, dict) else ""
        if isinstance(error, dict):
            error = error.get("message") or error.get("info") or error.get("detail") or ""
        return plain(error)[:300]
