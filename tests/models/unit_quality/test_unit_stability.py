"""Lexical stability: cases that can be worked out by hand."""

import math

import numpy as np
import pytest

from evoslm.models.unit_quality.stability import (
    ABX_ERRORS,
    DISTANCES,
    WordDraws,
    WordTokens,
    normalized_distances,
    speaker_information,
    token_rates,
    word_stability,
)


def tokens_of(*rows):
    return WordTokens(*map(list, zip(*rows)))


def values(results):
    return {name: estimate["value"] for name, estimate in results.items()}


def test_distances_are_edits_over_the_longer_length():
    first = [[1, 2, 3], [1, 2, 3], [5], [], [65_535, 55_300, 1]]
    second = [[1, 2, 3], [1, 9, 3, 4], [6, 7], [], np.array([65_535, 55_301, 1])]
    np.testing.assert_allclose(normalized_distances(first, second), [0, 2 / 4, 1, 0, 1 / 3])
    with pytest.raises(ValueError, match="1 sequences to compare with 2"):
        normalized_distances([[1]], [[1], [2]])


def test_a_word_that_always_has_its_own_units_is_perfectly_stable():
    tokens = tokens_of(*((word, speaker, [unit] * 4) for unit, word in enumerate("ab") for speaker in "xxyy"))
    assert values(word_stability(tokens)) == {
        "same_word_same_speaker": 0.0,
        "same_word_other_speaker": 0.0,
        "other_word_same_speaker": 1.0,
        "other_word_other_speaker": 1.0,
        "abx_within_speaker": 0.0,
        "abx_across_speaker": 0.0,
    }


def test_units_that_name_the_speaker_and_not_the_word_are_at_chance_within_and_tie_across():
    tokens = tokens_of(
        *((word, speaker, [unit] * 3) for word in "ab" for unit, speaker in enumerate("xy") for _ in "12")
    )
    assert values(word_stability(tokens)) == {
        "same_word_same_speaker": 0.0,
        "same_word_other_speaker": 1.0,
        "other_word_same_speaker": 0.0,
        "other_word_other_speaker": 1.0,
        "abx_within_speaker": 0.5,
        "abx_across_speaker": 0.5,
    }


def test_units_that_are_right_within_a_speaker_and_misleading_across():
    # y's "a" sounds like x's "b", and the other way round.
    swapped = {("a", "x"): [0, 0], ("b", "x"): [1, 1], ("a", "y"): [1, 1], ("b", "y"): [0, 0]}
    tokens = tokens_of(*((word, speaker, units) for (word, speaker), units in swapped.items() for _ in "12"))
    results = values(word_stability(tokens))
    assert (results["abx_within_speaker"], results["abx_across_speaker"]) == (0.0, 1.0)
    assert (results["same_word_other_speaker"], results["other_word_other_speaker"]) == (1.0, 0.0)


def test_a_figure_is_the_mean_over_words_with_an_interval_over_words():
    # One token of each word by each speaker: of "a" they differ in half of the units, of "b" in none.
    rows = [("a", "x", [1, 2]), ("a", "y", [1, 3]), ("b", "x", [7, 8]), ("b", "y", [7, 8])]
    rows += [("b", speaker, [7, 8]) for speaker in "xy" for _ in range(20)]
    estimate = word_stability(tokens_of(*rows))["same_word_other_speaker"]
    assert (estimate["value"], estimate["words"], estimate["draws"]) == (0.25, 2, 100)
    assert (estimate["low"], estimate["high"]) == (0.0, 0.5)
    assert estimate["by_word"] == {"a": 0.5, "b": 0.0}


def test_what_there_are_no_tokens_for_is_nan():
    results = word_stability(tokens_of(("a", "x", [1]), ("b", "x", [2])))
    assert results["other_word_same_speaker"]["value"] == 1.0
    for kind in set(DISTANCES + ABX_ERRORS) - {"other_word_same_speaker"}:
        assert math.isnan(results[kind]["value"]) and results[kind]["words"] == results[kind]["draws"] == 0
    assert math.isnan(word_stability(tokens_of(("a", "x", [1]), ("a", "x", [2])))["abx_within_speaker"]["value"])


def test_draws_depend_on_the_seed_and_not_on_the_units():
    rng = np.random.default_rng(0)
    rows = [(f"w{i % 7}", f"s{i % 3}", rng.integers(0, 5, 6)) for i in range(60)]
    tokens = tokens_of(*rows)
    first, again = (word_stability(tokens, seed=1) for _ in range(2))
    assert first == again != word_stability(tokens, seed=2)
    renamed = tokens_of(*((word, speaker, units + 40_000) for word, speaker, units in rows))
    assert word_stability(renamed, seed=1) == first
    assert word_stability(renamed, WordDraws(tokens.words, tokens.speakers, seed=1), seed=1) == first
    kinds = {type(value) for estimate in first.values() for value in estimate.values()}
    assert kinds == {int, float, dict}


def test_random_units_are_at_chance():
    rng = np.random.default_rng(0)
    rows = [(f"w{i % 20}", f"s{i % 3}", rng.integers(0, 30, 8)) for i in range(600)]
    tokens = tokens_of(*rows)
    results = word_stability(tokens, WordDraws(tokens.words, tokens.speakers, draws_per_word=100))
    for kind in ABX_ERRORS:
        assert results[kind]["value"] == pytest.approx(0.5, abs=0.03)
        assert results[kind]["high"] - results[kind]["low"] < 0.1


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (WordTokens([], [], []), "no words to compare"),
        (WordTokens(["a"], ["x"], [[]]), "A token of the word 'a' has no units"),
        (WordTokens(["a"], ["x", "y"], [[1]]), "There are 1 words, 2 speakers and 1 sequences"),
    ],
)
def test_what_cannot_be_compared_is_explained(tokens, message):
    with pytest.raises(ValueError, match=message):
        word_stability(tokens)


def make_utterances(units_of, count=40):
    speakers = [f"s{i % 4}" for i in range(count)]
    return [units_of(i, i % 4) for i in range(count)], speakers, [f"d{i // 2}" for i in range(count)]


def test_units_of_ones_own_give_a_speaker_away():
    information = speaker_information(*make_utterances(lambda i, speaker: [speaker, 9, 9, i % 3 + 10]))
    assert (information["value"], information["low"], information["high"]) == (1.0, 1.0, 1.0)
    assert information["correct"] == [1.0] * 40
    assert information["chance"] == pytest.approx(0.25, abs=0.15)
    assert (information["utterances"], information["speakers"]) == (40, 4)


def test_units_that_are_the_same_for_all_say_nothing():
    information = speaker_information(*make_utterances(lambda i, speaker: [1, 2, 2] * (1 + speaker)))
    assert information["value"] <= information["chance"] + 0.1  # lengths differ, shares do not


def test_what_a_document_says_is_not_taken_for_its_speaker():
    # Each document has a speaker and a unit of its own: what is learnt of it is of no use for another document.
    units = [[1, 1, 100 + i // 4] for i in range(40)]
    speakers, documents = [f"s{i // 4 % 2}" for i in range(40)], [f"d{i // 4}" for i in range(40)]
    information = speaker_information(units, speakers, documents)
    assert information["value"] < 0.75


def test_one_speaker_or_one_document_is_no_question():
    for speakers, documents in ((["a", "a"], ["d", "e"]), (["a", "b"], ["d", "d"])):
        information = speaker_information([[1], [2]], speakers, documents)
        assert math.isnan(information["value"]) and math.isnan(information["chance"])
    with pytest.raises(ValueError, match="There are 1 utterances, 2 speakers"):
        speaker_information([[1]], ["a", "b"], ["d"])


def test_rates_by_hand():
    # Eight tokens in two seconds: half 0, a quarter 1, a quarter 2, so 1.5 bits each.
    rates = token_rates([[0, 0, 1, 2], [0, 1, 2, 0]], seconds=2.0, num_units=4)
    assert rates == {
        "tokens_per_second": 4.0,
        "bits_per_second": 6.0,
        "perplexity": pytest.approx(2**1.5),
        "units_used": 0.75,
    }
