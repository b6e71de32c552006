"""Blocks keep what they promise, whatever the passages: nothing but what they are about tells parts that belong."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoslm.datasets_scripts.retrieval.blocks import cut_passages, make_blocks
from evoslm.datasets_scripts.stories import generate_stories
from evoslm.datasets_scripts.text.content_words import share_content_word
from evoslm.datasets_scripts.text.cutting import estimate_seconds
from evoslm.datasets_scripts.text.passages import Passage
from evoslm.datasets_scripts.text.words import words_of

NOUNS = [
    "lion",
    "lions",
    "otter",
    "rivers",
    "river",
    "letter",
    "garden",
    "painted",
    "paint",
    "sailor",
    "candle",
    "violin",
]
SENTENCES = st.lists(st.sampled_from([*NOUNS, "the", "of", "and"]), min_size=1, max_size=5).map(
    lambda words: " ".join(words).capitalize() + "."
)
PASSAGES = st.lists(
    st.tuples(st.lists(SENTENCES, min_size=1, max_size=4), st.sampled_from("abc"), st.sampled_from(["test", "train"])),
    max_size=40,
).map(
    lambda drawn: [
        Passage(f"passage-{number}", f"story-{number}", topic, split, tuple(sentences))
        for number, (sentences, topic, split) in enumerate(drawn)
    ]
)


def check_promises(blocks, report, passages, size: int, splits=("test", "validation")) -> None:
    """Every promise of `make_blocks`, by the plain definitions."""
    by_id = {passage.id: passage for passage in passages}
    everything = [passage for block in blocks for passage in block.passages]
    assert len({passage.id for passage in everything}) == len(everything)
    assert len({part for passage in everything for part in (passage.context, passage.continuation)}) == 2 * len(
        everything
    )
    assert report["made"] == len(blocks) <= report["asked"]
    assert report["usable"] + sum(report["dropped"].values()) == report["passages"]
    cut, _ = cut_passages(passage for passage in passages if passage.split in splits)
    most = -(-size // len({passage.topic for passage in cut}))
    for passage in everything:
        whole = by_id[passage.id]
        assert whole.split in splits and f"{passage.context} {passage.continuation}" == whole.text
    for block in blocks:
        assert len(block.passages) == size
        assert max(Counter(passage.topic for passage in block.passages).values()) <= most
        contexts = [passage.context for passage in block.passages]
        for count in (len, estimate_seconds, lambda text: len(words_of(text))):
            assert min(map(count, contexts)) >= 0.85 * max(map(count, contexts))
        for context in contexts:
            for passage in block.passages:
                assert not share_content_word(context, passage.continuation)
                assert estimate_seconds(context) + estimate_seconds(passage.continuation) <= 30


@given(PASSAGES, st.integers(2, 4), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_blocks_keep_their_promises(passages, size, seed):
    try:
        blocks, report = make_blocks(passages, 3, seed, size)
    except ValueError as error:
        assert f"No block of {size} passages can be made" in str(error)
    else:
        check_promises(blocks, report, passages, size)
        assert make_blocks(iter(passages), 3, seed, size) == (blocks, report)


@pytest.mark.parametrize("size", [8, 4])
def test_simple_stories_make_as_many_blocks_as_are_asked_for(size):
    passages = [passage for passage in generate_stories("simple", 12_000, 3) if passage.split == "train"]
    blocks, report = make_blocks(passages, 20, 0, size, splits=["train"])
    assert report["made"] == 20 and report["usable"] > 0.95 * report["passages"]
    check_promises(blocks, report, passages, size, ["train"])
    others, _ = make_blocks(passages, 20, 1, size, splits=["train"])
    assert others != blocks


def test_a_passage_is_cut_at_the_sentence_end_nearest_to_its_middle():
    sentences = ("A lion sings.", "The otter is quiet and carries candles.", "No letter.", "Violins.")
    cut, _ = cut_passages([Passage("one", "one", "a", "test", sentences)])
    middle = len(" ".join(sentences)) / 2
    found = abs(len(cut[0].context) - middle)
    assert found == min(abs(len(" ".join(sentences[:end])) - middle) for end in (1, 2, 3))


def test_passages_that_tell_nothing_or_too_much_are_dropped_and_counted():
    told = [
        ("The lion sings.",),
        ("The lion sings.", "Lions sing."),
        ("The lion sings.", "He is of the."),
        ("The lion paints.", "An otter writes."),
        ("The lion paints.", "A sailor swims."),
    ]
    passages = [Passage(str(number), str(number), "a", "test", sentences) for number, sentences in enumerate(told)]
    cut, dropped = cut_passages(passages)
    assert [passage.id for passage in cut] == ["3"]
    assert dropped == {
        "fewer than two sentences": 1,
        "parts that share a content word": 1,
        "a part without content words": 1,
        "a part seen before": 1,
    }


def test_too_few_passages_are_said_in_a_sentence():
    passages = list(generate_stories("simple", 600, 0))
    with pytest.raises(ValueError, match="No block of 8 passages can be made from the .* in the splits test"):
        make_blocks(passages, 10, 0)
    with pytest.raises(ValueError, match="No block of 8 passages can be made from the 0 passages"):
        make_blocks([], 10, 0)
    with pytest.raises(ValueError, match="A block needs at least 2 passages"):
        make_blocks(passages, 10, 0, size=1)
