"""What is drawn in a panel of a task: effects, accuracies by tokens seen, losses.

results + a task -> marks on `Axes`.
"""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from ..formatting import count, scientific
from .looks import COLORS, INK, MARKERS


def draw_effects(axes: Axes, results: dict, effects: list[dict], task: str) -> None:
    """Dots and intervals of the differences, one row a step."""
    effects = [effect for effect in effects if task in effect["tasks"]]
    axes.axvline(0, color=INK["muted"][0], linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    labels = []
    for row, effect in enumerate(effects):
        change = effect["tasks"][task]
        points, color = change["points"], COLORS[effect["result"]][0]
        ends = [100 * points["low"], 100 * points["high"]]
        axes.plot(ends, [row, row], color=color, linewidth=2.2, solid_capstyle="butt")
        filled = "none" if change["verdict"] == "at chance" else color
        axes.plot(100 * points["value"], row, "o", color=color, markerfacecolor=filled, markersize=6.5)
        names = [results["modalities"][effect[side]]["label"] for side in ("baseline", "result")]
        letter = f" ({effect['factor'][0]})" if effect["factor"][0] in "ABC" else ""
        labels.append(f"{names[0]} →\n{names[1]}{letter}")
    label_rows(axes, labels)
    changes = [change["points"] for effect in results["effects"] for change in effect["tasks"].values()]
    low, high = (100 * extreme(c[side] for c in changes) for extreme, side in ((min, "low"), (max, "high")))
    low, high = min(low, -5), max(high, 5)
    beside = 0.04 * (high - low)  # so that every interval is seen to end
    axes.set_xlim(low - beside, high + beside)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))
    axes.set_xlabel("change, points")


def draw_distances(axes: Axes, results: dict, task: str) -> None:
    """Accuracies over the number of words between cue and target, a line a modality."""
    draw_chance(axes, horizontal=True)
    names = [name for name, by_task in results["accuracies"].items() if "distances" in by_task.get(task, {})]
    ends = []
    for place, name in enumerate(names):
        found, color = results["accuracies"][name][task]["distances"], COLORS[name][0]
        # Beside each other, so that intervals of one distance can be told apart.
        x = np.array([int(words) for words in found]) + 0.05 * (place - (len(names) - 1) / 2)
        y = [100 * each["value"] for each in found.values()]
        for at, each in zip(x, found.values()):
            axes.plot([at, at], [100 * each["low"], 100 * each["high"]], color=color, alpha=0.35, linewidth=1.2)
        axes.plot(x, y, color=color, marker=MARKERS[name], markersize=4.5, linewidth=1.4)
        ends.append((x[-1], y[-1], name))
    axes.set_xlabel("words between cue and target")
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    axes.set_ylabel("accuracy, %")
    axes.grid(axis="y", color=INK["faint"][0], linewidth=0.6)
    axes.set_axisbelow(True)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 40), min(max(high, 75), 101.5))
    label_ends(axes, results, ends)


AXIS_LABELS = {"tokens": "tokens seen", "epochs": "epochs", "flops": "training FLOPs"}
"""What stands under an axis of what a training has seen, or cost."""


def draw_scaling(axes: Axes, results: dict, task: str, axis: str = "tokens") -> None:
    """
    Points, intervals and fitted lines over the logarithm of what was seen.

    Args:
        axes (`Axes`): Where to.
        results (`dict`): With `scaling`, by modality and task `points` and their `line` over that axis, and
            `modalities`, their labels.
        task (`str`): The task.
        axis (`str`, *optional*, defaults to `"tokens"`): What is below: `tokens`, `epochs` or `flops`.
    """
    draw_chance(axes, horizontal=True)
    ends = []
    for name, by_task in results["scaling"].items():
        if task not in by_task:
            continue
        points, line, color = by_task[task]["points"], by_task[task]["line"], COLORS[name][0]
        x = np.array([point[axis] for point in points])
        y = np.array([100 * point["value"] for point in points])
        for place, point in zip(x, points):
            axes.plot([place] * 2, [100 * point["low"], 100 * point["high"]], color=color, alpha=0.3, linewidth=1)
        axes.plot(x, y, MARKERS[name], color=color, markersize=5, linestyle="none")
        end = y[-1]
        if line:
            fitted = 100 * (line["intercept"] + line["value"] * np.log10(x))
            axes.plot(x, fitted, color=color, linewidth=1.4)
            end = fitted[-1]
        ends.append((x[-1], end, name))
    _logarithmic_axis(axes, AXIS_LABELS[axis], scientific if axis == "flops" else _round)
    axes.set_ylabel("accuracy, %")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 40), min(max(high, 75), 101.5))
    label_ends(axes, results, ends)


def draw_losses(axes: Axes, results: dict) -> None:
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
    label_ends(axes, results, ends)


def label_rows(axes: Axes, labels: list[str]) -> None:
    """One labelled row an entry, the first on top."""
    axes.set_yticks(range(len(labels)), labels, color=INK["ink"][0])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=INK["faint"][0], linewidth=0.6)
    axes.set_axisbelow(True)


def draw_chance(axes: Axes, horizontal: bool) -> None:
    """The line at 50 %."""
    draw = axes.axhline if horizontal else axes.axvline
    draw(50, color=INK["muted"][0], linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)


def _logarithmic_axis(axes: Axes, label: str, written: Callable[[float], str]) -> None:
    axes.set_xscale("log")
    axes.set_xlabel(label)
    low, high = axes.get_xlim()
    subs = (1,) if high > 300 * low else (1, 3) if high > 10 * low else (1, 2, 5)
    axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: written(value)))
    axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.grid(axis="y", color=INK["faint"][0], linewidth=0.6)
    axes.set_axisbelow(True)


def _round(value: float) -> str:
    if value < 1:
        return f"{value:g}"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return count(value)


def label_ends(axes: Axes, results: dict, ends: list[tuple[float, float, str]]) -> None:
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
