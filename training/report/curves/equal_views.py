"""One step between two modalities at equal tokens, equal epochs or equal FLOPs.

points of both by training seed -> the furthest place that all of them have points around -> outcomes there -> the
paired difference. Points are of the stable phase, and nothing is extrapolated: where one modality's points end before
the other's begin, there is no such view of the step.
"""

from collections.abc import Mapping

from ....metrics.tasks import TASKS
from ..estimates import difference, estimate
from .between_points import Points, common_range, outcomes_at


def compare_at_equal(baseline: Mapping[int, Points], result: Mapping[int, Points]) -> dict | None:
    """
    What changes from one modality to another where both have seen, or cost, the same.

    Args:
        baseline (`Mapping[int, Points]`): Points of the modality before, by training seed.
        result (`Mapping[int, Points]`): Points of the one after it.

    Returns:
        `dict` or `None`: `at`, tokens, epochs or FLOPs, and `tasks`: by task the change as [`difference`] gives it,
        with the accuracies of both sides as `baseline` and `result`. `None` where the points of the two do not
        overlap.
    """
    ranges = [common_range(side) for side in (baseline, result)]
    if None in ranges:
        return None
    (first_a, last_a), (first_b, last_b) = ranges
    at = min(last_a, last_b)
    if at < max(first_a, first_b):
        return None
    before, after = (outcomes_at(side, at) for side in (baseline, result))
    tasks = {}
    for task in TASKS:
        sides = [
            {seed: by_task[task] for seed, by_task in side.items() if task in by_task} for side in (before, after)
        ]
        if change := difference(*sides):
            tasks[task] = change | {"baseline": estimate(sides[0]), "result": estimate(sides[1])}
    return {"at": at, "tasks": tasks}
