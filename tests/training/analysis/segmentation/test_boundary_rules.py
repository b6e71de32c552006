"""Where a word is said to begin: peaks above a threshold that other utterances chose, and rules that know nothing."""

import numpy as np
import pandas as pd
import pytest

from evoslm.training.analysis.segmentation.boundary_rules import (
    above,
    at_random,
    choose_step,
    choose_threshold,
    count,
    every_nth,
    f1,
    inside,
    peaks,
)
from evoslm.training.analysis.segmentation.results import compare, measure
from evoslm.training.analysis.segmentation.timed_tokens import TimedUtterance


def make_utterance(number, rng, stretches=((0.0, 6.0), (8.0, 14.0))):
    """Symbols of a tenth of a second, words of one to six of them, a pause in between."""
    starts, boundaries = np.arange(0, 14, 0.1), []
    for start, end in stretches:
        at = start + 0.1 * rng.integers(1, 7)
        while at < end - 0.05:
            boundaries.append(round(at, 6))
            at += 0.1 * rng.integers(1, 7)
    ids = np.arange(len(starts))
    return TimedUtterance(f"u{number}", f"d{number // 2}", ids, ids, starts, list(stretches), np.array(boundaries))


@pytest.fixture(scope="module")
def utterances():
    rng = np.random.default_rng(0)
    return [make_utterance(number, rng) for number in range(30)]


def surprisals(utterances, at_boundaries, noise, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for utterance in utterances:
        values = rng.random(len(utterance.starts)) * noise
        values[np.searchsorted(utterance.starts, utterance.boundaries - 1e-3)] += at_boundaries
        found.append(values)
    return found


def test_a_peak_is_above_what_is_before_and_not_below_what_is_behind():
    assert peaks(np.array([1.0, 3.0, 3.0, 2.0, 5.0])).tolist() == [False, True, False, False, True]
    assert peaks(np.array([2.0])).tolist() == [True]
    assert peaks(np.array([])).tolist() == []


def test_edges_of_pauses_and_what_lies_in_them_count_neither_way(utterances):
    allowed = inside(utterances[0], 0.02)
    starts = utterances[0].starts[allowed]
    assert starts.min() == pytest.approx(0.1) and starts.max() == pytest.approx(13.9)
    assert not ((starts > 5.95) & (starts < 8.05)).any()
    everywhere = [np.ones(len(utterance.starts), dtype=bool) & inside(utterance, 0.02) for utterance in utterances]
    assert count(utterances, everywhere, 0.02)["hits"].sum() == sum(len(each.boundaries) for each in utterances)


def test_surprise_at_words_finds_all_of_them_but_those_that_touch(utterances):
    values = surprisals(utterances, at_boundaries=5, noise=1)
    threshold, best = choose_threshold(utterances[:15], values[:15], 0.02)
    chosen = count(utterances[15:], above(utterances[15:], values[15:], threshold, 0.02), 0.02)
    # A word of one symbol has a boundary on either side, of which only one is a peak: nothing else is missed.
    assert best > 0.85 and f1(chosen) > 0.85
    assert chosen["hits"].sum() / chosen["found"].sum() > 0.97
    assert threshold > 0.95  # above nearly all of the noise


def test_noise_is_no_better_than_chance_and_both_rules_are_judged_on_the_same(utterances):
    values = surprisals(utterances, at_boundaries=0, noise=1)
    threshold, _ = choose_threshold(utterances[:15], values[:15], 0.02)
    own = count(utterances[15:], above(utterances[15:], values[15:], threshold, 0.02), 0.02)
    drawn = at_random(utterances[15:], own, 0.02, seed=0)
    assert drawn["found"].tolist() == own["found"].tolist()
    assert abs(f1(own) - f1(drawn)) < 0.06
    gain = compare([own, own], drawn)
    assert gain["low"] < 0 < gain["high"]


def test_the_best_step_is_that_of_words_of_one_length():
    starts, boundaries = np.arange(0, 12, 0.1), np.arange(0.4, 12, 0.4)
    ids = np.arange(len(starts))
    even = [TimedUtterance("u", "d", ids, ids, starts, [(0.0, 12.0)], boundaries)]
    assert choose_step(even, 0.02) == (4, 1.0)
    found = every_nth(even, 4, 0.02)[0]
    np.testing.assert_allclose(starts[found], boundaries)


def test_measures_are_those_over_all_utterances_and_the_interval_holds_f1(utterances):
    values = surprisals(utterances, at_boundaries=0.5, noise=1)
    counts = count(utterances, above(utterances, values, 0.6, 0.02), 0.02)
    hits, found, expected = counts[["hits", "found", "expected"]].sum()
    one = measure([counts])
    assert one["f1"]["value"] == pytest.approx(2 * hits / (found + expected))
    assert one["precision"] == pytest.approx(hits / found) and one["recall"] == pytest.approx(hits / expected)
    assert one["f1"]["low"] < one["f1"]["value"] < one["f1"]["high"] and one["f1"]["over"] == "documents"
    other = count(utterances, above(utterances, surprisals(utterances, 2, 1, seed=3), 0.6, 0.02), 0.02)
    both = measure([counts, other])["f1"]
    assert (
        both["value"] == pytest.approx((f1(counts) + f1(other)) / 2) and both["over"] == "documents and training seeds"
    )
    assert both["high"] - both["low"] > 2 * (one["f1"]["high"] - one["f1"]["low"])  # two seeds that are far apart


def test_intervals_hold_the_f1_of_other_utterances_as_often_as_they_say():
    """The first term of a ratio's series, with documents drawn anew: 95 % of the intervals hold the truth."""
    rng, truth, held = np.random.default_rng(1), 2 * 0.6 * 0.5 / (0.6 + 0.5), []
    for _ in range(100):
        expected = rng.poisson(20, 60) + 1
        hits = rng.binomial(expected, 0.6)  # recall 0.6, and precision 0.5
        found = hits + rng.poisson(expected * 0.6)
        table = pd.DataFrame({"document": range(60), "hits": hits, "found": found, "expected": expected})
        interval = measure([table])["f1"]
        held.append(interval["low"] <= truth <= interval["high"])
    assert np.mean(held) >= 0.89


def test_nothing_said_is_nothing_right(utterances):
    counts = count(utterances, [np.zeros(len(each.starts), dtype=bool) for each in utterances], 0.02)
    assert f1(counts) == 0 and measure([counts])["precision"] == 0
    flat = [np.zeros(len(each.starts)) for each in utterances]
    assert choose_threshold(utterances, flat, 0.02) == (0.0, 0.0)
