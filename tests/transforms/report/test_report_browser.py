"""The report in a real browser: headless Chromium, as Debian packages it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fgbg.transforms.job import job as jobs
from fgbg.transforms.report import page as report
from tests.helpers import headless
from tests.helpers.data_sets import make_in_process
from tests.helpers.report_sets import Page

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

pytestmark = pytest.mark.skipif(
    not headless.INSTALLED, reason="Chromium and its driver are not installed"
)
FORMS = {"images": (), "tfrecord": ("--format", "tfrecord")}
WIDTHS = {"desk": 1280, "phone": 390}


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Any]:
    driver = headless.start(tmp_path_factory.mktemp("profile"))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module", params=FORMS)
def page(request, conspicuous_sets) -> Path:
    return conspicuous_sets(*FORMS[request.param]) / "index.html"


def open_page(browser: Any, page: Path, theme: str, width: int) -> None:
    headless.set_up(browser, theme, width)
    browser.get(page.as_uri())


# Contrast of text with what is behind it, by WCAG 2: the least of all elements with text.
CONTRAST = """
const channels = c => c.match(/[\\d.]+/g).map(Number);
const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
function behind(e) {
  for (; e; e = e.parentElement) {
    const c = channels(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c;
  }
  return [255, 255, 255];
}
let least = [99, ""];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!own || e.namespaceURI.endsWith("svg")) continue;
  const [a, b] = [light(channels(getComputedStyle(e).color)), light(behind(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < least[0]) least = [ratio, e.outerHTML.slice(0, 200)];
}
return least;
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_whole_and_fits(theme, width, page, browser, tmp_path):
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    open_page(browser, page, theme, WIDTHS[width])
    assert browser.title.startswith("fgbg: 144 samples")
    images = browser.execute_script(
        "return [...document.images].map(i => i.complete && i.naturalWidth > 0)"
    )
    assert len(images) == 24 * 4 + 2 and all(images)
    charts = browser.execute_script(
        "return [...document.querySelectorAll('figure.chart > svg')].map(s => "
        "[s.getBoundingClientRect().width, s.getBoundingClientRect().height, "
        "s.querySelectorAll('path, image').length, s.querySelectorAll('text').length])"
    )
    assert len(charts) == 9
    for chart_width, height, drawn, texts in charts:
        assert chart_width > 250 and height > 150 and drawn > 3 and texts > 3
    wide, inner = browser.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert wide <= inner == WIDTHS[width]
    # Also with everything unfolded.
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= inner
    contrast, where = browser.execute_script(CONTRAST)
    assert contrast >= 4.5, where
    assert browser.get_log("browser") == []
    requested = [
        message["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        for message in [json.loads(entry["message"])["message"]]
        if message["method"] == "Network.requestWillBeSent"
        # Not what the browser's own pages ask for.
        and message["params"]["documentURL"] == page.as_uri()
    ]
    assert [url for url in requested if not url.startswith("data:")] == [page.as_uri()]
    picture = tmp_path / "page.png"
    assert browser.save_screenshot(str(picture)) and picture.stat().st_size > 10_000


def test_text_of_charts_can_be_read_on_a_phone(page, browser):
    open_page(browser, page, "light", WIDTHS["phone"])
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('figure.chart svg')].flatMap(s => "
        "[...s.querySelectorAll('text')].map(t => parseFloat(getComputedStyle(t).fontSize) * "
        "s.getBoundingClientRect().width / s.viewBox.baseVal.width))"
    )
    assert min(sizes) >= 11.7


def test_names_of_inputs_are_not_broken_on_a_phone(page, browser):
    open_page(browser, page, "light", WIDTHS["phone"])
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    lines = browser.execute_script(
        "return [...document.querySelectorAll('details td')].filter(d => d.textContent == "
        "'same_hall.png').map(d => { const r = document.createRange(); "
        "r.selectNodeContents(d); return r.getClientRects().length; })"
    )
    assert lines == [1]


def test_tables_hide_no_number_beside_long_names(small_inputs, browser, tmp_path):
    names = [f"split_{i}_{'of_rooms_and_halls_' * 4}" for i in range(3)]
    shares = f"{names[0]}=0.4,{names[1]}=0.3,{names[2]}=0.3"
    output = make_in_process(small_inputs, tmp_path / "set", "--splits", shares)
    generation = json.loads((output / "generation.json").read_text())
    run = {"samples": 1_234_567, "wall_s": 12_345.0, "workers": 128}
    generation["timings"] = {"runs": [run]}
    report.write(str(output), jobs.read(str(output)), generation)
    open_page(browser, output / "index.html", "light", 1280)
    widths = browser.execute_script(
        "return [...document.querySelectorAll('.columns .scrolls, .keys')].map("
        "e => [e.scrollWidth, e.clientWidth])"
    )
    assert len(widths) == 4
    assert all(needed <= there for needed, there in widths), widths


def test_light_and_dark_differ_also_in_the_charts(page, browser):
    seen = {}
    for theme in ("light", "dark"):
        open_page(browser, page, theme, 1280)
        seen[theme] = browser.execute_script(
            "const s = document.querySelector('#chart-height svg');"
            "return [getComputedStyle(document.body).backgroundColor, "
            "getComputedStyle(s.querySelector('text')).fill, "
            "[...new Set([...s.querySelectorAll('path')].map(p => getComputedStyle(p).fill))]]"
        )
    assert all(a != b for a, b in zip(seen["light"], seen["dark"], strict=True))


def test_nothing_from_elsewhere_runs(page, browser):
    open_page(browser, page, "light", 1280)
    assert browser.title.startswith("fgbg: ")
    assert browser.execute_script("return document.scripts.length") == 0
    listed = browser.execute_script("return document.querySelector('#inputs').textContent")
    assert "onerror=alert(1)" in listed and "<script>" in listed
    # What the browser sees is what Python's parser sees.
    assert browser.execute_script("return document.querySelectorAll('a').length") == len(
        Page(page).of("a")
    )
