"""The files of a report, and its page: `report.md` rendered, self-contained, with its figures as drawings inside.

Markdown -> markdown-it -> HTML, each figure's image replaced by its panels -> template with the style inline.
The page asks nothing of a network, follows the reader's light or dark theme, and prints in the light one.
"""

import math
import re
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markdown_it import MarkdownIt
from markupsafe import Markup

from ...models.files import remove_partial, write_json, written_whole
from .figures import Figure, theme_css


def write_files(folder: Path, results: dict, figures: dict[str, Figure], markdown: str, name: str = "report") -> Path:
    """
    Write a report, or another page of its look.

    Args:
        folder (`Path`): Where to.
        results (`dict`): All numbers of its tables.
        figures (`dict[str, Figure]`): The figures that it names.
        markdown (`str`): Its text.
        name (`str`, *optional*, defaults to `"report"`): The stem of the page's files; of another page than the
            report its numbers have it, too.

    Returns:
        `Path`: `report.md` in the folder, beside `report.html` (the same, self-contained), `results.json` and the
        figures as png and svg.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder)  # of a report that was killed
    for figure in figures.values():
        figure.save(folder)
    write_json(folder / ("results.json" if name == "report" else f"{name}.json"), plain_numbers(results))
    # Each file whole, and the text last: a page or a release may read it while it is written again.
    with written_whole(folder / f"{name}.html") as partial:
        partial.write_text(render_page(markdown, figures), encoding="utf-8")
    with written_whole(folder / f"{name}.md") as partial:
        partial.write_text(markdown, encoding="utf-8")
    return folder / f"{name}.md"


def render_page(markdown: str, figures: dict[str, Figure]) -> str:
    """
    Make the page.

    Args:
        markdown (`str`): The report as `write_document` gives it.
        figures (`dict[str, Figure]`): The figures that it names.

    Returns:
        `str`: The text of `report.html`.
    """
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    body = re.sub(r'<a href="(report|analysis)\.md"', r'<a href="\1.html"', body)
    headings: list[tuple[str, str]] = []

    def anchor(match: re.Match) -> str:
        title = match.group(1)
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        headings.append((name, title))
        return f'<h2 id="{name}">{title}</h2>'

    body = re.sub(r"<h2>(.*?)</h2>", anchor, body)
    body = body.replace("<table>", '<div class="table" tabindex="0"><table>').replace("</table>", "</table></div>")
    for name, figure in figures.items():
        # The image and the caption that follows it, as the document writes them.
        pattern = rf'<p><img src="{name}\.png"[^>]*></p>\s*<p><em>(.*?)</em></p>'
        body = re.sub(pattern, lambda match, figure=figure: _figure(figure, match.group(1)), body, flags=re.DOTALL)
    body = body.replace("<p><strong>How to read", '<p class="note"><strong>How to read')
    first, heading, rest = body.partition("<h2")
    body = f'<section class="first">{first}</section>{heading}{rest}'
    folder = files(__package__)
    light, dark = theme_css()
    template = Environment(autoescape=True).from_string((folder / "template.html").read_text(encoding="utf-8"))
    return template.render(
        title=re.search(r"<h1>(.*?)</h1>", body).group(1),
        style=Markup((folder / "style.css").read_text(encoding="utf-8")),
        light=Markup(light),
        dark=Markup(dark),
        headings=headings,
        body=Markup(body),
    )


def _figure(figure: Figure, caption: str) -> str:
    panels = "".join(f'<div class="{kind}">{svg}</div>' for kind, svg in figure.drawings())
    drawing = f'<div class="panels">{panels}</div><figcaption>{caption}</figcaption>'
    return f'<figure id="figure-{escape(figure.name)}">{drawing}</figure>'


def plain_numbers(value: Any) -> Any:
    """
    Numbers as strict JSON has them.

    Args:
        value (`Any`): Dictionaries, lists and numbers.

    Returns:
        `Any`: The same, NaN and infinity, which JSON does not know, as `None`.
    """
    if isinstance(value, dict):
        return {str(key): plain_numbers(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_numbers(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
