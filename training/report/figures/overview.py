"""The figure of the first screen: all tasks side by side, a row a modality, the steps between them at the side.

results -> [`Overview`] -> png and svg files, and for the page two drawings: one for wide screens, one for phones.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from ....metrics.tasks import TASKS
from ....models.modalities import MODALITIES
from ..formatting import number, percent
from .figure import save_canvas, themed_svg
from .looks import COLORS, INK, MARKERS, MARKS, STYLE
from .panels import draw_chance

# From text to speech, so that each step of a factor leads from one row to the next below it.
_CHAINS = (
    ("text_bpe", "phone_bpe"),
    ("text_raw", "text_raw_no_space", "phone_raw", "phone_stretch")
    + ("phone_repeat", "speech_units_one_voice", "speech_units"),
)
_GAP = 0.45  # rows between two chains


@dataclass(frozen=True)
class _Sizes:
    """
    One layout, in inches and points.

    Args:
        width (`float`): Of the whole drawing.
        row (`float`): Height of a row.
        top (`float`): What titles take.
        bottom (`float`): What ticks and the key take.
        letter (`float`): Width of a letter of a row's label.
        values (`float`): Width of the accuracies in figures.
        steps (`float`): Width of the steps beside them.
        font (`float`): Size of the letters.
        marker (`float`): Size of the marks.
        title (`str`): How a task is written, of its label and meaning.
        key_columns (`int`): Of the key.
        key_of_steps (`str`): How the key explains the steps.
        step (`str`): How a step is written, of its factor and its points.
        digits (`int`): Of its points behind the point.
    """

    width: float
    row: float
    top: float
    bottom: float
    letter: float
    values: float
    steps: float
    font: float
    marker: float
    title: str
    key_columns: int
    key_of_steps: str
    step: str
    digits: int


_WIDE = _Sizes(
    width=12.0,
    row=0.36,
    top=0.4,
    bottom=0.75,
    letter=0.078,
    values=0.5,
    steps=0.75,
    font=9.5,
    marker=6.5,
    title="{label}: {meaning}",
    key_columns=4,
    key_of_steps="A, B, C: change in points",
    step="{factor} {points}",
    digits=1,
)
_NARROW = _Sizes(
    width=4.0,
    row=0.34,
    top=0.32,
    bottom=0.8,
    letter=0.058,
    values=0.31,
    steps=0.25,
    font=7.6,
    marker=4.4,
    title="{label}",
    key_columns=2,
    key_of_steps="A, B, C: in points",
    step="{factor}\n{points}",
    digits=0,
)


class Overview:
    """
    Accuracies of all modalities on all tasks.

    Args:
        results (`dict`): As `compute_results` gives them.
    """

    name = "accuracies"

    def __init__(self, results: dict):
        self.results = results
        self.rows = _place_rows(results["modalities"])
        self.accuracies = [accuracy for by in results["accuracies"].values() for accuracy in by.values()]
        self.has_ngrams = any(map(_best_ngram, self.accuracies))
        self.steps = [effect for effect in results["effects"] if not effect["finer"] and effect["tasks"]]

    @property
    def caption(self) -> str:
        """What it shows and how to read it."""
        shows = self.results["shows"]
        over = "over pairs and training seeds" if shows else "over pairs only (one training seed)"
        caption = f"Accuracy in per cent with its 95 % interval {over}; dashed: chance."
        if self.has_ngrams:
            caption += " Bar: the best n-gram over the same ids."
        caption += " Faint diamond: the paper's own figure."
        if self.steps:
            caption += " A, B, C: the change in points from one row to the other" + (
                ", bold where shown." * shows or "."
            )
        return caption

    def save(self, folder: Path) -> None:
        """Write `<name>.png` (200 dots an inch, white) and `<name>.svg`."""
        with mpl.rc_context(STYLE):
            save_canvas(self._draw(_WIDE), folder, self.name)

    def drawings(self) -> list[tuple[str, str]]:
        """An `<svg>` element for wide screens and one for narrow ones, and their classes on the page."""
        tasks = ", ".join(TASKS[task].label for task in self.results["tasks"])
        with mpl.rc_context(STYLE):
            return [
                (layout, themed_svg(self._draw(sizes), f"{self.name}-{layout}", f"Accuracies on {tasks}"))
                for layout, sizes in (("wide", _WIDE), ("narrow", _NARROW))
            ]

    def _draw(self, sizes: _Sizes) -> Canvas:
        labels = {name: self.results["modalities"][name]["label"].replace(", ", ",\n") for name in self.rows}
        left = sizes.letter * max(len(line) for label in labels.values() for line in label.split("\n")) + 0.12
        height = sizes.row * (max(self.rows.values()) + 1)
        canvas = Canvas(figsize=(sizes.width, height + sizes.top + sizes.bottom))
        FigureCanvasAgg(canvas)
        tasks, total = self.results["tasks"], sizes.top + height + sizes.bottom
        aside = sizes.values + (sizes.steps if self.steps else 0.1)
        # A task alone does not need the whole width.
        panel = (sizes.width - left) / max(len(tasks), 2)
        for column, task in enumerate(tasks):
            place = (left + column * panel, sizes.bottom, panel - aside, height)
            axes = canvas.add_axes([place[0] / sizes.width, place[1] / total, place[2] / sizes.width, height / total])
            self._draw_task(axes, task, sizes, aside / place[2])
            axes.set_yticks(list(self.rows.values()), list(labels.values()) if column == 0 else [""] * len(labels))
            axes.tick_params(axis="y", length=0, labelcolor=INK["ink"][0], labelsize=sizes.font)
        self._draw_key(canvas, sizes)
        return canvas

    def _draw_task(self, axes: Axes, task: str, sizes: _Sizes, aside: float) -> None:
        """One task; `aside` is the room at the right in widths of the axes."""
        title = sizes.title.format(label=TASKS[task].label, meaning=TASKS[task].meaning)
        axes.set_title(title, pad=6, fontsize=sizes.font + 1)
        draw_chance(axes, horizontal=False)
        values_at = 1 + aside * sizes.values / (sizes.values + (sizes.steps if self.steps else 0.1)) * 0.94
        for name, row in self.rows.items():
            accuracy = self.results["accuracies"][name].get(task)
            if accuracy:
                self._draw_accuracy(axes, name, task, sizes)
                text = percent(accuracy["headline"]["value"])
                place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center", "clip_on": False}
                axes.text(values_at, row, text, color=COLORS[name][0], fontsize=sizes.font, **place)
        for effect in self.steps:
            if task in effect["tasks"]:
                self._draw_step(axes, effect, task, sizes, values_at, aside)
        self._dress(axes, sizes)

    def _draw_accuracy(self, axes: Axes, name: str, task: str, sizes: _Sizes) -> None:
        color, muted, row = COLORS[name][0], INK["muted"][0], self.rows[name]
        accuracy = self.results["accuracies"][name][task]
        headline, best = accuracy["headline"], _best_ngram(accuracy)
        paper = self.results["paper"]["accuracies"].get(name, {}).get(task)
        if paper is not None:
            axes.plot(paper, row, color=muted, **_sized("paper", sizes))
        axes.plot([100 * headline["low"], 100 * headline["high"]], [row, row], color=color, linewidth=sizes.marker / 3)
        if best is not None:
            axes.plot(100 * best, row, color=muted, **_sized("baseline", sizes))
        axes.plot(100 * headline["value"], row, MARKERS[name], color=color, markersize=sizes.marker, clip_on=False)

    def _draw_step(self, axes: Axes, effect: dict, task: str, sizes: _Sizes, at: float, aside: float) -> None:
        """A bracket from the row before a step to the one after it, and what the step changes."""
        change = effect["tasks"][task]
        shown = change["verdict"] in ("falls", "rises")
        color = INK["ink" if shown else "muted"][0]
        first, last = self.rows[effect["baseline"]], self.rows[effect["result"]]
        start, end = at + 0.03 * aside, at + 0.07 * aside
        margin = axes.get_yaxis_transform()
        axes.plot(
            [start, end, end, start],
            [first + 0.2, first + 0.2, last - 0.2, last - 0.2],
            color=color,
            linewidth=0.9,
            transform=margin,
            clip_on=False,
        )
        points = number(100 * change["points"]["value"], sizes.digits, sign=True)
        axes.text(
            end + 0.03 * aside,
            (first + last) / 2,
            sizes.step.format(factor=effect["factor"], points=points),
            color=color,
            weight="bold" if shown else "normal",
            fontsize=sizes.font,
            linespacing=0.95,
            transform=margin,
            va="center",
            clip_on=False,
        )

    def _dress(self, axes: Axes, sizes: _Sizes) -> None:
        """One scale for all tasks, so that a point is as wide in one as in the next."""
        lowest = min(min(accuracy["headline"]["low"], _best_ngram(accuracy) or 1) for accuracy in self.accuracies)
        low = min(45, 100 * lowest - 3)
        axes.set_xlim(low, 103)
        ticks = [tick for tick in (0, 25, 50, 75, 100) if tick >= low]
        ticks = ticks if sizes is _WIDE else [50, 100]
        sign = " %" if sizes is _WIDE else ""
        axes.set_xticks(ticks, [f"{tick}{sign}" + "\nchance" * (tick == 50) for tick in ticks])
        axes.tick_params(axis="x", length=0, labelsize=sizes.font - 0.6)
        axes.set_ylim(max(self.rows.values()) + 0.5, -0.5)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=INK["faint"][0], linewidth=0.6)
        axes.set_axisbelow(True)

    def _draw_key(self, canvas: Canvas, sizes: _Sizes) -> None:
        muted = INK["muted"][0]
        over = "pairs and seeds" if self.results["shows"] else "pairs"
        line = {"color": muted, "marker": "o", "markersize": sizes.marker, "linewidth": sizes.marker / 3}
        handles = [Line2D([], [], label=f"accuracy, 95 % over {over}", **line)]
        if self.has_ngrams:
            handles.append(Line2D([], [], color=muted, **_sized("baseline", sizes), label="best n-gram"))
        if any(name in self.results["paper"]["accuracies"] for name in self.rows):
            handles.append(Line2D([], [], color=muted, **_sized("paper", sizes), label="the paper"))
        if self.steps:
            bold = " (bold: shown)" if self.results["shows"] else ""
            handles.append(Line2D([], [], linestyle="none", label=f"{sizes.key_of_steps}{bold}"))
        canvas.legend(
            handles=handles,
            loc="lower left",
            ncols=sizes.key_columns,
            frameon=False,
            fontsize=sizes.font - 0.4,
            labelcolor=muted,
            borderaxespad=0.2,
            handletextpad=0.5,
            columnspacing=1.4,
        )


def _place_rows(modalities: dict) -> dict[str, float]:
    """The height of each modality: those of a chain below each other, and a gap before the next chain."""
    rest = tuple(name for name in MODALITIES if not any(name in chain for chain in _CHAINS))
    rows, height = {}, 0.0
    for chain in (*_CHAINS, rest):
        names = [name for name in chain if name in modalities]
        rows |= {name: height + place for place, name in enumerate(names)}
        height += len(names) + _GAP * bool(names)
    return rows


def _sized(mark: str, sizes: _Sizes) -> dict:
    """A mark as large as its layout asks for; the paper's figures are faint."""
    scale = sizes.marker / _WIDE.marker
    own = MARKS[mark] | {"markersize": MARKS[mark]["markersize"] * scale, "linestyle": "none"}
    return own | ({"alpha": 0.55} if mark == "paper" else {})


def _best_ngram(accuracy: dict) -> float | None:
    found = [rule["value"] for name, rule in accuracy.get("baselines", {}).items() if "ngram" in name]
    return max(found, default=None)
