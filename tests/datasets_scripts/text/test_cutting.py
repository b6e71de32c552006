from hypothesis import given, settings
from hypothesis import strategies as st

from evoslm.datasets_scripts.text.cutting import cut_passages, estimate_seconds, split_long_sentence

SHORT = "She opened the door and looked at the garden."


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), max_size=40))
def test_passages_are_the_sentences_in_order_within_the_limit(lengths):
    sentences = [" ".join(["Word"] + ["word"] * (length - 1)) + "." for length in lengths]
    passages = cut_passages(sentences, max_seconds=20)
    assert [sentence for passage in passages for sentence in passage] == sentences
    assert all(len(passage) <= 8 for passage in passages)
    assert all(len(passage) == 1 or estimate_seconds(" ".join(passage)) <= 20 for passage in passages)


def test_passages_have_several_sentences_where_they_can():
    passages = cut_passages([SHORT] * 101)
    assert min(map(len, passages)) >= 4


def test_a_sentence_that_fits_is_left_alone():
    assert split_long_sentence(SHORT) == [SHORT]


def test_a_long_sentence_is_cut_at_its_semicolons():
    clause = "the road went on over the hill and down to the grey river in the broad green valley under the mountain"
    assert split_long_sentence(f"T{clause[1:]}; {clause}; {clause}?") == [
        f"T{clause[1:]}.",
        f"T{clause[1:]}.",
        f"T{clause[1:]}?",
    ]


def test_a_sentence_longer_than_a_passage_is_cut_at_a_comma_and_all_pieces_fit():
    sentence = "There were " + ", ".join(["rows of old brown houses by the water"] * 12) + "!"
    pieces = split_long_sentence(sentence)
    assert len(pieces) > 1 and pieces[-1].endswith("!")
    assert all(estimate_seconds(piece) <= 30 and piece[0].isupper() and piece[-1] in ".!" for piece in pieces)


def test_a_sentence_without_a_boundary_is_given_up():
    assert split_long_sentence("A" + " very" * 200 + " long one.") == []


def test_the_estimate_is_longer_than_the_slowest_speech():
    from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer

    synthesizer = EspeakSynthesizer()
    for text in (
        SHORT,
        "It was the best of times, it was the worst of times; it was the age of wisdom. He saw it - and went.",
        "J W Hobbs, of the U S Army, met the K G B.",
        "Strengths! Twelfths? Squelched scratched thoughts stretched.",
    ):
        assert synthesizer.render(text, rate=140).duration <= estimate_seconds(text)
        assert synthesizer.render(text, rate=175).duration <= estimate_seconds(text, 175)
