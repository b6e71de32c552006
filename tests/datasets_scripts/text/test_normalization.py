import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evoslm.datasets_scripts.text.normalization import find_word_case, normalize_text
from evoslm.datasets_scripts.text.sentences import split_paragraph

PIECES = """
Mr. Mrs. Dr. St. No. p.m. U.S. i.e. etc. &c. Esq. Co. J. I. I A He he said asked Harry the John VI II Henry Chapter
VERY 7 12 1897 3rd 2d $5 £3.50 €2.5bn 50% 4 1/2 8:35 13,000 -5 May Sept. '76 1860s 10s. 9d -- --- ---- -
... . , ! ? ; : ' " ( ) [ ] _ * & % + = / @-@
dogs' th' o'clock 'tis 'em don't n't o' s' a. B---- ----shire — “ ” ’ café ½ Ж
"""
ODD_TEXTS = st.one_of(
    st.lists(st.tuples(st.sampled_from(PIECES.split()), st.sampled_from(["", " ", " ", "\n"])), max_size=14).map(
        lambda pairs: "".join(a + b for a, b in pairs)
    ),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=40),
    st.text(alphabet="aAIXs.'\"-!? ,(1", max_size=16),
)
fuzz = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


class TestEveryText:
    @fuzz
    @given(ODD_TEXTS)
    def test_uses_letters_and_eight_marks_only(self, text):
        spoken = normalize_text(text)
        assert re.fullmatch(r"[A-Za-z.,!?';: -]*", spoken)
        assert spoken == " ".join(spoken.split())

    @fuzz
    @given(ODD_TEXTS)
    def test_is_the_same_when_normalised_again(self, text):
        spoken = normalize_text(text)
        assert normalize_text(spoken) == spoken

    @fuzz
    @given(ODD_TEXTS)
    def test_has_a_full_stop_only_where_a_sentence_ends(self, text):
        assert not re.search(r"[.!?](?!$| [A-Z])", normalize_text(text))

    @fuzz
    @given(ODD_TEXTS)
    def test_has_apostrophes_hyphens_and_dashes_in_their_places(self, text):
        spoken = normalize_text(text)
        assert not re.search(r"(?<![A-Za-z])'", spoken)
        assert not re.search(r"(?<![A-Za-z ])-|(?<=[A-Za-z])-(?![A-Za-z])|(?<= )-(?! |$)", spoken)

    @fuzz
    @given(ODD_TEXTS)
    def test_splits_into_sentences_that_begin_and_end_as_such(self, text):
        sentences, remainder = split_paragraph(normalize_text(text))
        assert all(re.fullmatch(r"[A-Z][^.!?]*[.!?]", sentence) for sentence in sentences)
        assert not re.search(r"[.!?,:;-]$", remainder)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Mr. and Mrs. Long met Dr Watson.", "Mister and Missus Long met Doctor Watson."),
        ("St. John lives in Baker St. with Col. Ross.", "Saint John lives in Baker Street with Colonel Ross."),
        ("Smith & Co., of London.", "Smith and Company, of London."),
        ("Tea, cakes, &c., i.e. food.", "Tea, cakes, et cetera, that is food."),
        ("J. W. Hobbs, M.D., of the U.S. Army.", "J W Hobbs, M D, of the U S Army."),
        ("He came at 5 p.m. and left.", "He came at five P M and left."),
        ("See vol. II. of it, p. 12.", "See volume two of it, page twelve."),
        ("No. 7 is mine. No. He lies.", "number seven is mine. No. He lies."),
    ],
)
def test_abbreviations_are_written_out(written, spoken):
    assert normalize_text(written) == spoken


@pytest.mark.parametrize(
    ("written", "sentences"),
    [
        ("He lives in the U.S. She does not.", ["He lives in the U S.", "She does not."]),
        ("It was I. He left.", ["It was I.", "He left."]),
        ("It rained, etc. The end.", ["It rained, et cetera.", "The end."]),
        ('"Is it you?" Harry asked. "No!" cried Ann.', ["Is it you, Harry asked.", "No, cried Ann."]),
        ("Oh! oh! Well.... Come.", ["Oh, oh!", "Well.", "Come."]),
        ('"I think--" He stopped. "Go--" "Stop!"', ["I think.", "He stopped.", "Go.", "Stop!"]),
        ("(He slept.) She did not (yet).", ["He slept.", "She did not, yet."]),
        ("so it is", []),
        ("She said:", ["She said."]),
        ("He read--", ["He read."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(written, sentences):
    assert split_paragraph(normalize_text(written))[0] == sentences


def test_what_has_no_final_punctuation_is_left_over():
    assert split_paragraph(normalize_text("It ended. A Bosom Friend")) == (["It ended."], "A Bosom Friend")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("“Don’t go,” she said—“yet…” and wept.", "Don't go, she said - yet, and wept."),
        ("'Why?' said Alice, 'it's the dogs' house.'", "Why, said Alice, it's the dogs' house."),
        (
            "In th' garden 'tis warm an' quiet, goin' on five o'clock.",
            "In the garden tis warm and quiet, goin on five o'clock.",
        ),
        ("He was _very_ old [Illustration: a man] and* poor.[1]", "He was very old and poor."),
        ("My sister,--Mrs. Joe (as such)--came.", "My sister - Missus Joe, as such - came."),
        ("Naïve cafés in Zürich.", "Naive cafes in Zurich."),
        ("The ----shire regiment of Mrs. B---- came.", "The blankshire regiment of Missus B came."),
        ("A well-\nknown, high- backed chair.", "A well-known, high-backed chair."),
        ("It is n't John 's 13 @,@ 000 .", "It isn't John's thirteen thousand."),
    ],
)
def test_marks_are_made_plain(written, spoken):
    assert normalize_text(written) == spoken


def test_capitals_are_written_as_the_document_writes_the_word_elsewhere():
    document = "It was VERY odd; it was very odd in LONDON. London! In the USA, KETOS said I'LL and chapter XI."
    word_case = find_word_case(document)
    assert word_case == {"VERY": "very", "LONDON": "London", "KETOS": "Ketos", "I'LL": "I'll"}
    assert normalize_text("LONDON IS VERY BIG.", word_case) == "London IS very BIG."


def test_agrees_with_the_readings_that_come_with_recordings(shared_data):
    # LJSpeech has each sentence as printed and as its reader said it. What is left are choices: "November 22" is said
    # "twenty-second" or "twenty-two", "199" with "and" or without.
    def words(text):
        return re.sub(r"[^a-z]+", " ", text.lower().replace("'", "")).split()

    lines = (shared_data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()[::8]
    rows = [line.split("|") for line in lines]
    same = sum(words(normalize_text(printed)) == words(normalize_text(read)) for _, printed, read in rows)
    assert same / len(rows) > 0.955
