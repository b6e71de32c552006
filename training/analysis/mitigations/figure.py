"""The trade-off in one figure: tokens a second against what is heard of them, and against what is learned from them.

results -> a panel of word error rates and one of accuracies for each task, over the same axis of tokens a second.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from ....metrics.tasks import TASKS
from ...report.figures import Figure
from ...report.figures.looks import COLORS, INK, MARKERS
from ...report.figures.panels import draw_chance
from .rows import SPEECH

NAME = "analysis_mitigations"
_HEARD = "What is heard"
_TICKS = (2, 3, 5, 10, 20, 30, 50, 100)
_LETTER, _LINE = 0.0165, 0.042  # of a panel's width and height, what a letter and a line of a label take
_AWAY = (0.028, 0.0)


def draw_trade_off(results: dict[str, Any]) -> Figure:
    """
    Draw the figure.

    Args:
        results (`dict`): Of the table.

    Returns:
        `Figure`: A panel of word error rates, where something was heard, and one for each task.
    """
    panels = {}
    if any(_heard(results, row) is not None for row in results["rows"]):
        panels[_HEARD] = partial(_draw_heard, results=results)
    panels |= {TASKS[task].label: partial(_draw_accuracy, results=results, task=task) for task in results["tasks"]}
    caption = "Over the tokens that a second of speech has: "
    if _HEARD in panels:
        caption += (
            "word errors in what a vocoder makes of the tokens alone (lower is better; above 100 is drawn at it)"
        )
        caption += "; and "
    caption += (
        f"accuracies of language models of them, with {_intervals(results)}; the dashed line is chance. Hollow: an "
        "anchor of text or phones, or a model that has read text, too."
    )
    return Figure(NAME, caption, panels, 3.9)


def _intervals(results: dict[str, Any]) -> str:
    return "95 % intervals over pairs and training seeds" if results["shows"] else "95 % intervals over pairs"


def _heard(results: dict[str, Any], row: dict[str, Any]) -> dict | None:
    errors = results["sounds"].get(row["sound"], {}).get("errors")
    return errors["wer"] if errors else None


def _draw_heard(axes: Axes, results: dict[str, Any]) -> None:
    points = []
    for row in results["rows"]:
        wer = _heard(results, row)
        if wer is not None:
            points.append((row, *(min(100.0, 100 * wer[end]) for end in ("value", "low", "high"))))
    _rate_axis(axes, results)
    recorded = results["sounds"].get("recorded", {}).get("errors")
    if recorded:
        axes.axhline(100 * recorded["wer"]["value"], color=INK["muted"][0], linewidth=0.9, linestyle=":", zorder=0)
    axes.set_ylim(104, -4)
    axes.set_ylabel("word error rate, % (dotted: as recorded)")
    _draw_points(axes, points)


def _draw_accuracy(axes: Axes, results: dict[str, Any], task: str) -> None:
    points = []
    for row in results["rows"]:
        accuracy = row["accuracies"].get(task)
        if accuracy is not None:
            points.append((row, *(100 * accuracy[end] for end in ("value", "low", "high"))))
    _rate_axis(axes, results)
    draw_chance(axes, horizontal=True)
    low, high = min(point[2] for point in points), max(point[3] for point in points)
    axes.set_ylim(min(40.0, low - 2), max(75.0, high + 2))
    axes.set_ylabel("accuracy, %")
    _draw_points(axes, points)


def _rate_axis(axes: Axes, results: dict[str, Any]) -> None:
    rates = [row["rates"]["tokens_per_second"] for row in results["rows"]]
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 1.35, max(rates) * 1.9)  # the last labels stand beside their points
    axes.xaxis.set_major_locator(
        FixedLocator([tick for tick in _TICKS if min(rates) / 1.35 < tick < max(rates) * 1.9])
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("tokens per second of speech")
    axes.grid(axis="y", color=INK["faint"][0], linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_points(axes: Axes, points: list[tuple[dict[str, Any], float, float, float]]) -> None:
    """Values with their intervals, each with its name where there is room beside it."""
    taken: list[tuple[float, float, float, float]] = []
    transform = axes.transLimits
    places = []
    for row, value, low, high in points:
        color, x = COLORS[row["modality"]][0], row["rates"]["tokens_per_second"]
        is_hollow = row["reads_text"] or not row["answer"]
        axes.plot([x, x], [low, high], color=color, alpha=0.45, linewidth=1.3)
        axes.plot(
            x,
            value,
            MARKERS[row["modality"]],
            color=color,
            markersize=8 if row["key"] == SPEECH else 6,
            markerfacecolor="white" if is_hollow else color,
        )
        at = transform.transform((np.log10(x), value))
        places.append((row, color, float(at[0]), float(at[1])))
        taken.append((at[0] - 0.012, at[1] - 0.02, at[0] + 0.012, at[1] + 0.02))
    for row, color, x, y in sorted(places, key=lambda place: -place[3]):
        label = row["label"].removeprefix("Speech-")
        others = [other for _, _, at, other in places if abs(at - x) < _AWAY[0] and other != y]
        box = _find_room(taken, x, y, _LETTER * len(label), others)
        taken.append(box)
        axes.annotate(
            label,
            (x, y),
            (box[0], (box[1] + box[3]) / 2),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=color,
            fontsize=7.5,
            va="center",
            arrowprops={"arrowstyle": "-", "color": color, "alpha": 0.4, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
        )


def _find_room(
    taken: list[tuple[float, float, float, float]], x: float, y: float, width: float, others: Sequence[float] = ()
) -> tuple[float, float, float, float]:
    """
    Where a label of a point overlaps nothing, as near as there is such a place, if there is one not beside one of the
    others above or below the point; axes fractions.
    """
    best, free = None, []
    for shift in sorted(np.arange(-12, 13) * 0.6 * _LINE, key=abs):
        for left in (x + _AWAY[0], x - _AWAY[0] - width):
            box = (left, y + shift - _LINE / 2, left + width, y + shift + _LINE / 2)
            best = best or box
            is_inside = box[0] >= 0 and box[2] <= 1.06 and box[1] >= 0 and box[3] <= 1
            if is_inside and not any(_overlap(box, other) for other in taken):
                if not any(abs(y + shift - other) < abs(shift) - _LINE / 2 for other in others):
                    return box
                free.append(box)
    return free[0] if free else best


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
