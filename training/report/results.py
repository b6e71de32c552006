"""Everything that the report says in numbers, computed once.

`FinishedRun` -> `compute_results` -> one dictionary, which is written to `results.json` and which tables, figures and
prose read.
Accuracies and differences are fractions; the paper's own figures stand under `paper`, in the paper's units.
"""

from functools import lru_cache
from pathlib import Path
from statistics import fmean

import pandas as pd
import yaml

from ...datasets_scripts.pairs.sblimp_ladder import RUNGS as RUNGS_OF_LADDER
from ...datasets_scripts.pairs.topics.context_overlap import OVERLAP_RULES
from ...metrics.tasks import TASKS, Task
from ...models.modalities import RECORDINGS_MODALITY, SYNTHETIC_MODALITY
from ...models.scoring.sides import SIDES
from ...models.seed_intervals import FEWEST_CLUSTERS
from ...models.statistics import NUM_RESAMPLES
from ..arguments.study import RECORDED
from ..run.places import without_places
from .curves.equal_flops import compare_at_equal_flops
from .curves.learning_curves import points_along_the_way, points_by, scaling_by_task, validation_losses
from .estimates import (
    BOOTSTRAP_SEED,
    PAIRS,
    PAIRS_AND_SEEDS,
    RULES,
    Outcomes,
    TaskOutcomes,
    difference,
    estimate,
    estimates,
    headline_outcomes,
    headlines_by_seed,
    task_outcomes,
)
from .run_folder import FinishedRun, ModalityRun

NGRAMS = ("ngram1", "ngram2", "ngram3", "ngram4", "ngram5")
BASELINES = (*NGRAMS, "fewer_tokens", *OVERLAP_RULES)
"""Simple rules by name: over a modality's ids, and over the words that a side shares with its context."""
RUN_BASELINES = tuple(f"runs_{name}" for name in NGRAMS)
"""N-grams over the runs of a modality at a fixed frame rate."""
CONTRASTS = (
    ("text_bpe", "phone_bpe", "A"),
    ("text_raw", "phone_raw", "A"),
    ("phone_raw", "phone_repeat", "B"),
    ("phone_repeat", "speech_units", "C"),
)
FINER_CONTRASTS = (
    ("text_raw", "text_raw_no_space", "A: word boundaries"),
    ("text_raw_no_space", "phone_raw", "A: spelling to sound"),
    ("phone_raw", "phone_stretch", "B: length alone"),
    ("phone_stretch", "phone_repeat", "B: durations"),
    ("phone_repeat", "speech_units_one_voice", "C: acoustics, one voice"),
    ("speech_units_one_voice", "speech_units", "C: many voices"),
    ("speech_units", "speech_dedup", "answer to B"),
    ("speech_units", "speech_bpe", "answer to B"),
    ("speech_units", "speech_syllable", "answer to B"),
    ("speech_syllable", "speech_syllable_unsupervised", "boundaries found"),
    ("speech_units", "speech_syllable_unsupervised", "answer to B"),
    ("speech_units", "speech_duration_penalized", "answer to B"),
)
# The rungs whose ordering the summary states; the BPE modality stands in where the raw one was not run.
RUNGS = (("text_raw", "text_bpe"), ("phone_raw", "phone_bpe"), ("phone_repeat",), ("speech_units",))
PAPER_CHANGE = 5.0  # per cent: the paper gives no intervals, so a smaller change of its counts as none
INTERVALS = {
    PAIRS: "95 % percentile bootstrap over clusters of pairs",
    PAIRS_AND_SEEDS: "95 % interval over clusters of pairs and training seeds, as crossed random effects: half² = "
    "t²(S - 1) max(0, s²(seed) - 3/4 s²(rest) / I) / S + t²(I - 1) s²(cluster) / I for S seeds and I clusters; of an "
    "accuracy Wilson's interval of that width, of a relative change symmetric in the logarithm of the ratio",
}
"""By what an interval is over, the rule that makes it."""
ONE_SEED = "one seed"
"""The verdict on what one training of each modality gave: nothing, since another would give something else."""


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
        `dict`: By part of the report: `statistics, headline, tasks, seeds, shows` (whether there are trainings enough
        to show anything of modalities), `modalities, accuracies, effects, ordering, item_checks, too_small, scaling,
        equal_flops, losses, ngram`, what the run says of itself (`units, unit_seeds, transfer, corpus, pairs, study,
        missing, analysis`) and `paper`.
    """
    outcomes = {
        name: {seed: task_outcomes(items) for seed, items in part.items.items()}
        for name, part in run.modalities.items()
    }
    accuracies = {name: _accuracies(part, outcomes[name]) for name, part in run.modalities.items()}
    seeds = sorted({seed for part in run.modalities.values() for seed in part.items})
    if len(seeds) > 1:
        _show_by_seeds_alone(accuracies)
    tasks = [task for task in TASKS if any(task in by_task for by_task in accuracies.values())]
    points = {name: points_along_the_way(part) for name, part in run.modalities.items()}
    return {
        "statistics": {
            "intervals": INTERVALS,
            "cluster": "a pair with all its voices and its mirrored twin",
            "resamples": NUM_RESAMPLES,
            "seed": BOOTSTRAP_SEED,
        },
        "headline": {task: {"rule": TASKS[task].rule, **_bands(outcomes, task)} for task in tasks},
        "tasks": tasks,
        "seeds": seeds,
        "shows": len(seeds) > 1,
        "modalities": {name: _modality(part) for name, part in run.modalities.items()},
        "accuracies": accuracies,
        "effects": _effects(outcomes, accuracies),
        "ordering": {task: _ordering(outcomes, accuracies, task) for task in tasks},
        "item_checks": _item_checks(accuracies),
        "too_small": _too_small(run.pairs, accuracies),
        "scaling": {name: scaling_by_task(part, points[name]) for name, part in run.modalities.items()},
        "equal_flops": compare_at_equal_flops(
            {name: points_by(part, points[name], "flops") for name, part in run.modalities.items()}
        ),
        "losses": {name: validation_losses(part, run.corpus) for name, part in run.modalities.items()},
        "ngram": next((part.ngram for part in run.modalities.values() if part.ngram), {}),
        "units": run.units,
        "unit_seeds": run.unit_seeds,
        "transfer": _transfer(run, outcomes) if run.transfer else {},
        "corpus": run.corpus,
        "pairs": run.pairs,
        "study": run.study | {"configuration": without_places(run.study.get("configuration", {}))},
        "missing": run.missing,
        "analysis": run.analysis,
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
        **{name: part.tokenizer[name] for name in ("train_phones", "train_phones_lost") if name in part.tokenizer},
        "parameters": first.get("parameters"),
        **{name: _mean(part, name) for name in ("updates", "epochs", "tokens_seen", "flops")},
        "convergence": {seed: training.get("convergence") for seed, training in part.trainings.items()},
        "best_update": {seed: training.get("best_update") for seed, training in part.trainings.items()},
        "precision": sorted(
            {training["precision"] for training in part.trainings.values() if "precision" in training}
        ),
        "train_seconds": {seed: training.get("train_seconds") for seed, training in part.trainings.items()},
        "scores": part.scores,
    }


def _mean(part: ModalityRun, name: str) -> float | None:
    """Over the training seeds: what a training until convergence takes, each of them finds for itself."""
    values = [training[name] for training in part.trainings.values() if training.get(name) is not None]
    return fmean(values) if values else None


def _bands(outcomes: dict[str, Outcomes], task: str) -> dict:
    """The bands of a task that the pairs of the run have, all of them and those that its headline counts."""
    rows = [found[task] for by_seed in outcomes.values() for found in by_seed.values() if task in found]
    present = {band for of_model in rows for band in of_model["band"].unique()}
    if not TASKS[task].headline_bands or not present <= set(TASKS[task].bands):
        return {"bands": None, "all_bands": None}
    return {
        name: [band for band in asked if band in present]
        for name, asked in (("bands", TASKS[task].headline_bands), ("all_bands", TASKS[task].bands))
    }


def _accuracies(part: ModalityRun, by_seed: Outcomes) -> dict:
    baselines = {} if part.baselines is None else _baseline_outcomes(part.baselines)
    tasks = [task for task in TASKS if all(task in outcomes for outcomes in by_seed.values())]
    return {task: _accuracy(by_seed, baselines, task) for task in tasks}


def _baseline_outcomes(scored: pd.DataFrame) -> TaskOutcomes:
    """The outcomes of the simple rules, by task: a column a rule of [`BASELINES`] and of scores."""
    names = [name for name in (*BASELINES, "noise_floor") if f"{name}_positive" in scored]
    outcomes = task_outcomes(scored, [f"{name}_" for name in names])
    if f"{RUN_BASELINES[0]}_positive" in scored:
        runs = scored.assign(**{f"{side}_tokens": scored[f"runs_{side}_tokens"] for side in SIDES})
        of_runs = task_outcomes(runs, [f"{name}_" for name in RUN_BASELINES])
        outcomes = {task: found.join(of_runs[task].filter(regex="^runs_")) for task, found in outcomes.items()}
    return outcomes


def _accuracy(by_seed: Outcomes, baselines: TaskOutcomes, task: str) -> dict:
    """One modality on one task: the headline, every rule, every group, and the baselines over the same ids."""
    of_task = {seed: outcomes[task] for seed, outcomes in by_seed.items()}
    counted = {seed: headline_outcomes(outcomes, task) for seed, outcomes in by_seed.items()}
    rules = _by_rule(counted)
    headline = rules[TASKS[task].rule]
    accuracy = {
        "headline": headline,
        "above_chance": headline["low"] > 0.5,
        "rules": rules,
        "ties": fmean(outcomes["ties"].mean() for outcomes in counted.values()),
        "groups": _by(of_task, TASKS[task], "group"),
    }
    if _has_distances(of_task):
        accuracy["distances"] = _by(of_task, TASKS[task], "band")
    if TASKS[task].headline_bands:
        accuracy["all_bands"] = _by_rule(of_task)
    return accuracy | _baselines(by_seed, baselines, task)


def trainings_of_models(results: dict) -> list[int]:
    """The smallest and the largest number of trainings that a model was scored of; one number where they are alike."""
    found = {accuracy["headline"]["n_seeds"] for by in results["accuracies"].values() for accuracy in by.values()}
    return sorted({min(found), max(found)})


def _show_by_seeds_alone(accuracies: dict) -> None:
    """Among models of several training seeds one that was trained once shows nothing."""
    for by_task in accuracies.values():
        for accuracy in by_task.values():
            accuracy["above_chance"] &= accuracy["headline"]["over"] == PAIRS_AND_SEEDS


def _by_rule(by_seed: dict[int, pd.DataFrame]) -> dict:
    return estimates(
        {seed: outcomes[[rule for rule in RULES if rule in outcomes]] for seed, outcomes in by_seed.items()}
    )


def _has_distances(of_task: dict[int, pd.DataFrame]) -> bool:
    """Whether the bands of a task are numbers of words between cue and target."""
    return all(str(band).isdigit() for outcomes in of_task.values() for band in outcomes["band"].unique())


def _by(of_task: dict[int, pd.DataFrame], task: Task, column: str) -> dict:
    """Accuracies by group or band, in the order of the task's bands, of the ladder or of numbers, else of names."""
    by_group: dict[str, dict[int, pd.Series]] = {}
    for seed, outcomes in of_task.items():
        for group, rows in outcomes.groupby(column):
            by_group.setdefault(group, {})[seed] = rows[task.rule]
    known = (*task.bands, *RUNGS_OF_LADDER)

    def order(name: str) -> tuple[int, int, str]:
        return (known.index(name) if name in known else len(known), int(name) if name.isdigit() else 0, name)

    return {group: estimate(by_group[group]) for group in sorted(by_group, key=order)}


def _baselines(by_seed: Outcomes, scored: TaskOutcomes, task: str) -> dict:
    """Accuracies of the simple rules, how far the model is above the best, and the best of shared words by group."""
    if task not in scored:
        return {}
    outcomes = scored[task].rename(columns=_baseline_columns(TASKS[task].rule))
    names = [name for name in (*BASELINES, *RUN_BASELINES) if name in outcomes]
    correct = outcomes[outcomes["headline"].to_numpy()][names]
    found = estimates({0: correct})
    best = max(found, key=lambda name: found[name]["value"])
    model = headlines_by_seed(by_seed, task)
    above = difference(dict.fromkeys(model, correct[best]), model)
    baselines = {"baselines": found, "best_baseline": best} | _out_of_reach(outcomes, TASKS[task])
    overlap = [name for name in OVERLAP_RULES if name in found]
    if overlap:
        means = outcomes.groupby("group")[overlap].mean()
        baselines["overlap"] = {"headline": max(found[name]["value"] for name in overlap)}
        baselines["overlap"]["groups"] = {group: float(value) for group, value in means.max(axis=1).items()}
    return baselines | (
        {"above_best_baseline": above["points"] | {name: above[name] for name in ("n_seeds", "over")}} if above else {}
    )


def _out_of_reach(outcomes: pd.DataFrame, task: Task) -> dict:
    """
    Accuracies of n-grams on the pairs whose cue and target no window of theirs holds: of order n those with at least
    n - 1 words between them, each of which is a token or more.
    """
    if not (task.check and task.check.out_of_reach and _has_distances({0: outcomes})):
        return {}
    words = outcomes["band"].astype(int)
    by_order = {name: outcomes.loc[words >= order, name] for order, name in enumerate(NGRAMS) if name in outcomes}
    return {"out_of_reach": {name: found for name, rows in by_order.items() if (found := estimate({0: rows}))}}


def _baseline_columns(rule: str) -> dict[str, str]:
    """The column of outcomes that each baseline is judged by, and its name: shared words are not counted by token."""
    of_ids = {f"{name}_{rule}": name for name in (*NGRAMS, *RUN_BASELINES)}
    return of_ids | {f"{name}_sum": name for name in OVERLAP_RULES}


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
    change = difference(headlines_by_seed(outcomes[baseline], task), headlines_by_seed(outcomes[result], task))
    if change is None:
        return None
    above_chance = any(accuracies[name][task]["above_chance"] for name in (baseline, result))
    change["verdict"] = judge_change(change["points"], above_chance) if change["over"] == PAIRS_AND_SEEDS else ONE_SEED
    paper = paper_effect(baseline, result) or {}
    if task in paper:
        change["paper_percent"] = paper[task]
        change["paper_verdict"] = _paper_verdict(paper[task])
    return change


def judge_change(points: dict, above_chance: bool) -> str:
    """What the interval of a change shows, between models of which one at least is above chance, or none."""
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


def _transfer(run: FinishedRun, outcomes: dict[str, Outcomes]) -> dict:
    """
    Matched and mismatched voices: a row for what was trained on and tested on, and on each test what the voices it is
    in are worth in training, on the same pairs.
    """
    names = {RECORDED: RECORDINGS_MODALITY, "many": SYNTHETIC_MODALITY}
    tested = {
        kind: {
            name: outcomes[name]
            if kind == "many"
            else {seed: task_outcomes(items) for seed, items in run.transfer["items"][name].items()}
            for name in names.values()
        }
        for kind in names
    }
    rows, changes = [], []
    for kind, by_name in tested.items():
        tasks = [task for task in TASKS if all(task in o for by in by_name.values() for o in by.values())]
        tasks = [task for task in tasks if all(by_name.values())]
        for trained, name in names.items():
            scored = run.modalities[name].baselines if kind == "many" else run.transfer["baselines"].get(name)
            baselines = {} if scored is None else _baseline_outcomes(scored)
            accuracies = {
                task: {"accuracy": estimate(headlines_by_seed(by_name[name], task))}
                | _baselines(by_name[name], baselines, task)
                | _noise_floor(baselines, task)
                for task in tasks
            }
            units = run.transfer["units"][name][kind]
            rows.append({"trained_on": trained, "tested_on": kind, "units": units, "tasks": accuracies})
        other = next(name for trained, name in names.items() if trained != kind)
        for task in tasks:
            change = difference(headlines_by_seed(by_name[other], task), headlines_by_seed(by_name[names[kind]], task))
            if change:
                changes.append({"tested_on": kind, "task": task, **change})
    return {"rows": rows, "matched_minus_mismatched": changes}


def _noise_floor(baselines: TaskOutcomes, task: str) -> dict:
    """The accuracy of the rule that hears nothing but the noise floor, where it was measured."""
    if task not in baselines or "noise_floor_sum" not in baselines[task]:
        return {}
    return {"noise_floor": estimate({0: headline_outcomes(baselines, task)["noise_floor_sum"]})}


def _item_checks(accuracies: dict) -> list[dict]:
    """Whether the items of each task are not solved by the rules that must not solve them."""
    checks = []
    for task in (task for task in TASKS.values() if task.check):
        baselines = {name: _checked(by_task.get(task.name, {}), task) for name, by_task in accuracies.items()}
        # What is not over a modality's ids is the same of all of them.
        some = [name for name, found in baselines.items() if task.check.baselines[0] in found][:1]
        for name in task.check.modalities or some:
            for rule in task.check.baselines:
                if rule in baselines.get(name, {}):
                    value = baselines[name][rule]["value"]
                    within = abs(value - 0.5) <= task.check.tolerance + 1e-9  # 55.0 % is within
                    found = {"task": task.name, "modality": name, "baseline": rule, "value": value, "within": within}
                    checks.append(found)
    return checks


def _checked(accuracy: dict, task: Task) -> dict:
    """The accuracies of simple rules that must not solve a task: on all pairs, or on those that are out of reach."""
    found = accuracy.get("baselines", {})
    if not task.check.out_of_reach:
        return found
    # Without distances only single tokens are sure to hold no more than one of cue and target.
    return accuracy.get("out_of_reach", {name: found[name] for name in NGRAMS[:1] if name in found})


def _too_small(pairs: dict, accuracies: dict) -> dict:
    """Tasks whose headline has less than half of the pairs that were asked for, or too few clusters to judge by."""
    found = {}
    for task in TASKS:
        headlines = [by_task[task]["headline"] for by_task in accuracies.values() if task in by_task]
        asked = pairs.get(task, {}).get("report", {}).get("asked")
        n, clusters = (max((each[name] for each in headlines), default=None) for name in ("n", "n_clusters"))
        if asked and headlines and n < asked / 2:
            found[task] = {"n": n, "asked": asked}
        elif headlines and clusters < FEWEST_CLUSTERS:
            found[task] = {"n": n, "n_clusters": clusters}
    return found
