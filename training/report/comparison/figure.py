"""The figure of the report over several runs: what each step changes in each of them.

`compare_runs` -> [`draw_figures`] -> one [`Figure`] with a panel a task.
"""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from ....metrics.tasks import TASKS
from ..figures import COLORS, INK, Figure
from ..figures.panels import label_rows

_SPREAD = 0.56  # of a row's height that its runs take
_MARGIN = 0.15  # beyond the intervals of the runs, of their range; a wider one of their mean is cut there


def draw_figures(results: dict) -> dict[str, Figure]:
    """
    The figure, if there is a step to draw.

    Args:
        results (`dict`): As `compare_runs` gives them.

    Returns:
        `dict[str, Figure]`: `steps`, or nothing.
    """
    steps = [step for step in results["steps"] if not (step["factor"] or "").startswith("answer")]
    if not steps:
        return {}
    panels = {
        f"{TASKS[task].label} ({TASKS[task].rule})": lambda axes, task=task: _draw_steps(axes, results, steps, task)
        for task in results["tasks"]
        if any(task in step["tasks"] for step in steps)
    }
    kind = "replicate" if results["are_replicates"] else "run"
    caption = (
        f"Change of accuracy in points from one modality to the next, one dot a {kind}, from top to bottom in the "
        "order of the tables below, with its own 95 % interval. Filled: that run shows it."
    )
    if results["are_replicates"]:
        caption += " Diamond: the mean, with its 95 % interval over replicates, cut off where it leaves the panel."
    rows = max(sum(len(step["tasks"].get(task, {}).get("by_run", ())) + 1 for step in steps) for task in TASKS)
    return {"steps": Figure("steps", caption, panels, 1.1 + max(0.42 * len(steps), 0.15 * rows))}


def _draw_steps(axes: Axes, results: dict, steps: list[dict], task: str) -> None:
    """A row a step: a dot and interval of each run above each other, and the mean of replicates under them."""
    steps = [step for step in steps if task in step["tasks"]]
    axes.axvline(0, color=INK["muted"][0], linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    labels, values = [], []
    for row, step in enumerate(steps):
        found, color = step["tasks"][task], COLORS[step["result"]][0]
        heights = row + _SPREAD * (np.linspace(0, 1, len(found["by_run"]) + bool(found["mean"])) - 0.5)
        for height, (run, change) in zip(heights, found["by_run"].items()):
            _mark(axes, change, height, "o", color, filled=run in found["shown_in"], linewidth=1.2)
            values += [change["low"], change["high"]]
        if found["mean"]:
            _mark(axes, found["mean"]["points"], heights[-1], "D", color, filled=True, linewidth=2.4)
        ends = " →\n".join(results["modalities"][step[side]]["label"] for side in ("baseline", "result"))
        labels.append(f"{ends} ({step['factor'][0]})" if step["factor"] else ends)
    label_rows(axes, labels)
    low, high = 100 * min(*values, -0.05), 100 * max(*values, 0.05)
    margin = max(2.0, _MARGIN * (high - low))
    axes.set_xlim(low - margin, high + margin)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))
    axes.set_xlabel("change, points")


def _mark(axes: Axes, change: dict, height: float, marker: str, color: str, filled: bool, linewidth: float) -> None:
    ends = [100 * change["low"], 100 * change["high"]]
    axes.plot(ends, [height, height], color=color, linewidth=linewidth, alpha=0.8)
    face = color if filled else INK["faint"][0]
    axes.plot(100 * change["value"], height, marker, color=color, markerfacecolor=face, markersize=4.5)
