"""The providers by name."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from fgbg.transforms.collect.candidate import Downloads, Searching
from fgbg.transforms.collect.providers.base import Provider, SearchError
from fgbg.transforms.collect.providers.google import Google
from fgbg.transforms.collect.providers.openverse import Openverse
from fgbg.transforms.collect.providers.serpapi import SerpApi
from fgbg.transforms.collect.providers.url_list import UrlList, read_urls
from fgbg.transforms.collect.providers.wikimedia import Wikimedia

__all__ = ["PROVIDERS", "Provider", "SearchError", "make", "read_urls"]

PROVIDERS: dict[str, type[Provider]] = {
    provider.name: provider for provider in (Openverse, Wikimedia, Google, SerpApi, UrlList)
}


def make(
    searching: Searching,
    downloads: Downloads,
    environment: Mapping[str, str],
    stopped: threading.Event | None = None,
) -> Provider:
    """The provider of the settings.

    Raises:
        SearchError: A key is missing.
    """
    return PROVIDERS[searching.provider](searching, downloads, environment, stopped)
