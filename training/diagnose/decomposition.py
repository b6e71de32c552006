"""From text down to a tokenizer, step by step: what the alphabet costs, what the length, what the variability.

outcomes of pairs by Text-BPE, Phone-Raw, Phone-Repeat at the tokenizer's rate and the tokenizer, by training seed ->
[`decompose`] -> three steps that add up to the gap, each with its interval over pairs and seeds. Phone-Repeat at a
rate between two anchors is what lies between their outcomes, pair by pair, on the logarithm of the rate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..report.estimates import difference, estimate

STEPS = ("alphabet", "length", "variability")
OutcomesBySeed = dict[int, pd.Series]


@dataclass(frozen=True)
class RateAnchor:
    """
    Which anchors stand for Phone-Repeat at a rate.

    Args:
        rate (`float`): The rate that is asked for.
        lower (`float`): The anchor at or below it.
        upper (`float`): The anchor at or above it.
        weight (`float`): That of the upper one; the lower one has the rest.
    """

    rate: float
    lower: float
    upper: float
    weight: float

    @property
    def is_outside(self) -> bool:
        """Whether the rate lies beyond all anchors: the nearest one stands for it, and nothing is extrapolated."""
        return not self.lower <= self.rate <= self.upper


def find_rate_anchor(rate: float, anchors: Sequence[float]) -> RateAnchor:
    """
    The anchors on both sides of a rate.

    Args:
        rate (`float`): Ids a second.
        anchors (`Sequence[float]`): Rates of Phone-Repeat, ascending.
    """
    lower = max((anchor for anchor in anchors if anchor <= rate), default=anchors[0])
    upper = min((anchor for anchor in anchors if anchor >= rate), default=anchors[-1])
    weight = 0.0 if lower == upper else math.log(rate / lower) / math.log(upper / lower)
    return RateAnchor(rate, lower, upper, weight)


def interpolate(anchor: RateAnchor, by_rate: Mapping[float, OutcomesBySeed]) -> OutcomesBySeed:
    """
    Outcomes of Phone-Repeat at a rate, from those at two rates.

    Args:
        anchor ([`RateAnchor`]): Which two.
        by_rate (`Mapping[float, dict[int, pandas.Series]]`): Outcomes of pairs by training seed, of each anchor.
    """
    lower, upper = by_rate[anchor.lower], by_rate[anchor.upper]
    if anchor.weight == 0:
        return dict(lower)
    return {
        seed: ((1 - anchor.weight) * lower[seed] + anchor.weight * upper[seed]).dropna()
        for seed in sorted(set(lower) & set(upper))
    }


def decompose(
    text: OutcomesBySeed, phones: OutcomesBySeed, repeated: OutcomesBySeed, tokenizer: OutcomesBySeed
) -> dict | None:
    """
    The steps from text to a tokenizer on one task.

    Args:
        text (`dict[int, pandas.Series]`): Outcomes of the pairs by Text-BPE, of each training seed: 1, 0.5 or 0, with
            an index of cluster and pair.
        phones (`dict[int, pandas.Series]`): The same of Phone-Raw.
        repeated (`dict[int, pandas.Series]`): The same of Phone-Repeat at the tokenizer's rate.
        tokenizer (`dict[int, pandas.Series]`): The same of the tokenizer.

    Returns:
        `dict` or `None`: `levels`, the accuracies of the four; `steps`, by name of [`STEPS`] the change as
        [`difference`] gives it (`points` with `value, low, high`, and `n_pairs`, `n_seeds`, `over`); and `gap`, the
        change from text to the tokenizer, which is exactly the sum of the steps: all are of the pairs and seeds that
        the four have in common. `None` where there are none.
    """
    chain = [text, phones, repeated, tokenizer]
    seeds = sorted(set.intersection(*map(set, chain)))
    if not seeds:
        return None
    pairs = None
    for by_seed in chain:
        for seed in seeds:
            index = by_seed[seed].dropna().index
            pairs = index if pairs is None else pairs.intersection(index)
    pairs = pairs.sort_values()
    if not len(pairs):
        return None
    chain = [{seed: by_seed[seed].loc[pairs] for seed in seeds} for by_seed in chain]
    names = ("text_bpe", "phone_raw", "phone_repeat", "tokenizer")
    return {
        "levels": {name: estimate(by_seed) for name, by_seed in zip(names, chain)},
        "steps": {step: difference(first, second) for step, first, second in zip(STEPS, chain, chain[1:])},
        "gap": difference(chain[0], chain[-1]),
    }
