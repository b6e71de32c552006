"""From scored items to accuracies, differences and slopes with their intervals.

items -> `pair_outcomes` (1, 0.5 or 0 a pair and rule, averaged over its voices) -> `estimate`, `difference`, `slope`.
Intervals are 95 % percentile intervals of a seeded bootstrap over clusters of pairs: a pair stays together with all
its voices and with its mirrored twin. With one training seed they are those of the metrics in `metrics/` for the same
items.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...models.scoring.sides import SIDES
from ...models.statistics import paired_effect, resampled_means

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
    tokens = [items[f"{side}_tokens"].to_numpy(float) for side in SIDES]
    outcomes = {"fewer_tokens": _wins(-tokens[0], -tokens[1])}
    for prefix in prefixes:
        scores = [items[f"{prefix}{side}"].to_numpy(float) for side in SIDES]
        outcomes[f"{prefix}sum"] = _wins(*scores)
        outcomes[f"{prefix}mean"] = _wins(scores[0] / tokens[0], scores[1] / tokens[1])
        if not prefix:
            outcomes["ties"] = np.asarray(scores[0] == scores[1], float)
            if "positive_unconditional" in items:
                outcomes["pmi"] = _wins(
                    *(score - items[f"{side}_unconditional"].to_numpy(float) for score, side in zip(scores, SIDES))
                )
    by_pair = pd.DataFrame(outcomes).groupby([items["cluster"].to_numpy(), items["pair_id"].to_numpy()]).mean()
    by_pair.index.names = ["cluster", "pair_id"]
    return items.groupby(["cluster", "pair_id"])[["task", "group", "band"]].first().join(by_pair)


def _wins(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    wins = (positive > negative) + 0.5 * (positive == negative)
    return np.where(np.isnan(positive) | np.isnan(negative), np.nan, wins)


def estimate(by_seed: dict[int, pd.Series]) -> dict | None:
    """
    An accuracy with its interval.

    Args:
        by_seed (`dict[int, pandas.Series]`): Outcomes of the pairs, of each training seed.

    Returns:
        `dict` or `None`: `value, low, high` (fractions), `n` pairs, and `seeds, seed_sd` where there are several
        training seeds: the value is then their mean. `None` without a pair.
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
    resampled = resampled_means(values.mean(axis=0), BOOTSTRAP_SEED, cluster_ids=_clusters(outcomes[0]))
    return {
        column: _with_interval(values[..., index].mean(), resampled[:, index])
        | {"n": len(pairs)}
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
        the same resampled pairs; `n` pairs; `seeds, seed_sd` of the points where there are several seeds. `relative`
        is `None` where the baseline's accuracy may be zero. `None` without a common seed or pair.
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
    return {"points": points, "relative": relative, "n": len(a)} | _spread((b - a).mean().to_numpy())


def slope(tokens: list[float], by_point: list[pd.Series]) -> dict | None:
    """
    The straight line through a modality's accuracies over the logarithm of the tokens it has seen.

    Args:
        tokens (`list[float]`): Tokens seen at each point.
        by_point (`list[pandas.Series]`): Outcomes of the pairs at each point.

    Returns:
        `dict` or `None`: `value, low, high` (accuracy, as a fraction, for ten times the tokens), `intercept` (at one
        token), `points` and `n` pairs that all points share. `None` with fewer than three points.
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
    return line | {"intercept": float(means.mean() - value * x.mean()), "points": len(tokens), "n": len(table)}


def _clusters(outcomes: pd.DataFrame) -> pd.Index:
    return outcomes.index.get_level_values(0)


def _with_interval(value: float, resampled: np.ndarray) -> dict:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"value": float(value), "low": float(low), "high": float(high)}


def _spread(by_seed: np.ndarray) -> dict:
    if len(by_seed) < 2:
        return {}
    return {"seeds": [float(value) for value in by_seed], "seed_sd": float(np.std(by_seed, ddof=1))}
