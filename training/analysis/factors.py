"""The part of factors: what each step from text to speech costs, in every view that the run has of it (2412.17048,
5.1).

accuracies at the end of the trainings + points along them -> each step by convergence, at equal epochs, equal tokens
and equal FLOPs -> a table a task, in accuracy points and in per cent.
"""

from ...models.modalities import MODALITIES
from ..arguments.study import RECORDED
from ..report.curves.equal_views import compare_at_equal
from ..report.curves.learning_curves import points_along_the_way, points_by
from ..report.estimates import PAIRS_AND_SEEDS
from ..report.results import CONTRASTS, FINER_CONTRASTS, ONE_SEED, compute_results, judge_change, paper_effect
from ..report.run_folder import FinishedRun, read_run
from ..run.execution import Execution
from .arguments import AnalyzeArguments
from .factors_text import continuation_table, describe_factors, factor_table, say_missing_parts, whole_table
from .parts import AnalyzedRun, Section, load_part

PART = "factors"
STEPS = tuple(
    sorted(
        (step for step in (*CONTRASTS, *FINER_CONTRASTS) if step[2] in "ABC" or step[2][:2] in ("A:", "B:", "C:")),
        key=lambda step: step[2][0],
    )
)
"""Baseline, result and factor: each factor whole, between pieces and without, and behind it the parts of it."""
_VERSION = 1


def find_lack(run: AnalyzedRun, arguments: AnalyzeArguments) -> str | None:
    """What the run lacks: two modalities that stand beside each other in the chain."""
    names = set(read_run(run.paths.folder).modalities)
    if not any({baseline, result} <= names for baseline, result, _ in STEPS):
        return (
            f"{run.paths.folder} has no two modalities that differ by one factor; let `evoslm study` make them "
            "(`--modalities paper`)."
        )
    return None


def build(run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution) -> None:
    """Compute every step in every view, of all modalities of the run; seconds, so always as it is now."""
    run.compute_part(
        PART, lambda: compute_factors(read_run(run.paths.folder)), _VERSION, seeds=lambda modality: modality.items
    )


def write_section(run: AnalyzedRun) -> Section | None:
    """A table a task."""
    results = run.read_part(PART)
    if results is None:
        return None
    continued = load_part("continuation").write_section(run)
    continuation = continued.results if continued else {}
    tables = [factor_table(results, task) for task in results["tasks"]]
    tables += [continuation_table(results, continuation), *whole_table(results, continuation)]
    return Section(
        "What each factor costs, in four views",
        [describe_factors(results), *tables, say_missing_parts(results)],
        {},
        results,
    )


def compute_factors(run: FinishedRun) -> dict:
    """
    Everything that the part says in numbers.

    Args:
        run (`FinishedRun`): A finished run.

    Returns:
        `dict`: `tasks`; `seeds`; `modalities`, the labels of all that a step could have, and `absent`, those that the
        run has not; `until_converged`, whether trainings ended by convergence, and `still_falling`, of which
        modalities some did not; `recorded`, whether the speech is recordings; `labels` and `accuracies` at the end of
        what the run has; and `steps`, each with its modalities, factor, the paper's changes in per cent, and by task
        and view (`converged, epochs, tokens, flops`) the change as `compute_results` gives it, with `at`, where the
        points of a view lie, or `None` where the run has no such view.
    """
    ends = compute_results(run.without_points())
    outcomes = {name: points_along_the_way(part) for name, part in run.modalities.items()}
    protocol = run.study.get("configuration", {}).get("pretrain", {})
    until_converged = protocol.get("train_until") == "converged"
    encoder = run.study.get("encoder_label") or "units"
    names = dict.fromkeys(name for step in STEPS for name in step[:2])
    by_end = {(effect["baseline"], effect["result"]): effect["tasks"] for effect in ends["effects"]}
    steps = []
    for baseline, result, factor in STEPS:
        step = {"baseline": baseline, "result": result, "factor": factor, "tasks": {}}
        step["paper"] = paper_effect(baseline, result)
        if (baseline, result) in by_end:
            sides = {name: (run.modalities[name], outcomes[name]) for name in (baseline, result)}
            along = {
                axis: compare_at_equal(*(points_by(part, found, axis) for part, found in sides.values()))
                for axis in ("epochs", "tokens", "flops")
            }
            for task in ends["tasks"]:
                end = by_end[baseline, result].get(task)
                views = {axis: _along(view, task) for axis, view in along.items()}
                if until_converged:
                    views["converged"] = end
                else:
                    views |= {"converged": None, "epochs": end or views["epochs"]}
                step["tasks"][task] = {view: views[view] for view in ("converged", "epochs", "tokens", "flops")}
        steps.append(step)
    return {
        "tasks": ends["tasks"],
        "seeds": ends["seeds"],
        "modalities": {name: {"label": MODALITIES[name].label.format(encoder=encoder)} for name in names},
        "absent": [name for name in names if name not in run.modalities],
        "until_converged": until_converged,
        "still_falling": sorted(
            name
            for name, part in run.modalities.items()
            if until_converged and any(t.get("convergence") != "converged" for t in part.trainings.values())
        ),
        "epochs": protocol.get("epochs"),
        "recorded": run.corpus.get("voices") == RECORDED,
        "steps": steps,
        "accuracies": {
            name: {task: found["headline"] for task, found in by_task.items()}
            for name, by_task in ends["accuracies"].items()
        },
        "labels": {name: part.label for name, part in run.modalities.items()},
    }


def _along(view: dict | None, task: str) -> dict | None:
    """One task of a view along the trainings, judged as a report judges a step at their ends."""
    change = (view or {"tasks": {}})["tasks"].get(task)
    if change is None:
        return None
    several = change["over"] == PAIRS_AND_SEEDS
    above_chance = any(change[side]["low"] > 0.5 for side in ("baseline", "result"))
    verdict = judge_change(change["points"], above_chance) if several else ONE_SEED
    return change | {"at": view["at"], "verdict": verdict}
