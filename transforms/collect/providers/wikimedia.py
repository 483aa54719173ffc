"""Wikimedia Commons: freely licensed pictures; needs no key.

GET https://commons.wikimedia.org/w/api.php?action=query&format=json&formatversion=2
&generator=search&gsrnamespace=6&gsrsearch=filetype:bitmap+..&gsrlimit=50&gsroffset=0
&prop=imageinfo&iiprop=url|size|mime|extmetadata&iiurlwidth=1920 answers
{"continue": {"gsroffset": 50, ..}, "query": {"pages": [{"index", "title", "imageinfo": [{"url",
"thumburl", "descriptionurl", "width", "height", "mime", "extmetadata": {"Artist": {"value"},
"LicenseShortName": {..}, "License", "NonFree", ..}}]}]}}. Pages come in any order, "index" is the
search's. Errors are answered by 200, {"error": {"code", "info"}} and the code as header
MediaWiki-API-Error; maxlag=5 asks to be refused, with Retry-After, while the service is behind.
Values of extmetadata are HTML.

Sources: https://www.mediawiki.org/wiki/API:Search, https://www.mediawiki.org/wiki/API:Imageinfo,
https://www.mediawiki.org/wiki/API:Continue, https://www.mediawiki.org/wiki/API:Etiquette,
https://www.mediawiki.org/wiki/Extension:CommonsMetadata. A user agent that names its user is
asked for (--contact), and scaled pictures instead of the originals:
https://foundation.wikimedia.org/wiki/Policy:Wikimedia_Foundation_User-Agent_Policy.
"""

from __future__ import annotations

import html
import re
from typing import Any, ClassVar

from fgbg.transforms.collect.candidate import Candidate, Page, plain, whole
from fgbg.transforms.collect.providers.base import Provider, SearchError
from fgbg.transforms.collect.web import Answer

_PAGE_SIZE = 50
_MOST_RESULTS = 10_000
_BUSY = frozenset(("maxlag", "ratelimited", "readonly"))
# One of the widths that the service keeps ready.
_WIDTH = 1920
_TAG = re.compile(r"<[^>]*>")
# Free for any use with changes; "nc" and "nd" are not, and what is not named is not known to be.
_FREE = re.compile(
    r"(cc[- ]?0|cc[- ]by(?![- ]n)|cc[- ]sa|public domain|pd\b|no restrictions|attribution|"
    r"gfdl|gnu free|free art|fal\b|copyrighted free use|kogl type 1|ogl)",
    re.IGNORECASE,
)
_UNFREE = re.compile(r"\b(nc|nd|noncommercial|non-commercial|noderiv\w*)\b", re.IGNORECASE)


class Wikimedia(Provider):
    """Searches Wikimedia Commons."""

    name: ClassVar[str] = "wikimedia"
    default_url: ClassVar[str] = "https://commons.wikimedia.org/w/api.php"
    interval_s: ClassVar[float] = 1.0
    wants_contact: ClassVar[bool] = True
    note: ClassVar[str] = "freely licensed, no key; give --contact"

    def page(self, topic: str, following: str) -> Page:
        offset = int(following or 0)
        content = self.ask(
            {
                "action": "query",
                "format": "json",
                "formatversion": 2,
                "maxlag": 5,
                "generator": "search",
                "gsrnamespace": 6,
                "gsrsearch": f"filetype:bitmap {topic}",
                "gsrlimit": _PAGE_SIZE,
                "gsroffset": offset,
                "prop": "imageinfo",
                "iiprop": "url|size|mime|extmetadata",
                "iiurlwidth": _WIDTH,
            }
        )
        if "error" in content:
            error = content["error"] if isinstance(content["error"], dict) else {}
            code, info = plain(error.get("code")), plain(error.get("info"))
            later = code in _BUSY
            raise SearchError(
                f"{self.name}: {code}: {info}{'; try again later' if later else ''}", quota=later
            )
        found = content.get("query", {}).get("pages", [])
        found = [page for page in found if isinstance(page, dict)]
        found.sort(key=lambda page: whole(page.get("index")))
        candidates = [c for page in found if (c := self._candidate(topic, page)) is not None]
        further = content.get("continue", {}).get("gsroffset")
        ended = further is None or not offset < whole(further) < _MOST_RESULTS
        return Page(candidates, None if ended else str(whole(further)))

    def is_later(self, answer: Answer) -> bool:
        code = answer.headers.get("mediawiki-api-error")
        return super().is_later(answer) or code in _BUSY

    def _candidate(self, topic: str, page: dict[str, Any]) -> Candidate | None:
        info = next(iter(page.get("imageinfo") or []), None)
        if not isinstance(info, dict) or not info.get("url"):
            return None
        said = info.get("extmetadata") or {}
        licence = _text(said, "LicenseShortName") or _text(said, "License")
        if self.rights_filter and not _is_free(licence, _text(said, "NonFree")):
            return None
        width, height = whole(info.get("width")), whole(info.get("height"))
        scaled = width > _WIDTH and info.get("thumburl")
        title = plain(page.get("title")).removeprefix("File:")
        return Candidate(
            topic,
            self.name,
            plain(info["thumburl"] if scaled else info["url"]),
            plain(info.get("descriptionurl")),
            title,
            _text(said, "Artist"),
            licence,
            width,
            height,
        )


def _is_free(licence: str, non_free: str) -> bool:
    if non_free.lower() in ("true", "1", "yes"):
        return False
    return bool(_FREE.search(licence)) and not _UNFREE.search(licence)


def _text(metadata: dict[str, Any], name: str) -> str:
    """A value of extmetadata without its HTML."""
    value = metadata.get(name)
    text = value.get("value") if isinstance(value, dict) else None
    return " ".join(plain(html.unescape(_TAG.sub(" ", str(text or "")))).split())
