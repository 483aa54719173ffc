"""SerpApi: Google's image results, for those with a SerpApi key.

GET https://serpapi.com/search.json?engine=google_images&q=..&ijn=0&safe=active&licenses=cl
&api_key=.. answers {"search_metadata": {"status"}, "images_results": [{"position", "title",
"link", "source", "original", "original_width", "original_height", "license_details_url", ..}],
"serpapi_pagination": {"next"}}. ijn is the number of the page, from 0, of about 100 results. A
topic without (further) results is answered by 200 and {"error": "Google hasn't returned any
results for this query."}; a wrong key by 401, used-up searches by 429, both with {"error"}.

Sources: https://serpapi.com/google-images-api (parameters, answer),
https://serpapi.com/api-status-and-error-codes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fgbg.transforms.collect.candidate import Candidate, Page, plain, whole
from fgbg.transforms.collect.providers.base import Provider, SearchError

_MOST_PAGES = 10
_NO_RESULTS = "hasn't returned any results"


class SerpApi(Provider):
    """Searches by SerpApi."""

    name: ClassVar[str] = "serpapi"
    needs: ClassVar[tuple[str, ...]] = ("SERPAPI_API_KEY",)
    default_url: ClassVar[str] = "https://serpapi.com/search.json"
    interval_s: ClassVar[float] = 1.0
    note: ClassVar[str] = "Google's image results for those with a SerpApi key"

    def page(self, topic: str, following: str) -> Page:
        number = int(following or 0)
        parameters: dict[str, Any] = {
            "engine": "google_images",
            "q": topic,
            "ijn": number,
            "safe": "active",
            "api_key": self._keys["SERPAPI_API_KEY"],
        }
        if self.rights_filter:
            parameters["licenses"] = "cl"  # Creative Commons
        content = self.ask(parameters)
        error = content.get("error")
        if error and _NO_RESULTS not in str(error):
            raise SearchError(f"{self.name}: {plain(error)}")
        results = [r for r in content.get("images_results") or [] if isinstance(r, dict)]
        candidates = [self._candidate(topic, r) for r in results if r.get("original")]
        further = (content.get("serpapi_pagination") or {}).get("next")
        ended = not results or not further or number + 1 >= _MOST_PAGES
        return Page(candidates, None if ended else str(number + 1))

    def _candidate(self, topic: str, result: dict[str, Any]) -> Candidate:
        details = plain(result.get("license_details_url"))
        licence = "unknown"
        if self.rights_filter:
            licence = "unverified; found by the filter Creative Commons"
        if details:
            licence += f"; see {details}"
        return Candidate(
            topic,
            self.name,
            plain(result["original"]),
            plain(result.get("link")),
            plain(result.get("title")),
            plain(result.get("source")),
            licence,
            whole(result.get("original_width")),
            whole(result.get("original_height")),
        )
