"""What a step changes in the mean perplexity of continuations, and how surely.

outputs of two modalities' models behind the same prompts -> means by training seed and prompt -> the change with its
interval: of several trainings by Student's t, since a bootstrap over two or three of them is too narrow.
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

    Args:
        outcomes_a (`Sequence[Mapping]`): `prompt_id`, `training_seed` and `perplexity` of each output of the modality
            before; NaN of an empty one.
        outcomes_b (`Sequence[Mapping]`): Those of the one after it, with the same prompts and seeds.

    Returns:
        `dict`: `difference` and `percent`, each with `_low` and `_high`, the ends of a 95 % interval, NaN where there
        is one prompt only; and `can_show`, whether trainings and prompts are enough for the interval to be believed.
    """
    seeds, prompts = ({str(row[name]) for row in outcomes_a} for name in ("training_seed", "prompt_id"))
    can_show = len(seeds) > 1 and len(prompts) >= FEWEST_CLUSTERS
    if len(seeds) < 2:
        return compare_means(outcomes_a, outcomes_b) | {"can_show": can_show}
    a, b = (_moves(outcomes) for outcomes in (outcomes_a, outcomes_b))
    mean_a, mean_b = a.mean(), b.mean()
    half, log_half = _half_width(b - a), _half_width(b / mean_b - a / mean_a)  # which moves like log(b / a)
    difference, quotient = mean_b - mean_a, mean_b / mean_a
    found = {"difference": difference, "percent": 100 * (quotient - 1)}
    for end, sign in (("low", -1), ("high", 1)):
        found[f"difference_{end}"] = difference + sign * half
        found[f"percent_{end}"] = 100 * (quotient * np.exp(sign * log_half) - 1)
    return {name: float(value) for name, value in found.items()} | {"can_show": can_show}


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
