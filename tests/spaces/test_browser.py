"""The page as a person uses it: in a browser, by hand and by keyboard, in light and dark, wide and narrow."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bad_requests import SCRIPT, sound

pytestmark = pytest.mark.end_to_end
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WAIT = 300_000
"""Milliseconds: an answer on a machine that does much else."""
SOUNDS = """selector => {
  const found = [];
  const search = root => root.querySelectorAll('*').forEach(node => {
    if (node.tagName === 'AUDIO' && node.src) found.push([node.duration, node.readyState, node.currentTime]);
    if (node.shadowRoot) search(node.shadowRoot);
  });
  search(document.querySelector(selector));
  return found;
}"""
"""Duration, readiness and place of what can be heard below a selector, in the shadows of a waveform, too."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Where screenshots go: to the folder that `EVOSLM_SCREENSHOTS` names, for somebody to look at."""
    folder = os.environ.get("EVOSLM_SCREENSHOTS")
    folder = Path(folder) if folder else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def opened(browser, space):
    """Opens the page: `with opened(theme, size) as page`. Whatever it asks another server for fails the test."""

    @contextmanager
    def open_page(theme: str = "light", size: dict[str, int] = WIDE) -> Iterator:
        context = browser.new_context(viewport=size, permissions=["microphone"])
        foreign, broken = [], []
        context.on("request", lambda request: foreign.append(request.url) if is_foreign(request.url) else None)
        page = context.new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.set_default_timeout(WAIT)
        page.goto(f"{space.url}/?__theme={theme}")
        page.locator("#prompt-text textarea").wait_for()
        yield page
        context.close()
        assert foreign == [] and broken == []

    def is_foreign(url: str) -> bool:
        return not url.startswith((space.url, f"blob:{space.url}", "data:"))

    return open_page


@pytest.fixture(scope="module")
def units_file(finished_run, tmp_path_factory) -> Path:
    """The run's units of its validation utterances, as a table of somebody else's."""
    (shard,) = (finished_run / "units" / "speech_units" / "utterances").glob("validation-*.parquet")
    path = tmp_path_factory.mktemp("units") / "mine.jsonl"
    rows = ({"file": row["id"], "units": row["units"]} for row in pq.read_table(shard).to_pylist())
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def choose(page, *labels: str) -> None:
    """Choose these models and no others."""
    field = page.locator("#models input")
    field.click()
    for _ in range(5):
        field.press("Backspace")
    for label in labels:
        field.fill(label)
        page.get_by_role("option", name=label, exact=True).click()
    field.press("Escape")


def wait_until_done(page) -> None:
    page.locator("#status", has_text="Done:").wait_for()


def test_a_text_is_continued_and_played(opened):
    with opened() as page:
        page.locator("#prompt-text textarea").fill("the dog")
        page.locator("#run").click()
        wait_until_done(page)
        for column in (0, 1):
            assert page.locator(f"#heading-{column}").inner_text()
            # A browser that has much to do reads a sound a while after it has come.
            is_ready = "sounds.length === 1 && sounds[0][0] > 0 && sounds[0][1] >= 2"
            place = f"'#audio-{column}-0'"  # which is drawn anew as sounds come
            heard = f"document.querySelector({place}) ? ({SOUNDS})({place}) : []"
            page.wait_for_function(f"() => (sounds => {is_ready})({heard})")
            assert page.locator(f"#line-{column}-0 svg").count() == 1
        page.locator("#audio-0-0").get_by_role("button", name="Play", exact=True).click()
        page.wait_for_function(f"({SOUNDS})('#audio-0-0')[0][2] > 0")


def test_a_file_is_continued_by_models_that_hear(opened, tmp_path):
    file = tmp_path / "prompt.wav"
    file.write_bytes(sound(np.sin(np.arange(16_000) / 5)))
    with opened() as page:
        choose(page, "Speech-MFCC")
        page.locator("#prompt-audio input[type=file]").set_input_files(file)
        page.locator("#prompt-audio").get_by_role("button", name="Play", exact=True).wait_for()
        page.locator("#run").click()
        wait_until_done(page)
        page.wait_for_function(f"({SOUNDS})('#audio-0-0')[0][0] > 0")  # nothing is known of a sound before it is read
        ((duration, _, _),) = page.evaluate(SOUNDS, "#audio-0-0")
        assert duration > 0
        assert not page.locator("#column-1").is_visible()


def test_what_the_microphone_hears_is_a_prompt(opened):
    with opened() as page:
        choose(page, "Speech-MFCC")
        page.locator("#prompt-audio").get_by_role("button", name="Record audio").click()
        page.locator("#prompt-audio").get_by_role("button", name="Record", exact=True).click()
        page.wait_for_timeout(1500)
        page.locator("#prompt-audio").get_by_role("button", name="Stop", exact=True).click()
        page.locator("#prompt-audio").get_by_role("button", name="Play", exact=True).wait_for()
        page.locator("#run").click()
        wait_until_done(page)


def test_a_mistake_is_a_sentence(opened):
    with opened() as page:
        page.locator("#run").click()
        said = page.get_by_test_id("toast-text")
        said.wait_for()
        assert said.inner_text() == "Type the beginning of a sentence, record one, or pick an example."
        page.locator("#prompt-text textarea").fill("...")
        page.locator("#run").click()
        page.get_by_text("The text has no words; type some.").wait_for()


def test_what_is_typed_stays_text(opened):
    with opened() as page:
        title = page.title()
        page.locator("#prompt-text textarea").fill(SCRIPT)
        page.locator("#run").click()
        wait_until_done(page)
        open_tab(page, "Which is likelier?")
        page.locator("#pair-first textarea").fill(SCRIPT)
        page.locator("#pair-run").click()
        page.locator("#pair-status", has_text="Done.").wait_for()
        assert page.locator("#pair-scores").get_by_text("onerror").count() > 0
        assert page.title() == title and page.locator("img[src=x]").count() == 0


def test_a_continuation_is_stopped_and_another_begun(opened):
    with opened() as page:
        choose(page, "Speech-MFCC", "Phone-Repeat", "Phone-Stretch")
        page.get_by_text("How continuations are drawn").click()
        page.locator("#num-continuations input[type=number]").fill("4")
        page.locator("#seconds input[type=number]").fill("15")
        page.locator("#seconds input[type=number]").press("Tab")
        page.locator("#prompt-text textarea").fill("the dog")
        page.locator("#run").click()
        page.locator("#column-0").wait_for()
        page.locator("#stop").click()
        page.locator("#status", has_text="Stopped.").wait_for()
        page.wait_for_timeout(1000)
        assert "Stopped." in page.locator("#status").inner_text()
        page.locator("#seconds input[type=number]").fill("1")
        page.locator("#seconds input[type=number]").press("Tab")
        page.locator("#run").click()
        wait_until_done(page)


def test_an_example_is_picked_and_continued(opened):
    with opened() as page:
        examples = page.locator("button.gallery-item")
        text, sound = examples.nth(0), examples.nth(1)
        text.click()
        page.wait_for_function("document.querySelector('#prompt-text textarea').value != ''")
        typed = page.locator("#prompt-text textarea").input_value()
        assert typed.startswith(text.inner_text().removesuffix(" …"))
        page.locator("#run").click()
        wait_until_done(page)
        sound.click()
        page.locator("#prompt-audio").get_by_role("button", name="Play", exact=True).wait_for()
        assert page.locator("#prompt-text textarea").input_value() == ""  # or there would be two prompts
        choose(page, "Speech-MFCC")
        page.locator("#run").click()
        page.locator("#column-1").wait_for(state="hidden")
        wait_until_done(page)
        page.wait_for_function(f"({SOUNDS})('#audio-0-0')[0][0] > 0")


def test_scores_of_a_pair_are_stopped_and_asked_for_again(opened):
    with opened() as page:
        open_tab(page, "Which is likelier?")
        chosen = page.locator("#pair-models .token")
        assert chosen.count() > 8  # more than are kept, so that some are always loaded
        page.locator("#pair-run").click()
        page.locator("#pair-scores tbody tr").first.wait_for()
        page.locator("#pair-stop").click()
        page.locator("#pair-status", has_text="Stopped.").wait_for()
        page.wait_for_timeout(1000)
        assert "Stopped." in page.locator("#pair-status").inner_text()
        page.locator("#pair-run").click()
        page.locator("#pair-status", has_text="Done.").wait_for()
        assert page.locator("#pair-scores tbody tr").count() == chosen.count()


def test_everything_is_done_by_keyboard(opened):
    with opened() as page:
        reach(page, "#prompt-text textarea")
        page.keyboard.type("the dog")
        reach(page, "#run")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        page.keyboard.press("Enter")
        wait_until_done(page)
        reach(page, "#audio-0-0 button[aria-label='Play']")
        page.keyboard.press("Enter")
        page.wait_for_function(f"({SOUNDS})('#audio-0-0')[0][2] > 0")
        page.locator("#tab-continue-button").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.locator("#pair-run").wait_for()


def reach(page, selector: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(80):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached")


@pytest.mark.parametrize("theme", ("light", "dark"))
@pytest.mark.parametrize("size", (WIDE, NARROW), ids=("wide", "narrow"))
def test_every_tab_can_be_read_and_none_is_wider_than_the_screen(opened, pictures, units_file, theme, size):
    from axe_playwright_python.sync_playwright import Axe

    name = f"{theme}-{size['width']}"
    with opened(theme, size) as page:
        look(page, pictures / f"begin-{name}.png")
        dots = page.locator("footer .divider")  # between two things: none where there is only one
        assert sum(dot.is_visible() for dot in dots.all()) == (1 if size == WIDE else 0)
        page.locator("#prompt-text textarea").fill("the dog")
        page.locator("#run").click()
        wait_until_done(page)
        look(page, pictures / f"continue-{name}.png")
        problems = Axe().run(page).response["violations"]
        open_tab(page, "Which is likelier?")
        page.locator("#pair-run").click()
        page.locator("#pair-status", has_text="Done.").wait_for()
        look(page, pictures / f"pair-{name}.png")
        problems += Axe().run(page).response["violations"]
        open_tab(page, "Your units")
        page.locator("#units-run").wait_for()  # the tab is drawn when it is opened; before, a file would go nowhere
        page.locator("#units-file input[type=file]").set_input_files(units_file)
        name_in_two = re.compile(rf"{units_file.stem}\s*{re.escape(units_file.suffix)}")  # and in two lines, at times
        page.locator("#units-file", has_text=name_in_two).wait_for()
        page.locator("#units-run").click()
        page.locator("#units-status", has_text="Measured").wait_for()
        assert page.locator("#units-measures table").count() == 2
        look(page, pictures / f"units-{name}.png")
        problems += Axe().run(page).response["violations"]
        open_tab(page, "The study")
        page.locator("#tab-study h2").first.wait_for()
        look(page, pictures / f"study-{name}.png")
        problems += Axe().run(page).response["violations"]
    serious = [problem for problem in problems if problem["impact"] in ("serious", "critical")]
    found = [(problem["id"], node["target"], node["html"][:200]) for problem in serious for node in problem["nodes"]]
    assert found == []


def open_tab(page, name: str) -> None:
    """Open a tab, which lies behind three dots where the screen is narrow."""
    if not page.get_by_role("tab", name=name).is_visible():
        page.get_by_role("button", name="More tabs").click()
        page.get_by_role("button", name=name).click()
    else:
        page.get_by_role("tab", name=name).click()


def look(page, file: Path) -> None:
    """Take a picture of a page, which needs no more room to the right than there is."""
    page.screenshot(path=file, full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
