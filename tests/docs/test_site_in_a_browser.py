"""The documentation as it is read: by day and by night, wide and on a phone, with nothing too faint to be read."""

import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from built_site import build_site

pytestmark = pytest.mark.end_to_end
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAGES = ("index", "release", "gallery", "results/laptop/report", "api", "repository/metrics/swuggy/index")
"""One of each kind: a start, code and tables, links, a report, the reference, a card."""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The site, served on loopback."""
    folder = build_site(tmp_path_factory.mktemp("site"))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Where screenshots go: to the folder that `EVOSLM_SCREENSHOTS` names, for somebody to look at."""
    folder = Path(os.environ.get("EVOSLM_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("size", (WIDE, NARROW), ids=("wide", "narrow"))
def test_every_kind_of_page_can_be_read(browser, address, pictures, scheme, size):
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport=size, color_scheme=scheme)
    page, found = context.new_page(), []
    for name in PAGES:
        page.goto(f"{address}/{name}.html")
        shown = page.evaluate("document.body.getAttribute('data-md-color-scheme')")
        assert shown == {"light": "default", "dark": "slate"}[scheme]
        page.screenshot(path=pictures / f"site-{name.replace('/', '-')}-{scheme}-{size['width']}.png")
        for problem in Axe().run(page).response["violations"]:
            if problem["impact"] in ("serious", "critical"):
                found += [(name, problem["id"], node["target"], node["html"][:160]) for node in problem["nodes"]]
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    context.close()
    assert found == []
