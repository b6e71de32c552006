"""Words and characters that a transcript has wrong, after Whisper's normalisation."""

import pytest

from evoslm.models.transcriber import error_intervals, recognition_errors


def test_edits_are_counted_by_kind_and_pooled_over_utterances():
    errors = recognition_errors(["the cat sat on the mat", "a dog"], ["the bat sat the mat now", ""])
    expected = {"substitutions": 1, "deletions": 3, "insertions": 1, "words": 8, "utterances": 2, "empty": 1}
    assert {name: errors[name] for name in expected} == expected
    assert errors["wer"] == 5 / 8
    # Of characters: c for b; "on " and "a dog" are missing, " now" is too many.
    assert errors["cer"] == (1 + 3 + 5 + 4) / 27


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Mr. Smith isn't here!", "mister smith is not here"),
        ("it was fourteen fifty-five", "It was 1455."),
        ("twenty per cent of $3.50", "20% of $3.50"),
        ("Well, um, [noise] yes", "well yes"),
    ],
)
def test_ways_of_writing_are_no_errors(said, written):
    assert recognition_errors([said], [written])["wer"] == 0


def test_spellings_that_count_as_others_are_given():
    assert recognition_errors(["the colour"], ["the color"])["wer"] == 0.5
    assert recognition_errors(["the colour"], ["the color"], {"colour": "color"})["wer"] == 0


@pytest.mark.parametrize(
    ("language", "said", "written", "wer"),
    [
        ("de", "Er geht um zwölf, hm!", "er geht zwölf hm", 1 / 5),
        ("de", "für uns", "fur uns", 1 / 2),
        ("zh", "今天天气很好。", "今天天汽很好", 1 / 6),
        ("ja", "こんにちは", "こんばんは", 2 / 5),
        ("en", "Well, um, yes", "well yes", 0),
    ],
)
def test_languages_have_words_of_their_own(language, said, written, wer):
    assert recognition_errors([said], [written], language=language)["wer"] == pytest.approx(wer)
    assert error_intervals([said], [written], language=language)["wer"]["high"] == pytest.approx(wer)


def test_an_utterance_without_words_may_only_have_insertions():
    assert recognition_errors(["a b", "..."], ["a b", "you"])["wer"] == 0.5


@pytest.mark.parametrize(
    ("references", "transcripts", "message"),
    [(["a"], [], "1 references, but 0"), (["..."], ["a"], "no words to be compared"), ([], [], "no words")],
)
def test_what_cannot_be_compared_is_named(references, transcripts, message):
    with pytest.raises(ValueError, match=message):
        recognition_errors(references, transcripts)


def test_intervals_are_over_utterances():
    said = ["the cat sat"] * 10 + ["a dog ran off"] * 10
    heard = ["the cat sat"] * 10 + ["a dog ran"] * 10
    found, errors = error_intervals(said, heard), recognition_errors(said, heard)
    for name in ("wer", "cer"):
        assert found[name]["value"] == errors[name]
        assert 0 < found[name]["low"] < errors[name] < found[name]["high"]
    same = error_intervals(["the cat sat"] * 5, ["the cat"] * 5)["wer"]
    assert same["low"] == same["value"] == same["high"] == pytest.approx(1 / 3)
    # What was heard where nothing was said is too much, in the intervals, too.
    assert error_intervals(["a cat", ""], ["a cat", "red green blue"])["wer"]["high"] > 1
