"""Topic-SC: endings of like form change places, and neither shares more words with a context than the other."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from evoslm.datasets_scripts.pairs.topics.context_overlap import (
    ContextOverlap,
    overlap_accuracies,
    overlap_votes,
)
from evoslm.datasets_scripts.pairs.topics.topic_endings import couple_endings, find_endings
from evoslm.datasets_scripts.pairs.topics.topic_sc import make_topic_sc_pairs
from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.datasets_scripts.text.content_words import share_content_word
from evoslm.datasets_scripts.text.cutting import estimate_seconds
from evoslm.datasets_scripts.text.passages import Passage

NOUNS = {
    "sea": ("whale", "ship", "harbor", "sailor", "anchor"),
    "farm": ("horse", "barn", "meadow", "farmer", "wagon"),
    "city": ("street", "tram", "market", "baker", "bridge"),
}
NAMES = ("Ada", "Ben", "Cora", "Dan", "Ella", "Finn", "Gwen", "Hugo", "Iris", "Jack")


def make_passages(number: int, split: str = "test", seed: int = 0) -> list[Passage]:
    """Passages of four to seven sentences, whose endings differ in length, tense, pronoun and final mark."""
    rng = random.Random(seed)
    passages = []
    for index in range(number):
        topic = rng.choice(sorted(NOUNS))
        name, other = rng.sample(NAMES, 2)
        context = [f"{rng.choice(NAMES)} saw a {rng.choice(NOUNS[topic])}." for _ in range(rng.randint(3, 6))]
        tail = " and was happy" * rng.randint(0, 2)
        verb, mark = rng.choice(("is", "was", "were")), rng.choice("..!")
        ending = f"{name} and {other} said she {verb} near the {rng.choice(NOUNS[topic])} number {index}{tail}{mark}"
        passages.append(Passage(f"{split}-{index}", f"d{index}", topic, split, (*context, ending)))
    return passages


@pytest.fixture(scope="module")
def overlap():
    return ContextOverlap([passage.text for passage in make_passages(200, "train", seed=3)], EspeakSynthesizer())


@pytest.fixture(scope="module")
def pairs(overlap):
    return make_topic_sc_pairs(make_passages(600), 200, 0, overlap)[0]


@pytest.fixture(scope="module")
def told():
    """Stories of the size of a small study, the rules that know its training split, and pairs with their report."""
    train = [passage.text for passage in generate_stories(20_000, seed=100)]
    passages = [replace(passage, split="test") for passage in generate_stories(60_000, seed=101)]
    overlap = ContextOverlap(train, EspeakSynthesizer())
    return passages, overlap, *make_topic_sc_pairs(passages, 121, 0, overlap)


def of_band(pairs, band):
    return [pair for pair in pairs if pair.band == band]


def test_the_context_is_what_stands_before_the_ending(pairs):
    passages = {f"topic_sc-{passage.id}": passage for passage in make_passages(600)}
    for pair in pairs:
        passage = passages[pair.id]
        assert pair.context in passage.text and pair.positive == passage.sentences[-1]
        assert f"{pair.context} {pair.positive}" == passage.text[-len(f"{pair.context} {pair.positive}") :]
        assert 3 <= pair.context.count(".") <= 5
        group = passage.topic if pair.band == "balanced" else "unbalanced"
        assert (pair.task, pair.group) == ("topic_sc", group)


def test_the_wrong_ending_is_of_another_topic_and_of_like_form(pairs):
    topics = {passage.sentences[-1]: passage.topic for passage in make_passages(600)}
    for pair in pairs:
        assert topics[pair.negative] != topics[pair.positive]
        assert pair.negative[-1] == pair.positive[-1]
        for length in (len, lambda text: len(text.split())):
            lengths = sorted((length(pair.positive), length(pair.negative)))
            assert lengths[0] >= 0.85 * lengths[1]
        assert estimate_seconds(f"{pair.context} {pair.negative}") <= 30


def test_no_rule_that_ignores_the_context_is_right_for_more_than_half(pairs):
    assert Counter(pair.positive for pair in pairs) == Counter(pair.negative for pair in pairs)
    couples = {(pair.positive, pair.negative) for pair in pairs}
    assert all((negative, positive) in couples for positive, negative in couples)
    for seed in range(20):

        def preference(text: str, seed=seed) -> float:
            return random.Random(f"{seed}{text}").random()

        assert sum(preference(pair.positive) > preference(pair.negative) for pair in pairs) == len(pairs) / 2


def test_partners_share_tense_and_pronouns_where_they_can():
    endings, _ = find_endings(make_passages(300))
    couples = couple_endings(endings, seed=0)
    assert len(couples) > 140
    assert sum(first.form == second.form for first, second in couples) > 0.8 * len(couples)


@pytest.mark.parametrize(("marks", "coupled"), [(("", ""), 1), ((".", "."), 1), ((".", "!"), 0), (("", "."), 0)])
def test_couples_end_in_the_same_mark_or_in_none(marks, coupled):
    endings = {"sea": f"the whale swam there{marks[0]}", "farm": f"the horse stood still{marks[1]}"}
    context = ("It was early", "We were there", "Rain had come")
    passages = [Passage(topic, topic, topic, "test", (*context, text)) for topic, text in endings.items()]
    assert len(couple_endings(find_endings(passages)[0], seed=0)) == coupled


def test_a_frequent_topic_gets_the_others_as_partners():
    by_topic = {topic: [passage for passage in make_passages(400) if passage.topic == topic] for topic in NOUNS}
    endings, _ = find_endings(by_topic["sea"][:80] + by_topic["farm"][:40] + by_topic["city"][:40])
    couples = couple_endings(endings, seed=0)
    # Coupling farm with city would leave as many of the sea without a partner.
    assert len(couples) > 60
    assert sum("sea" in (first.topic, second.topic) for first, second in couples) > 0.9 * len(couples)


def test_the_seed_decides_and_the_same_seed_gives_the_same_pairs(pairs, overlap):
    assert make_topic_sc_pairs(make_passages(600), 200, 0, overlap)[0] == pairs
    assert make_topic_sc_pairs(make_passages(600), 200, 1, overlap)[0] != pairs


def test_no_rule_of_shared_words_tells_the_true_ending_of_a_balanced_pair(told):
    _, overlap, pairs, report = told
    balanced = overlap_accuracies(overlap_votes(overlap.score_pairs(of_band(pairs, "balanced"))))
    assert all(abs(accuracy - 50) <= 2 for accuracy in balanced.values()), balanced
    assert report["bands"]["balanced"] == {"pairs": 122, **balanced}
    assert report["bands"]["unbalanced"]["overlap_rarity"] > 65


def test_balanced_endings_share_no_content_word_where_there_are_enough(told):
    _, _, pairs, report = told
    sharing = [
        any(share_content_word(pair.context, ending) for ending in (pair.positive, pair.negative))
        for pair in of_band(pairs, "balanced")
    ]
    assert not any(sharing) and report["without_shared_content_word"] == len(sharing) == 122


def test_no_pair_is_without_its_twin_and_no_ending_in_two_couples(told):
    """Of an odd number, too."""
    pairs = told[2]
    for band in ("balanced", "unbalanced"):
        sides = {(pair.positive, pair.negative) for pair in of_band(pairs, band)}
        assert all((negative, positive) in sides for positive, negative in sides)
    assert set(Counter(pair.cluster for pair in pairs).values()) == {2}
    assert set(Counter(pair.positive for pair in pairs).values()) == {1}


def test_unbalanced_pairs_are_couples_as_they_come(told):
    passages, _, pairs, _ = told
    as_they_come = {
        frozenset((first.text, second.text)) for first, second in couple_endings(find_endings(passages)[0], 0)
    }
    unbalanced = of_band(pairs, "unbalanced")
    assert len(unbalanced) == 2 * round(0.25 * 61)
    assert {frozenset((pair.positive, pair.negative)) for pair in unbalanced} <= as_they_come


def test_too_few_passages_make_as_many_pairs_as_they_can(told):
    """And of these at most a fifth are unbalanced."""
    passages, overlap, *_ = told
    pairs, report = make_topic_sc_pairs(passages[:60], 480, 0, overlap)
    assert 0 < report["bands"]["balanced"]["pairs"] < 60 and report["asked"] == 480
    assert report["bands"]["unbalanced"]["pairs"] <= report["pairs_available"] / 8
    votes = overlap_votes(overlap.score_pairs(of_band(pairs, "balanced")))
    assert (abs(votes.sum(axis=0)) <= 1).all()


def test_validation_helps_out_where_test_is_too_small_and_train_never_does(overlap):
    passages = make_passages(120) + make_passages(240, "validation", seed=1) + make_passages(500, "train", seed=2)
    assert make_topic_sc_pairs(passages, 20, 0, overlap)[1]["splits"] == ["test"]
    pairs, report = make_topic_sc_pairs(passages, 160, 0, overlap)
    assert report["splits"] == ["test", "validation"] and report["passages"] == 360
    assert not any("train" in pair.id for pair in pairs)


def test_one_topic_alone_makes_no_pair(overlap):
    passages = [passage for passage in make_passages(60) if passage.topic == "sea"]
    with pytest.raises(ValueError, match="No Topic-SC pair can be made from the .* passages of 1 topics or books"):
        make_topic_sc_pairs(passages, 2, 0, overlap)


def test_passages_without_context_short_and_repeated_endings_are_counted():
    sentences = ("One cat sat.", "Two cats sat.", "Three cats sat.", "The whale swam far away.")
    passages = [
        Passage("a", "a", "sea", "test", sentences),
        Passage("b", "b", "sea", "test", sentences),
        Passage("c", "c", "sea", "test", sentences[1:]),
        Passage("d", "d", "sea", "test", sentences[::-1]),
    ]
    endings, dropped = find_endings(passages)
    assert [ending.passage for ending in endings] == ["a"]
    assert sorted(dropped.values()) == [1, 1, 1]
