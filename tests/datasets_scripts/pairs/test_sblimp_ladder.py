"""The ladder: equally many pairs a rung, mirrored, and nothing of them in training."""

import re
from collections import Counter

import pytest

from evoslm.datasets_scripts.pairs.mirrored import balanced_order
from evoslm.datasets_scripts.pairs.sblimp_ladder import MIN_COUNT, RUNGS, make_ladder_pairs
from evoslm.datasets_scripts.stories import generate_stories
from evoslm.datasets_scripts.stories.simple.language import load_language

NUM_PAIRS = 300


@pytest.fixture(scope="module")
def sentences():
    stories = generate_stories("simple", 40_000, seed=3)
    return [sentence for story in stories if story.split == "train" for sentence in story.sentences]


@pytest.fixture(scope="module")
def pairs(sentences):
    return make_ladder_pairs(NUM_PAIRS, 3, sentences, load_language())[0]


def words_of(text):
    return re.findall(r"[a-z]+", text.lower())


def test_there_are_equally_many_pairs_a_rung_and_most_cues_are_not_beside_their_targets(pairs):
    assert Counter(pair.group for pair in pairs) == dict.fromkeys(RUNGS, NUM_PAIRS // len(RUNGS))
    assert sum(pair.band == "0" for pair in pairs) < len(pairs) / 2
    assert {pair.band for pair in pairs if pair.group == "adjacent"} == {"0"}
    assert {pair.band for pair in pairs if pair.group == "one word between"} == {"1"}
    assert min(int(pair.band) for pair in pairs if pair.group in ("attractor", "relative clause")) >= 3


def test_twins_are_mirrored_so_that_what_does_not_reach_the_cue_is_right_in_half(twins):
    for one, other in twins:
        assert one.cluster == other.cluster and one.group == other.group
        good = Counter(words_of(one.positive)) + Counter(words_of(other.positive))
        bad = Counter(words_of(one.negative)) + Counter(words_of(other.negative))
        assert good == bad
        # A window of n words sees n - 2 words between cue and target at most.
        assert balanced_order([one, other]) >= int(one.band) + 1


def test_the_sides_of_a_pair_differ_in_one_word(pairs):
    for pair in pairs:
        differ = [a != b for a, b in zip(words_of(pair.positive), words_of(pair.negative), strict=True)]
        assert sum(differ) == 1


def test_no_sentence_occurs_in_training_and_no_cue_stands_beside_its_target_there(pairs, sentences):
    assert not {pair.positive for pair in pairs} & set(sentences)
    neighbors = {pair for sentence in sentences for pair in zip(words_of(sentence), words_of(sentence)[1:])}
    for pair in pairs:
        words, others = words_of(pair.positive), words_of(pair.negative)
        target = next(index for index, (a, b) in enumerate(zip(words, others)) if a != b)
        cue = words[target - int(pair.band) - 1]
        assert (cue, words[target]) not in neighbors
        assert (cue, others[target]) not in neighbors


def test_every_word_is_frequent_enough_in_the_form_that_it_has(pairs, sentences):
    counts = Counter(word for sentence in sentences for word in words_of(sentence))
    assert min(counts[word] for pair in pairs for word in words_of(pair.positive + pair.negative)) >= MIN_COUNT


def test_ids_are_unique_and_the_same_seed_gives_the_same_pairs(pairs, sentences):
    assert len({pair.id for pair in pairs}) == len({pair.positive for pair in pairs}) == len(pairs)
    assert make_ladder_pairs(NUM_PAIRS, 3, sentences, load_language())[0] == pairs
    assert make_ladder_pairs(NUM_PAIRS, 4, sentences, load_language())[0] != pairs


def test_too_little_text_is_refused_in_a_sentence(sentences):
    with pytest.raises(ValueError, match="ask for fewer pairs or give more text"):
        make_ladder_pairs(NUM_PAIRS, 0, sentences[:100], load_language())
