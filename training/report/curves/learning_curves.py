"""What a training leaves along its way: accuracies at points that were scored, and validation losses.

[`ModalityRun`] -> [`points_along_the_way`] -> [`scaling_by_task`], accuracy against tokens with the line through it,
[`seen_points`] and [`points_by`] tokens, epochs or FLOPs; and [`validation_losses`], also in bits a second of speech.
"""

import math
from dataclasses import dataclass
from statistics import fmean

import pandas as pd

from ....metrics.tasks import TASKS
from ..estimates import Outcomes, estimate, headline_outcomes, headlines_by_seed, task_outcomes
from ..run_folder import ModalityRun
from .between_points import Points
from .lines import fit_line

AXES = ("tokens", "epochs", "flops")
"""What a training has seen, or cost, until a point."""


def points_along_the_way(part: ModalityRun) -> dict[str, Outcomes]:
    """Outcomes at each point along the way, by its name."""
    found: dict[str, Outcomes] = {}
    for seed, by_name in part.points.items():
        for name, items in by_name.items():
            found.setdefault(name, {})[seed] = task_outcomes(items)
    return found


def points_by(part: ModalityRun, outcomes: dict[str, Outcomes], axis: str) -> dict[int, Points]:
    """
    By training seed, the points that were scored, in the order of what had been seen.

    Args:
        part (`ModalityRun`): A modality of a run.
        outcomes (`dict[str, Outcomes]`): As [`points_along_the_way`] gives them.
        axis (`str`): One of [`AXES`].
    """
    found: dict[int, Points] = {}
    for seed, training in part.trainings.items():
        scored = {
            point[axis]: outcomes[point["name"]][seed]
            for point in training.get("points", ())
            if point.get(axis) and seed in outcomes.get(point["name"], {})
        }
        if scored:
            found[seed] = [
                (seen, {task: headline_outcomes(by_task, task)[TASKS[task].rule] for task in by_task})
                for seen, by_task in sorted(scored.items())
            ]
    return found


@dataclass(frozen=True)
class SeenPoint:
    """
    One point along the way.

    Args:
        name (`str`): Its folder's.
        seen (`dict[str, float]`): Tokens, epochs and FLOPs until then, by [`AXES`], means over training seeds.
        headlines (`dict[int, pandas.Series]`): Outcomes of the pairs by a task's headline rule, by training seed.
    """

    name: str
    seen: dict[str, float]
    headlines: dict[int, pd.Series]


def seen_points(part: ModalityRun, by_name: dict[str, Outcomes], task: str) -> list[SeenPoint]:
    """
    The points of a modality that a task was scored at, in the order of their tokens.

    Args:
        part (`ModalityRun`): A modality of a run.
        by_name (`dict[str, Outcomes]`): As [`points_along_the_way`] gives them.
        task (`str`): The task.
    """
    seen: dict[str, list[dict]] = {}
    for training in part.trainings.values():
        for point in training.get("points", ()):
            seen.setdefault(point["name"], []).append(point)
    points = []
    for name, of_seeds in seen.items():
        headlines = headlines_by_seed(by_name.get(name, {}), task)
        if headlines:
            means = {axis: fmean(point[axis] for point in of_seeds) for axis in AXES if of_seeds[0].get(axis)}
            points.append(SeenPoint(name, means, headlines))
    return sorted(points, key=lambda point: point.seen["tokens"])


def scaling_by_task(part: ModalityRun, by_name: dict[str, Outcomes]) -> dict:
    """Accuracy at each point along the way, by task, with the line over their tokens (2412.17048, Figure 1)."""
    scaling = {}
    for task in TASKS:
        found = [(point, estimate(point.headlines)) for point in seen_points(part, by_name, task)]
        points = [(point, accuracy) for point, accuracy in found if accuracy]
        if points:
            scaling[task] = {
                "points": [{"name": point.name} | point.seen | accuracy for point, accuracy in points],
                "line": fit_line(
                    [point.seen["tokens"] for point, _ in points], [point.headlines for point, _ in points]
                ),
            }
    return scaling


def validation_losses(part: ModalityRun, corpus: dict) -> dict:
    """Validation losses, also in bits per second of speech, which compares over vocabularies; means over seeds."""
    seconds = part.tokenizer.get("validation_seconds") or corpus.get("seconds", {}).get("validation")
    tokens = part.tokenizer.get("validation_tokens")
    trainings = [training for training in part.trainings.values() if training.get("best_validation_loss") is not None]
    if not (seconds and tokens and trainings):
        return {}
    # The loss counts the end of each utterance as one more token.
    per_second = (tokens + corpus.get("utterances", {}).get("validation", 0)) / seconds / math.log(2)

    def describe(losses: list[float]) -> dict:
        return {"nats_per_token": fmean(losses), "bits_per_second": fmean(losses) * per_second}

    by_update: dict[int, list[dict]] = {}
    for training in trainings:
        for evaluation in training.get("evaluations", ()):
            by_update.setdefault(evaluation["updates"], []).append(evaluation)
    return {
        "best": describe([training["best_validation_loss"] for training in trainings]),
        "evaluations": [
            {"updates": updates, "epochs": same[0]["epochs"], **describe([each["validation_loss"] for each in same])}
            for updates, same in sorted(by_update.items())
            if len(same) == len(trainings)  # of trainings until convergence some end before others
        ],
    }
