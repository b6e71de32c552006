"""The study's tables and figures, as its report tells them.

a folder with `report.md` and figures -> [`read_report`] -> sections of Markdown and figures, which [`show_report`]
puts on the page.
"""

import base64
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

_FIGURE = re.compile(r"^!\[(?P<alt>[^\]]*)\]\((?P<file>[\w.-]+\.png)\)\s*$\n+(?:^\*[^\n]*\*\s*$)?", re.MULTILINE)
_LOCAL_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://|#)[^)]*\)")


@dataclass(frozen=True)
class Section:
    """
    A part of a report below one heading.

    Args:
        title (`str`): Its heading.
        parts (`list[str]`): Markdown, or HTML of a figure, in order.
    """

    title: str
    parts: list[str]


def read_report(folder: Path) -> list[Section]:
    """
    Cut a report into sections.

    Args:
        folder (`Path`): With `report.md` and the figures that it shows.

    Returns:
        `list[Section]`: The first has what stands above all other headings.

    Raises:
        `FileNotFoundError`: If there is no report.
    """
    path = folder / "report.md"
    if not path.is_file():
        raise FileNotFoundError(f"There is no report {path}; write one with `evoslm report`.")
    text = _LOCAL_LINK.sub(r"\1", path.read_text(encoding="utf-8"))
    title, _, text = text.removeprefix("# ").partition("\n")
    head, *others = re.split(r"^## ", text, flags=re.MULTILINE)
    sections = [Section(title.strip(), _parts(head, folder))]
    for other in others:
        heading, _, body = other.partition("\n")
        sections.append(Section(heading.strip(), _parts(body, folder)))
    return sections


def _parts(text: str, folder: Path) -> list[str]:
    parts, place = [], 0
    for match in _FIGURE.finditer(text):
        file = folder / match["file"]
        if file.is_file():
            parts += [text[place : match.start()], _figure(file, match["alt"])]
            place = match.end()
    return [part for part in (*parts, text[place:]) if part.strip()]


def _figure(file: Path, caption: str) -> str:
    data = base64.b64encode(file.read_bytes()).decode()
    return (
        f'<figure class="study"><img src="data:image/png;base64,{data}" alt="{escape(caption)}"/>'
        f'<figcaption aria-hidden="true">{escape(caption)}</figcaption></figure>'
    )


def show_report(folder: Path | None) -> None:
    """Put a report into the tab that is being built, or say that there is none."""
    if folder is None:
        gr.Markdown("These models come without the report of their study; `evoslm demo RUN` shows that of a run.")
        return
    for place, section in enumerate(read_report(folder)):
        if place == 0:
            gr.Markdown(f"## {section.title}")
            _show_parts(section)
            continue
        with gr.Accordion(section.title, open=place == 1):
            _show_parts(section)


def _show_parts(section: Section) -> None:
    for part in section.parts:
        if part.startswith("<figure"):
            gr.HTML(part)
        else:
            gr.Markdown(part, elem_classes="study-text")
