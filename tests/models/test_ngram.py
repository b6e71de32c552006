"""The n-gram baselines are the published formula, for every order at once."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoslm.models.ngram import NGramModel, flatten

VOCABULARY = 4
SEQUENCES = st.lists(st.lists(st.integers(0, VOCABULARY - 2), max_size=6), min_size=1, max_size=8).filter(any)


class Formula:
    """The definition, one probability at a time."""

    def __init__(self, sequences, order):
        self.followers, self.order = defaultdict(Counter), order
        for sequence in sequences:
            padded = ["<s>"] * (order - 1) + list(sequence)
            for i, n in itertools.product(range(order - 1, len(padded)), range(1, order + 1)):
                self.followers[tuple(padded[i - n + 1 : i])][padded[i]] += 1

    def probability(self, n, token, history):
        if n == 0:
            return 1 / VOCABULARY
        lower = self.probability(n - 1, token, history)
        followers = self.followers.get(tuple(history[len(history) - n + 1 :]))
        if not followers:
            return lower
        return (followers[token] + len(followers) * lower) / (sum(followers.values()) + len(followers))

    def log_likelihoods(self, sequence, context=()):
        tokens = ["<s>"] * (self.order - 1) + list(context) + list(sequence)
        places = range(self.order - 1 + len(context), len(tokens))
        return [
            sum(np.log(self.probability(n, tokens[i], tokens[:i])) for i in places) for n in range(1, self.order + 1)
        ]


@settings(deadline=None, max_examples=50)
@given(
    SEQUENCES,
    st.lists(st.integers(0, VOCABULARY - 1), max_size=5),
    st.lists(st.integers(0, VOCABULARY - 1), max_size=5),
)
def test_it_is_the_formula(corpus, sequence, context):
    model, formula = NGramModel.fit(corpus, vocab_size=VOCABULARY, max_order=4), Formula(corpus, 4)
    found = model.log_likelihoods([sequence, sequence], [context, []])
    assert found == pytest.approx(
        np.array([formula.log_likelihoods(sequence, context), formula.log_likelihoods(sequence)])
    )


@settings(deadline=None, max_examples=50)
@given(SEQUENCES, st.lists(st.integers(0, VOCABULARY - 1), max_size=5))
def test_probabilities_sum_to_one(corpus, context):
    model = NGramModel.fit(corpus, vocab_size=VOCABULARY, max_order=5)
    continuations = [list(tokens) for tokens in itertools.product(range(VOCABULARY), repeat=2)]
    found = model.log_likelihoods(continuations, [context] * len(continuations))
    assert np.exp(found).sum(axis=0) == pytest.approx(np.ones(5))


def test_a_flat_array_is_the_same_as_a_list():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 9, rng.integers(0, 7)) for _ in range(50)]
    ids, offsets = flatten(sequences)
    one, other = NGramModel.fit(sequences, vocab_size=9), NGramModel.fit(ids.astype(np.uint16), offsets, vocab_size=9)
    assert (one.log_likelihoods(sequences) == other.log_likelihoods(ids, offsets=offsets)).all()
    assert one.log_likelihoods(sequences).dtype == np.float64


def test_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 9, rng.integers(0, 7)).tolist() for _ in range(50)]
    contexts = [rng.integers(0, 9, rng.integers(0, 4)).tolist() for _ in range(50)]
    model = NGramModel.fit(sequences, vocab_size=9)
    whole = model.log_likelihoods(sequences, contexts)
    monkeypatch.setattr("evoslm.models.ngram._POSITIONS_PER_BLOCK", 5)
    assert (model.log_likelihoods(sequences, contexts) == whole).all()


def test_longer_histories_know_more():
    model = NGramModel.fit([[0, 1, 2, 0, 1, 3]] * 20, vocab_size=5, max_order=4)
    found = model.log_likelihoods([[3], [2]], [[0, 1, 2, 0, 1]] * 2)
    assert found[0, 0] == found[1, 0] and found[0, 1] == found[1, 1] and found[0, 2] == found[1, 2]
    assert found[0, 3] > found[1, 3] + 1


def test_vocabularies_to_the_fifth_power_do_not_overflow():
    ids = np.arange(99_990, 100_000).tolist()
    model = NGramModel.fit([ids] * 3, vocab_size=100_000)
    found = model.log_likelihoods([ids])[0]
    assert (np.diff(found) > 0).all() and found[4] > -20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NGramModel.fit([[], []], vocab_size=3), "no tokens"),
        (lambda: NGramModel.fit([[3]], vocab_size=3), "not in a vocabulary of 3"),
        (lambda: NGramModel.fit([[0]], vocab_size=3, max_order=0), "at least 1"),
        (lambda: NGramModel.fit([[0]], vocab_size=3).log_likelihoods([[-1]]), "not in a vocabulary of 3"),
        (lambda: NGramModel.fit([[0]], vocab_size=3).log_likelihoods([[1]], []), "1 sequences and 0 contexts"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_counts_of_blocks_add_up_to_those_of_the_corpus(monkeypatch):
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 9, rng.integers(0, 7)).tolist() for _ in range(80)]
    others = [rng.integers(0, 9, 6).tolist() for _ in range(50)]
    whole = NGramModel.fit(sequences, vocab_size=9).log_likelihoods(others)
    blocks = (flatten(sequences[start : start + 7]) for start in range(0, 80, 7))
    assert (NGramModel.fit(blocks, vocab_size=9).log_likelihoods(others) == whole).all()
    monkeypatch.setattr("evoslm.models.ngram._POSITIONS_PER_BLOCK", 20)
    assert (NGramModel.fit(sequences, vocab_size=9).log_likelihoods(others) == whole).all()


def test_a_model_that_counts_only_what_is_asked_says_the_same_and_does_not_grow(monkeypatch):
    monkeypatch.setattr("evoslm.models.ngram._POSITIONS_PER_BLOCK", 1000)
    rng = np.random.default_rng(0)
    contexts = [rng.integers(0, 9, rng.integers(0, 4)).tolist() for _ in range(20)]
    others = [rng.integers(0, 9, 6).tolist() for _ in range(20)]
    asked = [context + other for context, other in zip(contexts, others)]
    sizes = []
    for count in (1000, 4000):
        sequences = [rng.integers(0, 9, rng.integers(0, 12)).tolist() for _ in range(count)]
        model = NGramModel.fit(sequences, vocab_size=9, asked=asked)
        whole = NGramModel.fit(sequences, vocab_size=9)
        assert (model.log_likelihoods(others, contexts) == whole.log_likelihoods(others, contexts)).all()
        sizes.append((len(model._grams[-1]), len(whole._grams[-1])))
    assert sizes[1][0] < 2 * sizes[0][0] and sizes[1][1] > 3 * sizes[0][1]
