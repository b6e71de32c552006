"""A page that is served, and a browser to look at it."""

import os
import shutil
from collections.abc import Iterator

import pytest
from served_space import ServedSpace

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
REQUIRED = "EVOSLM_REQUIRE_BROWSER"
"""Where this is set, a test that finds no browser fails."""


@pytest.fixture(scope="module")
def space(finished_run, tmp_path_factory) -> Iterator[ServedSpace]:
    """`evoslm demo` of the tiny study."""
    served = ServedSpace(finished_run, tmp_path_factory.mktemp("space"))
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A Chromium without a window, which plays without being clicked first and hears a beep as its microphone."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(
            "no Chromium; `apt-get install chromium` brings one"
        )
    flags = ["--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream"]
    flags += ["--use-fake-ui-for-media-stream", "--disable-dev-shm-usage"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")  # which Chromium refuses to start with as root
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()
