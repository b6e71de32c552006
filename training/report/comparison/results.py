"""Everything that the report over several runs says in numbers, computed once.

[`ComparedRun`]s -> `compute_results` of each -> [`compare_runs`] -> one dictionary, which is written to `results.json`
and which sentences, tables and the figure read. Accuracies and differences are fractions.
"""

from collections.abc import Sequence

import numpy as np

from ....metrics.tasks import TASKS
from ....models.modalities import MODALITIES
from ....models.seed_intervals import mean_over_replicates
from ..results import INTERVALS, compute_results, judge_change
from .runs import ComparedRun, are_replicates, differing_settings, shared_parts, shared_text

REPLICATES = "replicates"
"""What an interval is over: whole studies, which draw corpus, voices, pairs, quantizer and training seeds anew."""
INTERVAL = (
    "95 % interval over R replicates, in each of which pairs and training seeds are nested: half = t(R - 1) s / "
    "sqrt(R), with s the standard deviation of the replicates' values and t Student's; of an accuracy cut at 0 and 1"
)
SHOWN = {"falls": -1, "rises": 1}
"""Verdicts that show a change, and its sign."""


def compare_runs(runs: Sequence[ComparedRun]) -> dict:
    """
    Compare what several runs found.

    Args:
        runs (`Sequence[ComparedRun]`): As `read_runs` gives them.

    Returns:
        `dict`: `statistics` (what each kind of interval is); `runs` (name, seeds, precision and origin of each);
        `are_replicates, differs, shared, shared_text` (how they differ); `tasks, modalities, too_small` (of all
        runs, and where some run has too few pairs); `accuracies` by modality and task and `steps`, each with the
        value of each run (`by_run`, by name), `mean` over replicates (`None` if they are none) and what agrees;
        `orderings` by task and run; `agreement` in numbers.

    Raises:
        `ValueError`: If no modality was asked the same task in two of them.
    """
    by_run = {run.name: compute_results(run.finished) for run in runs}
    pooled = are_replicates(runs)
    tasks = [task for task in TASKS if sum(task in results["tasks"] for results in by_run.values()) > 1]
    labels = {name: m["label"] for results in by_run.values() for name, m in results["modalities"].items()}
    accuracies = {name: _accuracies(by_run, name, tasks, pooled) for name in MODALITIES if name in labels}
    accuracies = {name: by_task for name, by_task in accuracies.items() if by_task}
    if not accuracies:
        raise ValueError(
            f"{' and '.join(by_run)} have no modality and task in common, so there is nothing to compare."
        )
    steps = _steps(by_run, tasks, accuracies, pooled)
    return {
        "statistics": {"intervals": INTERVALS | {REPLICATES: INTERVAL}},
        "runs": [_describe(run, by_run[run.name]) for run in runs],
        "are_replicates": pooled,
        "differs": differing_settings(runs),
        "shared": shared_parts(runs),
        "shared_text": shared_text(runs),
        "tasks": tasks,
        "modalities": {name: {"label": labels[name]} for name in MODALITIES if name in labels},
        "too_small": {task: found for task in tasks if (found := _too_small(by_run, task))},
        "accuracies": accuracies,
        "steps": steps,
        "orderings": {task: {name: _ordering(results, task) for name, results in by_run.items()} for task in tasks},
        "agreement": _agreement(steps),
    }


def _describe(run: ComparedRun, results: dict) -> dict:
    study = run.finished.study
    return {
        "name": run.name,
        "report": run.report,
        "corpus_seed": run.corpus_seed,
        "training_seeds": run.training_seeds,
        "precision": run.precisions,
        "words": results["corpus"].get("words", {}).get("train"),
        "pairs": {task: made.get("n") for task, made in results["pairs"].items()},
        "device": study.get("device"),
        "commit": study.get("commit"),
        "shows": results["shows"],
    }


def _accuracies(by_run: dict[str, dict], name: str, tasks: list[str], pooled: bool) -> dict:
    """A modality's accuracy in each run, and their mean over replicates."""
    found = {}
    for task in tasks:
        of_runs = {run: results["accuracies"].get(name, {}).get(task) for run, results in by_run.items()}
        of_runs = {run: accuracy for run, accuracy in of_runs.items() if accuracy}
        if len(of_runs) < 2:
            continue
        headlines = {
            run: accuracy["headline"] | {"above_chance": accuracy["above_chance"]} for run, accuracy in of_runs.items()
        }
        mean = _mean([headline["value"] for headline in headlines.values()], within=(0.0, 1.0)) if pooled else None
        if mean:
            mean["above_chance"] = mean["low"] > 0.5
        found[task] = {"by_run": headlines, "mean": mean}
    return found


def _steps(by_run: dict[str, dict], tasks: list[str], accuracies: dict, pooled: bool) -> list[dict]:
    """The steps that two runs have: those of the factors, and those of the orderings that are of no factor."""
    known: dict[tuple[str, str], dict] = {}
    for results in by_run.values():
        of_orderings = [step | {"finer": False} for by in results["ordering"].values() for step in by["steps"]]
        for step in (*results["effects"], *of_orderings):
            names = {name: step[name] for name in ("baseline", "result", "factor", "finer")}
            known.setdefault((step["baseline"], step["result"]), names)
    steps = []
    for names in known.values():
        by_task = {task: _step(by_run, names, task, accuracies, pooled) for task in tasks}
        by_task = {task: found for task, found in by_task.items() if found}
        if by_task:
            steps.append(names | {"tasks": by_task})
    return steps


def _step(by_run: dict[str, dict], names: dict, task: str, accuracies: dict, pooled: bool) -> dict | None:
    """One step on one task: its change in each run, their mean, and whether they agree."""
    of_runs = {run: change for run, results in by_run.items() if (change := _find_change(results, names, task))}
    if len(of_runs) < 2:
        return None
    signs = {run: int(np.sign(change["points"]["value"])) for run, change in of_runs.items()}
    shown = {run: SHOWN[change["verdict"]] for run, change in of_runs.items() if change["verdict"] in SHOWN}
    mean = None
    if pooled:
        points = _mean([change["points"]["value"] for change in of_runs.values()])
        sides = [accuracies[names[side]][task]["mean"] for side in ("baseline", "result")]
        verdict = judge_change(points, any(side["above_chance"] for side in sides))
        mean = {"points": points, "verdict": verdict}
    return {
        "by_run": {run: change["points"] | {"verdict": change["verdict"]} for run, change in of_runs.items()},
        "mean": mean,
        "same_sign": len(set(signs.values())) == 1,
        "shown_in": list(shown),
        "shown_reversed": len(set(shown.values())) > 1,
    }


def _find_change(results: dict, names: dict, task: str) -> dict | None:
    """What a step changes in one run, judged as that run's own report does."""

    def is_it(step: dict) -> bool:
        return (step["baseline"], step["result"]) == (names["baseline"], names["result"])

    changes = [effect["tasks"][task] for effect in results["effects"] if is_it(effect) and task in effect["tasks"]]
    changes += [step for step in results["ordering"].get(task, {"steps": ()})["steps"] if is_it(step)]
    if not changes:
        return None
    return changes[0] | ({"verdict": "too small"} if task in results["too_small"] else {})


def _mean(values: Sequence[float], within: tuple[float, float] | None = None) -> dict:
    """The mean over replicates, with what its interval is over and what it is made of."""
    value, low, high = mean_over_replicates(values)
    if within:
        low, high = max(low, within[0]), min(high, within[1])
    spread = {"replicates": list(values), "sd": float(np.std(values, ddof=1))}
    return {"value": value, "low": low, "high": high, "over": REPLICATES, "n_replicates": len(values)} | spread


def _too_small(by_run: dict[str, dict], task: str) -> dict[str, dict]:
    return {run: results["too_small"][task] for run, results in by_run.items() if task in results["too_small"]}


def _ordering(results: dict, task: str) -> dict | None:
    """The ordering as one run has it: its modalities, their accuracies, and the verdict on each step to the next."""
    ordering = results["ordering"].get(task)
    if ordering is None or not ordering["rungs"] or task in results["too_small"]:
        return None
    verdicts = {step["result"]: step["verdict"] for step in ordering["steps"]}
    return {
        "rungs": ordering["rungs"],
        "accuracies": [results["accuracies"][name][task]["headline"]["value"] for name in ordering["rungs"]],
        "verdicts": [verdicts.get(name) for name in ordering["rungs"][1:]],
    }


def _agreement(steps: list[dict]) -> dict:
    """How many steps agree, over all tasks, and those that are shown and do not."""
    found = [(step, task, change) for step in steps for task, change in step["tasks"].items()]
    shown = [(step, task, change) for step, task, change in found if change["shown_in"]]

    def listed(wanted) -> list[dict]:
        return [
            {"baseline": step["baseline"], "result": step["result"], "task": task}
            for step, task, change in shown
            if wanted(change)
        ]

    return {
        "steps": len(found),
        "same_sign": sum(change["same_sign"] for _, _, change in found),
        "shown": len(shown),
        "shown_with_the_same_sign": sum(change["same_sign"] for _, _, change in shown),
        "shown_with_another_sign": listed(lambda change: not change["same_sign"]),
        "shown_reversed": listed(lambda change: change["shown_reversed"]),
    }
