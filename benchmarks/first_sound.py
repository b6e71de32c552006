"""How long somebody waits in a browser for the first sound of a page that was just started.

`evoslm demo` of `--run RUN`, anew for every model and turn -> Chromium opens it, chooses the model, types a prompt and
asks -> seconds until the page can be used, until the first continuation can be played, and until all is there.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradio_client import Client

from evoslm.training.report.formatting import markdown_table

from .flags import RUN, full_or_quick
from .served import served_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TURNS = full_or_quick(3, 1)
PROMPT = "The old man"
WAIT = 60_000
MOST_LOST = 1
"""Turns of a model without a sound in that time, milliseconds, after which the benchmark ends."""
PLAYABLE = """() => {
  const search = root => [...root.querySelectorAll('*')].some(node =>
    (node.tagName === 'AUDIO' && node.src && node.readyState >= 2) || (node.shadowRoot && search(node.shadowRoot)));
  const first = document.querySelector('#audio-0-0');
  return first !== null && search(first);
}"""
"""Whether the first continuation has sound that a browser has read, in the shadows of a waveform, too."""


def run() -> str:
    with tempfile.TemporaryDirectory() as folder, served_page(os.environ[RUN], Path(folder)) as (url, _):
        listed = Client(url, verbose=False).predict(api_name="/list_models")
    first = {model["modality"]: model["label"] for model in reversed(listed)}  # of each modality its first training
    labels = list(reversed(first.values()))[: full_or_quick(None, 1)]
    rows, lost = [], []
    with _chromium() as browser:
        for label in labels:
            turns, most = [], len(lost) + MOST_LOST
            while len(turns) < TURNS:
                try:
                    turns.append(_ask(browser, label))
                except _NoSound as error:
                    lost.append(label)
                    print(f"{label}: no end after {WAIT // 1000} s. The page says:\n{error}", file=sys.stderr)
                    if len(lost) > most:
                        raise SystemExit(1) from None
            rows.append([label, *(f"{statistics.median(times):.2f}" for times in zip(*turns))])
    return "\n".join(
        [
            "## The first sound",
            "",
            f"The page's process is started anew for every model and turn, and Chromium ({browser.version}) opens it, "
            f"chooses the model and types {PROMPT!r}; medians of {TURNS} turns, in seconds. The first column "
            "counts from the command, the others from the click that asks; the model is loaded after it. Turns that "
            f"had no sound after {WAIT // 1000} s, and were repeated: {len(lost)}.",
            "",
            markdown_table(["model", "page usable", "first sound", "all continuations"], rows),
        ]
    )


class _NoSound(Exception):
    """What the page says in place of a sound."""


def _ask(browser, label: str) -> tuple[float, float, float]:
    from playwright.sync_api import TimeoutError

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with served_page(os.environ[RUN], Path(folder)) as (url, _):
            context = browser.new_context()
            page = context.new_page()
            page.set_default_timeout(WAIT)
            page.goto(url)
            page.locator("#prompt-text textarea").wait_for()
            usable = time.perf_counter() - start
            _choose(page, label)
            page.locator("#prompt-text textarea").fill(PROMPT)
            clicked = time.perf_counter()
            page.locator("#run").click()
            try:
                page.wait_for_function(PLAYABLE, polling=10)
                sounds = time.perf_counter() - clicked
                page.locator("#status", has_text="Done:").wait_for()
            except TimeoutError:
                raise _NoSound(page.inner_text("body")) from None
            else:
                done = time.perf_counter() - clicked
            finally:
                context.close()
    return usable, sounds, done


def _choose(page, label: str) -> None:
    field = page.locator("#models input")
    field.click()
    for _ in range(5):
        field.press("Backspace")
    field.fill(label)
    page.get_by_role("option", name=label, exact=True).click()
    field.press("Escape")


@contextmanager
def _chromium() -> Iterator:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise SystemExit("no Chromium; `apt-get install chromium` brings one")
    flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()
