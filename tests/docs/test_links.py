"""Links of README, docs and cards as GitHub and the Hub follow them: to files of the repository, headings, https.

`make docs` checks those within the site. Where an address of the web leads is not asked: the tests have no network.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_ADDRESS = re.compile(r"""\b(?:href|src)=["']([^"']+)["']""")
_BARE = re.compile(r"\bhttp://\S+")


@cache
def tracked() -> frozenset[str]:
    """Files of the repository, and the folders that they are in."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=False, encoding="utf-8").stdout.split("\0")[:-1]
    if not names:
        pytest.skip("not a checkout of git")
    return frozenset(names) | {parent.as_posix() for name in names for parent in Path(name).parents}


@cache
def parse(text: str) -> tuple[list[str], set[str], str]:
    """The links of a page, the anchors of its headings as GitHub makes them, and its prose without code."""
    tokens = MarkdownIt("commonmark").enable("table").parse(_FRONT_MATTER.sub("", text))
    links, headings, prose = [], [], []
    for token, next_one in zip(tokens, [*tokens[1:], None]):
        if token.type == "heading_open":
            spoken = (part.content for part in next_one.children if part.type in ("text", "code_inline"))
            headings.append("".join(spoken))
        links += _ADDRESS.findall(token.content) if token.type == "html_block" else []
        for part in token.children or []:
            links += [value for name in ("href", "src") if (value := part.attrs.get(name))]
            links += _ADDRESS.findall(part.content) if part.type == "html_inline" else []
            prose.append(part.content if part.type == "text" else "\n")
    return links, set(_anchors(headings)), "".join(prose)


def _anchors(headings: list[str]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for heading in headings:
        anchor = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        seen[anchor] = seen.get(anchor, -1) + 1
        yield f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor


def faults(page: str, text: str) -> list[str]:
    """What is wrong with the links of a page of the repository."""
    links, anchors, prose = parse(text)
    found = [f"{address}: not https" for address in _BARE.findall(prose)]
    for link in links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            found += [] if _is_address(link) else [f"{link}: no address of https"]
            continue
        target = page if not parts.path else _join(page, unquote(parts.path))
        if target not in tracked():
            found.append(f"{link}: no file of the repository")
        elif page.startswith(("metrics/", "spaces/")) and not Path(target).is_relative_to(Path(page).parent):
            found.append(f"{link}: leaves the folder, which is published alone")
        elif parts.fragment and target.endswith(".md"):
            there = anchors if target == page else parse((ROOT / target).read_text(encoding="utf-8"))[1]
            found += [] if unquote(parts.fragment) in there else [f"{link}: no such heading"]
    return found


def _join(page: str, path: str) -> str:
    """A path relative to a page, as seen from the root; one that leaves the repository begins with dots or a slash."""
    return Path(os.path.normpath(Path(page).parent / path)).as_posix()


def _is_address(link: str) -> bool:
    parts = urlsplit(link)
    is_host = re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc) is not None
    return parts.scheme == "https" and is_host and not re.search(r"[\s<>]|[.,;]$", unquote(link))


PAGES = [path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]]
PAGES += [path.relative_to(ROOT).as_posix() for room in ("metrics", "spaces") for path in (ROOT / room).glob("*/*.md")]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_of_a_page_lead_somewhere(page):
    assert faults(page, (ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("page", "link", "fault"),
    [
        ("README.md", "docs/release.md", None),
        ("README.md", "docs/release.md#one-hash", None),
        ("README.md", "docs", None),
        ("README.md", "#here-and-now", None),
        ("docs/start/slu.md", "../../training/release/files.py", None),
        ("README.md", "https://arxiv.org/abs/2412.17048", None),
        ("README.md", "docs/releases.md", "no file"),
        ("README.md", ".venv/bin/python", "no file"),
        ("README.md", "../README.md", "no file"),
        ("README.md", "/docs/release.md", "no file"),
        ("README.md", "docs/release.md#two-hashes", "no such heading"),
        ("README.md", "#there", "no such heading"),
        ("metrics/swuggy/README.md", "../cra/README.md", "leaves the folder"),
        ("README.md", "http://arxiv.org/abs/2412.17048", "no address of https"),
        ("README.md", "//arxiv.org/abs/2412.17048", "no address of https"),
        ("README.md", "https:/arxiv.org/abs", "no address of https"),
        ("README.md", "https://arxiv/abs", "no address of https"),
        ("README.md", "https://arxiv.org/abs/2412.17048.", "no address of https"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(page, link, fault):
    found = faults(page, f"# Here, and `now`\n\nSee [this]({link}).\n")
    assert found == [] if fault is None else fault in found[0]


def test_addresses_in_prose_and_in_html_count_and_those_in_code_do_not():
    assert faults("README.md", "`http://127.0.0.1:7860`\n\n```\nhttp://x.org\n```\n") == []
    assert faults("README.md", "Look at http://x.org.\n") == ["http://x.org.: not https"]
    assert faults("README.md", '<img src="docs/none.png">\n') == ["docs/none.png: no file of the repository"]
