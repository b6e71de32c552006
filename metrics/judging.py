"""How outcomes of minimal pairs become an accuracy: the one way of the metrics, of `evoslm score` and of the report.

log-likelihoods of both sides -> 1, 0.5 (tie) or 0 by each rule -> mean over a pair's voices -> mean over pairs, with
an interval over clusters.

The folders of the metrics hold links to this file, because the Hub loads each folder by itself.
"""

from collections.abc import Mapping, Sequence

import numpy as np

# `models/statistics.py`, under a name that hides no module of the standard library where a Space runs its folder.
from .bootstrap import average_voices, resampled_means
from .tasks import Task

SIDES = ("positive", "negative")


def pair_accuracies(
    predictions: Sequence[Mapping[str, float]],
    references: Sequence[Mapping[str, int]],
    groups: Sequence[str] | None = None,
    unconditional: Sequence[Mapping[str, float]] | None = None,
    cluster_ids: Sequence | None = None,
    headline: str = "sum",
    seed: int = 0,
    ids: Sequence | None = None,
    return_outcomes: bool = False,
    bands: Sequence[str] | None = None,
    task: Task | None = None,
) -> dict:
    """
    Accuracies by all rules, with intervals and groups.

    Args:
        predictions (`Sequence[Mapping]`): `positive` and `negative`, log-likelihoods in nats.
        references (`Sequence[Mapping]`): `positive_tokens` and `negative_tokens`.
        groups (`Sequence[str]`, *optional*): A label for each prediction.
        unconditional (`Sequence[Mapping]`, *optional*): Log-likelihoods without the context.
        cluster_ids (`Sequence`, *optional*): What the pair of each prediction is drawn together with; by default every
            pair is drawn by itself.
        headline (`str`, *optional*, defaults to `"sum"`): `"sum"` or `"mean"`.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.
        ids (`Sequence`, *optional*): The pair of each prediction, the same for all its voices; by default each
            prediction is a pair.
        return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has `outcomes`, a row a
            prediction.
        bands (`Sequence[str]`, *optional*): The band of each prediction.
        task (`Task`, *optional*): Whose headline bands are counted, where these bands are its own.

    Returns:
        `dict`: As the metrics return it.

    Raises:
        `ValueError`: If there is nothing to judge, lengths differ, a number is missing or not finite, or a pair is in
            two clusters.
    """
    check_lengths(
        predictions,
        references,
        groups=groups,
        unconditional=unconditional,
        cluster_ids=cluster_ids,
        ids=ids,
        bands=bands,
    )
    scores, tokens = read_numbers(predictions, SIDES, "prediction"), read_token_counts(references)
    alone = None if unconditional is None else read_numbers(unconditional, SIDES, "unconditional score")
    compared = compared_sides(scores, tokens, alone)
    rules = [rule for rule in compared if rule != "fewer_tokens"]
    correct = {rule: judge_sides(sides) for rule, sides in compared.items()}
    pairs = np.arange(len(scores)) if ids is None else _as_text(ids)
    clusters = pairs if cluster_ids is None else _as_text(cluster_ids)

    def over(chosen: np.ndarray, of: Sequence[str], interval: bool) -> tuple[dict[str, dict], dict]:
        """By rule an accuracy of the chosen rows, and of how many pairs and clusters."""
        values = np.stack([correct[rule][chosen] for rule in of], axis=1)
        found = accuracy_over_pairs(values, pairs[chosen], clusters[chosen], seed, interval)
        ns = {"n": found["n_pairs"], "n_pairs": found["n_pairs"], "n_clusters": found["n_clusters"]}
        ends = [end for end in ("value", "low", "high") if end in found]
        return {rule: {end: float(found[end][i]) for end in ends} for i, rule in enumerate(of)}, ns

    counted = np.ones(len(scores), bool)
    if bands is not None and task is not None:
        own = in_headline(bands, task)
        counted = own if own.any() else counted
    by_rule, ns = over(counted, rules, interval=True)
    result = {"headline": headline}
    for prefix, end in (("accuracy", "value"), ("ci_low", "low"), ("ci_high", "high")):
        result[prefix] = by_rule[headline][end]
        result |= {f"{prefix}_{rule}": by_rule[rule][end] for rule in rules}
    fewer_tokens, _ = over(counted, ["fewer_tokens"], interval=False)
    result["accuracy_fewer_tokens"] = fewer_tokens["fewer_tokens"]["value"]
    result |= ns
    if bands is not None:
        result["bands"] = list(dict.fromkeys(str(band) for band, kept in zip(bands, counted) if kept))
    if groups is not None:
        labels = np.array([str(group) for group in groups])
        result["groups"] = {}
        for label in dict.fromkeys(labels.tolist()):
            of_group, group_ns = over(labels == label, rules, interval=False)
            result["groups"][label] = {f"accuracy_{rule}": of_group[rule]["value"] for rule in rules} | group_ns
    if return_outcomes:
        columns = {"id": range(len(scores)) if ids is None else ids}
        columns |= {"cluster": cluster_ids, "group": groups, "band": bands}
        columns |= {f"correct_{rule}": values.tolist() for rule, values in correct.items()}
        columns |= {f"margin_{rule}": (compared[rule][:, 0] - compared[rule][:, 1]).tolist() for rule in rules}
        columns["counted"] = counted.tolist()
        columns = {name: values for name, values in columns.items() if values is not None}
        result["outcomes"] = [dict(zip(columns, row)) for row in zip(*columns.values())]
    return result


def accuracy_over_pairs(
    outcomes: np.ndarray,
    pair_ids: Sequence | None = None,
    cluster_ids: Sequence | None = None,
    seed: int = 0,
    interval: bool = True,
) -> dict:
    """
    The accuracy: the mean over pairs of the mean over a pair's voices. Clusters decide the interval alone.

    Args:
        outcomes (`np.ndarray` of shape `(rows, columns)`): 1 (right), 0.5 (tie) or 0 (wrong), a column a rule.
        pair_ids (`Sequence`, *optional*): The pair of each row; by default each row is one.
        cluster_ids (`Sequence`, *optional*): What the pair of each row stays together with when pairs are drawn.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.
        interval (`bool`, *optional*, defaults to `True`): Whether to draw.

    Returns:
        `dict`: `value` and, with an interval, `low`, `high` (its 95 % ends) and `resampled` (resamples, columns): a
        number a column; `n_pairs` and `n_clusters`.

    Raises:
        `ValueError`: If there are no rows, or a pair is in two clusters.
    """
    first, means = average_voices(outcomes, pair_ids, cluster_ids)
    clusters = first if cluster_ids is None else np.asarray(cluster_ids)[first]
    found = {"value": means.mean(axis=0), "n_pairs": len(means), "n_clusters": len(np.unique(clusters))}
    if interval:
        found["resampled"] = resampled_means(means, seed, cluster_ids=clusters)
        found["low"], found["high"] = np.quantile(found["resampled"], [0.025, 0.975], axis=0)
    return found


def in_headline(bands: Sequence[str], task: Task) -> np.ndarray:
    """
    Which rows a task's headline counts: those of its headline bands where all the bands are its own, else all. A
    published set has the same names for other bands, and one that no set of ours has (words that do not occur).

    Args:
        bands (`Sequence[str]`): The band of each row.
        task (`Task`): The task.

    Returns:
        `np.ndarray` of shape `(rows,)`: Booleans.
    """
    names = np.array([str(band) for band in bands])
    if not task.headline_bands or not set(names.tolist()) <= set(task.bands):
        return np.ones(len(names), bool)
    return np.isin(names, task.headline_bands)


def compared_sides(
    scores: np.ndarray, tokens: np.ndarray, unconditional: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """
    What each rule compares, all of shape `(rows, 2)`: the larger of a row wins.

    Args:
        scores (`np.ndarray` of shape `(rows, 2)`): Log-likelihoods of both sides.
        tokens (`np.ndarray` of shape `(rows, 2)`): Their numbers of tokens.
        unconditional (`np.ndarray` of shape `(rows, 2)`, *optional*): Log-likelihoods without the context.
    """
    compared = {"sum": scores, "mean": scores / tokens}
    if unconditional is not None:
        compared["pmi"] = scores - unconditional
    return compared | {"fewer_tokens": -tokens}


def judge_sides(sides: np.ndarray) -> np.ndarray:
    """1 where the first of two numbers is the larger, 0.5 where they are equal, else 0; NaN where one is NaN."""
    positive, negative = sides[:, 0], sides[:, 1]
    wins = (positive > negative) + 0.5 * (positive == negative)
    return np.where(np.isnan(positive) | np.isnan(negative), np.nan, wins)


def check_lengths(predictions, references, **others) -> None:
    """
    Whether there is something to judge, and as many of everything.

    Raises:
        `ValueError`: If not.
    """
    if predictions is None or references is None:
        raise ValueError("Both predictions and references are needed: log-likelihoods, and numbers of tokens.")
    if not len(predictions):
        raise ValueError("There is nothing to judge: the list of predictions is empty.")
    for name, values in {"references": references, **others}.items():
        if values is not None and len(values) != len(predictions):
            raise ValueError(f"There are {len(predictions)} predictions and {len(values)} {name}; give one for each.")


def read_numbers(rows: Sequence[Mapping], keys: Sequence[str], what: str) -> np.ndarray:
    """
    Numbers of shape `(rows, keys)`.

    Raises:
        `ValueError`: If one is missing or not finite.
    """
    try:
        values = np.array([[row[key] for key in keys] for row in rows], dtype=np.float64)
    except KeyError as error:
        raise ValueError(f"A {what} lacks {error}: each needs {' and '.join(keys)}.") from None
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = (int(index[0]) for index in np.nonzero(bad))
        raise ValueError(
            f"The {what} of pair {row} has {rows[row][keys[column]]} for {keys[column]}: it must be a finite number."
        )
    return values


def read_token_counts(references: Sequence[Mapping]) -> np.ndarray:
    """
    Numbers of tokens of both sides, of shape `(rows, 2)`.

    Raises:
        `ValueError`: If one is missing or below one.
    """
    tokens = read_numbers(references, tuple(f"{side}_tokens" for side in SIDES), "reference")
    if (tokens < 1).any():
        row = int(np.flatnonzero((tokens < 1).any(axis=1))[0])
        raise ValueError(f"The reference of pair {row} has a side without tokens: there is nothing to score in it.")
    return tokens


def _as_text(labels: Sequence) -> np.ndarray:
    """Labels as they are compared: 7 and "7" are one."""
    return np.array([str(label) for label in labels])
