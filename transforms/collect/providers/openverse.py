"""Openverse: openly licensed pictures of many collections; needs no key.

GET https://api.openverse.org/v1/images/?q=..&page=1&page_size=20&license_type=commercial,modification
answers {"result_count", "page_count", "page_size", "page", "results": [{"title", "url",
"foreign_landing_url", "creator", "license", "license_version", "width", "height", ..}]}.
Without a token a page_size above 20 is answered by 401, results end at the 240th, and there is
one request a second; 429 otherwise.

Sources: https://api.openverse.org/v1/ (reference),
https://docs.openverse.org/api/reference/authentication_and_throttling.html, and the service's own
code, https://github.com/WordPress/openverse (api/api/utils/pagination.py, throttle.py).
"""

from __future__ import annotations

from typing import Any, ClassVar

from fgbg.transforms.collect.candidate import Candidate, Page, plain, whole
from fgbg.transforms.collect.providers.base import Provider, SearchError

_PAGE_SIZE = 20
_MOST_RESULTS = 240
# Licences that allow commercial use and changes, as the filter of the service has them.
_OPEN = frozenset(("cc0", "pdm", "by", "by-sa", "sampling+"))
_NAMES = {"cc0": "CC0", "pdm": "Public Domain Mark", "sampling+": "CC Sampling+"}


class Openverse(Provider):
    """Searches Openverse."""

    name: ClassVar[str] = "openverse"
    takes: ClassVar[tuple[str, ...]] = ("OPENVERSE_TOKEN",)
    default_url: ClassVar[str] = "https://api.openverse.org/v1/images/"
    interval_s: ClassVar[float] = 1.0
    note: ClassVar[str] = "openly licensed, no key; 240 results a topic, one request a second"

    def page(self, topic: str, following: str) -> Page:
        number = int(following or 1)
        parameters: dict[str, Any] = {"q": topic, "page": number, "page_size": _PAGE_SIZE}
        if self.rights_filter:
            parameters["license_type"] = "commercial,modification"
        token = self._keys.get("OPENVERSE_TOKEN")
        content = self.ask(parameters, {"Authorization": f"Bearer {token}"} if token else None)
        results = content.get("results")
        if not isinstance(results, list):
            raise SearchError(f"{self.name}: the answer has no list of results")
        candidates = [self._candidate(topic, r) for r in results if isinstance(r, dict)]
        last = not results or number >= whole(content.get("page_count"))
        last |= token is None and number * _PAGE_SIZE >= _MOST_RESULTS
        kept = [c for c in candidates if c is not None]
        return Page(kept, None if last else str(number + 1))

    def _candidate(self, topic: str, result: dict[str, Any]) -> Candidate | None:
        code = plain(result.get("license")).lower()
        if not result.get("url") or (self.rights_filter and code not in _OPEN):
            return None
        name = _NAMES.get(code) or f"CC {code.upper()}"
        return Candidate(
            topic,
            self.name,
            plain(result["url"]),
            plain(result.get("foreign_landing_url")),
            plain(result.get("title")),
            plain(result.get("creator")),
            f"{name} {plain(result.get('license_version'))}".strip(),
            whole(result.get("width")),
            whole(result.get("height")),
        )
