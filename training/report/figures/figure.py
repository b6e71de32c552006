"""A figure: panels in rows for a publication, and one by one for the page.

caption + what draws each panel -> [`Figure`] -> png and svg files, or svg text whose colours follow the page's theme.
"""

import html
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from ....models.files import written_whole
from .looks import COLORS, INK, MARKS, STYLE

PANEL_WIDTH = 4.4  # inches


@dataclass
class Figure:
    """
    One figure of the report.

    Args:
        name (`str`): The stem of its files.
        caption (`str`): What it shows and how to read it.
        panels (`dict[str, Callable[[Axes], None]]`): What draws each panel, by its title.
        height (`float`): Height of a panel in inches.
        key (`dict[str, str]`, *optional*): What unlabelled marks mean, by marker; drawn under the
            panels of the files, and left to the caption on the page.
        columns (`int`, *optional*): Panels beside each other in the files; all of them when not given.
    """

    name: str
    caption: str
    panels: dict[str, Callable[[Axes], None]]
    height: float
    key: dict[str, str] = field(default_factory=dict)
    columns: int | None = None

    def save(self, folder: Path) -> None:
        """Write `<name>.png` (200 dots an inch, white) and `<name>.svg` with all panels."""
        with mpl.rc_context(STYLE):
            canvas = self._draw(list(self.panels))
            if self.key:
                handles = [
                    Line2D([], [], color=INK["muted"][0], linestyle="none", **MARKS[mark], label=meaning)
                    for mark, meaning in self.key.items()
                ]
                canvas.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
            save_canvas(canvas, folder, self.name)

    def drawings(self) -> list[tuple[str, str]]:
        """Each panel as an `<svg>` element for the page, and its class there."""
        with mpl.rc_context(STYLE):
            return [
                ("panel", themed_svg(self._draw([title]), f"{self.name}-{index}", title))
                for index, title in enumerate(self.panels)
            ]

    def _draw(self, titles: list[str]) -> Canvas:
        columns = min(self.columns or len(titles), len(titles))
        rows = math.ceil(len(titles) / columns)
        canvas = Canvas(figsize=(PANEL_WIDTH * columns, self.height * rows), layout="constrained")
        FigureCanvasAgg(canvas)
        for axes, title in zip(canvas.subplots(rows, columns, squeeze=False).flat, titles):
            axes.set_title(title, pad=10)
            self.panels[title](axes)
        return canvas


def save_canvas(canvas: Canvas, folder: Path, name: str) -> None:
    """Write `<name>.png` (200 dots an inch, white) and `<name>.svg`, each whole: a page or a release may read it."""
    with written_whole(folder / f"{name}.png") as partial:
        canvas.savefig(partial, format="png", dpi=200, facecolor="white")
    canvas.set_layout_engine("none")  # everything has found its place
    with written_whole(folder / f"{name}.svg") as partial:
        canvas.savefig(partial, format="svg", facecolor="white", metadata={"Date": None})


def themed_svg(canvas: Canvas, name: str, label: str) -> str:
    """A drawing as an `<svg>` element whose colours are the page's variables, so that it follows its theme."""
    text = io.StringIO()
    canvas.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*pt"', r"\1", re.sub(r'(<svg [^>]*?) height="[^"]*pt"', r"\1", svg))
    # Ids must differ between the drawings of one page.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{name}-", svg)
    for color, (light, _) in (INK | COLORS).items():
        svg = svg.replace(light, f"var(--{color.replace('_', '-')})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)
