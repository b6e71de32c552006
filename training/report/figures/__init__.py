"""The figures of the report: `compute_results` -> [`draw_figures`] -> [`Figure`] by name.

In: the results of a run. Out: for each figure a caption and what draws it, as png and svg files or as svg text.
"""

from ....metrics.tasks import TASKS
from .figure import Figure
from .looks import COLORS, INK, MARKERS, theme_css
from .overview import Overview
from .panels import draw_distances, draw_effects, draw_losses, draw_scaling

__all__ = ["COLORS", "INK", "MARKERS", "Figure", "draw_figures", "theme_css"]


def draw_figures(results: dict) -> dict[str, Figure | Overview]:
    """
    The figures that a run has numbers for.

    Args:
        results (`dict`): As `compute_results` gives them.

    Returns:
        `dict[str, Figure | Overview]`: By name: `accuracies`, `effects`, `distances`, `scaling`, `losses`.
    """
    tasks = results["tasks"]
    titles = {task: f"{TASKS[task].label} ({TASKS[task].rule})" for task in tasks}
    over = "over pairs and training seeds" if results["shows"] else "over pairs only (one training seed)"
    figures: list[Figure | Overview] = [Overview(results)]
    effects = [
        effect for effect in results["effects"] if effect["tasks"] and not effect["factor"].startswith("answer")
    ]
    if effects:
        panels = {
            titles[task]: lambda axes, task=task: draw_effects(axes, results, effects, task)
            for task in tasks
            if any(task in effect["tasks"] for effect in effects)
        }
        caption = f"Change of accuracy in points from one modality to the next, with its paired 95 % interval {over}."
        key = {}
        if any(change["verdict"] == "at chance" for effect in effects for change in effect["tasks"].values()):
            key = {"at chance": "both sides may be guessing"}
            caption += " Hollow: both sides may be guessing, so that there is nothing to lose."
        figures.append(Figure("effects", caption, panels, 1.1 + 0.42 * len(effects), key))
    far = [task for task in tasks if any("distances" in by.get(task, {}) for by in results["accuracies"].values())]
    if far:
        caption = (
            "Accuracy in per cent by how many words stand between cue and target, with its 95 % interval "
            f"{over}; dashed: chance."
        )
        panels = {titles[task]: lambda axes, task=task: draw_distances(axes, results, task) for task in far}
        figures.append(Figure("distances", caption, panels, 3.6))
    scaled = [task for task in tasks if any(task in by_task for by_task in results["scaling"].values())]
    if scaled:
        caption = (
            "Accuracy in per cent at points along the training by tokens seen (logarithmic), with a straight line "
            f"through the points of each modality. Each point has its 95 % interval {over}; dashed: chance."
        )
        panels = {titles[task]: lambda axes, task=task: draw_scaling(axes, results, task) for task in scaled}
        figures.append(Figure("scaling", caption, panels, 3.6))
    if any(losses.get("evaluations") for losses in results["losses"].values()):
        caption = (
            "Validation loss in bits per second of speech, which does not depend on how long a token is. Durations "
            "and voices cost bits of their own, so more bits are not a worse model of the words."
        )
        figures.append(Figure("losses", caption, {"Validation loss": lambda axes: draw_losses(axes, results)}, 3.4))
    return {figure.name: figure for figure in figures}
