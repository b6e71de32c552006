"""The figures of the report: one panel a task, drawn alone for the page and side by side for a publication.

`compute_results` -> `draw_figures` -> `Figure` (caption, panels, all in one row) -> png and svg files, or svg text.
Colours are told apart under the common kinds of colour blindness, and every line and point is labelled beside it.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from ...metrics.tasks import TASKS
from ...models.modalities import MODALITIES
from .formatting import count

# On a white page, and on a dark one.
INK = {"ink": ("#1f2328", "#e6e8eb"), "muted": ("#69707a", "#9aa2ad"), "faint": ("#d5d9df", "#363c45")}
_LOOKS = {
    "text_bpe": ("#0a2f8a", "#5a84ff", "o"),
    "text_raw": ("#3b74f0", "#b8e4ff", "s"),
    "phone_bpe": ("#0a6535", "#1fae62", "^"),
    "phone_raw": ("#159d80", "#74f5b0", "D"),
    "phone_stretch": ("#55530f", "#f2ef80", "v"),
    "phone_repeat": ("#b07a08", "#eea811", "P"),
    "speech_units_one_voice": ("#e040a8", "#f2b3c6", "<"),
    "speech_units": ("#8a1c58", "#e85fa6", "X"),
    "speech_units_synthetic": ("#c2185b", "#f8a5c2", "d"),
    "speech_dedup": ("#8a45b5", "#c0abe2", ">"),
    "speech_bpe": ("#5a1fd0", "#a86bd6", "*"),
    "speech_syllable": ("#b3261e", "#ff9a8f", "h"),
}
# Of modalities that have none of their own.
_SPARE_LOOKS = (
    ("#4d5a66", "#b4c0cc", "p"),
    ("#7a4a00", "#ffcf8a", "H"),
    ("#0e6e7e", "#6fd3e3", "8"),
    ("#6b6b00", "#d6d65a", "1"),
)
_looks = _LOOKS | dict(zip([name for name in MODALITIES if name not in _LOOKS], cycle(_SPARE_LOOKS)))
COLORS = {name: _looks[name][:2] for name in MODALITIES}
"""Colours of each modality, on a light and on a dark page."""
MARKERS = {name: _looks[name][2] for name in MODALITIES}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evoslm",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK["ink"][0],
    "axes.edgecolor": INK["muted"][0],
    "axes.labelcolor": INK["muted"][0],
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": INK["muted"][0],
    "ytick.color": INK["muted"][0],
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.labelsize": 9,
}
MARKS = {
    "baseline": {"marker": "|", "markersize": 11, "markeredgewidth": 1.6},
    "paper": {"marker": "d", "markersize": 6, "markerfacecolor": "none"},
    "at chance": {"marker": "o", "markersize": 6.5, "markerfacecolor": "none"},
}
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
    """

    name: str
    caption: str
    panels: dict[str, Callable[[Axes], None]]
    height: float
    key: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write `<name>.png` (200 dots an inch, white) and `<name>.svg` with all panels in a row."""
        with mpl.rc_context(STYLE):
            canvas = self._draw(list(self.panels))
            if self.key:
                handles = [
                    Line2D([], [], color=INK["muted"][0], linestyle="none", **MARKS[mark], label=meaning)
                    for mark, meaning in self.key.items()
                ]
                canvas.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
            canvas.savefig(folder / f"{self.name}.png", dpi=200, facecolor="white")
            canvas.set_layout_engine("none")  # everything has found its place
            canvas.savefig(folder / f"{self.name}.svg", facecolor="white", metadata={"Date": None})

    def to_svg(self) -> list[str]:
        """Each panel as an `<svg>` element whose colours are the page's variables, so that it follows its theme."""
        return [self._panel_svg(index, title) for index, title in enumerate(self.panels)]

    def _panel_svg(self, index: int, title: str) -> str:
        text = io.StringIO()
        with mpl.rc_context(STYLE):
            self._draw([title]).savefig(text, format="svg", transparent=True, metadata={"Date": None})
        svg = text.getvalue()
        svg = svg[svg.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
        svg = re.sub(r'(<svg [^>]*?) width="[^"]*pt"', r"\1", re.sub(r'(<svg [^>]*?) height="[^"]*pt"', r"\1", svg))
        # Ids must differ between the drawings of one page.
        prefix = f"{self.name}-{index}-"
        svg = re.sub(r'\bid="', f'id="{prefix}', svg)
        svg = re.sub(r'(href="#|url\(#)', rf"\1{prefix}", svg)
        for name, (light, _) in (INK | COLORS).items():
            svg = svg.replace(light, f"var(--{name.replace('_', '-')})")
        return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)

    def _draw(self, titles: list[str]) -> Canvas:
        canvas = Canvas(figsize=(PANEL_WIDTH * len(titles), self.height), layout="constrained")
        FigureCanvasAgg(canvas)
        for axes, title in zip(np.atleast_1d(canvas.subplots(1, len(titles))), titles):
            axes.set_title(title, pad=10)
            self.panels[title](axes)
        return canvas


def theme_css() -> tuple[str, str]:
    """The colours of the figures as CSS variables, for a light and for a dark page."""
    return tuple(
        " ".join(f"--{name.replace('_', '-')}: {pair[side]};" for name, pair in (INK | COLORS).items())
        for side in (0, 1)
    )


def draw_figures(results: dict) -> dict[str, Figure]:
    """
    The figures that a run has numbers for.

    Args:
        results (`dict`): As `compute_results` gives them.

    Returns:
        `dict[str, Figure]`: By name: `accuracies`, `effects`, `scaling`, `losses`.
    """
    tasks = results["tasks"]
    titles = {task: f"{TASKS[task].label} ({TASKS[task].rule})" for task in tasks}
    over = "over pairs and training seeds" if results["shows"] else "over pairs only (one training seed)"
    caption = f"Accuracy in per cent with its 95 % interval {over}; dashed: chance."
    key = {"paper": "the paper (2412.17048)"}
    if any("baselines" in accuracy for by_task in results["accuracies"].values() for accuracy in by_task.values()):
        key = {"baseline": "best n-gram over the same ids"} | key
        caption += " Bar: the best n-gram over the same ids."
    caption += " Hollow diamond: the paper's own figure."
    panels = {titles[task]: lambda axes, task=task: _accuracies(axes, results, task) for task in tasks}
    figures = [Figure("accuracies", caption, panels, 1.1 + 0.3 * len(results["modalities"]), key)]
    effects = [
        effect for effect in results["effects"] if effect["tasks"] and not effect["factor"].startswith("answer")
    ]
    if effects:
        panels = {
            titles[task]: lambda axes, task=task: _effects(axes, results, effects, task)
            for task in tasks
            if any(task in effect["tasks"] for effect in effects)
        }
        caption = f"Change of accuracy in points from one modality to the next, with its paired 95 % interval {over}."
        key = {}
        if any(change["verdict"] == "at chance" for effect in effects for change in effect["tasks"].values()):
            key = {"at chance": "both sides may be guessing"}
            caption += " Hollow: both sides may be guessing, so that there is nothing to lose."
        figures.append(Figure("effects", caption, panels, 1.1 + 0.42 * len(effects), key))
    scaled = [task for task in tasks if any(task in by_task for by_task in results["scaling"].values())]
    if scaled:
        caption = (
            "Accuracy in per cent at points along the training by tokens seen (logarithmic), with a straight line "
            f"through the points of each modality. Each point has its 95 % interval {over}; dashed: chance."
        )
        panels = {titles[task]: lambda axes, task=task: _scaling(axes, results, task) for task in scaled}
        figures.append(Figure("scaling", caption, panels, 3.6))
    if any(losses.get("evaluations") for losses in results["losses"].values()):
        caption = (
            "Validation loss in bits per second of speech, which does not depend on how long a token is. Durations "
            "and voices cost bits of their own, so more bits are not a worse model of the words."
        )
        figures.append(Figure("losses", caption, {"Validation loss": lambda axes: _losses(axes, results)}, 3.4))
    return {figure.name: figure for figure in figures}


def _accuracies(axes: Axes, results: dict, task: str) -> None:
    """Dots and intervals, one row a modality."""
    names = [name for name in results["modalities"] if task in results["accuracies"][name]]
    _chance(axes, horizontal=False)
    for row, name in enumerate(names):
        accuracy = results["accuracies"][name][task]
        color = COLORS[name][0]
        headline = accuracy["headline"]
        axes.plot([100 * headline["low"], 100 * headline["high"]], [row, row], color=color, linewidth=2.2)
        axes.plot(100 * headline["value"], row, marker=MARKERS[name], color=color, markersize=6.5)
        if accuracy.get("baselines"):
            best = max(value["value"] for key, value in accuracy["baselines"].items() if key.startswith("ngram"))
            axes.plot(100 * best, row, color=INK["muted"][0], **MARKS["baseline"])
        paper = results["paper"]["accuracies"].get(name, {}).get(task)
        if paper is not None:
            axes.plot(paper, row, color=INK["muted"][0], **MARKS["paper"])
    _rows(axes, [results["modalities"][name]["label"] for name in names])
    # One scale for all tasks, so that a point is as wide in one panel as in the next.
    lowest = min(by[task]["headline"]["low"] for by in results["accuracies"].values() for task in by)
    axes.set_xlim(min(45, 100 * lowest - 2), 101.5)
    axes.set_xlabel("accuracy, %")


def _effects(axes: Axes, results: dict, effects: list[dict], task: str) -> None:
    """Dots and intervals of the differences, one row a step."""
    effects = [effect for effect in effects if task in effect["tasks"]]
    axes.axvline(0, color=INK["muted"][0], linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    labels = []
    for row, effect in enumerate(effects):
        change = effect["tasks"][task]
        points, color = change["points"], COLORS[effect["result"]][0]
        axes.plot([100 * points["low"], 100 * points["high"]], [row, row], color=color, linewidth=2.2)
        filled = "none" if change["verdict"] == "at chance" else color
        axes.plot(100 * points["value"], row, "o", color=color, markerfacecolor=filled, markersize=6.5)
        ends = [results["modalities"][effect[side]]["label"] for side in ("baseline", "result")]
        labels.append(f"{ends[0]} →\n{ends[1]} ({effect['factor'][0]})")
    _rows(axes, labels)
    changes = [change["points"] for effect in results["effects"] for change in effect["tasks"].values()]
    low, high = (100 * extreme(c[side] for c in changes) for extreme, side in ((min, "low"), (max, "high")))
    axes.set_xlim(min(low, -5) - 1, max(high, 5) + 1)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))
    axes.set_xlabel("change, points")


def _scaling(axes: Axes, results: dict, task: str) -> None:
    """Points, intervals and fitted lines over the logarithm of the tokens seen."""
    _chance(axes, horizontal=True)
    ends = []
    for name, by_task in results["scaling"].items():
        if task not in by_task:
            continue
        points, line, color = by_task[task]["points"], by_task[task]["line"], COLORS[name][0]
        x = np.array([point["tokens"] for point in points])
        y = np.array([100 * point["value"] for point in points])
        for point in points:
            axes.plot(
                [point["tokens"]] * 2, [100 * point["low"], 100 * point["high"]], color=color, alpha=0.3, linewidth=1
            )
        axes.plot(x, y, MARKERS[name], color=color, markersize=5, linestyle="none")
        end = y[-1]
        if line:
            fitted = 100 * (line["intercept"] + line["value"] * np.log10(x))
            axes.plot(x, fitted, color=color, linewidth=1.4)
            end = fitted[-1]
        ends.append((x[-1], end, name))
    _token_axis(axes)
    axes.set_ylabel("accuracy, %")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 40), min(max(high, 75), 101.5))
    _label_ends(axes, results, ends)


def _losses(axes: Axes, results: dict) -> None:
    """Curves of the validation loss over epochs."""
    ends = []
    for name, losses in results["losses"].items():
        points = losses.get("evaluations", [])
        if points:
            x = [point["epochs"] for point in points]
            y = [point["bits_per_second"] for point in points]
            axes.plot(x, y, color=COLORS[name][0], marker=MARKERS[name], markersize=4.5, linewidth=1.4)
            ends.append((x[-1], y[-1], name))
    axes.set_xlabel("epochs")
    axes.set_ylabel("bits per second of speech")
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5, integer=True))
    axes.set_ylim(bottom=0)
    _label_ends(axes, results, ends)


def _rows(axes: Axes, labels: list[str]) -> None:
    """One labelled row an entry, the first on top."""
    axes.set_yticks(range(len(labels)), labels, color=INK["ink"][0])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=INK["faint"][0], linewidth=0.6)
    axes.set_axisbelow(True)


def _chance(axes: Axes, horizontal: bool) -> None:
    draw = axes.axhline if horizontal else axes.axvline
    draw(50, color=INK["muted"][0], linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)


def _token_axis(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("tokens seen")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1,) if high > 300 * low else (1, 3)))
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: _round_tokens(value)))
    axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.grid(axis="y", color=INK["faint"][0], linewidth=0.6)
    axes.set_axisbelow(True)


def _round_tokens(value: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return count(value)


def _label_ends(axes: Axes, results: dict, ends: list[tuple[float, float, str]]) -> None:
    """Write each line's name beside the axes, at the height of its end `(x, y, modality)` or near it."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.068
    order = sorted(range(len(ends)), key=lambda index: ends[index][1])
    placed = [ends[index][1] for index in order]
    for _ in range(100):
        for below in range(len(placed) - 1):
            overlap = max(0.0, gap - (placed[below + 1] - placed[below]))
            placed[below] -= overlap / 2
            placed[below + 1] += overlap / 2
        placed = [min(max(height, low), high) for height in placed]
    margin = axes.get_yaxis_transform()
    for index, height in zip(order, placed):
        x, y, name = ends[index]
        color = COLORS[name][0]
        line = {"arrowstyle": "-", "color": color, "linewidth": 0.7, "alpha": 0.6, "shrinkA": 0, "shrinkB": 3}
        axes.annotate("", (x, y), (1.03, height), textcoords=margin, annotation_clip=False, arrowprops=line)
        axes.plot(1.045, height, MARKERS[name], color=color, markersize=5, transform=margin, clip_on=False)
        axes.text(1.075, height, results["modalities"][name]["label"], transform=margin, va="center", fontsize=8.5)
