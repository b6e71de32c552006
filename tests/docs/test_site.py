"""The documentation as a site: built without a warning, complete, and read without a network."""

import re
from pathlib import Path

import pytest
from built_site import ROOT, build_site

import evoslm


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return build_site(tmp_path_factory.mktemp("site"))


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = re.compile(r"""<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)""")
    for page in [*site.rglob("*.html")]:
        assert loaded.findall(page.read_text(encoding="utf-8")) == [], page
    for sheet in site.rglob("*.css"):
        assert re.findall(r"""url\(["']?(?:https?:)?//|@import""", sheet.read_text(encoding="utf-8")) == [], sheet


def test_no_path_of_a_machine_is_on_a_page(site):
    for page in site.rglob("*.html"):
        assert str(ROOT) not in page.read_text(encoding="utf-8"), page


def test_every_public_name_is_in_the_reference(site):
    text = (site / "api.html").read_text(encoding="utf-8")
    assert [name for name in evoslm.__all__ if f'id="evoslm.{name}"' not in text] == ["__version__"]


def test_docstrings_in_the_hugging_face_form_are_read(site):
    text = (site / "api.html").read_text(encoding="utf-8")
    assert "[<code>" not in text and "*optional*" not in text and "<em>optional</em>" not in text
    assert 'href="#evoslm.SpeechUnitConfig"' in text


def test_every_report_is_in_the_gallery(site):
    text = (site / "gallery.html").read_text(encoding="utf-8")
    reports = [path.parent.name for path in (ROOT / "docs" / "results").glob("*/report.md")]
    assert reports and [name for name in reports if f'href="results/{name}/report.html"' not in text] == []


def test_links_out_of_docs_lead_to_pages_of_the_site(site):
    page = site / "repository" / "metrics" / "swuggy" / "index.html"
    text = page.read_text(encoding="utf-8")
    assert "sWUGGY" in text
    assert "license: " not in text  # the front matter of a card
