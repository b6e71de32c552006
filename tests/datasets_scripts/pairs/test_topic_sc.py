"""Topic-SC: endings of like form change places, so that only the context tells the true one."""

import random
from collections import Counter

import pytest

from evoslm.datasets_scripts.pairs.topic_sc import couple_endings, find_endings, make_topic_sc_pairs
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


@pytest.fixture
def pairs():
    return make_topic_sc_pairs(make_passages(300), 200, seed=0)[0]


def test_the_context_is_what_stands_before_the_ending(pairs):
    passages = {f"topic_sc-{passage.id}": passage for passage in make_passages(300)}
    for pair in pairs:
        passage = passages[pair.id]
        assert pair.context in passage.text and pair.positive == passage.sentences[-1]
        assert f"{pair.context} {pair.positive}" == passage.text[-len(f"{pair.context} {pair.positive}") :]
        assert 3 <= pair.context.count(".") <= 5
        assert (pair.task, pair.group, pair.band) == ("topic_sc", passage.topic, "")


def test_the_wrong_ending_is_of_another_topic_and_of_like_form(pairs):
    topics = {passage.sentences[-1]: passage.topic for passage in make_passages(300)}
    for pair in pairs:
        assert topics[pair.negative] != pair.group
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


def test_a_frequent_topic_gets_the_others_as_partners():
    by_topic = {topic: [passage for passage in make_passages(400) if passage.topic == topic] for topic in NOUNS}
    endings, _ = find_endings(by_topic["sea"][:80] + by_topic["farm"][:40] + by_topic["city"][:40])
    couples = couple_endings(endings, seed=0)
    # Coupling farm with city would leave as many of the sea without a partner.
    assert len(couples) > 60
    assert sum("sea" in (first.topic, second.topic) for first, second in couples) > 0.9 * len(couples)


def test_the_seed_decides_and_the_same_seed_gives_the_same_pairs(pairs):
    assert make_topic_sc_pairs(make_passages(300), 200, seed=0)[0] == pairs
    assert make_topic_sc_pairs(make_passages(300), 200, seed=1)[0] != pairs


def test_validation_helps_out_where_test_is_too_small_and_train_never_does():
    passages = make_passages(30) + make_passages(60, "validation", seed=1) + make_passages(500, "train", seed=2)
    assert make_topic_sc_pairs(passages, 20, seed=0)[1]["splits"] == ["test"]
    pairs, report = make_topic_sc_pairs(passages, 60, seed=0)
    assert report["splits"] == ["test", "validation"] and report["passages"] == 90
    assert not any("train" in pair.id for pair in pairs)
    with pytest.raises(ValueError, match=r"Only \d+ of 200 Topic-SC pairs .* 90 passages of 3 topics or books"):
        make_topic_sc_pairs(passages, 200, seed=0)


def test_one_topic_alone_makes_no_pair():
    passages = [passage for passage in make_passages(60) if passage.topic == "sea"]
    with pytest.raises(ValueError, match="Only 0 of 2 Topic-SC pairs"):
        make_topic_sc_pairs(passages, 2, seed=0)


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
