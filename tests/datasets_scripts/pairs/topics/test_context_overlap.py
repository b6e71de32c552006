"""The rules of shared words, against sums worked out by hand."""

from math import log

import numpy as np
import pytest

from evoslm.datasets_scripts.pairs.texts import PairText
from evoslm.datasets_scripts.pairs.topics.context_overlap import (
    OVERLAP_RULES,
    ContextOverlap,
    SharedKeys,
    overlap_accuracies,
    overlap_votes,
)
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer

TRAIN = ("The sea was calm.", "The ship saw the sea.", "The mail came.", "A male whale swam.")


@pytest.fixture(scope="module")
def overlap():
    return ContextOverlap(TRAIN, EspeakSynthesizer())


def scores(overlap, context: str, ending: str) -> dict[str, float]:
    return dict(zip(OVERLAP_RULES, overlap.scores([context], [ending])[0]))


def test_word_types_are_counted_once_and_in_small_letters(overlap):
    assert scores(overlap, "The sea, the SEA, a ship.", "Sea and the sea.")["overlap"] == 2  # the, sea


def test_rare_words_weigh_more(overlap):
    found = scores(overlap, "The sea and a whale.", "The whale left the sea.")
    assert found["overlap_rarity"] == pytest.approx(log(4 / 3) + log(4 / 2) + log(4 / 1))  # the, sea, whale


def test_a_word_that_training_lacks_weighs_as_much_as_one_of_a_single_passage(overlap):
    assert scores(overlap, "A zebra.", "The zebra ran.")["overlap_rarity"] == pytest.approx(log(4))


def test_words_that_sound_alike_are_one_in_phones_alone(overlap):
    found = scores(overlap, "The mail came.", "One male left.")
    assert found["overlap"] == found["overlap_rarity"] == 0
    assert found["overlap_phones"] == pytest.approx(log(4 / 2))  # "mail" and "male", of two passages


def test_a_rule_is_right_where_the_true_ending_shares_more_and_half_right_in_a_tie(overlap):
    pairs = [
        PairText("a", "topic_sc", "sea", "", "The ship saw the sea.", "A ship swam.", "A male came."),
        PairText("b", "topic_sc", "sea", "", "A calm sea.", "It was mail.", "It was calm."),
        PairText("c", "topic_sc", "sea", "", "A calm sea.", "It was mail.", "It was male."),
    ]
    votes = overlap_votes(overlap.score_pairs(pairs))
    assert votes.tolist() == [[1, 1, 1], [-1, -1, -1], [0, 0, 0]]
    assert overlap_accuracies(votes) == dict.fromkeys(OVERLAP_RULES, 50.0)
    assert overlap_accuracies(votes[:2][:0]) == dict.fromkeys(OVERLAP_RULES)


def test_no_pairs_have_no_scores(overlap):
    assert all(len(column) == 0 for column in overlap.score_pairs([]).values())


def test_what_all_share_is_what_each_two_share():
    rng = np.random.default_rng(0)
    contexts, endings = ([set(rng.integers(0, 12, 5).astype(str)) for _ in range(9)] for _ in range(2))
    keys = SharedKeys(contexts, endings, weight=float)
    shared = np.array([[sum(map(float, context & ending)) for ending in endings] for context in contexts])
    assert keys.own() == pytest.approx(shared.diagonal())
    here, there = keys.crossed(slice(2, 5))
    assert here == pytest.approx(shared[2:5]) and there == pytest.approx(shared[:, 2:5].T)
