"""The four rules of AST: whole utterances, and what each says of its spans."""

import numpy as np
import pytest

from evoslm.datasets_scripts.mixing.switching import (
    PerWord,
    Poisson,
    Segments,
    Spans,
    read_rule_options,
    switching_rule,
)


def times_of(num_words: int, seconds: float = 0.4) -> np.ndarray:
    return np.arange(num_words + 1) * seconds


@pytest.mark.parametrize("name", ["per_word", "spans", "poisson", "segments"])
def test_spans_cover_an_utterance_in_order_and_change_the_modality(name):
    rng = np.random.default_rng(0)
    for num_words in [1, 2, 3, *rng.integers(4, 120, 200)]:
        spans = switching_rule(name).draw(times_of(num_words), rng)
        assert all(span.first < span.last for span in spans)
        assert all(one.modality != next_.modality for one, next_ in zip(spans, spans[1:]))
        own = list(dict.fromkeys((span.first, span.last) for span in spans))
        assert own[0][0] == 0 and own[-1][1] == num_words
        assert all(one[1] == next_[0] for one, next_ in zip(own, own[1:]))


def test_per_word_changes_as_often_as_it_says():
    rng = np.random.default_rng(0)
    changes = [len(PerWord(0.3).draw(times_of(101), rng)) - 1 for _ in range(400)]
    assert np.mean(changes) / 100 == pytest.approx(0.3, abs=0.02)
    assert len(PerWord(0).draw(times_of(50), rng)) == 1 and len(PerWord(1).draw(times_of(50), rng)) == 50


def test_spans_are_as_long_as_they_may_be():
    rng = np.random.default_rng(0)
    lengths = {"speech": set(), "text": set()}
    for _ in range(400):
        for span in Spans(text=(4, 6), speech=(2, 3), scaled=False).draw(times_of(90), rng)[:-1]:
            lengths[span.modality].add(span.last - span.first)
    assert lengths == {"text": {4, 5, 6}, "speech": {2, 3}}
    short = [Spans().draw(times_of(25), rng) for _ in range(400)]
    assert 3 < np.mean([len(spans) for spans in short]) < 6
    assert np.mean([len(Spans(scaled=False).draw(times_of(25), rng)) for _ in range(400)]) < 3


def test_poisson_says_its_share_of_the_words():
    rng = np.random.default_rng(0)
    for share in (0, 0.3, 0.8, 1):
        for num_words in (1, 7, 40, 300):
            spans = Poisson(mean=3, speech_share=share).draw(times_of(num_words), rng)
            said = sum(span.last - span.first for span in spans if span.modality == "speech")
            assert said == round(share * num_words)
    spans = [span for _ in range(300) for span in Poisson(10, 0.3).draw(times_of(300), rng)]
    said = [span.last - span.first for span in spans if span.modality == "speech"]
    assert np.mean(said) == pytest.approx(9.5, abs=0.7)  # the last of an utterance is cut
    starts = [Poisson(10, 0.3).draw(times_of(10), rng)[0].modality for _ in range(300)]
    assert set(starts) == {"speech", "text"}


def test_segments_are_as_long_as_they_say_and_come_again():
    rng = np.random.default_rng(0)
    spans = [Segments(10, 0.5).draw(times_of(75), rng) for _ in range(500)]  # 30 s
    assert {(span.first, span.last) for own in spans for span in own} == {(0, 25), (25, 50), (50, 75)}
    again = [len(own) - 3 for own in spans]
    assert np.mean(again) / 3 == pytest.approx(0.5, abs=0.05)
    assert [len(Segments(10, 0).draw(times_of(num_words), rng)) for num_words in (10, 37, 38)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("alternate", {}, "no switching rule 'alternate'; choose from spans"),
        ("per_word", {"mean": 3}, "per_word has no 'mean'; it has probability"),
        ("per_word", {"probability": 1.5}, "between 0 and 1, not 1.5"),
        ("spans", {"text": (3, 2)}, "text has to be a range"),
        ("poisson", {"mean": 0}, "mean has to be positive"),
        ("segments", {"seconds": -1}, "seconds has to be positive"),
    ],
)
def test_rules_that_cannot_be_are_refused(name, options, named):
    with pytest.raises(ValueError, match=named):
        switching_rule(name, **options)


@pytest.mark.parametrize(
    ("name", "given", "rule"),
    [
        ("spans", ["text=4-8", "speech=2-3", "scaled=false"], Spans((4, 8), (2, 3), scaled=False)),
        ("poisson", ["mean=5", "speech_share=0.5"], Poisson(5, 0.5)),
        ("segments", ["seconds=2.5"], Segments(2.5)),
        ("per_word", ["probability=1"], PerWord(1)),
        ("spans", [], Spans()),
    ],
)
def test_rules_are_written_on_a_command_line(name, given, rule):
    assert switching_rule(name, **read_rule_options(name, given)) == rule


@pytest.mark.parametrize(
    ("name", "given", "named"),
    [
        ("spans", "text", "'text' is no argument of the switching rule spans; write argument=value"),
        ("spans", "text=4", "'text=4'"),
        ("spans", "scaled=maybe", "with one of text, speech, scaled"),
        ("segments", "seconds=long", "'seconds=long'"),
        ("poisson", "words=3", "has no 'words'; it has mean, speech_share"),
    ],
)
def test_what_is_no_argument_of_a_rule_is_said(name, given, named):
    with pytest.raises(ValueError, match=named):
        switching_rule(name, **read_rule_options(name, [given]))
