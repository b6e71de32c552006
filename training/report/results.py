"""Everything that the report says in numbers, computed once.

`FinishedRun` -> `compute_results` -> one dictionary, which is written to `results.json` and which tables, figures and
prose read.
Accuracies and differences are fractions; the paper's own figures stand under `paper`, in the paper's units.
"""

import math
from functools import lru_cache
from pathlib import Path
from statistics import fmean

import pandas as pd
import yaml

from ...datasets_scripts.pairs_text import TASKS
from . import estimates
from .estimates import RULES, difference, estimate, pair_outcomes, slope
from .run_folder import FinishedRun, ModalityRun

HEADLINE_RULES = {"swuggy": "sum", "sblimp": "sum", "topic_sc": "mean"}
HEADLINE_BANDS = ("1-5", "6-20")
BASELINES = ("ngram1", "ngram2", "ngram3", "ngram4", "ngram5", "fewer_tokens")
CONTRASTS = (
    ("text_bpe", "phone_bpe", "A"),
    ("text_raw", "phone_raw", "A"),
    ("phone_raw", "phone_repeat", "B"),
    ("phone_repeat", "speech_units", "C"),
)
FINER_CONTRASTS = (
    ("phone_raw", "phone_stretch", "B: length alone"),
    ("phone_stretch", "phone_repeat", "B: durations"),
    ("phone_repeat", "speech_units_one_voice", "C: acoustics, one voice"),
    ("speech_units_one_voice", "speech_units", "C: many voices"),
    ("speech_units", "speech_dedup", "answer to B"),
    ("speech_units", "speech_bpe", "answer to B"),
)
# The rungs whose ordering the summary states; the BPE modality stands in where the raw one was not run.
RUNGS = (("text_raw", "text_bpe"), ("phone_raw", "phone_bpe"), ("phone_repeat",), ("speech_units",))
Outcomes = dict[int, pd.DataFrame]  # `pair_outcomes` by training seed
PAPER_CHANGE = 5.0  # per cent: the paper gives no intervals, so a smaller change of its counts as none
ITEM_CHECK_TOLERANCE = 0.05


@lru_cache(maxsize=1)
def load_paper_figures() -> dict:
    """Read the paper's own figures (2412.17048, Tables 2, 3 and 4)."""
    return yaml.safe_load((Path(__file__).parent / "paper_figures.yaml").read_text(encoding="utf-8"))


def compute_results(run: FinishedRun) -> dict:
    """
    Compute all numbers of the report.

    Args:
        run (`FinishedRun`): A run folder as `read_run` gives it.

    Returns:
        `dict`: By part of the report: `statistics, headline, tasks, seeds, modalities, accuracies, effects, ordering,
        item_checks, scaling, losses`, what the run says of itself (`units, corpus, pairs, study, missing`), `paper`.
    """
    outcomes = {
        name: {seed: pair_outcomes(items) for seed, items in part.items.items()}
        for name, part in run.modalities.items()
    }
    accuracies = {name: _accuracies(part, outcomes[name]) for name, part in run.modalities.items()}
    tasks = [task for task in TASKS if any(task in by_task for by_task in accuracies.values())]
    return {
        "statistics": {
            "interval": "95 % percentile bootstrap over pair ids, all voices of a pair together",
            "resamples": estimates.RESAMPLES,
            "seed": estimates.BOOTSTRAP_SEED,
        },
        "headline": {
            task: {"rule": HEADLINE_RULES[task], "bands": list(HEADLINE_BANDS) if task == "swuggy" else None}
            for task in tasks
        },
        "tasks": tasks,
        "seeds": sorted({seed for part in run.modalities.values() for seed in part.items}),
        "modalities": {name: _modality(part) for name, part in run.modalities.items()},
        "accuracies": accuracies,
        "effects": _effects(outcomes, accuracies),
        "ordering": {task: _ordering(outcomes, accuracies, task) for task in tasks},
        "item_checks": _item_checks(accuracies),
        "scaling": {name: _scaling(part) for name, part in run.modalities.items()},
        "losses": {name: _losses(part, run.corpus) for name, part in run.modalities.items()},
        "units": run.units,
        "corpus": run.corpus,
        "pairs": run.pairs,
        "study": run.study,
        "missing": run.missing,
        "paper": load_paper_figures(),
    }


def _modality(part: ModalityRun) -> dict:
    first = next(iter(part.trainings.values()), {})
    return {
        "label": part.label,
        "factor": part.modality.factor,
        "vocabulary": part.modality.vocabulary,
        "is_speech": part.modality.is_speech,
        "vocab_size": part.tokenizer.get("vocab_size"),
        "train_tokens": part.tokenizer.get("train_tokens"),
        "tokens_per_second": part.tokenizer.get("tokens_per_second"),
        "parameters": first.get("parameters"),
        "updates": first.get("updates"),
        "epochs": first.get("epochs"),
        "tokens_seen": first.get("tokens_seen"),
        "flops": first.get("flops"),
        "best_update": {seed: training.get("best_update") for seed, training in part.trainings.items()},
        "train_seconds": {seed: training.get("train_seconds") for seed, training in part.trainings.items()},
    }


def _headline(outcomes: pd.DataFrame, task: str, column: str | None = None) -> pd.Series:
    """The outcomes that a task's headline counts: by its rule and, for sWUGGY, in the two lower frequency bands."""
    chosen = outcomes["task"] == task
    if task == "swuggy":
        chosen &= outcomes["band"].isin(HEADLINE_BANDS)
    return outcomes.loc[chosen, column or HEADLINE_RULES[task]].dropna()


def _headlines(by_seed: Outcomes, task: str) -> dict[int, pd.Series]:
    return {seed: _headline(outcomes, task) for seed, outcomes in by_seed.items()}


def _accuracies(part: ModalityRun, by_seed: Outcomes) -> dict:
    baselines = None
    if part.baselines is not None:
        baselines = pair_outcomes(
            part.baselines, [f"{name}_" for name in BASELINES if f"{name}_positive" in part.baselines]
        )
    by_task = {task: _accuracy(by_seed, baselines, task) for task in TASKS}
    return {task: accuracy for task, accuracy in by_task.items() if accuracy}


def _accuracy(by_seed: Outcomes, baselines: pd.DataFrame | None, task: str) -> dict | None:
    """One modality on one task: the headline, every rule, every group, and the baselines over the same ids."""
    headline = estimate(_headlines(by_seed, task))
    if headline is None:
        return None
    of_task = {seed: outcomes[outcomes["task"] == task] for seed, outcomes in by_seed.items()}
    accuracy = {
        "headline": headline,
        "above_chance": headline["low"] > 0.5,
        "rules": _by_rule({rule: {seed: _headline(o, task, rule) for seed, o in by_seed.items()} for rule in RULES}),
        "ties": fmean(_headline(outcomes, task, "ties").mean() for outcomes in by_seed.values()),
        "groups": _by_group(of_task, HEADLINE_RULES[task]),
    }
    if task == "swuggy":
        accuracy["all_bands"] = _by_rule({rule: {seed: o[rule] for seed, o in of_task.items()} for rule in RULES})
    return accuracy | _baselines(by_seed, baselines, task)


def _by_rule(by_rule: dict[str, dict[int, pd.Series]]) -> dict:
    found = {rule: estimate(by_seed) for rule, by_seed in by_rule.items()}
    return {rule: accuracy for rule, accuracy in found.items() if accuracy}


def _by_group(by_seed: Outcomes, rule: str) -> dict:
    names = sorted({group for outcomes in by_seed.values() for group in outcomes["group"]}, key=_group_order)
    return {
        name: estimate({seed: outcomes.loc[outcomes["group"] == name, rule] for seed, outcomes in by_seed.items()})
        for name in names
    }


def _group_order(name: str) -> tuple[int, str]:
    bands = ("1-5", "6-20", "21-100", ">100")
    return (bands.index(name) if name in bands else len(bands), name)


def _baselines(by_seed: Outcomes, baselines: pd.DataFrame | None, task: str) -> dict:
    """Accuracies of the n-grams and of "fewer tokens wins", and how far the model is above the best of them."""
    if baselines is None:
        return {}
    columns = {
        name: "fewer_tokens" if name == "fewer_tokens" else f"{name}_{HEADLINE_RULES[task]}" for name in BASELINES
    }
    correct = {name: _headline(baselines, task, column) for name, column in columns.items() if column in baselines}
    found = {name: accuracy for name, outcomes in correct.items() if (accuracy := estimate({0: outcomes}))}
    if not found:
        return {}
    best = max(found, key=lambda name: found[name]["value"])
    model = _headlines(by_seed, task)
    above = difference(dict.fromkeys(model, correct[best]), model)
    return {"baselines": found, "best_baseline": best, "above_best_baseline": above and above["points"]}


def _effects(outcomes: dict[str, Outcomes], accuracies: dict) -> list[dict]:
    effects = []
    for finer, contrasts in ((False, CONTRASTS), (True, FINER_CONTRASTS)):
        for baseline, result, factor in contrasts:
            if baseline in outcomes and result in outcomes:
                tasks = [task for task in TASKS if task in accuracies[baseline] and task in accuracies[result]]
                by_task = {task: _effect(baseline, result, task, outcomes, accuracies) for task in tasks}
                by_task = {task: effect for task, effect in by_task.items() if effect}
                names = {"baseline": baseline, "result": result, "factor": factor}
                effects.append(names | {"finer": finer, "tasks": by_task})
    return effects


def _ordering(outcomes: dict[str, Outcomes], accuracies: dict, task: str) -> dict:
    """One task along text, phones, Phone-Repeat and units: the rungs that were run, and the step up to each."""
    rungs = [next((name for name in rung if task in accuracies.get(name, {})), None) for rung in RUNGS]
    rungs = [name for name in rungs if name]
    factors = {(baseline, result): factor for baseline, result, factor in CONTRASTS}
    steps = []
    for baseline, result in zip(rungs, rungs[1:]):
        effect = _effect(baseline, result, task, outcomes, accuracies)
        if effect:
            names = {"baseline": baseline, "result": result, "factor": factors.get((baseline, result))}
            steps.append(names | effect)
    return {"rungs": rungs, "steps": steps}


def _effect(baseline: str, result: str, task: str, outcomes: dict[str, Outcomes], accuracies: dict) -> dict | None:
    change = difference(_headlines(outcomes[baseline], task), _headlines(outcomes[result], task))
    if change is None:
        return None
    above_chance = any(accuracies[name][task]["above_chance"] for name in (baseline, result))
    change["verdict"] = _verdict(change["points"], above_chance)
    paper = paper_effect(baseline, result)
    if paper:
        change["paper_percent"] = paper[task]
        change["paper_verdict"] = _paper_verdict(paper[task])
    return change


def _verdict(points: dict, above_chance: bool) -> str:
    if not above_chance:
        return "at chance"
    if points["high"] < 0:
        return "falls"
    return "rises" if points["low"] > 0 else "not shown"


def _paper_verdict(relative: float) -> str:
    if abs(relative) < PAPER_CHANGE:
        return "no change"
    return "falls" if relative < 0 else "rises"


def paper_effect(baseline: str, result: str) -> dict | None:
    """The paper's relative changes (its Table 3) for a contrast, or `None` where it has none."""
    for effect in load_paper_figures()["effects"]:
        if (effect["baseline"], effect["result"]) == (baseline, result):
            return effect
    return None


def _item_checks(accuracies: dict) -> list[dict]:
    """Whether the items are not solved by letter or phone n-grams up to order 3 (sWUGGY) and single words (sBLIMP)."""
    wanted = [("swuggy", name, order) for name in ("text_raw", "phone_raw") for order in (1, 2, 3)]
    wanted += [("sblimp", name, 1) for name in ("text_raw", "text_bpe", "phone_raw", "phone_bpe")]
    checks = []
    for task, name, order in wanted:
        found = accuracies.get(name, {}).get(task, {}).get("baselines", {}).get(f"ngram{order}")
        if found:
            within = abs(found["value"] - 0.5) <= ITEM_CHECK_TOLERANCE
            checks.append({"task": task, "modality": name, "order": order, "value": found["value"], "within": within})
    return checks


def _scaling(part: ModalityRun) -> dict:
    """Accuracy at each point along the way, by task, with the line through them (2412.17048, Figure 1)."""
    tokens: dict[str, list[float]] = {}
    for training in part.trainings.values():
        for point in training.get("points", ()):
            tokens.setdefault(point["name"], []).append(point["tokens"])
    seen = {name: fmean(values) for name, values in sorted(tokens.items(), key=lambda item: fmean(item[1]))}
    outcomes = {
        name: {seed: pair_outcomes(points[name]) for seed, points in part.points.items() if name in points}
        for name in seen
    }
    scaling = {}
    for task in TASKS:
        headlines = {name: _headlines(by_seed, task) for name, by_seed in outcomes.items()}
        points = {name: found for name, by_seed in headlines.items() if (found := estimate(by_seed))}
        if points:
            means = [pd.DataFrame(headlines[name]).dropna().mean(axis=1) for name in points]
            scaling[task] = {
                "points": [{"name": name, "tokens": seen[name], **found} for name, found in points.items()],
                "line": slope([seen[name] for name in points], means),
            }
    return scaling


def _losses(part: ModalityRun, corpus: dict) -> dict:
    """Validation losses, also in bits per second of speech, which compares over vocabularies; means over seeds."""
    seconds = corpus.get("seconds", {}).get("validation")
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
        ],
    }
