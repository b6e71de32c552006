"""sBLIMP pairs are mirrored, so that what does not reach from cue to target is right in exactly half of them."""

import math
import re
from collections import Counter, defaultdict

import pytest

from evoslm.datasets_scripts.pairs.mirrored import balanced_order
from evoslm.datasets_scripts.pairs.sblimp import PHENOMENA, generate_sblimp_pairs
from evoslm.datasets_scripts.pairs.sblimp_words import MIN_COUNT, reference_counts
from evoslm.datasets_scripts.pairs.texts import PairText
from evoslm.datasets_scripts.stories.rich.generation import generate_stories

# Up to this order of word n-grams all pairs are at 50 % by construction; longer windows may solve some.
SAFE_ORDERS = {
    "regular_plural_subject_verb_agreement": 1,
    "irregular_plural_subject_verb_agreement": 1,
    "distractor_agreement_relational_noun": 4,
    "distractor_agreement_relative_clause": 4,
    "determiner_noun_agreement": 1,
    "determiner_noun_agreement_with_adjective": 2,
    "anaphor_gender_agreement": 2,
    "anaphor_number_agreement": 2,
    "irregular_past_participle_verbs": 2,
    "wh_vs_that": 4,
}


@pytest.fixture(scope="module")
def pairs():
    return generate_sblimp_pairs(400, seed=0)


def test_there_are_equally_many_pairs_of_every_phenomenon(pairs):
    assert len(pairs) == 400
    assert Counter(pair.group for pair in pairs) == dict.fromkeys(PHENOMENA, 40)
    assert all(pair.task == "sblimp" and not pair.band and not pair.context for pair in pairs)


def test_a_number_that_cannot_be_shared_out_is_rounded_up():
    assert len(generate_sblimp_pairs(21, seed=0)) == 40


def test_ids_and_sentences_are_unique_and_twins_share_a_stem(pairs, twins):
    assert len({pair.id for pair in pairs}) == len({pair.positive for pair in pairs}) == len(pairs)
    assert all([pair.id[-1] for pair in cluster] == ["a", "b"] for cluster in twins)
    assert all(cluster[0].group == cluster[1].group for cluster in twins)


def test_the_same_seed_gives_the_same_pairs_and_more_pairs_begin_with_fewer(pairs):
    assert generate_sblimp_pairs(400, seed=0) == pairs
    more = defaultdict(list)
    for pair in generate_sblimp_pairs(600, seed=0):
        more[pair.group].append((pair.positive, pair.negative))
    for phenomenon in PHENOMENA:
        few = [(pair.positive, pair.negative) for pair in pairs if pair.group == phenomenon]
        assert more[phenomenon][: len(few)] == few
    assert generate_sblimp_pairs(400, seed=1) != pairs


def test_the_two_sides_differ_in_one_word(pairs):
    for pair in pairs:
        positive, negative = pair.positive.split(), pair.negative.split()
        assert len(positive) == len(negative)
        assert sum(good != bad for good, bad in zip(positive, negative)) == 1, pair


def test_every_word_is_frequent_in_the_stories(pairs):
    counts = reference_counts()
    assert all(
        counts[word] >= MIN_COUNT
        for pair in pairs
        for word in re.findall("[a-z]+", (pair.positive + pair.negative).lower())
    )


def test_words_letters_and_lengths_are_balanced_over_twins(twins):
    for cluster in twins:
        assert _parts(cluster, "positive", str.split) == _parts(cluster, "negative", str.split)
        assert _parts(cluster, "positive", list) == _parts(cluster, "negative", list)


def test_each_phenomenon_is_balanced_up_to_its_order(twins):
    orders = defaultdict(list)
    for cluster in twins:
        orders[cluster[0].group].append(balanced_order(cluster))
    assert {group: min(values) for group, values in orders.items()} == SAFE_ORDERS


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_an_ngram_model_of_a_balanced_order_is_right_in_exactly_half(twins, order):
    log_probability = _ngram(order)
    for cluster in twins:
        if SAFE_ORDERS[cluster[0].group] >= order:
            margins = [log_probability(pair.positive) - log_probability(pair.negative) for pair in cluster]
            assert math.fsum(margins) == pytest.approx(0, abs=1e-9)


def test_balanced_order_counts_the_words_from_cue_to_target():
    def twin(letter, positive, negative):
        return PairText(f"x{letter}", "sblimp", "", "", "", positive, negative)

    adjacent = [twin("a", "The dog runs.", "The dog run."), twin("b", "The dogs run.", "The dogs runs.")]
    apart = [twin("a", "Dogs often run.", "Dogs often runs."), twin("b", "A dog often runs.", "A dog often run.")]
    assert balanced_order(adjacent) == 1
    assert balanced_order(apart) == 2


def test_the_positive_side_agrees(pairs):
    """By this test's own table, for subjects that a form of be or have follows at once or after a phrase."""
    phrase = r"(?: (?:near|beside|behind|of|from) the (?:next )?\w+)?"
    seen = Counter()
    for pair in pairs:
        for noun, verb in re.findall(rf"^The (\w+){phrase} (is|are|has|have)\b", pair.positive):
            plural = noun in ("children", "men", "women") or noun.endswith("s")
            assert plural == (verb in ("are", "have")), pair.positive
            seen[verb] += 1
    assert len(seen) == 4


def test_pairs_are_new_sentences(pairs):
    sentences = {sentence for story in generate_stories(20_000, seed=5) for sentence in story.sentences}
    assert sum(pair.positive in sentences for pair in pairs) <= 4
    assert not any(pair.negative in sentences for pair in pairs)


def test_a_lexicon_without_frequent_words_is_refused():
    with pytest.raises(ValueError, match="ask for fewer pairs, a lower min_count or more text"):
        generate_sblimp_pairs(20, seed=0, word_counts={"the": 100}, min_count=10)


def _parts(cluster, side, split):
    return Counter(part for pair in cluster for part in split(getattr(pair, side).lower()))


def _ngram(order):
    """A word n-gram model of the stories with add-one smoothing."""
    ngrams, contexts = Counter(), Counter()

    def windows(text):
        words = ["<s>"] * (order - 1) + re.findall(r"\w+|[.,]", text.lower())
        return list(zip(*(words[start:] for start in range(order))))

    for story in generate_stories(5_000, seed=0):
        for sentence in story.sentences:
            ngrams.update(windows(sentence))
            contexts.update(window[:-1] for window in windows(sentence))
    return lambda text: math.fsum(
        math.log((ngrams[window] + 1) / (contexts[window[:-1]] + 3_000)) for window in windows(text)
    )
