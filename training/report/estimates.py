"""From scored items to accuracies and differences with their intervals.

items -> `pair_outcomes` (1, 0.5 or 0 a pair and rule, averaged over its voices) -> `estimate`, `difference`; lines
through several points of a training are in `lines.py`.
A pair stays together with all its voices and with its mirrored twin, in a cluster. Intervals of several training seeds
are over clusters and seeds (`models/seed_intervals.py`); those of one seed, or of what has none, are over clusters
only, and each estimate says which. Outcomes, accuracies and intervals over clusters are those of the metrics.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...metrics.judging import accuracy_over_pairs, compared_sides, in_headline, judge_sides
from ...metrics.tasks import TASKS
from ...models.scoring.sides import SIDES
from ...models.seed_intervals import accuracy_intervals, difference_interval
from ...models.statistics import average_voices, paired_effect

BOOTSTRAP_SEED = 0
PAIRS, PAIRS_AND_SEEDS = "pairs", "pairs and training seeds"
"""What an interval is over: it says how far others of these would change the value."""
RULES = ("sum", "mean", "pmi")
TaskOutcomes = dict[str, pd.DataFrame]  # `pair_outcomes` by task
Outcomes = dict[int, TaskOutcomes]  # by training seed


def pair_outcomes(items: pd.DataFrame, prefixes: Sequence[str] = ("",)) -> pd.DataFrame:
    """
    Which pairs a model gets right, by each rule.

    Args:
        items (`pandas.DataFrame`): Scored items, one row a pair and voice: `task, pair_id, cluster, group, band`,
            `{prefix}positive` and `{prefix}negative` (nats), `positive_tokens` and `negative_tokens`, and for PMI
            `positive_unconditional` and `negative_unconditional`.
        prefixes (`Sequence[str]`, *optional*, defaults to `("",)`): Whose columns to read, such as `"ngram3_"`.

    Returns:
        `pandas.DataFrame`: By cluster and pair id: `task, group, band`, and, averaged over the pair's voices, 1 for a
        win, 0.5 for a tie and 0 for a loss by the `{prefix}sum` of log-likelihoods, their `{prefix}mean` per token,
        their gain from the context (`pmi`, NaN without a context) and `fewer_tokens`, and `ties`, the share of ties by
        sum.
    """

    def both(prefix: str = "", suffix: str = "") -> np.ndarray:
        return np.stack([items[f"{prefix}{side}{suffix}"].to_numpy(float) for side in SIDES], axis=1)

    outcomes = {}
    for prefix in prefixes:
        scores = both(prefix)
        alone = both(suffix="_unconditional") if not prefix and "positive_unconditional" in items else None
        compared = compared_sides(scores, both(suffix="_tokens"), alone)
        outcomes["fewer_tokens"] = judge_sides(compared.pop("fewer_tokens"))
        outcomes |= {f"{prefix}{rule}": judge_sides(sides) for rule, sides in compared.items()}
        if not prefix:
            outcomes["ties"] = np.asarray(scores[:, 0] == scores[:, 1], float)
    first, means = average_voices(
        np.stack(list(outcomes.values()), axis=1), items["pair_id"].to_numpy(), items["cluster"].to_numpy()
    )
    pairs = items[["cluster", "pair_id", "task", "group", "band"]].iloc[first].reset_index(drop=True)
    return pairs.join(pd.DataFrame(means, columns=list(outcomes))).set_index(["cluster", "pair_id"]).sort_index()


def task_outcomes(items: pd.DataFrame, prefixes: Sequence[str] = ("",)) -> TaskOutcomes:
    """The outcomes of the pairs by task, and which of them the task's headline counts."""
    found = dict(iter(pair_outcomes(items, prefixes).groupby("task")))
    counted = {}
    for name, task in TASKS.items():
        if name in found:
            counted[name] = found[name].assign(headline=in_headline(found[name]["band"], task))
    return {task: outcomes for task, outcomes in counted.items() if outcomes["headline"].any()}


def headline_outcomes(outcomes: TaskOutcomes, task: str) -> pd.DataFrame:
    """The outcomes of the pairs that count for a task's headline."""
    return outcomes[task][outcomes[task]["headline"].to_numpy()]


def headlines_by_seed(by_seed: Outcomes, task: str) -> dict[int, pd.Series]:
    """The same by training seed, by the headline's rule."""
    return {
        seed: headline_outcomes(outcomes, task)[TASKS[task].rule]
        for seed, outcomes in by_seed.items()
        if task in outcomes
    }


def estimate(by_seed: dict[int, pd.Series]) -> dict | None:
    """
    An accuracy with its interval.

    Args:
        by_seed (`dict[int, pandas.Series]`): Outcomes of the pairs, of each training seed.

    Returns:
        `dict` or `None`: `value, low, high` (fractions), `n_pairs` (also as `n`), `n_clusters`, `n_seeds`, `over`
        (what the interval is over: [`PAIRS`] or [`PAIRS_AND_SEEDS`]), and `seeds, seed_sd` where there are several
        training seeds: the value is then their mean. `None` without a pair.
    """
    return estimates({seed: outcomes.to_frame("only") for seed, outcomes in by_seed.items()}).get("only")


def estimates(by_seed: dict[int, pd.DataFrame]) -> dict[str, dict]:
    """
    Accuracies of several columns with their intervals.

    Args:
        by_seed (`dict[int, pandas.DataFrame]`): Outcomes of the pairs, a column a rule, of each training seed. A
            column that lacks a pair (PMI of a pair without a context) is left out.

    Returns:
        `dict[str, dict]`: By column, what [`estimate`] returns.
    """
    if not by_seed:
        return {}
    pairs = sorted(set.intersection(*(set(outcomes.index) for outcomes in by_seed.values())))
    outcomes = [table.loc[pairs].dropna(axis="columns") for table in by_seed.values()]
    columns = [column for column in outcomes[0] if all(column in table for table in outcomes)]
    if not pairs or not columns:
        return {}
    values = np.stack([table[columns].to_numpy(float) for table in outcomes])  # (seeds, pairs, columns)
    clusters = clusters_of(outcomes[0])
    if len(values) > 1:
        found = dict(zip(("value", "low", "high"), accuracy_intervals(values, clusters)))
    else:
        found = accuracy_over_pairs(values[0], cluster_ids=clusters, seed=BOOTSTRAP_SEED)
    return {
        column: {end: float(found[end][index]) for end in ("value", "low", "high")}
        | count_pairs(outcomes[0])
        | spread_over_seeds(values[..., index].mean(axis=1))
        for index, column in enumerate(columns)
    }


def difference(by_seed_a: dict[int, pd.Series], by_seed_b: dict[int, pd.Series]) -> dict | None:
    """
    What changes from one model to another, on the pairs that both were asked and the training seeds that both have.

    Args:
        by_seed_a (`dict[int, pandas.Series]`): Outcomes of the pairs, of the baseline, by training seed.
        by_seed_b (`dict[int, pandas.Series]`): Outcomes of the pairs, of what it is compared with.

    Returns:
        `dict` or `None`: `points` (b - a) and `relative` ((b - a) / a), each with `value, low, high` (fractions);
        `n_pairs` (also as `n`), `n_clusters`, `n_seeds`, `over`; `seeds, seed_sd` of the points where there are
        several seeds. `relative` is `None` where the baseline's accuracy may be zero. `None` without a common seed or
        pair.
    """
    seeds = sorted(set(by_seed_a) & set(by_seed_b))
    if not seeds:
        return None
    a, b = (pd.DataFrame({seed: side[seed] for seed in seeds}).dropna() for side in (by_seed_a, by_seed_b))
    common = a.index.intersection(b.index).sort_values()
    if not len(common):
        return None
    a, b = a.loc[common], b.loc[common]
    if len(seeds) > 1:
        effect = difference_interval(a.to_numpy(float).T, b.to_numpy(float).T, clusters_of(a))
    else:
        effect = paired_effect(a[seeds[0]], b[seeds[0]], clusters_of(a), seed=BOOTSTRAP_SEED)
    points, relative = (
        {key: effect[f"{form}{end}"] / 100 for key, end in (("value", ""), ("low", "_low"), ("high", "_high"))}
        for form in ("points", "percent")
    )
    if math.isnan(relative["value"]):
        relative = None
    return {"points": points, "relative": relative} | count_pairs(a) | spread_over_seeds((b - a).mean().to_numpy())


def clusters_of(outcomes: pd.DataFrame) -> pd.Index:
    """The cluster of each pair."""
    return outcomes.index.get_level_values(0)


def count_pairs(outcomes: pd.DataFrame) -> dict[str, int]:
    """How many pairs and clusters of them there are."""
    return {"n": len(outcomes), "n_pairs": len(outcomes), "n_clusters": clusters_of(outcomes).nunique()}


def spread_over_seeds(values: np.ndarray) -> dict:
    """Of how many training seeds a value is the mean, and what its interval is over."""
    if len(values) < 2:
        return {"n_seeds": len(values), "over": PAIRS}
    spread = {"seeds": [float(value) for value in values], "seed_sd": float(np.std(values, ddof=1))}
    return {"n_seeds": len(values), "over": PAIRS_AND_SEEDS} | spread
