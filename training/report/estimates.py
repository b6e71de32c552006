"""From scored items to accuracies, differences and slopes with their intervals.

items -> `pair_outcomes` (1, 0.5 or 0 a pair and rule, averaged over its voices) -> `estimate`, `difference`, `slope`.
Intervals are 95 % percentile intervals of a seeded bootstrap over clusters of pairs: a pair stays together with all
its voices and with its mirrored twin. Outcomes, accuracies and intervals are made by the functions of the metrics.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...metrics.judging import accuracy_over_pairs, compared_sides, judge_sides
from ...models.scoring.sides import SIDES
from ...models.statistics import average_voices, paired_effect, resampled_means

BOOTSTRAP_SEED = 0
RULES = ("sum", "mean", "pmi")


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


def estimate(by_seed: dict[int, pd.Series]) -> dict | None:
    """
    An accuracy with its interval.

    Args:
        by_seed (`dict[int, pandas.Series]`): Outcomes of the pairs, of each training seed.

    Returns:
        `dict` or `None`: `value, low, high` (fractions), `n_pairs` (also as `n`), `n_clusters`, and `seeds, seed_sd`
        where there are several training seeds: the value is then their mean. `None` without a pair.
    """
    return estimates({seed: outcomes.to_frame("only") for seed, outcomes in by_seed.items()}).get("only")


def estimates(by_seed: dict[int, pd.DataFrame]) -> dict[str, dict]:
    """
    Accuracies of several columns with their intervals, from the same resampled pairs.

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
    found = accuracy_over_pairs(values.mean(axis=0), cluster_ids=_clusters(outcomes[0]), seed=BOOTSTRAP_SEED)
    return {
        column: {end: float(found[end][index]) for end in ("value", "low", "high")}
        | _counts(outcomes[0])
        | _spread(values[..., index].mean(axis=1))
        for index, column in enumerate(columns)
    }


def difference(by_seed_a: dict[int, pd.Series], by_seed_b: dict[int, pd.Series]) -> dict | None:
    """
    What changes from one model to another, on the pairs that both were asked and the training seeds that both have.

    Args:
        by_seed_a (`dict[int, pandas.Series]`): Outcomes of the pairs, of the baseline, by training seed.
        by_seed_b (`dict[int, pandas.Series]`): Outcomes of the pairs, of what it is compared with.

    Returns:
        `dict` or `None`: `points` (b - a) and `relative` ((b - a) / a), each with `value, low, high` (fractions) from
        the same resampled pairs; `n_pairs` (also as `n`), `n_clusters`; `seeds, seed_sd` of the points where there are
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
    effect = paired_effect(a.mean(axis=1), b.mean(axis=1), _clusters(a), seed=BOOTSTRAP_SEED)
    points, relative = (
        {key: effect[f"{form}{end}"] / 100 for key, end in (("value", ""), ("low", "_low"), ("high", "_high"))}
        for form in ("points", "percent")
    )
    if math.isnan(relative["value"]):
        relative = None
    return {"points": points, "relative": relative} | _counts(a) | _spread((b - a).mean().to_numpy())


def slope(tokens: list[float], by_point: list[pd.Series]) -> dict | None:
    """
    The straight line through a modality's accuracies over the logarithm of the tokens it has seen.

    Args:
        tokens (`list[float]`): Tokens seen at each point.
        by_point (`list[pandas.Series]`): Outcomes of the pairs at each point.

    Returns:
        `dict` or `None`: `value, low, high` (accuracy, as a fraction, for ten times the tokens), `intercept` (at one
        token), `points`, and `n_pairs` (also as `n`) and `n_clusters` that all points share. `None` with fewer than
        three points.
    """
    table = pd.concat(by_point, axis=1, join="inner") if len(by_point) >= 3 else pd.DataFrame()
    if table.empty or len(set(tokens)) < 3:
        return None
    x = np.log10(np.asarray(tokens, dtype=float))
    centred = (x - x.mean()) / np.square(x - x.mean()).sum()  # least squares: slope = centred . accuracies
    means = table.mean().to_numpy()
    value = float(means @ centred)
    resampled = resampled_means(table.to_numpy(), BOOTSTRAP_SEED, cluster_ids=_clusters(table))
    line = _with_interval(value, resampled @ centred)
    return line | {"intercept": float(means.mean() - value * x.mean()), "points": len(tokens)} | _counts(table)


def _clusters(outcomes: pd.DataFrame) -> pd.Index:
    return outcomes.index.get_level_values(0)


def _counts(outcomes: pd.DataFrame) -> dict[str, int]:
    return {"n": len(outcomes), "n_pairs": len(outcomes), "n_clusters": _clusters(outcomes).nunique()}


def _with_interval(value: float, resampled: np.ndarray) -> dict:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"value": float(value), "low": float(low), "high": float(high)}


def _spread(by_seed: np.ndarray) -> dict:
    if len(by_seed) < 2:
        return {}
    return {"seeds": [float(value) for value in by_seed], "seed_sd": float(np.std(by_seed, ddof=1))}
