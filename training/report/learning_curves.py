"""What a training leaves along its way: accuracies at points that were scored, and validation losses.

[`ModalityRun`] -> [`points_along_the_way`] -> [`scaling_by_task`], accuracy against tokens with the line through it,
and [`points_by_flops`]; and [`validation_losses`], also in bits a second of speech.
"""

import math
from statistics import fmean

from ...metrics.tasks import TASKS
from .equal_flops import Points
from .estimates import Outcomes, estimate, headline_outcomes, headlines_by_seed, slope, task_outcomes
from .run_folder import ModalityRun


def points_along_the_way(part: ModalityRun) -> dict[str, Outcomes]:
    """Outcomes at each point along the way, by its name."""
    found: dict[str, Outcomes] = {}
    for seed, by_name in part.points.items():
        for name, items in by_name.items():
            found.setdefault(name, {})[seed] = task_outcomes(items)
    return found


def points_by_flops(part: ModalityRun, outcomes: dict[str, Outcomes]) -> dict[int, Points]:
    """By training seed, the points that were scored, in the order of their FLOPs."""
    found: dict[int, Points] = {}
    for seed, training in part.trainings.items():
        scored = {
            point["flops"]: outcomes[point["name"]][seed]
            for point in training.get("points", ())
            if point.get("flops") and seed in outcomes.get(point["name"], {})
        }
        if scored:
            found[seed] = [
                (flops, {task: headline_outcomes(by_task, task)[TASKS[task].rule] for task in by_task})
                for flops, by_task in sorted(scored.items())
            ]
    return found


def scaling_by_task(part: ModalityRun, by_name: dict[str, Outcomes]) -> dict:
    """Accuracy at each point along the way, by task, with the line through them (2412.17048, Figure 1)."""
    epochs = {point["name"]: point["epochs"] for t in part.trainings.values() for point in t.get("points", ())}
    tokens: dict[str, list[float]] = {}
    for training in part.trainings.values():
        for point in training.get("points", ()):
            tokens.setdefault(point["name"], []).append(point["tokens"])
    seen = {name: fmean(values) for name, values in sorted(tokens.items(), key=lambda item: fmean(item[1]))}
    outcomes = {name: by_name.get(name, {}) for name in seen}
    scaling = {}
    for task in TASKS:
        headlines = {name: headlines_by_seed(by_seed, task) for name, by_seed in outcomes.items()}
        points = {name: found for name, by_seed in headlines.items() if (found := estimate(by_seed))}
        if points:
            scaling[task] = {
                "points": [
                    {"name": name, "tokens": seen[name], "epochs": epochs[name], **found}
                    for name, found in points.items()
                ],
                "line": slope([seen[name] for name in points], [headlines[name] for name in points]),
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
