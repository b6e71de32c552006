"""The third view of one training: accuracies at equal training FLOPs, beside equal epochs and convergence.

points along the way -> the largest budgets that several modalities have points around -> outcomes of each pair
between these points -> estimates -> a table.
All points are of the stable phase. What is scored at the end has decayed, which lifts an accuracy whatever the FLOPs,
so that it is no point here; and nothing is extrapolated.
"""

from collections.abc import Mapping

from ....metrics.tasks import TASKS
from ..estimates import estimate
from ..formatting import MISSING, items, listing, markdown_table, scientific, with_interval
from .between_points import Points, common_range, outcomes_at

LATER, EARLIER = "begin later", "end before"
"""Why a modality is left out at a budget: its points do so."""


def compare_at_equal_flops(trainings: Mapping[str, Mapping[int, Points]]) -> dict:
    """
    Accuracies at budgets that as many modalities as possible have in common.

    A budget is the largest number of FLOPs at which some modalities can be compared and no other one can with them.
    Between two points outcomes are interpolated in the logarithm of the FLOPs, pair by pair and seed by seed.

    Args:
        trainings (`Mapping[str, Mapping[int, Points]]`): By modality and training seed, the points that were scored.

    Returns:
        `dict`: `ranges`, the FLOPs of the first and the last point that all seeds of a modality reach, and `budgets`,
        each with its `flops`, `accuracies` by modality and task as [`estimate`] returns them, and `left_out`, why by
        modality. Modalities with fewer than two points are in neither.
    """
    ranges = {name: found for name, by_seed in trainings.items() if (found := common_range(by_seed))}
    within = {
        flops: {name for name, (first, last) in ranges.items() if first <= flops <= last}
        for flops in sorted({last for _, last in ranges.values()})
    }
    budgets = [
        {
            "flops": flops,
            "accuracies": {name: _accuracies(trainings[name], flops) for name in ranges if name in names},
            "left_out": {
                name: LATER if first > flops else EARLIER for name, (first, _) in ranges.items() if name not in names
            },
        }
        for flops, names in within.items()
        if len(names) > 1 and not any(names < others for others in within.values())
    ]
    return {"ranges": ranges, "budgets": budgets}


def equal_flops_table(results: dict) -> str | None:
    """A row a budget and modality that is compared at it, and one for all that are left out for the same reason."""
    budgets = results["equal_flops"]["budgets"]
    tasks = [task for task in results["tasks"] if any(task in by for each in budgets for by in _tables(each))]
    if not tasks:
        return None
    labels = {name: modality["label"] for name, modality in results["modalities"].items()}
    rows = []
    for budget in budgets:
        flops = scientific(budget["flops"])
        for name, by_task in budget["accuracies"].items():
            around = " to ".join(scientific(end) for end in results["equal_flops"]["ranges"][name])
            rows.append([flops, labels[name], *(with_interval(by_task.get(task)) for task in tasks), around])
        for reason in (LATER, EARLIER):
            names = [labels[name] for name, found in budget["left_out"].items() if found == reason]
            if names:
                rows.append([flops, listing(names), *[MISSING] * len(tasks), reason])
    ns = {task: items(by[task]["n"] for each in budgets for by in _tables(each) if task in by) for task in tasks}
    header = ["FLOPs", "Modality", *(f"{TASKS[task].label} ({ns[task]})" for task in tasks), "FLOPs of its points"]
    return markdown_table(header, rows, left=2)


def _tables(budget: dict) -> list[dict]:
    return list(budget["accuracies"].values())


def _accuracies(by_seed: Mapping[int, Points], flops: float) -> dict[str, dict]:
    outcomes = outcomes_at(by_seed, flops)
    tasks = [task for task in TASKS if all(task in by_task for by_task in outcomes.values())]
    found = {task: estimate({seed: by_task[task] for seed, by_task in outcomes.items()}) for task in tasks}
    return {task: accuracy for task, accuracy in found.items() if accuracy}
