"""The figure of a diagnosis: from Text-BPE down to a tokenizer, a step a factor, a panel a task.

results -> [`Waterfall`] -> png and svg files, and for the page two drawings: one for wide screens, one for phones.
"""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from ...metrics.tasks import TASKS
from ..report.figures.figure import themed_svg
from ..report.figures.looks import COLORS, INK, STYLE
from ..report.formatting import number, percent
from .decomposition import STEPS

_CHANCE = 0.5
_COLORS = {
    "text_bpe": COLORS["text_bpe"][0],
    "alphabet": COLORS["phone_raw"][0],
    "length": COLORS["phone_repeat"][0],
    "variability": COLORS["speech_units"][0],
    "tokenizer": COLORS["speech_units_one_voice"][0],
}
_LETTERS = 14  # of a tokenizer's name below its bar


class Waterfall:
    """
    The steps of every tokenizer on every task.

    Args:
        results (`dict`): As `compute_diagnosis` gives them.
    """

    name = "waterfall"

    def __init__(self, results: dict):
        self.results = results

    @property
    def caption(self) -> str:
        """What it shows and how to read it."""
        seeds = len(self.results["seeds"])
        return (
            "Accuracy in per cent, from Text-BPE down to each tokenizer: what phones instead of letters cost "
            "(alphabet), what it costs to write them at the tokenizer's rate (length), and what is left "
            f"(variability). Lines: 95 % intervals over pairs and {seeds} training seeds, of a step those of its "
            "change. Bold: named. Dashed: chance."
        )

    def save(self, folder: Path) -> None:
        """Write `waterfall.png` (200 dots an inch, white) and `waterfall.svg`."""
        with mpl.rc_context(STYLE):
            canvas = self._draw(len(self.results["tasks"]))
            canvas.savefig(folder / f"{self.name}.png", dpi=200, facecolor="white")
            canvas.set_layout_engine("none")  # everything has found its place
            canvas.savefig(folder / f"{self.name}.svg", facecolor="white", metadata={"Date": None})

    def drawings(self) -> list[tuple[str, str]]:
        """An `<svg>` element for wide screens and one for narrow ones, and their classes on the page."""
        label = f"From text to {', '.join(self.results['tokenizers'])}"
        with mpl.rc_context(STYLE):
            return [
                (layout, themed_svg(self._draw(columns), f"{self.name}-{layout}", label))
                for layout, columns in (("wide", len(self.results["tasks"])), ("narrow", 1))
            ]

    def _draw(self, columns: int) -> Canvas:
        panels = [(name, task) for name in self.results["tokenizers"] for task in self.results["tasks"]]
        rows = -(-len(panels) // columns)
        canvas = Canvas(figsize=(4.1 * columns, 2.9 * rows), layout="constrained")
        FigureCanvasAgg(canvas)
        grid = canvas.subplots(rows, columns, squeeze=False)
        for axes, (name, task) in zip(grid.flat, panels):
            self._draw_panel(axes, name, task)
            first = task == self.results["tasks"][0]
            if columns == 1 or name == panels[0][0]:
                axes.set_title(f"{TASKS[task].label}: {TASKS[task].meaning}", pad=8)
            if first or columns == 1:
                rate = number(self.results["tokenizers"][name]["tokens_per_second"], 1).removesuffix(".0")
                axes.set_ylabel(f"{name}, {rate} tokens/s", color=INK["ink"][0], fontweight="bold")
        return canvas

    def _draw_panel(self, axes: Axes, name: str, task: str) -> None:
        result = self.results["tokenizers"][name]
        found, named = result["steps"][task], result["factors"]["by_task"][task]
        levels = [found["levels"][each]["value"] for each in ("text_bpe", "phone_raw", "phone_repeat", "tokenizer")]
        axes.axhline(_CHANCE, color=INK["muted"][0], linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        for place, (level, kind) in enumerate(((levels[0], "text_bpe"), (levels[-1], "tokenizer"))):
            x = place * 4
            axes.bar(x, level - _CHANCE, bottom=_CHANCE, width=0.72, color=_COLORS[kind], zorder=2)
            low, high = (found["levels"][kind][end] for end in ("low", "high"))
            axes.vlines(x, low, high, color=INK["ink"][0], linewidth=1.1, zorder=4)
            axes.annotate(
                percent(level), (x, high), (0, 4), textcoords="offset points", ha="center", va="bottom", fontsize=9.5
            )
        for x, step in enumerate(STEPS, start=1):
            before, after = levels[x - 1], levels[x]
            change = found["steps"][step]["points"]
            axes.hlines(before, x - 1 + 0.36, x - 0.36, color=INK["muted"][0], linewidth=0.8, zorder=1)
            axes.bar(x, after - before, bottom=before, width=0.72, color=_COLORS[step], zorder=2)
            axes.vlines(
                x, before + change["low"], before + change["high"], color=INK["ink"][0], linewidth=1.1, zorder=4
            )
            lowest = min(before, after, before + change["low"])
            axes.annotate(
                percent(change["value"], sign=True),
                (x, lowest),
                (0, -4),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=9.5,
                fontweight="bold" if step in named else "normal",
                color=INK["ink"][0] if step in named else INK["muted"][0],
            )
        axes.hlines(levels[-1], 3 + 0.36, 4 - 0.36, color=INK["muted"][0], linewidth=0.8, zorder=1)
        rate = f"{result['frame_rate']:g} Hz"
        own = name if len(name) <= _LETTERS else "tokenizer"
        axes.set_xticks(range(5), ["Text-BPE", "alphabet", f"length,\n{rate}", "variability", own])
        axes.tick_params(axis="x", length=0, labelcolor=INK["ink"][0])
        axes.set_xlim(-0.6, 4.6)
        axes.set_ylim(0.3, 1.06)
        axes.set_yticks([0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], ["40", "50", "60", "70", "80", "90", "100"])
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", color=INK["faint"][0], linewidth=0.6)
        axes.set_axisbelow(True)
