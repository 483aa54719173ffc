"""Every provider over HTTP, against servers that answer in its documented shape."""

from __future__ import annotations

import threading

import pytest

from fgbg.transforms.collect import providers, state
from fgbg.transforms.collect.candidate import Candidate, Downloads, Searching
from fgbg.transforms.collect.providers import PROVIDERS, Provider, SearchError, read_urls
from tests.helpers.picture_service import (
    Service,
    body,
    google,
    in_json,
    openverse,
    script,
    serpapi,
    status,
    wikimedia,
)

KEY = "s3cret/key+with&odd=characters"
KEYS = {"GOOGLE_API_KEY": KEY, "GOOGLE_CSE_ID": "engine-id-1", "SERPAPI_API_KEY": KEY}
DOWNLOADS = Downloads(timeout_s=5, retry_wait_s=0.02, longest_wait_s=3, user_agent="fgbg/test")


@pytest.fixture
def service():
    made = Service()
    yield made
    made.shutdown()
    made.server_close()


def make(service: Service, name: str, rights_filter: bool = True, **keys: str) -> Provider:
    searching = Searching(name, f"{service.url}/api", rights_filter, interval_s=0)
    return providers.make(searching, DOWNLOADS, KEYS | keys)


def collected(provider: Provider, topic: str = "red apple") -> list[Candidate]:
    return [candidate for page in provider.search(topic) for candidate in page.candidates]


def test_openverse_pages_to_the_end(service):
    service.paths["/api"] = openverse("http://pictures.test", 47)
    found = collected(make(service, "openverse"))
    assert len(found) == 47 and len(service.asked) == 3
    assert "license_type=commercial%2Cmodification" in service.asked[0]
    assert "q=red+apple" in service.asked[0]
    first = found[0]
    assert first.author == "Author 0" and first.licence == "CC BY 4.0"
    assert (first.width, first.height) == (96, 72)
    assert first.page_url == "http://pictures.test/page/0"
    assert service.headers_seen[0]["User-Agent"] == "fgbg/test"


def test_openverse_keeps_to_what_is_allowed_without_a_token(service):
    service.paths["/api"] = openverse("http://pictures.test", 5000)
    assert len(collected(make(service, "openverse"))) == 240
    assert len(service.asked) == 12
    assert PROVIDERS["openverse"].interval_s >= 1


def test_openverse_filters_rights_also_itself(service):
    service.paths["/api"] = openverse("http://pictures.test", 5, licence="by-nc")
    assert collected(make(service, "openverse")) == []
    unfiltered = collected(make(service, "openverse", rights_filter=False))
    assert {c.licence for c in unfiltered} == {"CC BY-NC 4.0"}
    assert "license_type" not in service.asked[-1]


def test_openverse_token_goes_into_the_header_only(service):
    service.paths["/api"] = openverse("http://pictures.test", 5)
    collected(make(service, "openverse", OPENVERSE_TOKEN=KEY))
    assert service.headers_seen[0]["Authorization"] == f"Bearer {KEY}"
    assert "s3cret" not in service.asked[0]


def test_wikimedia_pages_order_licences_and_scaled_pictures(service):
    service.paths["/api"] = wikimedia("http://pictures.test", 120)
    found = collected(make(service, "wikimedia"))
    assert len(service.asked) == 3
    # 3 and 4 of every 5 are not free.
    assert [c.title for c in found[:4]] == [f"Photo {i}.jpg" for i in (0, 1, 2, 5)]
    assert len(found) == 72 and {c.licence for c in found} == {"CC BY-SA 4.0"}
    assert found[1].author == "Ann & Bob 1"
    assert found[0].image_url.endswith("/5000.jpg") and found[1].image_url.endswith("/1.jpg")
    asked = service.asked[0]
    assert "filetype%3Abitmap+red+apple" in asked and "gsrnamespace=6" in asked
    assert len(collected(make(service, "wikimedia", rights_filter=False))) == 120


def test_wikimedia_errors_come_with_status_200(service):
    error = {"code": "maxlag", "info": "Waiting for a database server: 6 seconds lagged"}
    service.paths["/api"] = body(in_json({"error": error}), "application/json")
    with pytest.raises(SearchError, match=r"maxlag.*try again later") as raised:
        collected(make(service, "wikimedia"))
    assert raised.value.quota
    late = body(in_json({"error": error}), Retry_After="0", MediaWiki_API_Error="maxlag")
    service.paths["/api"] = script(late, late, wikimedia("http://pictures.test", 10))
    assert len(collected(make(service, "wikimedia"))) == 6


def test_google_pages_and_its_hundred_results(service):
    service.paths["/api"] = google("http://pictures.test", 500, KEY)
    found = collected(make(service, "google"))
    assert len(found) == 100 and len(service.asked) == 10
    assert "searchType=image" in service.asked[0] and "num=10" in service.asked[0]
    assert "rights=cc_publicdomain%7Ccc_attribute%7Ccc_sharealike" in service.asked[0]
    assert "unverified" in found[0].licence
    collected(make(service, "google", rights_filter=False))
    assert "rights" not in service.asked[-1]
    service.paths["/api"] = google("http://pictures.test", 23, KEY)
    assert len(collected(make(service, "google"))) == 23


def test_serpapi_pages_to_the_answer_without_results(service):
    service.paths["/api"] = serpapi("http://pictures.test", 10, 3)
    found = collected(make(service, "serpapi"))
    assert len(found) == 30 and len(service.asked) == 4
    assert "engine=google_images" in service.asked[0] and "licenses=cl" in service.asked[0]
    assert found[11].image_url == "http://pictures.test/photo/11.jpg"
    service.paths["/api"] = body(in_json({"error": "Your account has run out of searches."}))
    with pytest.raises(SearchError, match="run out of searches"):
        collected(make(service, "serpapi"))


@pytest.mark.parametrize("name", ["google", "serpapi"])
def test_a_missing_key_is_named_and_not_asked_for_on_the_command_line(service, name):
    needed = PROVIDERS[name].needs[0]
    with pytest.raises(SearchError, match=needed):
        make(service, name, rights_filter=True, **{needed: " "})


def echo(handler) -> None:
    """Refuses, and repeats all that it was sent, as services do."""
    said = f"{handler.path} {handler.query().get('key')} {handler.headers.get('Authorization')}"
    handler.send(403, {}, in_json({"error": {"code": 403, "message": said}}))


def test_wikimedias_403_says_to_give_a_contact(service):
    said = b"Please set a user-agent and respect our robot policy https://w.wiki/4wJS."
    service.paths["/api"] = status(403, said)
    with pytest.raises(SearchError, match=r"answered 403.*give --contact"):
        collected(make(service, "wikimedia"))


def redirecting(handler) -> None:
    handler.send(302, {"Location": f"http://elsewhere.test{handler.path}"}, b"")


def not_json(handler) -> None:
    handler.send(200, {}, handler.path.encode())


@pytest.mark.parametrize("name", ["google", "serpapi", "openverse"])
@pytest.mark.parametrize("step", [echo, redirecting, not_json, status(400), status(500), None])
def test_no_error_shows_a_key(service, name, step):
    if step is not None:
        service.paths["/api"] = step
    else:
        service.server_close()  # no connection at all
    provider = make(service, name, OPENVERSE_TOKEN=KEY)
    with pytest.raises(SearchError) as raised:
        collected(provider)
    shown = []
    error: BaseException | None = raised.value
    while error is not None:
        shown.append(f"{error} {error.args!r} {vars(error)!r}")
        # What a traceback would print.
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for form in (KEY, "s3cret", "engine-id-1"):
        assert form not in " ".join(shown)
    assert name in shown[0]


def test_a_redirect_does_not_take_the_key_elsewhere(service):
    other = Service()
    service.paths["/api"] = lambda handler: handler.send(
        302, {"Location": f"{other.url}{handler.path}"}, b""
    )
    with pytest.raises(SearchError, match="a redirect, which is not followed"):
        collected(make(service, "google"))
    assert other.asked == []


def test_keys_in_answers_are_not_recorded(service, tmp_path):
    def leaking(handler):
        item = {"link": f"http://pictures.test/a.jpg?key={KEY}", "title": handler.path, "image": {}}
        handler.send(200, {}, in_json({"items": [item]}))

    service.paths["/api"] = leaking
    provider = make(service, "google")
    list(state.pages(str(tmp_path), "search", provider, "topic"))
    recorded = b"".join(path.read_bytes() for path in tmp_path.rglob("*.json"))
    assert b"pictures.test" in recorded and b"s3cret" not in recorded and b"***" in recorded


def test_a_busy_service_is_waited_for(service):
    answering = openverse("http://pictures.test", 5)
    busy = status(429, in_json({"detail": "Request was throttled."}), Retry_After="1")
    service.paths["/api"] = script(busy, status(503), answering)
    assert len(collected(make(service, "openverse"))) == 5
    assert len(service.asked) == 3


def test_a_used_up_quota_ends_the_search_and_says_when_to_go_on(service):
    service.paths["/api"] = status(
        429,
        in_json({"detail": "Request was throttled. Expected available in 9000 seconds."}),
        Retry_After="9000",
    )
    with pytest.raises(SearchError, match=r"throttled.*goes on in 9,000 s") as raised:
        collected(make(service, "openverse"))
    assert raised.value.quota and len(service.asked) == 1


def test_googles_daily_limit_comes_as_403(service):
    error = {
        "code": 403,
        "message": "Daily Limit Exceeded",
        "errors": [{"reason": "dailyLimitExceeded"}],
    }
    service.paths["/api"] = status(403, in_json({"error": error}))
    with pytest.raises(SearchError, match="goes on later") as raised:
        collected(make(service, "google"))
    assert raised.value.quota and len(service.asked) == 1


def test_a_wrong_key_is_said_to_be_one(service):
    service.paths["/api"] = google("http://pictures.test", 5, "another")
    with pytest.raises(SearchError, match="check GOOGLE_API_KEY and GOOGLE_CSE_ID") as raised:
        collected(make(service, "google"))
    assert not raised.value.quota


@pytest.mark.parametrize(
    "content",
    [b"[]", b'{"results": 5}', b'{"results": [5, {"url": null}, {}], "page_count": "x"}', b"\xff"],
)
def test_answers_of_another_shape_are_survived(service, content):
    service.paths["/api"] = body(content, "application/json")
    for name in ("openverse", "wikimedia", "google", "serpapi"):
        try:
            assert collected(make(service, name)) == []
        except SearchError as error:
            assert name in str(error)


def test_pages_are_asked_for_once_and_no_sooner_than_needed(service, tmp_path):
    service.paths["/api"] = openverse("http://pictures.test", 100)
    provider = make(service, "openverse")
    name = state.search_name(provider, "topic")
    first = state.pages(str(tmp_path), name, provider, "topic")
    next(first), next(first)
    assert len(service.asked) == 2
    again = [len(p.candidates) for p in state.pages(str(tmp_path), name, provider, "topic")]
    assert again == [20] * 5 and len(service.asked) == 5
    assert state.results(str(tmp_path), name) == (100, True)
    # Another question has pages of its own.
    assert state.search_name(make(service, "openverse", False), "topic") != name


def test_the_end_of_the_run_ends_waits(service):
    from fgbg.transforms.collect.web import StoppedError

    service.paths["/api"] = status(429, Retry_After="3")
    stopped = threading.Event()
    threading.Timer(0.3, stopped.set).start()
    searching = Searching("openverse", f"{service.url}/api", interval_s=0)
    with pytest.raises(StoppedError):
        collected(providers.make(searching, DOWNLOADS, {}, stopped))


def test_lists_of_addresses(tmp_path):
    text = tmp_path / "red things.txt"
    text.write_text("# mine\nhttp://a.test/1.jpg\n\n  http://a.test/2.jpg \nhttp://a.test/1.jpg\n")
    found = read_urls(str(text))
    assert [c.image_url for c in found] == ["http://a.test/1.jpg", "http://a.test/2.jpg"]
    assert {c.topic for c in found} == {"red things"}
    table = tmp_path / "table.csv"
    table.write_text(
        "\ufeffImage_URL,topic,license,author\n"
        'http://a.test/1.jpg,apple,CC0,"Ann, Bob"\nhttp://a.test/2.jpg,,,,,extra\n'
    )
    first, second = read_urls(str(table))
    assert (first.topic, first.licence, first.author) == ("apple", "CC0", "Ann, Bob")
    assert second.topic == "table"
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    with pytest.raises(SearchError, match="names no column image_url"):
        read_urls(str(wrong))
    with pytest.raises(SearchError, match="cannot be read: No such file"):
        read_urls(str(tmp_path / "none.txt"))
