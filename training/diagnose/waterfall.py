"""The figures of a diagnosis: from Text-BPE down to a tokenizer, a step a factor, a panel a task; and layer by layer.

results -> [`Waterfall`] -> png and svg files, and for the page two drawings: one for wide screens, one for phones;
[`layer_figure`] -> a figure as those of the study's report.
"""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from ...metrics.tasks import TASKS
from ..report.figures.figure import Figure, save_canvas, themed_svg
from ..report.figures.looks import COLORS, INK, STYLE
from ..report.formatting import number, percent
from .corpus import PLAIN_ANCHORS, anchor_label, nearest_rate, phone_repeat_name
from .decomposition import STEPS

_CHANCE = 0.5
_COLORS = {
    "text_bpe": COLORS["text_bpe"][0],
    "alphabet": COLORS["phone_raw"][0],
    "length": COLORS["phone_repeat"][0],
    "variability": COLORS["speech_units"][0],
    "tokenizer": COLORS["speech_units_one_voice"][0],
}
_SHORT, _LETTERS = 8, 16  # of a tokenizer's name below its bar, beside its neighbour's and on a line of its own
_HALO = [withStroke(linewidth=2.5, foreground="white", alpha=0.85)]  # so that no line crosses a figure


class Waterfall:
    """
    The steps of every tokenizer on every task.

    Args:
        results (`dict`): As `compute_diagnosis` gives them.
    """

    name = "waterfall"

    def __init__(self, results: dict):
        self.results, self._halo = results, _HALO

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
            save_canvas(self._draw(len(self.results["tasks"])), folder, self.name)

    def drawings(self) -> list[tuple[str, str]]:
        """An `<svg>` element for wide screens and one for narrow ones, and their classes on the page."""
        self._halo = []  # a page may be dark
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
            axes.plot(x, level, "o", color=INK["ink"][0], markersize=3.5, zorder=4)
            self._write(axes, percent(level), (x, high), above=True)
        for x, step in enumerate(STEPS, start=1):
            before, after = levels[x - 1], levels[x]
            change = found["steps"][step]["points"]
            axes.hlines(before, x - 1 + 0.36, x - 0.36, color=INK["muted"][0], linewidth=0.8, zorder=1)
            axes.bar(x, after - before, bottom=before, width=0.72, color=_COLORS[step], zorder=2)
            axes.vlines(
                x, before + change["low"], before + change["high"], color=INK["ink"][0], linewidth=1.1, zorder=4
            )
            lowest = min(before, after, before + change["low"])
            self._write(axes, percent(change["value"], sign=True), (x, lowest), named=step in named)
        axes.hlines(levels[-1], 3 + 0.36, 4 - 0.36, color=INK["muted"][0], linewidth=0.8, zorder=1)
        rate = f"{result['frame_rate']:g} Hz"
        own = name if len(name) <= _SHORT else f"\n{name}" if len(name) <= _LETTERS else "tokenizer"
        axes.set_xticks(range(5), ["Text-BPE", "alphabet", f"length,\n{rate}", "variability", own])
        axes.tick_params(axis="x", length=0, labelcolor=INK["ink"][0])
        axes.set_xlim(-0.6, 4.6)
        axes.set_ylim(*self._limits())
        axes.set_yticks([0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], ["40", "50", "60", "70", "80", "90", "100"])
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", color=INK["faint"][0], linewidth=0.6)
        axes.set_axisbelow(True)

    def _limits(self) -> tuple[float, float]:
        """The same for all panels: everything that is drawn, and room for what is written below and above it."""
        lowest, highest = _CHANCE, _CHANCE
        for result in self.results["tokenizers"].values():
            for found in result["steps"].values():
                levels = found["levels"].values()
                before = [level["value"] for level in levels][:-1]
                lows = [level["low"] for level in levels]
                lows += [x + step["points"]["low"] for x, step in zip(before, found["steps"].values())]
                lowest, highest = min(lowest, *lows), max(highest, *(level["high"] for level in levels))
        return max(lowest, 0.25) - 0.08, highest + 0.08

    def _write(
        self, axes: Axes, text: str, place: tuple[float, float], above: bool = False, named: bool | None = None
    ) -> None:
        """A figure above or below its bar: bold where it is named, muted where it is not."""
        axes.annotate(
            text,
            place,
            (0, 4 if above else -4),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            fontsize=9.5,
            fontweight="bold" if named else "normal",
            color=INK["muted"][0] if named is False else INK["ink"][0],
            zorder=5,
            path_effects=self._halo,
        )


def layer_figure(results: dict) -> Figure:
    """
    Accuracy by layer.

    Args:
        results (`dict`): As `compute_diagnosis` gives them.
    """
    nearest = {phone_repeat_name(nearest_rate(found["frame_rate"])) for found in results["tokenizers"].values()}
    colors = [COLORS[name][0] for name in ("speech_units", "speech_units_one_voice", "speech_dedup", "speech_bpe")]
    lines = {label: (name, COLORS[name][0]) for name, label in PLAIN_ANCHORS.items()}
    lines |= {anchor_label(name): (name, COLORS["phone_repeat"][0]) for name in sorted(nearest)}
    lines |= {name: (name, colors[place % len(colors)]) for place, name in enumerate(results["tokenizers"])}
    styles = dict(zip(sorted(nearest), ("--", ":", "-.", (0, (6, 1)))))  # rates of one anchor

    def draw(axes: Axes, task: str) -> None:
        axes.axhline(100 * _CHANCE, color=INK["muted"][0], linewidth=0.9, linestyle=(0, (4, 3)))
        for label, (name, color) in lines.items():
            found = (results["anchors"] | results["tokenizers"])[name]["layers"].get(task)
            if found:
                values = [100 * layer["value"] for layer in found["accuracies"]]
                style = styles.get(name, "--") if name in results["anchors"] else "-"
                axes.plot(range(len(values)), values, style, marker="o", markersize=3.5, color=color, label=label)
        axes.set_xlabel("layer (0: embeddings)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False, fontsize=7.5)

    caption = (
        "Accuracy in per cent of each layer, read through the output layer, means over training seeds. Broken "
        "lines: anchors, and chance."
    )
    panels = {TASKS[task].label: lambda axes, task=task: draw(axes, task) for task in results["tasks"]}
    return Figure("layers", caption, panels, 3.9)
