"""A hook of MkDocs: what the pages link to outside of docs/ becomes a part of the site, so that no link leaves it.

links of the pages -> files of the repository -> a page each (Markdown as it is, anything else as code) under
`repository/` -> the same links, to these pages. And the package, laid out as it is installed, for the API reference.
"""

import os
import re
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
FOLDER = "repository"
PACKAGE = ROOT / "build" / "docs-package"
LANGUAGES = {".py": "python", ".json": "json", ".yaml": "yaml", ".cfg": "ini"}
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_LINK = re.compile(r"\]\((?P<path>(?!\w+:|#|/)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_startup(**kwargs) -> None:
    """Lay the package out for the API reference, before its loader looks for it."""
    link_package(PACKAGE)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page for each file of the repository that a page links to, and that these link to."""
    waiting = {ROOT / "docs" / file.src_uri: file.src_uri for file in files.documentation_pages()}
    while waiting:
        path, _ = waiting.popitem()
        for match in _LINK.finditer(path.read_text(encoding="utf-8")):
            target = (path.parent / match["path"]).resolve()
            name = page_name(target)
            if name is None or files.get_file_from_path(name):
                continue
            files.append(
                File.generated(config, name, content=page_content(target), inclusion=InclusionLevel.NOT_IN_NAV)
            )
            if target.suffix == ".md":
                waiting[target] = name
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links of a page that leave docs/ to the pages made for them, and those that come back from there."""
    name = page.file.src_uri
    source = ROOT / name.removeprefix(f"{FOLDER}/") if name.startswith(f"{FOLDER}/") else ROOT / "docs" / name

    def redirect(match: re.Match) -> str:
        target = (source.parent / match["path"]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            wanted = target.relative_to(ROOT / "docs").as_posix()
        else:
            wanted = page_name(target)
        if wanted is None:  # left as it is, for MkDocs to say that it leads nowhere
            return match[0]
        return f"]({os.path.relpath(wanted, Path(name).parent)}{match['anchor'] or ''})"

    return _LINK.sub(redirect, markdown)


def page_name(target: Path) -> str | None:
    """The page of a file outside of docs/, or `None` if there is no such file in the repository."""
    if not target.is_file() or not target.is_relative_to(ROOT) or target.is_relative_to(ROOT / "docs"):
        return None
    name = f"{FOLDER}/{target.relative_to(ROOT).as_posix()}"
    return name if target.suffix == ".md" else f"{name}.md"


def page_content(target: Path) -> str:
    """A file as a page: Markdown without the front matter of a card, anything else as code."""
    text = target.read_text(encoding="utf-8")
    if target.suffix == ".md":
        return _FRONT_MATTER.sub("", text)
    name = target.relative_to(ROOT).as_posix()
    return f"# {name}\n\n````{LANGUAGES.get(target.suffix, 'text')}\n{text}````\n"


def link_package(folder: Path) -> None:
    """Lay the package out as it is installed, by links: the loader of the API reference reads files alone."""
    shutil.rmtree(folder, ignore_errors=True)
    for top in ("evoslm", "models", "datasets_scripts", "metrics", "training", "spaces"):
        for source in (ROOT / top).rglob("*.py"):
            inside = source.relative_to(ROOT / "evoslm" if top == "evoslm" else ROOT)
            link = folder / "evoslm" / inside
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source.resolve())
