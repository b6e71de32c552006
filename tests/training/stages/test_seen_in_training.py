"""What is counted of minimal pairs that the training split has."""

from dataclasses import replace
from types import SimpleNamespace

from evoslm.datasets_scripts.pairs.texts import PairText
from evoslm.datasets_scripts.pairs.topics.context_overlap import ContextOverlap
from evoslm.datasets_scripts.stories import generate_stories
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.datasets_scripts.text.passages import Passage
from evoslm.training.stages.pair_texts import PairTextSettings, _count_seen, _make_topic_sc

TRAIN = [
    Passage("p1", "d1", "market", "train", ("The bowl is old.", "A cook comes.", "She sees the bowl!", "It is here.")),
    Passage("p2", "d2", "market", "train", ("The cook sings.",)),
]


def pair(positive: str, negative: str, context: str = "") -> PairText:
    return PairText(positive, "a_task", "", "", context, positive, negative)


def test_sentences_are_compared_by_their_words():
    pairs = [pair("the cook sings", "the cook sing"), pair("the bowl is", "the bowl are")]
    assert _count_seen(pairs, TRAIN) == {"seen": {"sentences": {"asked": 4, "in_training": 1}}}


def test_a_context_is_seen_where_its_sentences_follow_each_other_in_one_passage():
    seen = pair("It is here.", "He is there.", "The bowl is old. A cook comes. She sees the bowl!")
    apart = pair("Nobody comes.", "He is there.", "The bowl is old. She sees the bowl!")
    across = pair("Nobody comes.", "He is there.", "It is here. The cook sings.")
    assert _count_seen([seen, apart, across], TRAIN)["seen"] == {
        "endings": {"asked": 3, "in_training": 1},
        "contexts": {"asked": 3, "in_training": 1},
    }


def test_a_headword_does_not_hide_the_sentence_behind_it():
    train = [replace(TRAIN[1], sentences=("kettles: The cook sings.",))]
    pairs = [pair("The cook sings.", "The cook sing.")]
    assert _count_seen(pairs, train) == {"seen": {"sentences": {"asked": 2, "in_training": 1}}}


def test_nothing_is_counted_of_single_words():
    assert _count_seen([pair("bowl", "bawl")], TRAIN) == {}


def test_no_ending_is_asked_for_that_training_has():
    held_out = [replace(story, split="test") for story in generate_stories("simple", 6_000, seed=5)]
    train = [Passage(story.id, story.id, story.topic, "train", story.sentences[-1:]) for story in held_out[::2]]
    material = SimpleNamespace(
        settings=PairTextSettings(20, 0, 300, stories="simple"),
        held_out=held_out,
        train=train,
        overlap=ContextOverlap([passage.text for passage in train], EspeakSynthesizer()),
    )
    pairs, report = _make_topic_sc(material)
    assert len(pairs) >= 20
    assert _count_seen(pairs, train)["seen"]["endings"]["in_training"] == 0
    assert report["dropped"]["the ending occurs in training"] == len(train)
