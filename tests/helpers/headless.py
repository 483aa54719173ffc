"""Headless Chromium, as Debian packages it: for tests, and for the README's picture of a report.

python tests/helpers/headless.py OUT/index.html picture.png [light|dark] [WIDTH]
"""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
DRIVER = shutil.which("chromedriver")
INSTALLED = bool(CHROMIUM and DRIVER)
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def start(profile: Path) -> Any:
    """Starts a browser, whose `quit` is the caller's, with its files in a folder."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.chrome.service.Service(executable_path=DRIVER)
    return webdriver.Chrome(options=options, service=service)


def set_up(browser: Any, theme: str, width: int) -> None:
    """Gives a browser's window a theme, "light" or "dark", and a width in pixels."""
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": theme}]},
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600},
    )


def main(page: str, picture: str, theme: str = "light", width: str = "1280") -> None:
    """Takes a picture of the top of a page, at three quarters of its size."""
    wide = int(width)
    with tempfile.TemporaryDirectory() as folder:
        browser = start(Path(folder))
        try:
            set_up(browser, theme, wide)
            browser.get(Path(page).resolve().as_uri())
            clip = {"x": 0, "y": 0, "width": wide, "height": round(0.96 * wide), "scale": 0.75}
            taken = browser.execute_cdp_cmd(
                "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
            )
        finally:
            browser.quit()
    Path(picture).write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
