"""What a step changes in the perplexity of continuations, and how surely.

outputs of two modalities' models behind the same prompts -> means by training seed and prompt -> the change with its
interval: of several trainings by Student's t, since a bootstrap over two or three of them is too narrow. Of the mean,
as papers give it, and of the geometric mean, which one output in a hundred does not make.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ....metrics.continuation_perplexity.output_statistics import compare_means
from ....models.seed_intervals import CONFIDENCE, FEWEST_CLUSTERS


def change_of_mean(outcomes_a: Sequence[Mapping], outcomes_b: Sequence[Mapping]) -> dict[str, Any]:
    """
    How the mean perplexity changes from one modality to another, over other prompts and other trainings.

    Training seeds and prompts are crossed random effects, each with the quantile of Student's t of its own degrees of
    freedom: half² = t²(S - 1) s²(seed) / S + t²(I - 1) s²(prompt) / I, of the S seeds' means and the I prompts'. What
    they have by chance is taken off neither (in accuracies it is, see `half_widths`): prompts are few. The interval
    of the per cent is symmetric in the logarithm. With one training it is that of a bootstrap over prompts.

    A judge finds a few outputs, of a word or two, many thousand times less likely than the others. They make the mean,
    and its interval holds as little as it does of any variable without a finite variance. The geometric mean (exp of
    the mean of logarithms) has an interval of the same kind that holds.

    Args:
        outcomes_a (`Sequence[Mapping]`): `prompt_id`, `training_seed` and `perplexity` of each output of the modality
            before; NaN of an empty one.
        outcomes_b (`Sequence[Mapping]`): Those of the one after it, with the same prompts and seeds.

    Returns:
        `dict`: `difference` and `percent` of the mean and `geometric_percent` of the geometric mean, each with `_low`
        and `_high`, the ends of a 95 % interval, NaN where there is one prompt only; and `can_show`, whether trainings
        and prompts are enough for the last interval to be believed.
    """
    seeds, prompts = ({str(row[name]) for row in outcomes_a} for name in ("training_seed", "prompt_id"))
    can_show = len(seeds) > 1 and len(prompts) >= FEWEST_CLUSTERS
    logarithms = [_logarithms(outcomes) for outcomes in (outcomes_a, outcomes_b)]
    if len(seeds) < 2:
        changed = compare_means(*logarithms)
        geometric = {
            f"geometric_percent{end}": 100 * float(np.expm1(changed[f"difference{end}"]))
            for end in ("", "_low", "_high")
        }
        return compare_means(outcomes_a, outcomes_b) | geometric | {"can_show": can_show}
    a, b = (_moves(outcomes) for outcomes in (outcomes_a, outcomes_b))
    mean_a, mean_b = a.mean(), b.mean()
    half, log_half = _half_width(b - a), _half_width(b / mean_b - a / mean_a)  # which moves like log(b / a)
    difference, quotient = mean_b - mean_a, mean_b / mean_a
    found = {"difference": difference, "percent": 100 * (quotient - 1)}
    for end, sign in (("low", -1), ("high", 1)):
        found[f"difference_{end}"] = difference + sign * half
        found[f"percent_{end}"] = 100 * (quotient * np.exp(sign * log_half) - 1)
    log_a, log_b = map(_moves, logarithms)
    change, half = log_b.mean() - log_a.mean(), _half_width(log_b - log_a)
    for end, sign in (("", 0), ("_low", -1), ("_high", 1)):
        found[f"geometric_percent{end}"] = 100 * np.expm1(change + (sign * half if sign else 0))
    return {name: float(value) for name, value in found.items()} | {"can_show": can_show}


def _logarithms(outcomes: Sequence[Mapping]) -> list[dict]:
    """The same of logarithms; NaN stays NaN."""
    return [{**row, "perplexity": float(np.log(row["perplexity"]))} for row in outcomes]


def _moves(outcomes: Sequence[Mapping]) -> np.ndarray:
    """
    The mean over outputs, and on top of it how far those of each training and prompt move it (the influence of a ratio
    of sums, as outputs without a perplexity are not counted): of shape `(seeds, prompts)`, whose mean is that mean.
    """
    cells = pd.DataFrame(outcomes).groupby(["training_seed", "prompt_id"])["perplexity"].agg(["sum", "count"])
    sums, counts = (cells[name].unstack().to_numpy(float) for name in ("sum", "count"))
    mean = sums.sum() / counts.sum()
    return mean + (sums - mean * counts) / counts.mean()


def _half_width(values: np.ndarray) -> float:
    """Half the interval of the mean of values of shape `(seeds, prompts)`; NaN of one prompt."""
    from scipy.stats import t

    if values.shape[1] < 2:
        return float("nan")
    parts = (
        t.ppf((1 + CONFIDENCE) / 2, len(means) - 1) ** 2 * means.var(ddof=1) / len(means)
        for means in (values.mean(axis=1), values.mean(axis=0))
    )
    return float(np.sqrt(sum(parts)))
