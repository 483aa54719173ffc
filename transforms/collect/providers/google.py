"""Google Programmable Search (Custom Search JSON API), for those who have a key.

**The service takes no new customers, and ends on 2027-01-01**; --base_url names a replacement
that answers in the same shape.

GET https://www.googleapis.com/customsearch/v1?key=..&cx=..&q=..&searchType=image&num=10&start=1
&safe=active&rights=cc_publicdomain|cc_attribute|cc_sharealike answers {"queries": {"nextPage":
[{"startIndex": 11}]}, "items": [{"title", "link", "mime", "displayLink", "image":
{"contextLink", "width", "height", ..}}]}. num is 10 at most and start + num 100 at most: 100
results a topic, so give several topics. 100 requests a day are free. A used-up quota is answered
by 429, or by 403 with a reason such as dailyLimitExceeded: {"error": {"code", "message",
"errors": [{"reason"}], "status"}}.

Sources: https://developers.google.com/custom-search/v1/overview (closed, end, prices),
https://developers.google.com/custom-search/v1/reference/rest/v1/cse/list (parameters),
https://developers.google.com/custom-search/v1/reference/rest/v1/Search (answer).
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from fgbg.transforms.collect.candidate import Candidate, Page, plain, whole
from fgbg.transforms.collect.providers.base import Provider
from fgbg.transforms.collect.web import Answer

_PAGE_SIZE = 10
_MOST_RESULTS = 100
_RIGHTS = "cc_publicdomain|cc_attribute|cc_sharealike"
_QUOTA_REASONS = frozenset(
    ("dailyLimitExceeded", "quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded")
)


class Google(Provider):
    """Searches by Programmable Search."""

    name: ClassVar[str] = "google"
    needs: ClassVar[tuple[str, ...]] = ("GOOGLE_API_KEY", "GOOGLE_CSE_ID")
    default_url: ClassVar[str] = "https://www.googleapis.com/customsearch/v1"
    interval_s: ClassVar[float] = 0.6
    note: ClassVar[str] = (
        "Programmable Search JSON API, closed to new customers and ending on 2027-01-01 "
        "(--base_url takes a replacement); 100 results a topic, so give several topics"
    )

    def page(self, topic: str, following: str) -> Page:
        start = int(following or 1)
        parameters: dict[str, Any] = {
            "key": self._keys["GOOGLE_API_KEY"],
            "cx": self._keys["GOOGLE_CSE_ID"],
            "q": topic,
            "searchType": "image",
            "imgType": "photo",
            "safe": "active",
            "num": _PAGE_SIZE,
            "start": start,
        }
        if self.rights_filter:
            parameters["rights"] = _RIGHTS
        content = self.ask(parameters)
        items = [item for item in content.get("items") or [] if isinstance(item, dict)]
        candidates = [self._candidate(topic, item) for item in items if item.get("link")]
        following_pages = content.get("queries", {}).get("nextPage") or []
        after = start + _PAGE_SIZE
        ended = not items or not following_pages or after + _PAGE_SIZE - 1 > _MOST_RESULTS
        return Page(candidates, None if ended else str(after))

    def _candidate(self, topic: str, item: dict[str, Any]) -> Candidate:
        image = item.get("image") if isinstance(item.get("image"), dict) else {}
        image = image or {}
        filtered = f"unverified; found by the filter {_RIGHTS}"
        return Candidate(
            topic,
            self.name,
            plain(item["link"]),
            plain(image.get("contextLink")),
            plain(item.get("title")),
            "",
            filtered if self.rights_filter else "unknown",
            whole(image.get("width")),
            whole(image.get("height")),
        )

    def is_quota(self, answer: Answer) -> bool:
        try:
            errors = json.loads(answer.body)["error"]["errors"]
            return any(error.get("reason") in _QUOTA_REASONS for error in errors)
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
