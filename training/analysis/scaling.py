"""The part of scaling: accuracy over tokens, epochs and FLOPs, and whether the text topline is in sight.

points along the trainings of a run -> lines within the first epoch, beyond it and through all, differences to the
topline in the three views, extrapolations -> a table each, and one figure.
"""

from functools import partial

from ...metrics.tasks import TASKS
from ..report.curves.equal_views import compare_at_equal
from ..report.curves.learning_curves import AXES, SeenPoint, points_along_the_way, points_by, seen_points
from ..report.curves.lines import extrapolate, fit_line
from ..report.estimates import Outcomes, estimate, headlines_by_seed, task_outcomes
from ..report.figures import Figure
from ..report.figures.panels import AXIS_LABELS, draw_scaling
from ..report.run_folder import FinishedRun, ModalityRun, read_run
from ..run.execution import Execution
from .arguments import AnalyzeArguments
from .parts import AnalyzedRun, Section, show
from .scaling_text import describe_scaling, extrapolation_table, line_table, say_disagreement, view_table

PART = "scaling"
TOPLINES = ("text_bpe", "text_raw")
"""What the others are held against: the first of them that the run has."""
STRETCHES = {"first_epoch": (0.0, 1.001), "beyond": (0.999, float("inf")), "all": (0.0, float("inf"))}
"""Epochs between which a line's points lie; the end of the first epoch is in both of its neighbours."""
_VERSION = 2


def find_lack(run: AnalyzedRun, arguments: AnalyzeArguments) -> str | None:
    """What the run lacks: points along the way."""
    if not any(by_name for part in run.finished.modalities.values() for by_name in part.points.values()):
        return (
            f"{run.paths.folder} has no points along its trainings; train with `--points 0.25 0.5 1 2`, epochs after "
            "which models are kept and scored."
        )
    return None


def build(run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution) -> None:
    """Compute lines, differences and extrapolations, of all modalities of the run; seconds, so always as it is now."""
    run.compute_part(
        PART, lambda: compute_scaling(read_run(run.paths.folder)), _VERSION, seeds=lambda modality: modality.points
    )


def write_section(run: AnalyzedRun) -> Section | None:
    """Lines, views and extrapolations."""
    results = run.read_part(PART)
    if results is None:
        return None
    figure = draw_figure(results)
    paragraphs = [
        describe_scaling(results),
        say_disagreement(results),
        show(figure),
        *(text for task in results["tasks"] if (text := line_table(results, task))),
        *view_table(results),
        *extrapolation_table(results),
    ]
    return Section("Accuracy over tokens, epochs and FLOPs", paragraphs, {figure.name: figure}, results)


def compute_scaling(run: FinishedRun) -> dict:
    """
    Everything that the part says in numbers.

    Args:
        run (`FinishedRun`): A run with points along its trainings.

    Returns:
        `dict`: `tasks`; `seeds`; `modalities`, their labels; `topline`, the text modality that others are held
        against, or `None`; `scaling`, by modality and task `points`, `lines` by axis and stretch, and `to_topline`, an
        extrapolation over tokens; `views`, by modality and axis its difference to the topline; `an_epoch`, tokens and
        FLOPs of an epoch by modality; `ends`, tokens and accuracy at the end of the topline's training.
    """
    parts = {name: part for name, part in run.modalities.items() if any(part.points.values())}
    outcomes = {name: points_along_the_way(part) for name, part in parts.items()}
    topline = next((name for name in TOPLINES if name in parts), None)
    goal = {seed: task_outcomes(items) for seed, items in parts[topline].items.items()} if topline else {}
    scaling = {name: _of_modality(part, outcomes[name], goal) for name, part in parts.items()}
    by_axis = {axis: {name: points_by(part, outcomes[name], axis) for name, part in parts.items()} for axis in AXES}
    return {
        "tasks": [task for task in TASKS if any(task in by_task for by_task in scaling.values())],
        "seeds": sorted({seed for part in parts.values() for seed in part.points}),
        "modalities": {name: {"label": part.label} for name, part in parts.items()},
        "topline": topline,
        "scaling": scaling,
        "views": {
            name: {axis: compare_at_equal(by_axis[axis][topline], by_axis[axis][name]) for axis in AXES}
            for name in parts
            if topline and name != topline
        },
        "an_epoch": {name: _an_epoch(part) for name, part in parts.items()},
        "ends": _ends(parts[topline], goal) if topline else {},
    }


def draw_figure(results: dict) -> Figure:
    """A panel a task and axis, tasks in rows."""
    panels = {}
    for task in results["tasks"]:
        for axis in AXES:
            drawn = results | {"scaling": _drawn(results, axis)}
            title = TASKS[task].label if axis == AXES[0] else f"{TASKS[task].label}, {AXIS_LABELS[axis]}"
            panels[title] = partial(draw_scaling, results=drawn, task=task, axis=axis)
    over = "over pairs and training seeds" if len(results["seeds"]) > 1 else "over pairs only (one training seed)"
    caption = (
        "Accuracy in per cent at points along the trainings over tokens, epochs and training FLOPs (all logarithmic), "
        "with the line through the points that all trainings of a modality have. The same points in each row; "
        f"intervals are 95 %, {over}; dashed: chance."
    )
    return Figure("analysis_scaling", caption, panels, 3.4, columns=len(AXES))


def _drawn(results: dict, axis: str) -> dict:
    return {
        name: {task: found | {"line": found["lines"][axis]["all"]} for task, found in by_task.items()}
        for name, by_task in results["scaling"].items()
    }


def _of_modality(part: ModalityRun, by_name: dict[str, Outcomes], goal: Outcomes) -> dict:
    scaling = {}
    for task in TASKS:
        points = [point for point in seen_points(part, by_name, task) if set(point.seen) == set(AXES)]
        found = [(point, estimate(point.headlines)) for point in points]
        found = [(point, accuracy) for point, accuracy in found if accuracy]
        if not found:
            continue
        points = [point for point, _ in found]
        scaling[task] = {
            "points": [{"name": point.name} | point.seen | accuracy for point, accuracy in found],
            "lines": {axis: {name: _line(points, axis, *ends) for name, ends in STRETCHES.items()} for axis in AXES},
        }
        wanted = headlines_by_seed(goal, task)
        if wanted:
            seen = [point.seen["tokens"] for point in points]
            scaling[task]["to_topline"] = extrapolate(seen, [point.headlines for point in points], wanted)
    return scaling


def _line(points: list[SeenPoint], axis: str, first: float, last: float) -> dict | None:
    inside = [point for point in points if first <= point.seen["epochs"] <= last]
    return fit_line([point.seen[axis] for point in inside], [point.headlines for point in inside], fewest_points=2)


def _an_epoch(part: ModalityRun) -> dict[str, float]:
    """Tokens and FLOPs of an epoch, by the last point of the first training that has one."""
    points = next((t["points"] for t in part.trainings.values() if t.get("points")), [])
    return {axis: points[-1][axis] / points[-1]["epochs"] for axis in ("tokens", "flops") if points}


def _ends(part: ModalityRun, goal: Outcomes) -> dict:
    """What the topline had seen when its training ended."""
    seen = [training["tokens_seen"] for training in part.trainings.values() if training.get("tokens_seen")]
    return {"tokens": sum(seen) / len(seen)} if seen and goal else {}
