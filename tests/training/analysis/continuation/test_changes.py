"""Changes of the mean perplexity: their numbers, and that their intervals hold the truth with few trainings."""

import math

import numpy as np
import pytest

from evoslm.metrics.continuation_perplexity.output_statistics import compare_means
from evoslm.training.analysis.continuation.changes import change_of_mean
from evoslm.training.analysis.factors_text import continuation_table


def outcomes(values) -> list[dict]:
    """Of an array of shape (prompts, seeds, outputs)."""
    return [
        {"prompt_id": f"p{prompt}", "training_seed": seed, "perplexity": float(value)}
        for (prompt, seed, _), value in np.ndenumerate(values)
    ]


def simulate(rng, seeds, prompts=12, between_trainings=0.1) -> list[np.ndarray]:
    """Perplexities of two modalities that differ in nothing but their trainings."""
    likeness, sides = rng.normal(0, 0.3, (prompts, 1, 1)), []
    for _ in range(2):
        training = rng.normal(0, between_trainings, (1, seeds, 1))
        behind = rng.normal(0, 0.1, (prompts, seeds, 1))
        sides.append(np.exp(4 + likeness + training + behind + rng.normal(0, 0.6, (prompts, seeds, 10))))
    return sides


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_change_is_that_of_means_over_outputs_and_empty_ones_are_not_counted(seeds):
    a, b = simulate(np.random.default_rng(0), seeds)
    b[0, 0, :3] = a[5, 0, 0] = math.nan
    found, known = (function(outcomes(a), outcomes(b)) for function in (change_of_mean, compare_means))
    for name in ("difference", "percent"):
        assert found[name] == pytest.approx(known[name])
    for name in ("difference", "percent", "geometric_percent"):
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]
    quotient = np.exp(np.nanmean(np.log(b)) - np.nanmean(np.log(a)))
    assert found["geometric_percent"] == pytest.approx(100 * (quotient - 1))
    assert found["difference"] == pytest.approx(np.nanmean(b) - np.nanmean(a))
    assert found["can_show"] == (seeds > 1)


def test_intervals_hold_zero_where_nothing_differs_but_trainings():
    rng, held = np.random.default_rng(1), {change_of_mean: 0, compare_means: 0}
    for _ in range(60):
        sides = [outcomes(side) for side in simulate(rng, 2, prompts=10, between_trainings=0.15)]
        for function in held:
            found = function(*sides)
            held[function] += found["difference_low"] <= 0 <= found["difference_high"]
    assert held[change_of_mean] >= 55 and held[compare_means] <= 54


def test_a_few_outputs_make_the_mean_and_not_what_is_shown():
    """One output in fifty is up to e^20 times less likely than the others, in both; the second is also likelier."""
    rng, held, shown, by_means = np.random.default_rng(2), 0, 0, 0
    for _ in range(100):
        sides = simulate(rng, 3, prompts=20)
        for side in sides:
            far = rng.random(side.shape) < 0.02
            side[far] *= np.exp(rng.uniform(0, 20, far.sum()))
        same, less = (change_of_mean(outcomes(sides[0]), outcomes(factor * sides[1])) for factor in (1, 0.5))
        held += same["geometric_percent_low"] <= 0 <= same["geometric_percent_high"]
        shown += less["geometric_percent_high"] < 0
        by_means += less["percent_high"] < 0
    assert held >= 93 and shown >= 60 > 2 * by_means


def test_nothing_is_bold_of_one_training_or_of_few_prompts():
    a, _ = simulate(np.random.default_rng(0), 2, prompts=10, between_trainings=0)
    results = {"steps": [{"baseline": "a", "result": "b", "factor": "A"}], "until_converged": False}
    results["modalities"] = {name: {"label": name} for name in "ab"}
    for shown, kept in ((True, a), (False, a[:, :1]), (False, a[:9]), (False, a[:1])):
        change = {"baseline": "a", "result": "b"} | change_of_mean(outcomes(kept), outcomes(2 * kept))
        table = continuation_table(results, {"changes": [change]})
        assert ("**+" in table) == shown == change["can_show"]
    assert "+100.0 [–, –]" in table
