"""Statistics of outputs, with intervals over prompts and training seeds.

outputs with their prompts and seeds -> [`draw_weights`], how often each is drawn -> means, standard deviations,
percentiles and shares of every draw -> estimates with 95 % percentile intervals.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

NUM_RESAMPLES = 10_000
PERCENTILES = (5, 25, 75, 95)
"""Beside the median."""
_AT_A_TIME = 1000  # draws


def draw_weights(
    prompt_ids: Sequence, training_seeds: Sequence | None = None, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> Iterator[np.ndarray]:
    """
    Draw prompts and, where there are several, training seeds with replacement, each independently of the other.

    Prompts and seeds are crossed: an output counts as often as its prompt was drawn times as often as its seed was
    (Owen, 2007, "The pigeonhole bootstrap").

    Args:
        prompt_ids (`Sequence`): The prompt of each output.
        training_seeds (`Sequence`, *optional*): The training seed of each output.
        seed (`int`, *optional*, defaults to 0): Of the draws.
        num_resamples (`int`, *optional*, defaults to 10,000): How many.

    Returns:
        `Iterator[np.ndarray]`: Arrays of shape `(draws, outputs)`.
    """
    rng, factors = np.random.default_rng(seed), []
    for ids in (prompt_ids, training_seeds):
        if ids is not None:
            known, places = np.unique(np.asarray(ids).astype(str), return_inverse=True)
            factors.append((len(known), places))
    for start in range(0, num_resamples, _AT_A_TIME):
        size = min(_AT_A_TIME, num_resamples - start)
        weights = np.ones((size, len(prompt_ids)))
        for count, places in factors:
            weights *= rng.multinomial(count, np.full(count, 1 / count), size=size)[:, places]
        yield weights


def describe_values(
    values: np.ndarray, prompt_ids: Sequence, training_seeds: Sequence | None = None, seed: int = 0
) -> dict[str, float]:
    """
    Mean, standard deviation, median and percentiles of outputs.

    Args:
        values (`np.ndarray` of shape `(outputs,)`): A number each; NaN for an output that has none.
        prompt_ids (`Sequence`): The prompt of each.
        training_seeds (`Sequence`, *optional*): The training seed of each.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.

    Returns:
        `dict[str, float]`: `mean`, `sd` (of outputs, with n - 1), `median` and `percentile_<p>` for `PERCENTILES`,
        each with `_low` and `_high`; NaN where no output has a value, or one only has no deviation, and the ends where
        there is one prompt only, which says nothing of others.
    """
    values = np.asarray(values, np.float64)
    known = np.flatnonzero(~np.isnan(values))
    names = ("mean", "sd", "median", *(f"percentile_{percent}" for percent in PERCENTILES))
    if not len(known):
        return {f"{name}{end}": float("nan") for name in names for end in ("", "_low", "_high")}
    values = values[known]
    order = np.argsort(values, kind="stable")
    drawn = []
    # All outputs take part in the draws, so that a prompt without a value is drawn as any other.
    for weights in draw_weights(prompt_ids, training_seeds, seed):
        weights = weights[:, known]
        drawn.append(_statistics(values, weights[weights.any(axis=1)], order))
    estimates = _statistics(values, np.ones((1, len(values))), order)[0]
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975], axis=0)
    if _is_one(prompt_ids):
        low[:] = high[:] = np.nan
    if len(values) < 2:
        estimates[1] = low[1] = high[1] = np.nan
    found = {}
    for name, *numbers in zip(names, estimates.tolist(), low.tolist(), high.tolist()):
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), numbers))
    return found


def mean_with_interval(
    values: np.ndarray, prompt_ids: Sequence, training_seeds: Sequence | None = None, seed: int = 0
) -> tuple[float, float, float]:
    """
    The mean of what outputs have, such as a mark that is 0 or 1.

    Args:
        values (`np.ndarray` of shape `(outputs,)`): A number each; NaN for an output that has none.
        prompt_ids, training_seeds, seed (*optional*): As in [`describe_values`].

    Returns:
        `tuple[float, float, float]`: The mean, and the ends of its 95 % interval; NaN where no output has a value, and
        the ends where there is one prompt only.
    """
    values = np.asarray(values, np.float64)
    known = (~np.isnan(values)).astype(np.float64)
    if not known.any():
        return (float("nan"),) * 3
    values = np.nan_to_num(values)
    drawn = []
    for weights in draw_weights(prompt_ids, training_seeds, seed):
        sums, counts = weights @ values, weights @ known
        drawn.append(sums[counts > 0] / counts[counts > 0])
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    if _is_one(prompt_ids):
        low = high = np.nan
    return float(values.sum() / known.sum()), float(low), float(high)


def compare_means(outcomes_a: Sequence[Mapping], outcomes_b: Sequence[Mapping], seed: int = 0) -> dict[str, float]:
    """
    How the mean perplexity changes from model A to model B on the same prompts.

    Args:
        outcomes_a (`Sequence[Mapping]`): The `outcomes` of model A: `prompt_id`, `training_seed` and `perplexity`.
        outcomes_b (`Sequence[Mapping]`): Those of model B.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.

    Returns:
        `dict[str, float]`: `difference` (B less A) and `percent` (of A's mean), each with `_low` and `_high`, the ends
        of a 95 % bootstrap interval over prompts and, where there are several, training seeds; NaN where there is one
        prompt only.

    Raises:
        `ValueError`: If the two have not the same prompts and seeds, or one has no perplexities.
    """
    sides = []
    for name, outcomes in (("A", outcomes_a), ("B", outcomes_b)):
        values = np.array([outcome["perplexity"] for outcome in outcomes], np.float64)
        if not len(values) or np.isnan(values).all():
            raise ValueError(f"Model {name} has no output with a perplexity; there is nothing to compare.")
        cells = [(str(outcome["prompt_id"]), str(outcome["training_seed"])) for outcome in outcomes]
        sides.append((values, cells))
    if set(sides[0][1]) != set(sides[1][1]):
        raise ValueError("Models A and B were not asked the same prompts with the same training seeds.")
    cells = sorted(set(sides[0][1]))
    place = {cell: number for number, cell in enumerate(cells)}
    sums, counts = np.zeros((2, len(cells))), np.zeros((2, len(cells)))
    for side, (values, own) in enumerate(sides):
        places, known = np.array([place[cell] for cell in own]), ~np.isnan(values)
        sums[side] = np.bincount(places[known], values[known], minlength=len(cells))
        counts[side] = np.bincount(places[known], minlength=len(cells))

    def changes(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = (weights @ sums[side] / (weights @ counts[side]) for side in (0, 1))
            return np.stack([b - a, 100 * (b - a) / a], axis=1)

    prompts, seeds = zip(*cells)
    drawn = [changes(weights) for weights in draw_weights(prompts, seeds if len(set(seeds)) > 1 else None, seed)]
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975], axis=0).tolist()
    if _is_one(prompts):
        low = high = [np.nan, np.nan]
    found = {}
    estimates = changes(np.ones((1, len(cells))))[0].tolist()
    for name, *numbers in zip(("difference", "percent"), estimates, low, high):
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), numbers))
    return found


def distinct_ngrams(texts: Sequence[Sequence[str]], size: int) -> float:
    """
    Distinct-n: different n-grams of all outputs over all n-grams. It falls with the number of words, so that only
    outputs of like length and number can be compared. Li et al. (2016, 1510.03055), who brought it up for n of 1 and
    2, divide by the number of generated tokens instead, which is that of n-grams for n = 1 only.

    Args:
        texts (`Sequence[Sequence[str]]`): Words of each output.
        size (`int`): n.

    Returns:
        `float`: From 0 to 1; NaN where there are no n-grams.
    """
    grams = [gram for words in texts for gram in _ngrams(words, size)]
    return len(set(grams)) / len(grams) if grams else float("nan")


def auto_bleu(words: Sequence[str], size: int = 2) -> float:
    """
    Auto-BLEU of one output, how much it repeats itself (Lakhotia et al., 2021, 2102.01192).

    The share of its k-grams that stand in it a second time, for each k from 1 to n, and the geometric mean of these
    shares. A k-gram's other occurrence may overlap with it, as in the paper's formula.

    Args:
        words (`Sequence[str]`): Words of the output.
        size (`int`, *optional*, defaults to 2): n.

    Returns:
        `float`: From 0, where nothing stands twice, to 1; 0 for fewer words than n.
    """
    product = 1.0
    for length in range(1, size + 1):
        counts = Counter(_ngrams(words, length))
        total = sum(counts.values())
        product *= sum(count for count in counts.values() if count > 1) / total if total else 0.0
    return product ** (1 / size)


def _is_one(prompt_ids: Sequence) -> bool:
    """Whether there is one prompt only, so that whatever is drawn is all of it."""
    return len(set(map(str, prompt_ids))) < 2


def _ngrams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]


def _statistics(values: np.ndarray, weights: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Statistics of weighted values: `(draws, outputs)` -> `(draws, 3 + percentiles)`."""
    total = weights.sum(axis=1)
    centre = values.mean()  # near the means, so that the variance is no difference of large numbers
    mean = weights @ (values - centre) / total
    variance = np.maximum(weights @ np.square(values - centre) / total - np.square(mean), 0)
    sd = np.sqrt(variance * total / np.maximum(total - 1, 1))
    cumulative = np.cumsum(weights[:, order], axis=1)
    quantiles = [_quantile(values[order], cumulative, percent / 100) for percent in (50, *PERCENTILES)]
    return np.stack([centre + mean, sd, *quantiles], axis=1)


def _quantile(values: np.ndarray, cumulative: np.ndarray, quantile: float) -> np.ndarray:
    """Linear between the two outputs that it lies between, as `numpy.quantile` has it, each as often as it counts."""
    place = (cumulative[:, -1] - 1) * quantile
    low = np.floor(place)
    # The first output up to which more than `low` were counted is the one of rank `low`.
    below, above = ((cumulative > rank[:, None]).argmax(axis=1) for rank in (low, np.ceil(place)))
    return values[below] + (place - low) * (values[above] - values[below])
